"""Id mappings of mounts: "idmap", "ridmap", uidMappings and gidMappings (config.md, "Mounts")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import namespaces
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from seatrial.oci.config import Config, IDMapping
    from seatrial.oci.mounts import Entry


def compile(config: Config, entry: Entry, slot: int) -> tuple[list[Op], bool]:  # noqa: A001 - the compiler's verb
    """Return what makes the mapping, and whether it is for all mounts below too.

    Nothing is returned for a mount that wants none. Raises ``ConfigError`` for half a mapping,
    and where there is nothing to map by.
    """
    uids, gids = entry.mount.uid_mappings, entry.mount.gid_mappings
    wanted = entry.options.id_mapping
    if not (wanted or uids or gids):
        return [], False
    for one, other, name in ((uids, gids, "gidMappings"), (gids, uids, "uidMappings")):
        if one and not other:
            raise ConfigError(f"{entry.pointer}/{name}", "each of uidMappings and gidMappings "
                              "needs the other")  # fmt: skip
    path, pointer = "", f"{entry.pointer}/uidMappings"
    if not uids:
        pointer = "/linux/uidMappings"
        uids, gids = config.linux.uid_mappings, config.linux.gid_mappings
        path = _user_namespace(config, f"{entry.pointer}/options", wanted)
    _check(pointer, uids)
    says = f"those of {path}" if path else f"uids {_shown(uids)}; gids {_shown(gids)}"
    made = Op(
        Kind.ID_MAPPING,
        Stage.BEFORE,
        f"make an id mapping for {entry.target}: {says}",
        pointer,
        flags=slot << 8,
        path=path,
        text="" if path else _lines(uids),
        extra="" if path else _lines(gids),
    )
    return [made], wanted == "ridmap"


def _user_namespace(config: Config, pointer: str, wanted: str) -> str:
    """Return the path of the container's user namespace, or nothing for one that is to be made."""
    if not namespaces.has(config, "user"):
        raise ConfigError(
            pointer,
            f"{wanted} needs uidMappings and gidMappings, or a container with a user namespace",
        )
    return next(each.path or "" for each in config.linux.namespaces if each.type == "user")


def _check(pointer: str, mappings: list[IDMapping]) -> None:
    for number, each in enumerate(mappings):
        if each.size == 0:
            raise ConfigError(f"{pointer}/{number}/size", "an empty range maps nothing")


def _lines(mappings: list[IDMapping]) -> str:
    return "".join(f"{each.container_id} {each.host_id} {each.size}\n" for each in mappings)


def _shown(mappings: list[IDMapping]) -> str:
    return ", ".join(f"{m.container_id}→{m.host_id} ({m.size})" for m in mappings)
