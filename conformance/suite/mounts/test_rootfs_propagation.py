"""config-linux.md, "Rootfs Mount Propagation"."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import namespaces
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_VALUES = ("shared", "slave", "private", "unbindable")
_MOUNT_NEW = ("mkdir", "/new", "+", "mount", "new", "/new", "tmpfs", "0", "")


@contextlib.contextmanager
def shared_root(harness: Harness, config: Config) -> Iterator[Bundle]:
    """Give a bundle whose root filesystem is a shared mount of the host's."""
    with harness.bundle(config) as bundle:
        flags = namespaces.MS_BIND | namespaces.MS_REC
        with harness.mounted(bundle.rootfs, bundle.rootfs, flags=flags, shared=True):
            yield bundle


def propagating(harness: Harness, value: str, *act: str) -> Config:
    """Return a config whose root has this propagation, and whose program may mount."""
    config = harness.config(*act)
    config["linux"]["rootfsPropagation"] = value
    held = ["CAP_SYS_ADMIN"]
    config["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), held)
    return config


def seen(harness: Harness, value: str) -> frozenset[str]:
    """Return what mountinfo says of the root."""
    return harness.run(propagating(harness, value)).mount("/").propagation


@requirement("linux.rootfs-propagation.shared")
def test_a_shared_root_has_a_peer_group(harness: Harness) -> None:
    assert "shared" in seen(harness, "shared")


@requirement("linux.rootfs-propagation.shared")
def test_a_mount_in_a_shared_root_belongs_to_a_peer_group_too(harness: Harness) -> None:
    config = propagating(harness, "shared", *_MOUNT_NEW, "+", "report")
    with harness.container(config) as container:
        assert container.create().ok
        assert container.start().ok
        assert "shared" in container.report().mount("/new").propagation


@requirement("linux.rootfs-propagation.private")
def test_a_private_root_has_no_peers(harness: Harness) -> None:
    assert seen(harness, "private") == frozenset()
    config = propagating(harness, "private")
    with shared_root(harness, config) as bundle:
        assert harness.run(config, bundle=bundle).mount("/").propagation == frozenset()


@requirement("linux.rootfs-propagation.slave")
def test_a_slave_of_a_shared_mount_has_a_master(harness: Harness) -> None:
    config = propagating(harness, "slave")
    with shared_root(harness, config) as bundle:
        assert harness.run(config, bundle=bundle).mount("/").propagation == {"master"}


@requirement("linux.rootfs-propagation.unbindable")
def test_an_unbindable_root_says_so(harness: Harness) -> None:
    assert seen(harness, "unbindable") == {"unbindable"}


@requirement("linux.rootfs-propagation.unbindable")
@pytest.mark.parametrize("value", ["unbindable", "private"])
def test_only_an_unbindable_root_cannot_be_bound(harness: Harness, value: str) -> None:
    act = ("mount", "/", "/proc", "", str(namespaces.MS_BIND), "")
    line = harness.lines(propagating(harness, value, *act))[0]
    assert line.get("errno") == ("EINVAL" if value == "unbindable" else None)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        pytest.param(value, arrives, marks=requirement(f"linux.rootfs-propagation.{value}"))
        for value, arrives in (("slave", True), ("private", False), ("unbindable", False))
    ],
)
def test_a_mount_on_the_host_arrives_only_in_a_slave(
    harness: Harness, value: str, *, arrives: bool
) -> None:
    act = ("await", "+", "read", "/late/file")
    config = propagating(harness, value, *act)
    with shared_root(harness, config) as bundle:
        late = bundle.rootfs / "late"
        late.mkdir()
        with harness.running(config, bundle=bundle) as container:
            with harness.mounted("late", late, "tmpfs"):
                (late / "file").write_text("text")
                assert container.kill("USR1").ok
                _, file = container.read_line(), container.read_line()
            assert file.get("content") == ("text" if arrives else None)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, marks=requirement(f"linux.rootfs-propagation.{value}"))
        for value in _VALUES
    ],
)
def test_a_mount_in_the_container_does_not_reach_the_host(harness: Harness, value: str) -> None:
    config = propagating(harness, value, *_MOUNT_NEW, "+", "pause")
    with (
        shared_root(harness, config) as bundle,
        harness.running(config, bundle=bundle) as container,
    ):
        assert container.read_line()["ok"]
        assert "new" not in [each.source for each in namespaces.mounts()]


@requirement("linux.rootfs-propagation.unknown-value-errors")
@settings(max_examples=10)
@given(
    value=st.text(st.characters(codec="ascii", categories=("Ll", "Lu")), min_size=1, max_size=12)
)
@pytest.mark.parametrize("known", ["", *_VALUES])
def test_an_unknown_propagation_is_an_error(harness: Harness, known: str, value: str) -> None:
    config = harness.config("exit", "0")
    config["linux"]["rootfsPropagation"] = f"{known}No{value}"
    assert harness.attempt(config).failed
