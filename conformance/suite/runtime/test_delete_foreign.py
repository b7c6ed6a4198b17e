"""runtime.md, "Delete": resources that the container used and did not create are spared."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, namespaces, processes
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

_BIND = 0x1000  # MS_BIND, mount(2)
_LINKS = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}


@contextlib.contextmanager
def _cgroup(path: str) -> Iterator[list[Path]]:
    """Have a cgroup in every hierarchy, the folders of which are returned."""
    folders = [each.path / path.lstrip("/") for each in cgroups.hierarchies()]
    try:
        for folder in folders:
            folder.mkdir()
        yield folders
    finally:
        for folder in folders:
            cgroups.remove(folder / "of-another")
            cgroups.remove(folder)


@contextlib.contextmanager
def _bystander(folders: Sequence[Path] = ()) -> Iterator[int]:
    """Have a process in these cgroups, and return its pid."""
    command = [str(probe_binary()), "quiet", "+", "pause"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            for folder in folders:
                (folder / "cgroup.procs").write_text(str(process.pid))
            yield process.pid
        finally:
            process.kill()


def _in(harness: Harness, *act: str) -> tuple[Config, str]:
    """Return a config with the path of a cgroup that is not there yet, and that path."""
    config = harness.config(*act)
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    return config, path


def _live(container: Container) -> bool:
    """Create, start, await and delete a container; whether create did not refuse."""
    if container.create().failed:
        return False
    assert container.start().ok
    container.wait()
    assert container.delete().ok
    return True


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_a_cgroup_that_was_there_before(harness: Harness) -> None:
    config, path = _in(harness, "exit", "0")
    with harness.container(config) as container, _cgroup(path) as folders:
        assert _live(container)
        assert [folder for folder in folders if not folder.is_dir()] == []


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_what_another_has_below_the_cgroup(harness: Harness) -> None:
    config, path = _in(harness, "exit", "0")
    with harness.container(config) as container, _cgroup(path) as folders:
        of_another = [folder / "of-another" for folder in folders]
        for folder in of_another:
            folder.mkdir()
        if _live(container):
            assert [folder for folder in of_another if not folder.is_dir()] == []
        else:
            harness.note("a cgroup that has others below it is refused")


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_a_process_that_was_in_the_cgroup_before(harness: Harness) -> None:
    config, path = _in(harness, "exit", "0")
    with harness.container(config) as container, _cgroup(path) as folders:
        # A new cpuset has no processors, and takes no process (cpuset(7)).
        others = [folder for folder in folders if not (folder / "cpuset.cpus").exists()]
        with _bystander(others) as pid:
            if _live(container):
                assert not processes.wait(pid, timeout_s=0)
            else:
                harness.note("a cgroup that has a process in it is refused")


@requirement("runtime.delete.spares-foreign-resources")
@pytest.mark.parametrize("kind", _LINKS)
def test_delete_spares_a_namespace_that_was_joined(harness: Harness, kind: str) -> None:
    config = harness.config("pause")
    config["linux"]["namespaces"] = [{"type": name} for name in (*_LINKS, "mount")]
    with harness.running(config) as holder:
        path = f"/proc/{holder.pid}/ns/{_LINKS[kind]}"
        before = os.readlink(path)
        joining = harness.config("exit", "0")
        joining["linux"]["namespaces"] = [{"type": "mount"}, {"type": kind, "path": path}]
        with harness.stopped(joining) as container:
            assert container.delete().ok
        assert holder.alive
        assert holder.state()["status"] == "running"
        assert os.readlink(path) == before


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_a_namespace_that_only_a_file_holds(harness: Harness) -> None:
    config = harness.config("pause")
    config["linux"]["namespaces"] += [{"type": "network"}]
    with harness.running(config) as maker:
        file = maker.bundle.path / "network"
        file.touch()
        namespaces.mount(f"/proc/{maker.pid}/ns/net", str(file), None, _BIND)
        try:
            assert maker.kill("KILL").ok
            maker.wait()
            before = file.stat().st_ino
            joining = harness.config("exit", "0")
            network = {"type": "network", "path": str(file)}
            joining["linux"]["namespaces"] = [{"type": "mount"}, network]
            with harness.stopped(joining) as container:
                assert container.delete().ok
            assert file.stat().st_ino == before
            assert [each.target for each in namespaces.mounts()].count(str(file)) == 1
        finally:
            namespaces.umount(str(file), namespaces.MNT_DETACH)


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_the_source_of_a_bind_mount(harness: Harness) -> None:
    with harness.bundle(harness.config()) as bundle:
        source = bundle.path / "source"
        source.mkdir()
        (source / "file").write_text("content")
        config = harness.config("append", "/bound/file", ", and more")
        mount = {
            "destination": "/bound",
            "type": "bind",
            "source": str(source),
            "options": ["bind"],
        }
        config["mounts"].append(mount)
        with harness.stopped(config, bundle=bundle) as container:
            assert container.delete().ok
            assert (source / "file").read_text() == "content, and more"


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_the_bundle(harness: Harness) -> None:
    with harness.bundle(harness.config()) as bundle:
        (bundle.rootfs / "folder").mkdir()
        (bundle.rootfs / "folder" / "file").write_text("content")
        before = sorted(bundle.path.rglob("*"))
        with harness.stopped(bundle=bundle) as container:
            assert container.delete().ok
            assert set(before) <= set(bundle.path.rglob("*"))
            assert (bundle.rootfs / "folder" / "file").read_text() == "content"


@requirement("runtime.delete.spares-foreign-resources")
def test_delete_spares_a_process_that_came_into_a_namespace_of_the_container(
    harness: Harness,
) -> None:
    with harness.running() as container, contextlib.ExitStack() as stack:
        assert container.pid is not None
        with namespaces.inside(container.pid, "uts"):
            pid = stack.enter_context(_bystander())
        assert container.kill("KILL").ok
        container.wait()
        assert container.delete().ok
        assert not processes.wait(pid, timeout_s=0)
