"""config-linux.md, "RDMA"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.marks import requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Members of an entry by the keys of rdma.max.
KEYS = {"hcaHandles": "hca_handle", "hcaObjects": "hca_object"}


def limited(harness: Harness, device: str, entry: dict[str, Any]) -> Config:
    """Return a config with ``resources.rdma`` for one device, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"rdma": {device: entry}}
    return config


@requirement("linux.cgroups.rdma.limits", "linux.cgroups.rdma.both-allowed")
@given(limits=st.dictionaries(st.sampled_from(list(KEYS)), st.integers(0, 2**31 - 2), min_size=1))
@settings(max_examples=10)
def test_limits_are_those_of_the_device(harness: Harness, limits: dict[str, int]) -> None:
    device = min(each.name for each in Path("/sys/class/infiniband").iterdir())
    with harness.created(limited(harness, device, limits)) as container:
        line = Placement(container).keyed("rdma", "rdma.max", "rdma.max")[device]
        found = dict(word.split("=") for word in line.split())
        expected = {key: str(limits.get(name, "max")) for name, key in KEYS.items()}
        assert found == expected


@requirement("linux.cgroups.rdma.one-limit-given")
def test_the_reaction_to_an_entry_without_limits_is_recorded(harness: Harness) -> None:
    result = harness.attempt(limited(harness, "no_device_0", {}))
    harness.note(f"an entry without limits is {'refused' if result.failed else 'accepted'}")
