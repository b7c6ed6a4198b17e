"""Published ports: which of the host's a container's are, and that nobody else has them."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING

from seatrial.engine.errors import BadRequest, EngineError
from seatrial.engine.network.addresses import address
from seatrial.engine.network.endpoints import Published

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.engine.payloads import Config, HostConfig

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_LAST = 65535
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what publishing without an address means
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def _range(text: str, what: str) -> tuple[int, int, str]:
    match = _PORT.fullmatch(text)
    if match is None:
        raise BadRequest(f"invalid {what}: {text}")
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= _LAST:
        raise BadRequest(f"invalid {what}: {text}")
    return first, last, match[3] or "tcp"


def check(config: Config, host: HostConfig) -> None:
    """Refuse ports and addresses that are none."""
    for name in config.exposed_ports or ():
        _range(name, "port")
    for name, bindings in (host.port_bindings or {}).items():
        first, last, _ = _range(name, "port")
        if first != last or not first:
            raise BadRequest(f"invalid port: {name}")
        for binding in bindings or ():
            if binding.get("HostPort"):
                _range(str(binding["HostPort"]), "port specification")
            if binding.get("HostIp"):
                address(str(binding["HostIp"]))


def exposed(config: Config, host: HostConfig) -> list[str]:
    """Return all of a container's ports that are talked of, as ``80/tcp``."""
    names: dict[str, None] = {}
    for name in (*(config.exposed_ports or ()), *(host.port_bindings or ())):
        first, last, protocol = _range(name, "port")
        names.update({f"{port}/{protocol}": None for port in range(first, last + 1)})
    return list(names)


class Ports:
    """The host's ports that containers have; sockets hold them, so that nobody else takes one."""

    def __init__(self) -> None:
        self._held: dict[Published, socket.socket | None] = {}
        self._next: dict[str, int] = {}

    def publish(self, config: Config, host: HostConfig, default_address: str) -> list[Published]:
        """Choose and hold what a container publishes; raises EngineError if a port is taken."""
        made: list[Published] = []
        try:
            for name in exposed(config, host):
                bindings = (host.port_bindings or {}).get(name) or []
                if not bindings and host.publish_all_ports:
                    bindings = [{}]
                port, _, protocol = name.partition("/")
                for binding in bindings:
                    where = str(binding.get("HostIp") or default_address)
                    wanted = str(binding.get("HostPort") or "")
                    made += self._publish(int(port), protocol, where, wanted)
        except BaseException:
            self.release(made)
            raise
        return made

    def _publish(self, port: int, protocol: str, where: str, wanted: str) -> list[Published]:
        addresses = (where,) if where and where != _EVERYWHERE[0] else _EVERYWHERE
        first, last, _ = _range(wanted, "port specification") if wanted else (0, 0, "")
        candidates = range(first, last + 1) if first else self._ephemeral(protocol)
        refused: EngineError | None = None
        for host_port in candidates:
            made = [Published(port, protocol, each, host_port) for each in addresses]
            try:
                self.hold(made)
            except EngineError as error:
                refused = error
                continue
            return made
        raise refused or EngineError("all ports are allocated")

    def _ephemeral(self, protocol: str) -> Iterator[int]:
        """Go round the range that the kernel takes ports from too (ip(7), ip_local_port_range)."""
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first, last = map(int, file.read().split())
        begin = self._next.get(protocol, first)
        for port in (*range(begin, last + 1), *range(first, begin)):
            self._next[protocol] = port + 1 if port < last else first
            yield port

    def hold(self, ports: Iterable[Published]) -> None:
        """Take ports, all of them or none."""
        taken: list[Published] = []
        try:
            for each in ports:
                self._refuse_taken(each)
                self._held[each] = _bound(each)
                taken.append(each)
        except BaseException:
            self.release(taken)
            raise

    def _refuse_taken(self, wanted: Published) -> None:
        for other in self._held:
            if (other.protocol, other.host_port) == (wanted.protocol, wanted.host_port) and (
                other.host_address == wanted.host_address
                or (other.host_address in _EVERYWHERE and _same_kind(other, wanted))
                or (wanted.host_address in _EVERYWHERE and _same_kind(other, wanted))
            ):
                raise EngineError(
                    f"Bind for {wanted.host_address}:{wanted.host_port} failed: port is already "
                    "allocated"
                )

    def release(self, ports: Iterable[Published]) -> None:
        """Let somebody else have ports."""
        for each in ports:
            held = self._held.pop(each, None)
            if held is not None:
                held.close()

    def socket(self, port: Published) -> socket.socket | None:
        """Return the socket that holds a port; none does for one of SCTP, or without IPv6."""
        return self._held.get(port)


def _same_kind(one: Published, other: Published) -> bool:
    return (":" in one.host_address) == (":" in other.host_address)


def _bound(port: Published) -> socket.socket | None:
    if port.protocol not in _KINDS:
        return None
    six = ":" in port.host_address
    try:
        made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, _KINDS[port.protocol])
    except OSError:
        return None  # a kernel without IPv6
    try:
        if six:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port.protocol == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((port.host_address, port.host_port))
        if port.protocol == "tcp":
            made.listen()
            made.setblocking(False)
    except OSError as error:
        made.close()
        if six and error.errno == errno.EADDRNOTAVAIL and port.host_address == "::":
            return None  # IPv6 is switched off
        place = f"[{port.host_address}]" if six else port.host_address
        raise EngineError(
            f"failed to bind host port for {place}:{port.host_port}: {error.strerror}"
        ) from None
    return made
