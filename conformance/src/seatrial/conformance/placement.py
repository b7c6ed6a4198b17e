"""Where the kernel has a container: its cgroup in each hierarchy, and what that is set to."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import cgroups
from seatrial.conformance.cgroups import V2, Hierarchy
from seatrial.conformance.errors import HarnessError, Ignored, Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.container import Container

_V1_NAMES = {"io": "blkio"}
#: What is part of the unified hierarchy itself.
_CORE = {"cgroup", "devices", "freezer"}
#: Version 1 has no word for "no limit": the counters of memory end here, in pages.
_V1_UNLIMITED = (2**63 - 1) // os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PAGE_SIZE")


def in_use() -> list[Hierarchy]:
    """Return the hierarchies that runtimes work with: where both versions have controllers, v1."""
    found = cgroups.hierarchies()
    version = V2 if cgroups.mode(found) == "v2" else 1
    return [each for each in found if each.version == version]


class Placement:
    """The cgroups of a created container: one folder in each hierarchy that is in use.

    The container's cgroup is the one that its config names, if the container process is there or
    below; else it is where the process is.
    """

    def __init__(self, container: Container) -> None:
        """Look where the kernel has the container process now; raises ``Misbehaved``."""
        self.hierarchies = in_use()
        self.version = self.hierarchies[0].version if self.hierarchies else V2
        self.paths = {each: path_of(container.pid, each) for each in self.hierarchies}
        config = container.bundle.config
        wanted = config["linux"].get("cgroupsPath", "") if isinstance(config, dict) else ""
        self._folders: dict[Hierarchy, Path] = {}
        for each, path in self.paths.items():
            below = wanted.startswith("/") and f"{path}/".startswith(f"{wanted}/")
            self._folders[each] = folder(each, wanted if below else path)

    def folders(self) -> list[Path]:
        """Return the container's folder in each hierarchy."""
        return list(self._folders.values())

    def folder(self, controller: str) -> Path:
        """Return the container's folder where ``controller`` is, named as version 2 does."""
        return self._folders[hierarchy_of(controller, self.hierarchies)]

    def file(self, controller: str, v1: str, v2: str) -> Path:
        """Return the file that ``controller`` has for a setting, by the name that it has here."""
        return self.folder(controller) / (v2 if self.version == V2 else v1)

    def read(self, controller: str, v1: str, v2: str) -> str:
        """Return what that file holds; raises ``Ignored`` if the cgroup has no such file."""
        path = self.file(controller, v1, v2)
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            raise Ignored(f"the container's cgroup has no {path.name}") from None

    def number(self, controller: str, v1: str, v2: str) -> int | None:
        """Return the number that the file holds, ``None`` if that is "no limit"."""
        text = self.read(controller, v1, v2)
        if text in {"max", "-1"} or (self.version == 1 and text == str(_V1_UNLIMITED)):
            return None
        return int(text)

    def keyed(self, controller: str, v1: str, v2: str) -> dict[str, str]:
        """Return the file's lines, each by its first word: a device or an interface."""
        lines = self.read(controller, v1, v2).splitlines()
        return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def hierarchy_of(controller: str, found: list[Hierarchy] | None = None) -> Hierarchy:
    """Return the hierarchy that has ``controller``, named as version 2 does."""
    names = {controller, _V1_NAMES.get(controller, controller)}
    for each in in_use() if found is None else found:
        if names & each.controllers or (each.version == V2 and controller in _CORE):
            return each
    raise HarnessError(f"no hierarchy has the controller {controller}", hint="say so in needs")


def folder(hierarchy: Hierarchy, path: str) -> Path:
    """Return the folder of the cgroup ``path``, an absolute one."""
    return hierarchy.path / path.lstrip("/")


def path_of(pid: int | None, hierarchy: Hierarchy) -> str:
    """Return the cgroup of ``pid`` in one hierarchy, from its root (cgroups(7))."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except FileNotFoundError:
        raise Misbehaved(f"the container process {pid} is not there") from None
    for line in lines:
        _, names, path = line.split(":", 2)
        if hierarchy.version == V2:
            if not names:
                return path
        elif hierarchy.controllers & {*names.split(",")} or names == f"name={hierarchy.path.name}":
            return path
    raise HarnessError(f"the kernel does not say where {pid} is in {hierarchy.path}")


def enable(controller: str, path: str) -> None:
    """Give the cgroup ``path`` the files of a controller: on version 2 those above enable it."""
    hierarchy = hierarchy_of(controller)
    if hierarchy.version != V2 or controller in _CORE:
        return
    above = folder(hierarchy, path)
    for each in reversed(
        [each for each in above.parents if hierarchy.path in (each, *each.parents)]
    ):
        (each / "cgroup.subtree_control").write_text(f"+{controller}")


@contextlib.contextmanager
def existing(path: str) -> Iterator[list[Path]]:
    """Have a cgroup in every hierarchy; nothing that is in it or below it outlives the context.

    To be entered after the container that uses it, so that the cgroup is gone when the container
    is put away, and the auditor looks.
    """
    folders = [folder(each, path) for each in cgroups.hierarchies()]
    try:
        for each in folders:
            each.mkdir(parents=True)
            _fill(each)
        yield folders
    finally:
        for each in reversed(folders):
            _remove_all(each)


def _fill(cgroup: Path) -> None:
    """Give a cgroup of version 1, and those above it, processors and memory (cpuset(7)).

    A new one has none, and takes no process: not every runtime fills what it finds.
    """
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = cgroup / name
        if (cgroup / "cpuset.sched_load_balance").exists() and not file.read_text().strip():
            _fill(cgroup.parent)
            file.write_text((cgroup.parent / name).read_text())


@contextlib.contextmanager
def cleared(path: str) -> Iterator[None]:
    """Remove the cgroup and all below it at the end, whoever made it."""
    try:
        yield
    finally:
        for each in cgroups.hierarchies():
            _remove_all(folder(each, path))


def _remove_all(top: Path) -> None:
    if not top.is_dir():
        return
    for each in [top, *cgroups.below(top)]:
        _thaw(each)
        for pid in (each / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    for each in reversed([top, *cgroups.below(top)]):
        cgroups.remove(each)


def _thaw(each: Path) -> None:
    for name, value in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
        if (each / name).exists():
            (each / name).write_text(value)
