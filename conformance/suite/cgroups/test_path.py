"""config-linux.md, "Cgroups Path"."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import placement
from seatrial.conformance.cgroups import ROOT
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement
from seatrial.conformance.strategies.cgroups import cgroup_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def placed(harness: Harness, path: str) -> Config:
    """Return a config with this ``cgroupsPath``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["cgroupsPath"] = path
    return config


def moved(cgroup: Placement) -> list[str]:
    """Return where the container process is, in the hierarchies in which it is not where we are.

    It need not be in a cgroup of its own where no property asks for it.
    """
    own = {each: placement.path_of(os.getpid(), each) for each in cgroup.hierarchies}
    return [path for each, path in cgroup.paths.items() if path != own[each]]


@contextlib.contextmanager
def cleared(*paths: str) -> Iterator[None]:
    """Remove cgroups at the end, also those between that a runtime does not take for its own."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(placement.cleared(path))
        yield


@requirement("linux.cgroups.path.absolute-under-mount", "linux.cgroups.path.missing-created")
@given(names=st.lists(cgroup_names(), min_size=1, max_size=3))
@settings(max_examples=15)
def test_an_absolute_path_leads_from_the_mount_point(harness: Harness, names: list[str]) -> None:
    top = f"{harness.cgroup}/{harness.new_id()}"
    path = "/".join([top, *names])
    with harness.container(placed(harness, path)) as container, cleared(top):
        created = container.create()
        assert created.ok, created
        found = moved(Placement(container))
        assert found
        # The container process may be in a cgroup below the container's.
        assert [each for each in found if not f"{each}/".startswith(f"{path}/")] == []


@requirement("linux.cgroups.path.consistent")
@given(names=st.lists(cgroup_names(), min_size=1, max_size=3))
@settings(max_examples=8)
def test_the_same_absolute_path_leads_to_the_same_place(harness: Harness, names: list[str]) -> None:
    top = f"{harness.cgroup}/{harness.new_id()}"
    check_same_place(harness, "/".join([top, *names]), top)


@requirement("linux.cgroups.path.consistent")
@given(name=cgroup_names())
@settings(max_examples=5)
def test_the_same_relative_path_leads_to_the_same_place(harness: Harness, name: str) -> None:
    # Wherever that is: the name is the run's own.
    check_same_place(harness, f"{harness.cgroup.replace('/', '-').strip('-')}-{name}")


def check_same_place(harness: Harness, path: str, *tops: str) -> None:
    """Compare the places of two containers, and that of a third in another working directory."""
    seen = []
    for cwd in (None, None, "/"):
        with harness.container(placed(harness, path)) as container, cleared(*tops):
            created = container.create(cwd=cwd)
            assert created.ok, created
            cgroup = Placement(container)
            seen.append(dict(cgroup.paths))
            if not tops:
                assert container.start().ok
                assert container.kill("KILL").ok
                container.wait()
                assert container.delete().ok
                for where in moved(cgroup):
                    with placement.cleared(where):
                        pass
    assert seen[0] == seen[1] == seen[2]


@requirement("linux.cgroups.path.invalid-value-errors")
@pytest.mark.parametrize(
    "path",
    [
        "{run}/{name}/../{name}-2",
        "{run}/{name}/./{name}-2",
        "{run}/../../../{name}",
        "../../{name}",
        "{run}//{name}/",
    ],
)
def test_an_odd_path_generates_an_error_or_stays_below_the_mount_point(
    harness: Harness, path: str
) -> None:
    name = f"{harness.cgroup.replace('/', '-').strip('-')}-{harness.new_id()}"
    config = placed(harness, path.format(run=harness.cgroup, name=name))
    beside = [ROOT / name, *(each.path.parent / name for each in placement.in_use())]
    tops = (f"{harness.cgroup}/{name}", f"{harness.cgroup}/{name}-2", f"/{name}")
    with harness.container(config) as container, cleared(*tops):
        if container.create().failed:
            # The auditor sees whether something was made where it should not be.
            harness.note(f"{path} is refused")
            return
        found = moved(Placement(container))
        assert found
        hierarchies = Placement(container).hierarchies
        assert all(
            placement.folder(hierarchy, where).is_dir()
            for hierarchy, where in Placement(container).paths.items()
        )
        folders = {each.path for each in hierarchies}
        assert [each for each in beside if each.parent not in folders and each.exists()] == []
        assert container.start().ok
        assert container.kill("KILL").ok
        container.wait()
        assert container.delete().ok


#: Limits that a cgroup has had before: controller, the names of its file, and a value.
LIMITS = {
    "pids": ("pids", "pids.max", "pids.max", "1000"),
    "hugetlb": ("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max", str(2**21)),
    "depth": ("cgroup", "", "cgroup.max.depth", "7"),
    "weight": ("cpu", "cpu.shares", "cpu.weight", "77"),
}


@requirement("linux.cgroups.path.no-resources-limits-kept")
@pytest.mark.parametrize(
    "what",
    [
        pytest.param("pids", marks=needs("controller:pids")),
        pytest.param("hugetlb", marks=needs("controller:hugetlb", "hugetlb")),
        pytest.param("depth", marks=needs("cgroup-v2")),
        pytest.param("weight", marks=needs("controller:cpu")),
    ],
)
def test_without_resources_the_limits_of_the_cgroup_are_kept(harness: Harness, what: str) -> None:
    controller, v1, v2, value = LIMITS[what]
    path = f"{harness.cgroup}/{harness.new_id()}"
    with harness.container(placed(harness, path)) as container, placement.existing(path):
        hierarchy = placement.hierarchy_of(controller)
        placement.enable(controller, path)
        (placement.folder(hierarchy, path) / (v1 if hierarchy.version == 1 else v2)).write_text(
            value
        )
        created = container.create()
        assert created.ok, created
        found = Placement(container).read(controller, v1, v2)
        if found != value:
            raise Ignored(f"the cgroup had {value}, and has {found}")
