"""Network devices that move into the container (config-linux.md, "Network Devices")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config

#: IFNAMSIZ without the NUL.
_LONGEST = 15
#: The executor remembers so many, to take them back when create fails.
_MOST = 32


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the moves, last of what the runtime does before the container's own setup."""
    devices = config.linux.net_devices
    base = "/linux/netDevices"
    if not devices:
        return
    if not any(each.type == "network" for each in config.linux.namespaces):
        raise ConfigError(base, "need a network namespace to move to")
    if len(devices) > _MOST:
        raise ConfigError(base, f"{len(devices)} devices are more than the supported {_MOST}")
    taken: set[str] = set()
    for host, device in devices.items():
        pointer = f"{base}/" + host.replace("~", "~0").replace("/", "~1")
        _check_name(host, pointer, template=False)
        name = device.name or host
        _check_name(name, f"{pointer}/name", template=True)
        if name in taken and "%" not in name:
            raise ConfigError(f"{pointer}/name", f"a second device of the name {name}")
        taken.add(name)
        renamed = f" as {name}" if name != host else ""
        yield Op(
            Kind.NET_DEVICE,
            Stage.ADOPT,
            f"move network device {host} into the container{renamed}, addresses kept, and up",
            pointer,
            path=host,
            text=name,
        )


def _check_name(name: str, pointer: str, *, template: bool) -> None:
    """Refuse what the kernel would (dev_valid_name, dev_alloc_name)."""
    why = ""
    if not name or len(name.encode()) > _LONGEST:
        why = f"has to have 1 to {_LONGEST} bytes"
    elif name in {".", ".."} or any(each in "/:\0" or each.isspace() for each in name):
        why = "is no name for a network device"
    elif "%" in name and not (template and name.count("%") == 1 and name.endswith("%d")):
        why = "has a % that is not a %d at the end"
    if why:
        raise ConfigError(pointer, f"{name!r} {why}")
