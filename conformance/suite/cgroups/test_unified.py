"""config-linux.md, "Unified": files of version 2 by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seatrial.conformance import placement
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

MIB = 2**20
#: Files that hold what is written, with values: by controller, those of the core for every cgroup.
FILES: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "cgroup": {
        "cgroup.max.depth": st.integers(1, 1000).map(str) | st.just("max"),
        "cgroup.max.descendants": st.integers(0, 1000).map(str) | st.just("max"),
    },
    "hugetlb": {
        "hugetlb.2MB.max": st.integers(0, 100).map(lambda pages: str(pages * 2 * MIB)),
        "hugetlb.2MB.rsvd.max": st.integers(0, 100).map(lambda pages: str(pages * 2 * MIB)),
    },
    "pids": {"pids.max": st.integers(64, 10_000).map(str) | st.just("max")},
    "memory": {
        "memory.high": st.integers(64, 1000).map(lambda mib: str(mib * MIB)) | st.just("max"),
        "memory.low": st.integers(0, 1000).map(lambda mib: str(mib * MIB)),
        "memory.max": st.integers(64, 1000).map(lambda mib: str(mib * MIB)) | st.just("max"),
        "memory.oom.group": st.sampled_from(["0", "1"]),
    },
    "cpu": {
        "cpu.weight": st.integers(1, 10_000).map(str),
        "cpu.weight.nice": st.integers(-20, 19).map(str),
        "cpu.max": st.just("max 100000") | st.just("50000 100000"),
    },
}
#: Files of which runtimes know nothing but the name.
UNKNOWN = ("cgroup.max.depth", "cgroup.max.descendants", "memory.oom.group", "cpu.weight.nice")
#: Each controller that version 2 can have, by a file of its own and a value that it takes.
OF_CONTROLLERS = {
    "cpu": ("cpu.weight", "50"),
    "cpuset": ("cpuset.cpus", "0"),
    "hugetlb": ("hugetlb.2MB.max", "2097152"),
    "io": ("io.weight", "50"),
    "memory": ("memory.high", "1073741824"),
    "misc": ("misc.max", "res_a max"),
    "pids": ("pids.max", "1000"),
    "rdma": ("rdma.max", "mlx5_0 hca_handle=2"),
}
#: Limits of version 1 of which version 2 has none, by controller (cgroup-v2.rst, "Deprecated v1
#: Core Features", and the files that there are).
WITHOUT_COUNTERPART: dict[str, tuple[str, dict[str, Any]]] = {
    "memory-kernel": ("memory", {"memory": {"kernel": 2**30}}),
    "memory-kernelTCP": ("memory", {"memory": {"kernelTCP": 2**30}}),
    "memory-swappiness": ("memory", {"memory": {"swappiness": 10}}),
    "memory-disableOOMKiller": ("memory", {"memory": {"disableOOMKiller": True}}),
    "cpu-realtimeRuntime": ("cpu", {"cpu": {"realtimeRuntime": 950_000}}),
    "cpu-realtimePeriod": ("cpu", {"cpu": {"realtimePeriod": 1_000_000}}),
    "blockIO-leafWeight": ("io", {"blockIO": {"leafWeight": 10}}),
}


def unified(harness: Harness, values: dict[str, str]) -> Config:
    """Return a config with ``resources.unified``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"unified": values}
    return config


def controllers() -> frozenset[str]:
    """Return the controllers of the unified hierarchy, and that part which every cgroup has."""
    return placement.hierarchy_of("cgroup").controllers | {"cgroup"}


def settings_here() -> dict[str, st.SearchStrategy[str]]:
    """Return the files of those controllers that the unified hierarchy has."""
    return {
        name: values
        for controller, files in FILES.items()
        if controller in controllers() and (controller != "hugetlb" or _has_2mb())
        for name, values in files.items()
    }


def _has_2mb() -> bool:
    return Path("/sys/kernel/mm/hugepages/hugepages-2048kB").exists()


def check(harness: Harness, values: dict[str, str]) -> None:
    """Create a container with these values, and compare what the files hold."""
    with harness.created(unified(harness, values)) as container:
        cgroup = Placement(container)
        for name, value in values.items():
            found = cgroup.read(name.partition(".")[0], "", name)
            if found != value:
                raise Ignored(f"{name} is to be {value}, and is {found}")


@requirement("linux.cgroups.unified.value-written")
@given(data=st.data())
def test_every_key_is_a_file_with_the_value(harness: Harness, data: st.DataObject) -> None:
    known = settings_here()
    names = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, unique=True), "names")
    # Two names of one thing.
    assume(not {"cpu.weight", "cpu.weight.nice"} <= set(names))
    check(harness, {name: data.draw(known[name], name) for name in names})


@requirement("linux.cgroups.unified.unknown-key-written")
@given(data=st.data())
@settings(max_examples=10)
def test_a_key_that_the_runtime_does_not_know_is_written(
    harness: Harness, data: st.DataObject
) -> None:
    known = settings_here()
    name = data.draw(st.sampled_from([each for each in UNKNOWN if each in known]), "name")
    check(harness, {name: data.draw(known[name], name)})


@requirement("linux.cgroups.unified.controllers-enabled")
def test_the_controllers_that_the_keys_need_are_enabled(harness: Harness) -> None:
    values = dict(
        value
        for controller, value in OF_CONTROLLERS.items()
        if controller in controllers() and controller in {"cpu", "hugetlb", "memory", "pids"}
    )
    if not values:
        harness.note("the unified hierarchy has no controller whose limits are known here")
        return
    config = unified(harness, values)
    # Nobody has enabled anything for what is in a cgroup that is new.
    top = f"{harness.cgroup}/{harness.new_id()}"
    config["linux"]["cgroupsPath"] = f"{top}/container"
    with harness.container(config) as container, placement.existing(top):
        created = container.create()
        assert created.ok, created
        cgroup = Placement(container)
        above = placement.folder(placement.hierarchy_of("cgroup"), top)
        enabled = (above / "cgroup.subtree_control").read_text().split()
        for name, value in values.items():
            assert name.partition(".")[0] in enabled
            assert cgroup.read(name.partition(".")[0], "", name) == value


@requirement("linux.cgroups.unified.absent-controller-errors")
@pytest.mark.parametrize("controller", [*OF_CONTROLLERS, "foo", "net_cls"])
def test_a_key_of_an_absent_controller_generates_an_error(
    harness: Harness, controller: str
) -> None:
    name, value = OF_CONTROLLERS.get(controller, (f"{controller}.max", "1"))
    if controller in controllers():
        harness.note(f"{controller} is a controller of this host")
        return
    result = harness.attempt(unified(harness, {name: value}))
    if result.ok:
        raise Ignored(f"{name} is accepted, and there is no controller for it")


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(name, marks=needs(f"controller:{controller}"))
        for name, (controller, _) in WITHOUT_COUNTERPART.items()
    ],
)
@requirement("linux.cgroups.unified.conversion-impossible-errors")
def test_a_limit_that_has_no_counterpart_generates_an_error(harness: Harness, what: str) -> None:
    config = harness.config("pause")
    config["linux"]["resources"] = WITHOUT_COUNTERPART[what][1]
    result = harness.attempt(config)
    if result.ok:
        raise Ignored(f"{what} is accepted, and version 2 has nothing of the kind")
