"""config-linux.md, "Network": the controllers net_cls and net_prio, which only version 1 has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import without
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: The one interface that every network namespace has.
INTERFACE = "lo"


def limited(harness: Harness, **network: Any) -> Config:
    """Return a config with ``resources.network``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"network": network}
    return config


@requirement("linux.cgroups.network.class-id")
@given(class_id=st.integers(1, 2**32 - 1))
@settings(max_examples=10)
def test_class_id_is_the_tag_of_the_packets(harness: Harness, class_id: int) -> None:
    with harness.created(limited(harness, classID=class_id)) as container:
        assert Placement(container).number("net_cls", "net_cls.classid", "") == class_id


@requirement("linux.cgroups.network.priorities")
@given(priority=st.integers(1, 2**16))
@settings(max_examples=10)
def test_priorities_are_those_of_the_interfaces(harness: Harness, priority: int) -> None:
    priorities = [{"name": INTERFACE, "priority": priority}]
    with harness.created(limited(harness, priorities=priorities)) as container:
        found = Placement(container).keyed("net_prio", "net_prio.ifpriomap", "")
        assert found[INTERFACE] == str(priority)


@needs("controller:net_prio")
@pytest.mark.parametrize(
    "member",
    [
        pytest.param("name", marks=requirement("linux.cgroups.network.priority-name-present")),
        pytest.param("priority", marks=requirement("linux.cgroups.network.priority-value-present")),
    ],
)
def test_the_reaction_to_a_missing_member_is_recorded(harness: Harness, member: str) -> None:
    config = limited(harness, priorities=[{"name": INTERFACE, "priority": 5}])
    config = without(config, "linux", "resources", "network", "priorities", 0, member)
    result = harness.attempt(config)
    harness.note(f"priorities without {member} is {'refused' if result.failed else 'accepted'}")
