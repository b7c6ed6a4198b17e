"""config-linux.md, "Namespaces": ``path``, of namespaces that are there already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.namespace_files import prepared
from seatrial.conformance.namespaces import TYPES

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Types whose namespaces need nobody in them.
_PREPARED = [kind for kind in TYPES if kind != "pid"]
_PLACES = {
    "a regular file": "file",
    "a folder": "folder",
    "a link to nowhere": "link",
    "nothing": "nothing",
}


def joining(harness: Harness, kind: str, path: str) -> Config:
    """Return a config that names a namespace by its path; the others are new."""
    # As in test_types.py no pid namespace beside a time namespace.
    kinds = ["mount", "ipc", "uts", *(["pid"] if kind != "time" else [])]
    config = with_namespaces(harness.config(), [each for each in kinds if each != kind])
    config["linux"]["namespaces"].append({"type": kind, "path": path})
    if kind == "mount":
        # It is a copy of the harness's, where the bundle is, and is not to be filled with mounts.
        config["mounts"] = []
    return config


def name_of(path: str) -> str:
    """Return the name of the namespace at ``path``, such as ``net:[4026531840]``."""
    status = os.stat(path)
    return f"[{status.st_ino}]"


def in_namespace(report: dict[str, Any], kind: str) -> str | None:
    """Return the end of the name of the program's namespace; ``None`` without /proc."""
    name: str | None = report["namespaces"][TYPES[kind][0]]
    return None if name is None else name.partition(":")[2]


@requirement("linux.namespaces.path-joined")
@needs("netns", "cgroupns")
@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup"])
def test_the_program_is_in_the_namespace_at_path(harness: Harness, kind: str) -> None:
    with prepared(kind) as paths:
        report = harness.run(joining(harness, kind, paths[kind]))
        assert in_namespace(report, kind) == name_of(paths[kind])


@requirement("linux.namespaces.path-joined")
@needs("timens")
def test_the_program_is_in_the_time_namespace_at_path(harness: Harness) -> None:
    with prepared("time") as paths:
        report = harness.run(joining(harness, "time", paths["time"]))
        assert in_namespace(report, "time") == name_of(paths["time"])


@requirement("linux.namespaces.path-joined")
@needs("pidns")
def test_the_program_is_in_the_pid_namespace_at_path(harness: Harness) -> None:
    with harness.running() as other:
        report = harness.run(joining(harness, "pid", f"/proc/{other.pid}/ns/pid"))
        assert f"pid:{in_namespace(report, 'pid')}" == other.namespace("pid")
        assert report["pid"] != 1


@requirement("linux.namespaces.path-joined")
@needs("userns")
def test_the_program_is_in_the_user_namespace_at_path(harness: Harness) -> None:
    with prepared("user", ids="0 100000 65536") as paths:
        report = harness.run(joining(harness, "user", paths["user"]))
        assert in_namespace(report, "user") == name_of(paths["user"])
        assert report["uid_map"].split() == ["0", "100000", "65536"]


@needs("host-kernel")
@requirement("linux.namespaces.path-joined")
@needs("mntns")
def test_the_program_is_in_the_mount_namespace_at_path(harness: Harness) -> None:
    with prepared("mount") as paths:
        config = joining(harness, "mount", paths["mount"])
        config["process"]["args"][1:] = ["pause"]
        with harness.container(config) as container:
            result = container.create()
            if result.failed:
                harness.note("a mount namespace named by its path is refused")
                return
            assert container.namespace("mnt").partition(":")[2] == name_of(paths["mount"])


@requirement("linux.namespaces.path-wrong-type-errors")
@pytest.mark.parametrize("kind", list(TYPES))
@given(data=st.data())
@settings(max_examples=7)
def test_a_namespace_of_another_type_generates_an_error(
    harness: Harness, kind: str, data: st.DataObject
) -> None:
    other = data.draw(st.sampled_from([each for each in _PREPARED if each != kind]))
    with prepared(other) as paths:
        result = harness.attempt(joining(harness, kind, paths[other]))
        if result.ok:
            raise Ignored(f"a {other} namespace is taken for a {kind} namespace")


@requirement("linux.namespaces.path-wrong-type-errors")
@pytest.mark.parametrize("kind", list(TYPES))
@given(what=st.sampled_from(sorted(_PLACES)))
@settings(max_examples=4)
def test_what_is_no_namespace_generates_an_error(harness: Harness, kind: str, what: str) -> None:
    with harness.bundle(harness.config()) as bundle:
        (bundle.path / "file").touch()
        (bundle.path / "folder").mkdir()
        (bundle.path / "link").symlink_to(bundle.path / "nothing")
        config = joining(harness, kind, str(bundle.path / _PLACES[what]))
        assert harness.attempt(config, bundle=bundle).failed


@requirement("linux.namespaces.path-absolute")
@pytest.mark.parametrize("kind", ["network", "ipc", "uts"])
@pytest.mark.parametrize("base", ["the working directory of the caller", "the bundle"])
def test_a_path_that_is_not_absolute_generates_an_error(
    harness: Harness, kind: str, base: str
) -> None:
    with prepared(kind) as paths, harness.bundle(harness.config()) as bundle:
        relative = paths[kind].lstrip("/")
        if base == "the bundle":
            relative = os.path.relpath(paths[kind], bundle.path)
        config = joining(harness, kind, relative)
        with harness.container(config, bundle=bundle) as container:
            result = container.create(cwd="/" if base != "the bundle" else str(bundle.path))
            assert (container.start() if result.ok else result).failed
