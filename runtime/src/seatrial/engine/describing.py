"""Containers as the interface tells of them: the list's entries, and all that inspect says."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.engine import clock
from seatrial.engine.network import describing as network

if TYPE_CHECKING:
    from seatrial.engine.engine import Engine
    from seatrial.engine.records import MountPoint, Record


_MINUTE, _HOUR = 60, 3600
_UNITS = (
    (60, "second", 1), (60 * 60, "minute", 60), (48 * 3600, "hour", 3600),
    (14 * 86400, "day", 86400), (60 * 86400, "week", 7 * 86400), (730 * 86400, "month", 30 * 86400),
)  # fmt: skip


def duration(seconds: float) -> str:
    """Say a duration as people do."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if _MINUTE <= whole < 2 * _MINUTE:
        return "About a minute"
    if whole >= 46 * _MINUTE and round(seconds / _HOUR) == 1:
        return "About an hour"
    for below, unit, size in _UNITS:
        if whole < below:
            number = round(seconds / 3600) if unit == "hour" else whole // size
            return f"{number} {unit}s"
    return f"{whole // (365 * 86400)} years"


def status(record: Record) -> str:  # noqa: PLR0911 - a case each
    """Return what ``docker ps`` shows as the status."""
    state = record.state
    if state.status == "created":
        return "Created"
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {_ago(state.finished_at)} ago"
    if state.running:
        text = f"Up {_ago(state.started_at)}"
        if state.status == "paused":
            return f"{text} (Paused)"
        if state.health is not None:
            shown = "health: starting" if state.health.status == "starting" else state.health.status
            return f"{text} ({shown})"
        return text
    if state.status == "removing":
        return "Removal In Progress"
    if state.finished_at == clock.NEVER:
        return "Created"
    return f"Exited ({state.exit_code}) {_ago(state.finished_at)} ago"


def _ago(moment: str) -> str:
    return duration((time.time_ns() - clock.to_ns(moment)) / 1e9)


def command(record: Record) -> str:
    """Return the command as one line."""
    words = [record.path, *record.args]
    return " ".join(f"'{word}'" if " " in word else word for word in words)


def _mount(point: MountPoint) -> dict[str, Any]:
    if point.type == "tmpfs":
        return {
            "Type": "tmpfs",
            "Source": "",
            "Destination": point.destination,
            "Mode": "",
            "RW": point.rw,
            "Propagation": "",
        }
    made: dict[str, Any] = {"Type": point.type}
    if point.name:
        made["Name"] = point.name
    made["Source"], made["Destination"] = point.source, point.destination
    if point.driver:
        made["Driver"] = point.driver
    return {**made, "Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def summary(engine: Engine, record: Record, *, size: bool) -> dict[str, Any]:
    """Return a container's entry in the list."""
    image_names = [
        name for image in engine.images.all() if image.id == record.image_id
        for name in engine.images.names(image)
    ]  # fmt: skip
    known = {name.removesuffix(":latest") for name in image_names} | set(image_names)
    gone = record.image not in known and not record.image_id[7:].startswith(record.image)
    made = {
        "Id": record.id,
        "Names": [f"/{record.name}"],
        "Image": record.image_id if gone else record.image,
        "ImageID": record.image_id,
        "Command": command(record),
        "Created": clock.to_ns(record.created) // 1_000_000_000,
        "Ports": network.published(record),
        "Labels": record.config.labels or {},
        "State": record.state.status,
        "Status": status(record),
        "HostConfig": {"NetworkMode": record.host.network_mode},
        "NetworkSettings": {"Networks": network.networks(record)},
        "Mounts": [_mount(point) for point in record.mounts],
    }
    if size:
        made.update(sizes(engine, record))
    return made


def sizes(engine: Engine, record: Record) -> dict[str, int]:
    """Return how much a container has changed, and how much it is with its image."""
    changed = folder_size(f"{engine.folder(record)}/upper")
    below = sum(image.size_bytes for image in engine.images.all() if image.id == record.image_id)
    return {"SizeRw": changed, "SizeRootFs": changed + below}


def folder_size(path: str) -> int:
    """Return how much the files below a folder are; one with several names counts once."""
    total, seen = 0, set()
    for where, _, names in os.walk(path):
        for name in names:
            found = os.stat(f"{where}/{name}", follow_symlinks=False)
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                total += found.st_size
    return total


def state(record: Record) -> dict[str, Any]:
    """Return a container's state."""
    held = record.state
    made: dict[str, Any] = {
        "Status": held.status,
        "Running": held.running or held.status == "restarting",
        "Paused": held.status == "paused",
        "Restarting": held.status == "restarting",
        "OOMKilled": held.oom_killed,
        "Dead": held.status == "dead",
        "Pid": held.pid,
        "ExitCode": held.exit_code,
        "Error": held.error,
        "StartedAt": held.started_at,
        "FinishedAt": held.finished_at,
    }
    if held.health is not None:
        made["Health"] = held.health
    return made


def inspect(engine: Engine, record: Record, *, size: bool) -> dict[str, Any]:
    """Return all that is told of a container."""
    folder = engine.folder(record)
    held = _folders(engine, record)
    execs = [each.id for each in engine.execs.values() if each.container.record is record]
    made: dict[str, Any] = {
        "Id": record.id,
        "Created": record.created,
        "Path": record.path,
        "Args": record.args,
        "State": state(record),
        "Image": record.image_id,
        "ResolvConfPath": f"{folder}/resolv.conf",
        "HostnamePath": f"{folder}/hostname",
        "HostsPath": f"{folder}/hosts",
        "LogPath": engine.log_path(record),
        "Name": f"/{record.name}",
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs or None,
        "HostConfig": msgspec.to_builtins(record.host),
        "GraphDriver": {"Name": "overlay2", "Data": held},
        "Mounts": [_mount(point) for point in record.mounts],
        "Config": _config(record),
        "NetworkSettings": network.settings(record),
    }
    if size:
        made.update(sizes(engine, record))
    return made


def _config(record: Record) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(record.config)
    for name in ("Healthcheck", "StopTimeout", "Shell", "ExposedPorts"):
        if made[name] is None:
            del made[name]
    for name in ("NetworkDisabled", "MacAddress", "StopSignal"):
        if not made[name]:
            del made[name]
    made["Image"] = record.image
    return made


def _folders(engine: Engine, record: Record) -> dict[str, str]:
    """Return the folders of a container's root filesystem, by overlayfs's names for them."""
    folder = engine.folder(record)
    lower = [engine.images.layers.path(each) for each in reversed(record.layers)]
    return {
        "LowerDir": ":".join(lower),
        "MergedDir": f"{folder}/rootfs",
        "UpperDir": f"{folder}/upper",
        "WorkDir": f"{folder}/work",
    }
