"""config.md, "POSIX-platform Hooks": where the path of a hook is looked up, and where it runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from seatrial.conformance import namespaces
from seatrial.conformance.bundle import Bundle, probe_binary
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.hooks import (
    IN_CONTAINER_NAMESPACE,
    IN_RUNTIME_NAMESPACE,
    ROOTFS,
    Hook,
    for_each_kind,
    hooked,
    live,
    record_of,
)
from seatrial.conformance.marks import needs

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Types in a config, and the names that the kernel has for them.
_OWN = {
    "pid": "pid",
    "network": "net",
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
}


@for_each_kind("path-in-runtime-namespace", kinds=(*IN_RUNTIME_NAMESPACE, "createContainer"))
def test_the_path_is_that_of_a_file_of_the_runtime(harness: Harness, kind: str) -> None:
    """Beside the root filesystem, in a mount that only the caller of the runtime has."""
    with hooked(harness, {kind: [Hook("hook", path=f"{ROOTFS}/../hook")]}) as container:
        shutil.copy(probe_binary(), container.bundle.path / "hook")
        assert "hook" in [record.tag for record in live(container)]


@for_each_kind("path-in-container-namespace", kinds=("startContainer",))
def test_the_path_is_that_of_a_file_of_the_container(harness: Harness, kind: str) -> None:
    with hooked(harness, {kind: [Hook("hook", path="/only/in/here")]}) as container:
        container.bundle.copy_probe("/only/in/here")
        assert "hook" in [record.tag for record in live(container)]


@for_each_kind("executes-in-runtime-namespace", kinds=IN_RUNTIME_NAMESPACE)
@needs("netns", "cgroupns")
def test_hooks_execute_in_the_namespaces_of_the_runtime(harness: Harness, kind: str) -> None:
    config = with_namespaces(harness.config("report"), list(_OWN))
    with hooked(harness, {kind: [Hook("hook")]}, config=config) as container:
        live(container)
        seen = record_of(container.bundle).seen
    expected = {name: namespaces.current(name) for name in (*_OWN.values(), "user", "time")}
    assert {name: seen["namespaces"][name] for name in expected} == expected


@for_each_kind("executes-in-container-namespace", kinds=IN_CONTAINER_NAMESPACE)
@needs("netns", "cgroupns")
def test_hooks_execute_in_the_namespaces_of_the_container(harness: Harness, kind: str) -> None:
    _share_namespaces(harness, kind, with_namespaces(_logging_itself(harness), list(_OWN)))


@for_each_kind("executes-in-container-namespace", kinds=IN_CONTAINER_NAMESPACE)
@needs("netns", "cgroupns", "userns")
def test_hooks_execute_in_the_user_namespace_of_the_container(harness: Harness, kind: str) -> None:
    config = with_namespaces(_logging_itself(harness), [*_OWN, "user"])
    same = [{"containerID": 0, "hostID": 0, "size": 1 << 16}]
    config["linux"] |= {"uidMappings": same, "gidMappings": same}
    _share_namespaces(harness, kind, config)


def _logging_itself(harness: Harness) -> Config:
    return harness.config("log", "program", Bundle.LOG)


def _share_namespaces(harness: Harness, kind: str, config: Config) -> None:
    with hooked(harness, {kind: [Hook("hook")]}, config=config) as container:
        live(container)
        hook, program = (record_of(container.bundle, tag).seen for tag in ("hook", "program"))
    assert hook["namespaces"] == program["namespaces"]
