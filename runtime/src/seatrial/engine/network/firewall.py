"""Who may send what to whom: one table of nftables whose rules never change, and its sets.

A network or a published port is an element of a set or of a map, so that a packet meets as many
rules with a hundred ports as with none. All of it is made in one transaction, and made again when
somebody else has taken it away.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING

from seatrial.engine.errors import EngineError
from seatrial.engine.network.nftables import TABLE, Tables
from seatrial.engine.network.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.network.endpoints import Published
    from seatrial.engine.network.networks import Network


#: Sets: our bridges; those without a way out; pairs of a bridge with itself, of all (same) and of
#: those whose containers may talk (open); bridges with their subnets (own); subnets that are seen
#: outside as the host (hidden).
#: Maps: what a published port is in a container, at any address of this host or at one.
_RULES = """
table inet seatrial {
  set bridges { type ifname; }
  set internal { type ifname; }
  set same { type ifname . ifname; }
  set open { type ifname . ifname; }
  set own4 { type ifname . ipv4_addr; flags interval; }
  set own6 { type ifname . ipv6_addr; flags interval; }
  set hidden4 { type ipv4_addr; flags interval; }
  set hidden6 { type ipv6_addr; flags interval; }
  map any4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map any6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
  map at4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  map at6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }

  chain published {
    meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport map @at4
    meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . th dport map @any4
    meta l4proto { tcp, udp, sctp } dnat ip6 to ip6 daddr . meta l4proto . th dport map @at6
    meta l4proto { tcp, udp, sctp } dnat ip6 to meta l4proto . th dport map @any6
  }
  # From outside nobody reaches what is published on loopback.
  chain arriving {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 127.0.0.0/8 accept
    fib daddr type local jump published
  }
  # There is no way from ::1 to a container: that is what the relays are for.
  chain own {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 accept
    fib daddr type local jump published
  }
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname . ip saddr @own4 ct status dnat masquerade
    oifname . ip6 saddr @own6 ct status dnat masquerade
    oifname != @bridges ip saddr @hidden4 masquerade
    oifname != @bridges ip6 saddr @hidden6 masquerade
  }
  chain passing {
    type filter hook forward priority filter; policy accept;
    iifname != @bridges oifname != @bridges accept
    ct state established,related accept
    iifname . oifname @open accept
    iifname . oifname @same ct status dnat accept
    iifname @bridges oifname @bridges drop
    oifname @internal drop
    oifname @bridges ct status dnat accept
    oifname @bridges drop
    iifname @internal drop
  }
  # Bridges route loopback addresses, for ports published there: no container may use that.
  chain martians {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }
}
"""

Elements = dict[str, list[str]]
_log = logging.getLogger(__name__)


class Firewall:
    """The table, and what ought to be in it; for the daemon's own thread alone."""

    def __init__(self) -> None:
        self._tables: Tables | None = None
        self._watch: Watch | None = None
        self._elements: Elements = {}

    def expect(self, elements: Elements) -> None:
        """Remember what ought to be in the table once it is made."""
        for name, values in elements.items():
            self._elements.setdefault(name, []).extend(values)

    def begin(self) -> None:
        """Make the table anew, whatever was there, and make it again whenever it is taken away."""
        self._tables = Tables()
        self._make()
        self._watch = Watch(self._restore)

    def close(self) -> None:
        """Let go of it; the rules stay."""
        if self._watch is not None:
            self._watch.close()
        if self._tables is not None:
            self._tables.close()
        self._tables = self._watch = None

    def add(self, elements: Elements) -> None:
        """Add elements, in one transaction."""
        self._run(_commands("add", elements))
        self.expect(elements)

    def take_away(self, elements: Elements) -> None:
        """Take elements away again; those that are not there are not missed."""
        held: Elements = {}
        for name, values in elements.items():
            there = self._elements.get(name, [])
            held[name] = [value for value in values if value in there]
            self._elements[name] = [value for value in there if value not in values]
        try:
            self._run(_commands("delete", held))
        except EngineError:  # somebody else has taken away some of it
            self._make()

    def _make(self) -> None:
        added = _commands("add", self._elements)
        self._run(f"table inet {TABLE}\ndelete table inet {TABLE}\n{_RULES}{added}")

    def _restore(self) -> None:
        _log.warning("somebody has taken away rules of the packet filter: they are made again")
        self._make()

    def _run(self, commands: str) -> None:
        """Change the rules; what the kernel tells of our own change is no news."""
        if not commands or self._tables is None:
            return
        others = self._watch is not None and self._watch.drain()
        self._tables.run(commands)
        if self._watch is not None:
            self._watch.drain()
        if others:
            self._restore()


def _commands(verb: str, elements: Elements) -> str:
    lines = []
    for name, values in elements.items():
        if values:
            # What names an element of a map is what stands before the colon.
            named = values if verb == "add" else [each.partition(" : ")[0] for each in values]
            lines.append(f"{verb} element inet {TABLE} {name} {{ {', '.join(named)} }}\n")
    return "".join(lines)


def of_network(network: Network) -> Elements:
    """Return the elements that a network is."""
    name = f'"{network.device}"'
    made = {"bridges": [name], "same": [f"{name} . {name}"]}
    if network.internal:
        made["internal"] = [name]
    if network.open:
        made["open"] = [f"{name} . {name}"]
    for pool in network.pools:
        made[f"own{pool.version}"] = [f"{name} . {pool.subnet}"]
        if network.masquerades:
            made[f"hidden{pool.version}"] = [pool.subnet]
    return made


def of_ports(ports: Iterable[Published], address: str, address6: str) -> Elements:
    """Return the elements that the published ports of a container are."""
    made: Elements = {}
    for each in ports:
        version = ipaddress.ip_address(each.host_address).version
        target = address if version == 4 else address6  # noqa: PLR2004 - IPv4
        if not target:
            continue
        everywhere = ipaddress.ip_address(each.host_address).is_unspecified
        key = f"{each.protocol} . {each.host_port}"
        name = f"any{version}" if everywhere else f"at{version}"
        key = key if everywhere else f"{each.host_address} . {key}"
        made.setdefault(name, []).append(f"{key} : {target} . {each.port}")
    return made
