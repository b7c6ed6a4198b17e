"""config-linux.md, "Block IO"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import block_devices
from seatrial.conformance.config import without
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.conformance.block_devices import Device
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Each member by its file in version 1, and by its key in a line of io.max.
THROTTLES = {
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops"),
}
#: Files that hold weights, by version; their default is 100 (BFQ, io.cost) or 500 (CFQ).
WEIGHTS = {1: ("blkio.bfq.weight", "blkio.weight"), 2: ("io.bfq.weight", "io.weight")}
DEVICE_WEIGHTS = {
    1: ("blkio.bfq.weight_device", "blkio.weight_device"),
    2: ("io.bfq.weight", "io.weight"),
}
#: io.max of cgroup v2 refuses a rate of 1 as no valid argument (block/blk-throttle.c).
LEAST_RATE = 2


@pytest.fixture
def device() -> Iterator[Device]:
    """A block device that nobody else uses."""
    with block_devices.spare() as spare:
        yield spare


def limited(harness: Harness, **block_io: Any) -> Config:
    """Return a config with ``resources.blockIO``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"blockIO": block_io}
    return config


def entry(device: Device, **values: Any) -> dict[str, Any]:
    """Return an entry of one of the arrays."""
    return {"major": device.major, "minor": device.minor, **values}


def throttle(cgroup: Placement, member: str, device: Device) -> int | None:
    """Return the rate that a cgroup has for a device, ``None`` if it has none."""
    v1, key = THROTTLES[member]
    line = cgroup.keyed("io", v1, "io.max").get(str(device), "")
    if cgroup.version != 1:
        line = dict(word.split("=") for word in line.split()).get(key, "max")
    return int(line) if line.isdigit() else None


def weights(cgroup: Placement, names: Mapping[int, tuple[str, ...]], key: str) -> list[int]:
    """Return what is said about ``key``, a device or the default, in the files that hold weights.

    A cgroup of version 1 has the default in a file of its own.
    """
    found = []
    for name in names[cgroup.version]:
        if cgroup.file("io", name, name).exists():
            lines = cgroup.keyed("io", name, name)
            default = next(iter(lines), "") if len(lines) == 1 else ""
            text = lines.get(key, default if key == "default" else "")
            found += [int(text)] if text.isdigit() else []
    return found


@requirement("linux.cgroups.blkio.weight")
@given(st.data())
@settings(max_examples=10)
def test_weight_is_that_of_the_group(harness: Harness, data: st.DataObject) -> None:
    light = data.draw(st.integers(10, 900), "light")
    heavy = data.draw(st.integers(light + 100, 1000), "heavy")
    seen: dict[int, list[int]] = {}
    for weight in (light, heavy):
        with harness.container(limited(harness, weight=weight)) as container:
            # It was the weight of CFQ; which scheduler's it is today, the spec does not say.
            if container.create().failed:
                harness.note("weight is refused")
                return
            cgroup = Placement(container)
            seen[weight] = weights(cgroup, WEIGHTS, "default")
            if cgroup.version == 1:
                assert weight in seen[weight]
    # On version 2 the spec has no formula.
    pairs = zip(seen[light], seen[heavy], strict=True)
    assert any(lighter < heavier for lighter, heavier in pairs), seen


@requirement("linux.cgroups.blkio.leaf-weight")
@pytest.mark.parametrize("leaf_weight", [10, 700])
def test_leaf_weight_is_applied_or_refused(harness: Harness, leaf_weight: int) -> None:
    with harness.container(limited(harness, leafWeight=leaf_weight)) as container:
        if container.create().failed:
            harness.note("leafWeight is refused")
            return
        cgroup = Placement(container)
        if not cgroup.file("io", "blkio.leaf_weight", "").is_file():
            raise Ignored("leafWeight is accepted, and the kernel has no such thing")
        assert cgroup.number("io", "blkio.leaf_weight", "") == leaf_weight


@requirement("linux.cgroups.blkio.weight-device.applied")
@given(weight=st.integers(10, 1000).filter(lambda weight: weight not in {100, 500}))
@settings(max_examples=10)
def test_weight_device_is_the_weight_on_a_device(harness: Harness, weight: int) -> None:
    with block_devices.spare(scheduler="bfq") as device:
        config = limited(harness, weightDevice=[entry(device, weight=weight)])
        with harness.container(config) as container:
            if container.create().failed:
                harness.note("weightDevice is refused")
                return
            cgroup = Placement(container)
            seen = weights(cgroup, DEVICE_WEIGHTS, str(device))
        if not seen:
            raise Ignored("weightDevice is accepted, and the cgroup has no weight for the device")
        if cgroup.version == 1:
            assert weight in seen


@requirement("linux.cgroups.blkio.weight-device.both-allowed")
@needs("bfq", "blockdev")
def test_weight_and_leaf_weight_go_together(harness: Harness) -> None:
    with block_devices.spare(scheduler="bfq") as device:
        both = entry(device, weight=300, leafWeight=200)
        result = harness.attempt(limited(harness, weightDevice=[both]))
        harness.note(f"weight with leafWeight is {'refused' if result.failed else 'accepted'}")


@pytest.mark.parametrize(
    ("member", "most"),
    [
        pytest.param(name, most, marks=requirement(f"linux.cgroups.blkio.throttle-{kind}.applied"))
        for kind, most in (("bps", 2**62), ("iops", 2**31))
        for name in THROTTLES
        if kind.upper() in name.upper()
    ],
)
@given(st.data())
@settings(max_examples=5)
def test_throttle_is_the_rate_on_a_device(
    harness: Harness, device: Device, member: str, most: int, data: st.DataObject
) -> None:
    rate = data.draw(st.integers(LEAST_RATE, most), "rate")
    config = limited(harness, **{member: [entry(device, rate=rate)]})
    with harness.created(config) as container:
        cgroup = Placement(container)
        assert throttle(cgroup, member, device) == rate
        others = {name: throttle(cgroup, name, device) for name in THROTTLES if name != member}
        assert set(others.values()) == {None}, others


@requirement(
    "linux.cgroups.blkio.throttle-bps.applied", "linux.cgroups.blkio.throttle-iops.applied"
)
@given(
    rates=st.fixed_dictionaries({name: st.integers(LEAST_RATE, 2**31) for name in THROTTLES}),
    order=st.permutations(list(THROTTLES)),
)
@settings(max_examples=5)
def test_throttles_of_all_kinds_go_together(
    harness: Harness, device: Device, rates: dict[str, int], order: list[str]
) -> None:
    with block_devices.spare() as other:
        block_io = {
            name: [entry(device, rate=rates[name]), entry(other, rate=rates[name] + 1)]
            for name in order
        }
        with harness.created(limited(harness, **block_io)) as container:
            cgroup = Placement(container)
            assert {name: throttle(cgroup, name, device) for name in THROTTLES} == rates
            more = {name: rate + 1 for name, rate in rates.items()}
            assert {name: throttle(cgroup, name, other) for name in THROTTLES} == more


OMISSIONS = [
    (member, omitted, row)
    for member, row, names in (
        ("weightDevice", "weight-device", ("major", "minor")),
        ("throttleReadBpsDevice", "throttle-bps", ("major", "minor", "rate")),
        ("throttleWriteBpsDevice", "throttle-bps", ("major", "minor", "rate")),
        ("throttleReadIOPSDevice", "throttle-iops", ("major", "minor", "rate")),
        ("throttleWriteIOPSDevice", "throttle-iops", ("major", "minor", "rate")),
    )
    for omitted in names
]


def _row(kind: str, omitted: str) -> str:
    what = "rate-present" if omitted == "rate" else "major-minor-present"
    return f"linux.cgroups.blkio.{kind}.{what}"


@needs("controller:io", "blockdev")
@pytest.mark.parametrize(
    ("member", "omitted"),
    [
        pytest.param(member, omitted, marks=requirement(_row(row, omitted)))
        for member, omitted, row in OMISSIONS
    ],
)
def test_the_reaction_to_a_missing_member_is_recorded(
    harness: Harness, device: Device, member: str, omitted: str
) -> None:
    value = {"weight": 300} if member == "weightDevice" else {"rate": 2**20}
    config = limited(harness, **{member: [entry(device, **value)]})
    config = without(config, "linux", "resources", "blockIO", member, 0, omitted)
    result = harness.attempt(config)
    harness.note(f"{member} without {omitted} is {'refused' if result.failed else 'accepted'}")


@requirement("linux.cgroups.blkio.weight-device.one-weight-given")
@needs("controller:io", "blockdev")
def test_the_reaction_to_a_device_without_a_weight_is_recorded(
    harness: Harness, device: Device
) -> None:
    result = harness.attempt(limited(harness, weightDevice=[entry(device)]))
    harness.note(f"weightDevice without weights is {'refused' if result.failed else 'accepted'}")
