"""config-linux.md, "Namespaces": new ones, those that are taken over, and wrong entries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import namespaces
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.namespace_files import prepared
from seatrial.conformance.namespaces import TYPES

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_SAME = [{"containerID": 0, "hostID": 0, "size": 1 << 16}]


def with_types(harness: Harness, *kinds: str) -> Config:
    """Return a config with new namespaces of just these types, which a program sees through."""
    config = with_namespaces(harness.config(), kinds)
    if "user" in kinds:
        config["linux"] |= {"uidMappings": _SAME, "gidMappings": _SAME}
    return config


def of_program(harness: Harness, config: Config) -> dict[str, str]:
    """Run a container, and return the names of its program's namespaces."""
    found: dict[str, str] = harness.run(config)["namespaces"]
    return found


# New ones


@requirement("linux.namespaces.new-without-path")
@needs("netns", "cgroupns", "userns")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "time"])
def test_each_container_gets_a_new_namespace(harness: Harness, kind: str) -> None:
    _are_new(harness, kind, "mount", "pid")


@requirement("linux.namespaces.new-without-path")
@needs("timens")
def test_each_container_gets_a_new_time_namespace(harness: Harness) -> None:
    # As in test_types.py no pid namespace beside a time namespace.
    _are_new(harness, "time", "mount")


def _are_new(harness: Harness, kind: str, *others: str) -> None:
    link = TYPES[kind][0]
    config = with_types(harness, *sorted({kind, *others}))
    config["process"]["args"][1:] = ["pause"]
    with harness.created(config) as one, harness.created(config) as other:
        names = {one.namespace(link), other.namespace(link), namespaces.current(link)}
        assert len(names) == len((one, other, "the runtime"))


@requirement("linux.namespaces.new-without-path", "linux.namespaces.omitted-inherited")
@given(kinds=st.sets(st.sampled_from(["pid", "network", "ipc", "uts", "cgroup"])))
@needs("netns", "cgroupns")
def test_those_in_the_list_are_new_and_all_others_are_the_runtimes(
    harness: Harness, kinds: set[str]
) -> None:
    seen = of_program(harness, with_types(harness, "mount", *sorted(kinds)))
    runtimes = {kind: namespaces.current(link) for kind, (link, _) in TYPES.items()}
    new = {kind for kind, (link, _) in TYPES.items() if seen[link] != runtimes[kind]}
    assert new == {"mount", *kinds}


@needs("host-kernel")
@requirement("linux.namespaces.omitted-inherited")
def test_a_container_without_a_mount_namespace_has_the_runtimes_or_is_recorded(
    harness: Harness,
) -> None:
    """It cannot be led into its root by pivot_root(2), for which it may be refused."""
    config = with_types(harness, "pid")
    config["mounts"] = [each for each in config["mounts"] if each["type"] == "proc"]
    config["process"]["args"][1:] = ["pause"]
    with harness.bundle(config) as bundle, harness.container(config, bundle=bundle) as container:
        try:
            result = container.create()
            if result.failed:
                harness.note("a container without a mount namespace is refused")
                return
            assert container.namespace("mnt") == namespaces.current("mnt")
            assert container.start().ok
            assert container.kill("KILL").ok
            container.wait()
            assert container.delete().ok
        finally:
            # What the config mounts is mounted in our namespace; who takes it off is another row's.
            for each in reversed(namespaces.mounts()):
                if Path(each.target).is_relative_to(bundle.path):
                    namespaces.umount(each.target, namespaces.MNT_DETACH)


# Wrong ones


@requirement("linux.namespaces.duplicate-type-errors")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "time"])
def test_a_second_new_namespace_of_a_type_generates_an_error(harness: Harness, kind: str) -> None:
    config = with_types(harness, *sorted({"mount", "pid", kind}))
    config["linux"]["namespaces"].append({"type": kind})
    _refused(harness, config)


@requirement("linux.namespaces.duplicate-type-errors")
@needs("timens")
def test_a_second_new_time_namespace_generates_an_error(harness: Harness) -> None:
    _refused(harness, with_types(harness, "mount", "time", "time"))


@requirement("linux.namespaces.duplicate-type-errors")
@pytest.mark.parametrize("kind", ["network", "ipc", "uts"])
@pytest.mark.parametrize("first", ["path", "new"])
def test_a_namespace_at_a_path_and_a_new_one_of_its_type_generate_an_error(
    harness: Harness, kind: str, first: str
) -> None:
    with prepared(kind) as paths:
        config = with_types(harness, "mount", "pid")
        both = [{"type": kind, "path": paths[kind]}, {"type": kind}]
        config["linux"]["namespaces"] += both if first == "path" else both[::-1]
        _refused(harness, config)


@requirement("linux.namespaces.duplicate-type-errors")
@pytest.mark.parametrize("kind", ["network", "ipc", "uts"])
def test_two_paths_for_one_type_generate_an_error(harness: Harness, kind: str) -> None:
    with prepared(kind) as paths, prepared(kind) as others:
        config = with_types(harness, "mount", "pid")
        for each in (paths, others):
            config["linux"]["namespaces"].append({"type": kind, "path": each[kind]})
        _refused(harness, config)


def _refused(harness: Harness, config: Config) -> None:
    if harness.attempt(config).ok:
        raise Ignored("the second entry of a type is accepted, and without effect")


@requirement("linux.namespaces.type-unknown-errors")
@given(kind=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=12))
@settings(max_examples=10)
def test_an_unknown_type_generates_an_error(harness: Harness, kind: str) -> None:
    # The kernel's names for types are among those that runtimes may go by mistake.
    for name in {kind, "net", "mnt", "banana", "Pid", ""} - set(TYPES):
        config = with_types(harness, "mount", "pid")
        config["linux"]["namespaces"].append({"type": name})
        assert harness.attempt(config).failed


@requirement("linux.namespaces.type-present")
def test_an_entry_without_type_is_recorded(harness: Harness) -> None:
    config = with_types(harness, "mount", "pid")
    config["linux"]["namespaces"].append({})
    result = harness.attempt(config)
    harness.note(f"a namespace without type is {'refused' if result.failed else 'accepted'}")
