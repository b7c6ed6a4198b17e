"""What is mounted into a container: ``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from seatrial.engine import kernel, names
from seatrial.engine.errors import BadRequest, Unsupported
from seatrial.engine.records import MountPoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.payloads import Config, HostConfig, Mount
    from seatrial.engine.records import Record
    from seatrial.engine.volumes import Volume, Wanted

_PROPAGATIONS = {"private", "rprivate", "shared", "rshared", "slave", "rslave"}
#: They mean something on other systems, or with SELinux; here they are taken and change nothing.
_WITHOUT_EFFECT = {"z", "Z", "consistent", "cached", "delegated"}
_TMPFS = {
    *("ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "noatime"),
    *("atime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
    *("remount", "mand", "nomand", "dirsync", "bind", "rbind", "private", "rprivate", "defaults"),
}
_TMPFS_WITH_VALUE = {"mode", "uid", "gid", "nr_inodes", "nr_blocks", "size", "mpol"}
_WITH_MODE = 3
_TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev")


def resolve(
    config: Config,
    host: HostConfig,
    wanted: Wanted,
    container: Callable[[str], Record],
) -> list[MountPoint]:
    """Return the mounts of a new container; the volumes that they need are in ``wanted``.

    What is given later wins at one destination: an image's volume, then those of other containers,
    then what was asked for.
    """
    found = _of_others(host, container)
    asked: dict[str, MountPoint] = {}
    for point in (
        *(_bind(text, host.volume_driver, wanted) for text in host.binds or ()),
        *(_mount(mount, wanted) for mount in host.mounts or ()),
    ):
        if point.destination in asked:
            raise BadRequest(f"Duplicate mount point: {point.destination}")
        asked[point.destination] = point
    for destination in host.tmpfs or {}:
        _destination(destination)
        if os.path.normpath(destination) in asked:
            raise BadRequest(f"Duplicate mount point: {destination}")
    found.update(asked)
    for destination in config.volumes or {}:
        where = _destination(destination)
        if where not in found and where not in (host.tmpfs or {}):
            volume = wanted.volume(driver=host.volume_driver)
            found[where] = _volume(volume, wanted, where, mode="", copy_up=True)
    return list(found.values())


def _of_others(host: HostConfig, container: Callable[[str], Record]) -> dict[str, MountPoint]:
    """Return the mounts of the containers that ``--volumes-from`` names."""
    found: dict[str, MountPoint] = {}
    for given in host.volumes_from or ():
        name, _, mode = given.partition(":")
        if mode and set(mode.split(",")) - {"ro", "rw", *_WITHOUT_EFFECT}:
            raise BadRequest(f"invalid mode: {mode}")
        for point in container(name).mounts:
            if point.type in {"bind", "volume"}:
                ro = "ro" in mode.split(",")
                found[point.destination] = MountPoint(
                    type=point.type,
                    destination=point.destination,
                    source=point.source,
                    name=point.name,
                    driver=point.driver,
                    mode="ro" if ro else point.mode,
                    rw=point.rw and not ro,
                    propagation=point.propagation,
                )
    return found


def _destination(path: str) -> str:
    if not path.startswith("/"):
        raise BadRequest(f"invalid mount path: '{path}' mount path must be absolute")
    normal = os.path.normpath("/" + path.lstrip("/"))
    if normal == "/":
        raise BadRequest("invalid specification: destination can't be '/'")
    if "\0" in normal:
        raise BadRequest("invalid mount config: a path cannot have a NUL")
    return normal


def _volume(
    volume: Volume, wanted: Wanted, where: str, *, mode: str, rw: bool = True, copy_up: bool
) -> MountPoint:
    return MountPoint(
        type="volume",
        destination=where,
        source=wanted.path(volume),
        name=volume.name,
        driver="local",
        mode=mode,
        rw=rw,
        copy_up=copy_up,
    )


def _bind(text: str, driver: str, wanted: Wanted) -> MountPoint:
    """Read ``SOURCE:DESTINATION[:OPTIONS]``; a source that is no path is a volume's name."""
    parts = text.split(":")
    if len(parts) not in {2, _WITH_MODE} or not all(parts[:2]):
        raise BadRequest(f"invalid volume specification: '{text}'")
    source = parts[0]
    try:
        where = _destination(parts[1])
    except BadRequest as error:
        kind = "bind" if source.startswith("/") else "volume"
        raise BadRequest(
            f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": "
            f"{error}"
        ) from None
    mode = parts[2] if len(parts) == _WITH_MODE else ""
    options = mode.split(",") if mode else []
    unknown = set(options) - _PROPAGATIONS - _WITHOUT_EFFECT - {"ro", "rw", "nocopy"}
    spread = [each for each in options if each in _PROPAGATIONS]
    if unknown or len(spread) > 1 or {"ro", "rw"} <= set(options):
        raise BadRequest(f"invalid mode: {mode}")
    rw = "ro" not in options
    if not source.startswith("/"):
        if spread:
            raise BadRequest(f"invalid volume specification: '{text}'")
        volume = wanted.volume(names.volume_name(source), driver=driver)
        return _volume(
            volume, wanted, where, mode=mode or "z", rw=rw, copy_up="nocopy" not in options
        )
    if "nocopy" in options:
        raise BadRequest(f"invalid mode: {mode}")
    return MountPoint(
        type="bind",
        destination=where,
        source=os.path.normpath(source),
        mode=mode,
        rw=rw,
        propagation=spread[0] if spread else "rprivate",
        options=["make-source"],
    )


def _mount(mount: Mount, wanted: Wanted) -> MountPoint:
    where = _destination(mount.target)
    if mount.type == "bind":
        if not mount.source.startswith("/"):
            raise BadRequest(
                'invalid mount config for type "bind": invalid mount path: '
                f"'{mount.source}' mount path must be absolute"
            )
        options = mount.bind_options
        make = options is not None and options.create_mountpoint
        if not make and not os.path.exists(mount.source):
            raise BadRequest(
                'invalid mount config for type "bind": bind source path does not exist: '
                f"{mount.source}"
            )
        spread = (options.propagation if options is not None else "") or "rprivate"
        if spread not in _PROPAGATIONS:
            raise BadRequest(
                f'invalid mount config for type "bind": invalid propagation mode: {spread}'
            )
        return MountPoint(
            type="bind",
            destination=where,
            source=os.path.normpath(mount.source),
            rw=not mount.read_only,
            propagation=spread,
            options=[
                *(["make-source"] if make else []),
                *(["alone"] if options is not None and options.non_recursive else []),
            ],
        )
    if mount.type == "volume":
        how = mount.volume_options
        if how is not None and how.subpath:
            raise Unsupported("a part of a volume (volume-subpath) cannot be mounted")
        driver = how.driver_config if how is not None else None
        volume = wanted.volume(
            mount.source,
            driver=driver.name if driver is not None else "",
            labels=how.labels if how is not None else None,
            options=driver.options if driver is not None else None,
        )
        copy_up = how is None or not how.no_copy
        return _volume(volume, wanted, where, mode="z", rw=not mount.read_only, copy_up=copy_up)
    if mount.type == "tmpfs":
        if mount.source:
            raise BadRequest(
                'invalid mount config for type "tmpfs": field Source must not be specified'
            )
        size = mount.tmpfs_options.size_bytes if mount.tmpfs_options is not None else 0
        mode = mount.tmpfs_options.mode if mount.tmpfs_options is not None else 0
        data = [
            *([f"size={size}"] if size else []),
            *([f"mode={mode:o}"] if mode else []),
            *(["ro"] if mount.read_only else []),
        ]
        return MountPoint(
            type="tmpfs",
            destination=where,
            rw=not mount.read_only,
            options=[*_TMPFS_DEFAULTS, *data],
        )
    raise BadRequest(f'invalid mount config for type "{mount.type}": mount type unknown')


def tmpfs_options(text: str) -> list[str]:
    """Read what ``--tmpfs`` takes after the path."""
    options = [each for each in text.split(",") if each]
    for each in options:
        name, equals, _ = each.partition("=")
        if (name not in _TMPFS_WITH_VALUE) if equals else (each not in _TMPFS):
            raise BadRequest(f'invalid tmpfs option ["{each}"]')
    return [*_TMPFS_DEFAULTS, *options]


def oci(point: MountPoint) -> dict[str, Any]:
    """Return a mount of config.json."""
    if point.type == "tmpfs":
        return {
            "destination": point.destination,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": point.options,
        }
    recursive = "bind" if "alone" in point.options else "rbind"
    return {
        "destination": point.destination,
        "type": "bind",
        "source": point.source,
        "options": [recursive, "rw" if point.rw else "ro", point.propagation or "rprivate"],
    }


def check_propagation(points: list[MountPoint]) -> None:
    """Refuse to share what is not shared on the host: a mount made there would not travel."""
    for point in points:
        spread = point.propagation.removeprefix("r")
        if point.type != "bind" or spread not in {"shared", "slave"}:
            continue
        where, tags = kernel.mount_of(point.source)
        if not tags & ({"shared"} if spread == "shared" else {"shared", "master"}):
            what = "a shared" if spread == "shared" else "a shared or slave"
            raise BadRequest(
                f"path {point.source} is mounted on {where} but it is not {what} mount"
            )


def root_propagation(points: list[MountPoint]) -> str:
    """Return what the root has to be for mounts to travel as was asked for."""
    asked = {point.propagation.removeprefix("r") for point in points}
    return "rshared" if "shared" in asked else "rslave" if "slave" in asked else "rprivate"
