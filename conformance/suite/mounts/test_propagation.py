"""config.md, "Linux mount options": propagation."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import namespaces
from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What mountinfo says of a mount of its own (mount_namespaces(7)).
_SHOWN = {
    "shared": frozenset({"shared"}),
    "private": frozenset(),
    "unbindable": frozenset({"unbindable"}),
}


@contextlib.contextmanager
def tree(harness: Harness, config: Config, *, shared: bool) -> Iterator[Bundle]:
    """Give a bundle with a mount ``source``, in which there is another one."""
    with harness.bundle(config) as bundle, contextlib.ExitStack() as stack:
        for place in ("source", "source/below"):
            (bundle.path / place).mkdir()
            target = bundle.path / place
            stack.enter_context(harness.mounted(place, target, "tmpfs", shared=shared))
        yield bundle


def seen(harness: Harness, *options: str, shared: bool = False) -> list[frozenset[str]]:
    """Return the propagation of both mounts, bound with these options to /m."""
    entry = mount("/m", "rbind", *options, source="source", kind="none")
    config = with_mounts(harness.config(), entry)
    if shared:
        # Otherwise a runtime may take the host's mounts for private ones from the beginning.
        config["linux"]["rootfsPropagation"] = "slave"
    with tree(harness, config, shared=shared) as bundle:
        report = harness.run(config, bundle=bundle)
        return [report.mount(place).propagation for place in ("/m", "/m/below")]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.{name}"))
        for name in ("shared", "private", "unbindable")
    ],
)
@pytest.mark.parametrize("where", ["bind", "tmpfs"])
def test_a_mount_has_the_propagation_of_its_option(harness: Harness, where: str, name: str) -> None:
    entry = bind("/m", "source", name) if where == "bind" else mount("/m", name)
    config = with_mounts(harness.config(), entry)
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        report = harness.run(config, bundle=bundle)
        assert report.mount("/m").propagation == _SHOWN[name]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.{name}"))
        for name in ("shared", "unbindable")
    ],
)
def test_an_option_for_one_mount_leaves_those_below_it_alone(harness: Harness, name: str) -> None:
    assert seen(harness, name) == [_SHOWN[name], frozenset()]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.r{name}"))
        for name in ("shared", "private", "unbindable")
    ],
)
@pytest.mark.parametrize("shared", [False, True], ids=["private source", "shared source"])
def test_a_recursive_option_is_for_all_mounts_below_too(
    harness: Harness, name: str, *, shared: bool
) -> None:
    for propagation in seen(harness, f"r{name}", shared=shared):
        # A shared mount may get the events of its source's mount besides.
        assert propagation - {"master"} == _SHOWN[name]
        assert name == "shared" or propagation == _SHOWN[name]


@requirement("config.mounts.option.private")
def test_a_private_mount_of_a_shared_source_has_no_peers(harness: Harness) -> None:
    assert seen(harness, "private", shared=True)[0] == frozenset()


@requirement("config.mounts.option.slave")
def test_a_slave_of_a_shared_source_has_a_master(harness: Harness) -> None:
    assert seen(harness, "slave", shared=True)[0] == {"master"}


@requirement("config.mounts.option.rslave")
def test_rslave_makes_slaves_of_all_mounts_of_a_shared_source(harness: Harness) -> None:
    assert seen(harness, "rslave", shared=True) == [{"master"}, {"master"}]


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        pytest.param(name, arrives, marks=requirement(f"config.mounts.option.{name}"))
        for name, arrives in (
            ("slave", True),
            ("rslave", True),
            ("private", False),
            ("rprivate", False),
            ("unbindable", False),
            ("runbindable", False),
        )
    ],
)
def test_a_mount_on_the_host_arrives_only_at_a_slave(
    harness: Harness, name: str, *, arrives: bool
) -> None:
    act = ("await", "+", "read", "/m/late/file")
    config = with_mounts(harness.config(*act), bind("/m", "source", name))
    config["linux"]["rootfsPropagation"] = "slave"
    with tree(harness, config, shared=True) as bundle:
        late = bundle.path / "source" / "late"
        late.mkdir()
        with harness.running(config, bundle=bundle) as container:
            with harness.mounted("late", late, "tmpfs"):
                (late / "file").write_text("text")
                assert container.kill("USR1").ok
                _, file = container.read_line(), container.read_line()
            assert file.get("content") == ("text" if arrives else None)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.{name}"))
        for name in ("slave", "rslave", "private", "rprivate", "unbindable", "runbindable")
    ],
)
def test_a_mount_in_the_container_does_not_reach_the_host(harness: Harness, name: str) -> None:
    act = ("mkdir", "/m/new", "+", "mount", "new", "/m/new", "tmpfs", "0", "", "+", "pause")
    config = with_mounts(harness.config(*act), bind("/m", "source", name))
    config["linux"]["rootfsPropagation"] = "slave"
    held = ["CAP_SYS_ADMIN"]
    config["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), held)
    with (
        tree(harness, config, shared=True) as bundle,
        harness.running(config, bundle=bundle) as container,
    ):
        assert container.read_line()["ok"]
        assert "new" not in [each.source for each in namespaces.mounts()]
