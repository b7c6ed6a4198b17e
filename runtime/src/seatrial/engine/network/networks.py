"""The networks that there are, and how one is made of what somebody asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct, field

from seatrial.engine import clock, names
from seatrial.engine.errors import BadRequest, Conflict, Forbidden, NotFound, Unsupported
from seatrial.engine.network import addresses
from seatrial.engine.network.addresses import Leases, Pool
from seatrial.engine.network.payloads import IPAM, NetworkRequest

if TYPE_CHECKING:
    from seatrial.engine.database import Database
    from seatrial.engine.network.addresses import Subnet

BRIDGE = "bridge"
#: The networks that every engine has, by name, with their drivers.
BUILTIN = {BRIDGE: "bridge", "host": "host", "none": "null"}
_NAME = re.compile(rf"{names.PATTERN}*", re.ASCII)
_OPTION = "com.docker.network.bridge."
_FLAGS = {f"{_OPTION}{name}" for name in ("enable_icc", "enable_ip_masquerade", "default_bridge")}
_DEVICE, _HOST_ADDRESS = f"{_OPTION}name", f"{_OPTION}host_binding_ipv4"
_MTU = "com.docker.network.driver.mtu"
_DEVICE_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,15}", re.ASCII)
_LONGEST_MTU = 65535


class Network(Struct, frozen=True):
    """A network, as the database keeps it."""

    id: str
    name: str
    created: str
    driver: Literal["bridge", "host", "null"]
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    pools: list[Pool] = field(default_factory=list)
    #: Somebody chose the subnet: then containers may choose their addresses.
    own_subnet: bool = False
    ipam_options: dict[str, str] | None = None
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def builtin(self) -> bool:
        """Whether it is one of those that are always there."""
        return self.name in BUILTIN

    @property
    def device(self) -> str:
        """The bridge's name."""
        return self.options.get(_DEVICE, f"br-{self.id[:12]}")

    @property
    def mtu(self) -> int:
        """How long packets may be."""
        return int(self.options.get(_MTU, "1500"))

    @property
    def host_address(self) -> str:
        """Where the host has a port whose publisher names no address; empty for everywhere."""
        given = self.options.get(_HOST_ADDRESS, "")
        return "" if given == "0.0.0.0" else given  # noqa: S104 - that is what the option says

    @property
    def open(self) -> bool:
        """Whether its containers may talk to one another."""
        return self.options.get(f"{_OPTION}enable_icc", "true") == "true"

    @property
    def masquerades(self) -> bool:
        """Whether its containers are seen outside under the host's address."""
        wanted = self.options.get(f"{_OPTION}enable_ip_masquerade", "true") == "true"
        return wanted and not self.internal


class Networks:
    """All networks, in memory as in the database, with what is taken of their addresses."""

    def __init__(self, database: Database, *, engine_id: str, bridge: str) -> None:
        self._database, self._seed = database, engine_id
        found = [msgspec.json.decode(each, type=Network) for each in database.networks()]
        self._networks = {network.id: network for network in found}
        self._leases: dict[str, list[Leases]] = {}
        self._bridge = bridge

    def begin(self, host: list[Subnet]) -> None:
        """Make those of the networks that are always there that are not."""
        for name, driver in BUILTIN.items():
            if self.named(name) is not None:
                continue
            options, pools = {}, []
            if driver == "bridge":
                pools = [addresses.free_subnet([*host, *self._subnets()])]
                options = {
                    f"{_OPTION}default_bridge": "true",
                    f"{_OPTION}enable_icc": "true",
                    f"{_OPTION}enable_ip_masquerade": "true",
                    _HOST_ADDRESS: "0.0.0.0",  # noqa: S104 - as Docker's default bridge has it
                    _DEVICE: self._bridge,
                    _MTU: "1500",
                }
            self._keep(
                Network(
                    names.new_id(),
                    name,
                    clock.now(),
                    driver,  # type: ignore[arg-type]
                    pools=pools,
                    options=options,
                )
            )

    def all(self) -> list[Network]:
        """Return every network, the oldest first."""
        return sorted(self._networks.values(), key=lambda network: network.created)

    def bridges(self) -> list[Network]:
        """Return the networks that have a bridge."""
        return [network for network in self.all() if network.driver == "bridge"]

    def named(self, name: str) -> Network | None:
        """Return the network of a name, if there is one."""
        return next((each for each in self._networks.values() if each.name == name), None)

    def find(self, text: str) -> Network:
        """Return the network of a name, of an id, or of an id that begins so."""
        found = self._networks.get(text) or self.named(text)
        if found is not None:
            return found
        beginning = [each for key, each in self._networks.items() if text and key.startswith(text)]
        if len(beginning) > 1:
            raise BadRequest(f"network {text} is ambiguous ({len(beginning)} matches found on ID)")
        if not beginning:
            raise NotFound(f"network {text} not found")
        return beginning[0]

    def leases(self, network: Network) -> list[Leases]:
        """Return what is taken of a network's pools."""
        if network.id not in self._leases:
            self._leases[network.id] = [Leases(pool) for pool in network.pools]
        return self._leases[network.id]

    def create(self, request: NetworkRequest, host: list[Subnet]) -> Network:
        """Make a network; ``host`` are the subnets that this machine has otherwise."""
        _check(request)
        if self.named(request.name) is not None:
            raise Conflict(f"network with name {request.name} already exists")
        made = Network(
            names.new_id(),
            request.name,
            clock.now(),
            "bridge",
            internal=request.internal,
            attachable=request.attachable,
            ipv6=request.enable_ipv6,
            pools=self._pools(request, host),
            own_subnet=any(each.subnet for each in _ipam(request).config or ()),
            ipam_options=_ipam(request).options,
            options=request.options or {},
            labels=request.labels or {},
        )
        if made.device in {each.device for each in self.bridges()}:
            raise Forbidden(f"networks have same bridge name: {made.device}")
        self._keep(made)
        return made

    def remove(self, network: Network) -> None:
        """Forget a network."""
        del self._networks[network.id]
        self._leases.pop(network.id, None)
        self._database.forget_network(network.id)

    def _keep(self, network: Network) -> None:
        self._networks[network.id] = network
        self._database.keep_network(network.id, msgspec.json.encode(network))

    def _subnets(self) -> list[Subnet]:
        return [pool.network for network in self._networks.values() for pool in network.pools]

    def _pools(self, request: NetworkRequest, host: list[Subnet]) -> list[Pool]:
        pools, taken = [], self._subnets()
        for each in _ipam(request).config or ():
            if not each.subnet:
                if each.gateway or each.ip_range or each.auxiliary_addresses:
                    raise BadRequest(
                        "a gateway, a range or an address needs a subnet (hint: --subnet)"
                    )
                continue
            pool = addresses.asked(
                each.subnet, each.gateway, each.ip_range, each.auxiliary_addresses
            )
            if any(other.overlaps(pool.network) for other in taken):
                raise Forbidden("Pool overlaps with other one on this address space")
            pools.append(pool)
            taken.append(pool.network)
        versions = [pool.version for pool in pools]
        if len(set(versions)) != len(versions):
            raise BadRequest("bridge driver doesn't support multiple subnets of one kind")
        if 4 not in versions:  # noqa: PLR2004 - IPv4
            pools.insert(0, addresses.free_subnet([*taken, *host]))
        if request.enable_ipv6 and 6 not in versions:  # noqa: PLR2004 - IPv6
            pools.append(addresses.free_subnet6(self._seed, taken))
        return pools


def _ipam(request: NetworkRequest) -> IPAM:
    return request.ipam if request.ipam is not None else IPAM()


def _check(request: NetworkRequest) -> None:
    if not _NAME.fullmatch(request.name):
        raise BadRequest(
            f'invalid network name "{request.name}": only {names.PATTERN} are allowed'
            if request.name
            else "network name cannot be blank"
        )
    if request.name in {"default", "container"} or request.name.startswith("container:"):
        raise Forbidden(f"operation is not permitted on predefined {request.name} network")
    if request.driver in {"host", "null"}:
        raise Forbidden(f'only one instance of "{request.driver}" network is allowed')
    if request.driver not in {"", "default", "bridge"}:
        raise NotFound(
            f"could not find plugin {request.driver} in v1 plugin registry: plugin not found"
        )
    if request.scope not in {"", "local"} or request.ingress:
        raise Forbidden("This node is not a swarm manager: networks are of this machine alone")
    if request.config_only or (request.config_from or {}).get("Network"):
        raise Unsupported("networks that only hold a configuration are not supported")
    if not request.enable_ipv4:
        raise Unsupported("networks without IPv4 are not supported")
    if _ipam(request).driver not in {"", "default"}:
        raise NotFound(f"could not find an IPAM driver called {_ipam(request).driver}")
    if any(each.subnet and ":" in each.subnet for each in _ipam(request).config or ()) and not (
        request.enable_ipv6
    ):
        raise BadRequest("an IPv6 subnet needs a network with IPv6 (hint: --ipv6)")
    _check_options(request.options or {})


def _check_options(options: dict[str, str]) -> None:
    for name in _FLAGS & set(options):
        if options[name] not in {"true", "false"}:
            raise BadRequest(f'failed to parse {name} value: "{options[name]}" is no boolean')
    device = options.get(_DEVICE)
    if device is not None and not _DEVICE_NAME.fullmatch(device):
        raise BadRequest(f"invalid bridge name {device!r}: up to 15 letters, digits, _ . and -")
    mtu = options.get(_MTU, "1500")
    if not mtu.isdecimal() or not 68 <= int(mtu) <= _LONGEST_MTU:  # noqa: PLR2004 - RFC 791
        raise BadRequest(f"invalid MTU {mtu!r}: want 68 to {_LONGEST_MTU}")
    if _HOST_ADDRESS in options:
        addresses.address(options[_HOST_ADDRESS])
