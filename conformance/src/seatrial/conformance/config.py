"""The smallest ``config.json`` that every test starts from; tests edit the plain dictionary."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Config = dict[str, Any]

#: Where the probe is in every test root filesystem.
PROBE = "/probe"

_MINIMAL: Config = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": [PROBE, "report"],
        "cwd": "/",
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=64k"],
        },
    ],
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
    },
}


def minimal(*act: str) -> Config:
    """Return a fresh minimal config whose program is the probe doing ``act`` (default: report)."""
    config = copy.deepcopy(_MINIMAL)
    if act:
        config["process"]["args"] = [PROBE, *act]
    return config


def difference(config: Config) -> Config:
    """Return what ``config`` says otherwise than the minimal one, as a JSON merge patch."""
    patch = _patch(_MINIMAL, config)
    return patch if isinstance(patch, dict) else {}


def _patch(old: object, new: object) -> object:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    patch: Config = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif old[key] != value:
            patch[key] = _patch(old[key], value)
    return patch


def dumps(config: object) -> bytes:
    """Return the bytes of a ``config.json``; a ``bytes`` config is written as it is."""
    if isinstance(config, bytes):
        return config
    return json.dumps(config, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")


def mount(
    destination: str, *options: str, source: object = "tmpfs", kind: str | None = "tmpfs"
) -> Config:
    """Return an entry of ``mounts``, by default of a tmpfs; no options, no such member."""
    entry: Config = {"destination": destination, "source": str(source)}
    if kind is not None:
        entry["type"] = kind
    return entry | ({"options": [*options]} if options else {})


def bind(destination: str, source: object, *options: str) -> Config:
    """Return an entry of ``mounts`` that binds ``source``; ``bind`` is added to the options."""
    return mount(destination, "bind", *options, source=source, kind="none")


def with_mounts(config: Config, *entries: Config) -> Config:
    """Return a copy of ``config`` with more mounts, after those that it has."""
    edited = copy.deepcopy(config)
    edited["mounts"] = [*edited.get("mounts", []), *entries]
    return edited


def without(config: Config, *path: str | int) -> Config:
    """Return a copy of ``config`` without the member at ``path``."""
    edited = copy.deepcopy(config)
    inner: Any = edited
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return edited


def with_namespaces(config: Config, kinds: Sequence[str]) -> Config:
    """Return a copy of ``config`` with new namespaces of just these types."""
    edited = copy.deepcopy(config)
    edited["linux"]["namespaces"] = [{"type": kind} for kind in kinds]
    return edited
