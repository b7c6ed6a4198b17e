"""Device rules: what they mean, as lists of v1 and as programs of v2."""

from __future__ import annotations

import itertools
import os
import random
import struct
import tempfile
from typing import Any

import msgspec
import pytest

from seatrial.oci import _core, device_filter, device_rules
from seatrial.oci.config import DeviceCgroup
from seatrial.oci.device_rules import DEFAULTS, Rule, rules, v1_rules
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan

DENY_ALL = {"allow": False, "access": "rwm"}
NULL = {"type": "c", "major": 1, "minor": 3}


def listed(*entries: dict[str, Any]) -> list[Rule]:
    return rules(msgspec.convert(list(entries), list[DeviceCgroup]))


def v2_allows(wanted: list[Rule], kind: str, major: int, minor: int, access: str) -> bool:
    return device_filter.allows(device_filter.program(wanted), kind, major, minor, access)


def v1_allows(wanted: list[Rule], kind: str, major: int, minor: int, access: str) -> bool:
    """Do as the kernel does with an exception list (security/device_cgroup.c)."""
    denies, exceptions = v1_rules(wanted)
    asked = Rule(allow=True, type=kind, major=major, minor=minor, access=frozenset(access))
    if denies:
        return any(each.covers(asked) and asked.access <= each.access for each in exceptions)
    return not any(each.meets(asked) for each in exceptions)


@pytest.mark.parametrize("allows", [v1_allows, v2_allows])
def test_after_deny_all_there_are_the_default_devices_and_what_is_listed(allows: Any) -> None:
    wanted = listed(
        DENY_ALL, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}
    )
    assert allows(wanted, "c", 1, 3, "rw")
    assert allows(wanted, "c", 136, 12, "rw")
    assert allows(wanted, "c", 10, 229, "rw")
    assert not allows(wanted, "c", 10, 228, "r")
    assert not allows(wanted, "b", 8, 0, "r")
    assert allows(wanted, "b", 8, 0, "m")


@pytest.mark.parametrize("allows", [v1_allows, v2_allows])
def test_the_order_counts(allows: Any) -> None:
    allow = {"allow": True, "access": "rw", "type": "b", "major": 8, "minor": 0}
    assert allows(listed(DENY_ALL, allow), "b", 8, 0, "r")
    assert not allows(listed(allow, DENY_ALL), "b", 8, 0, "r")


@pytest.mark.parametrize("allows", [v1_allows, v2_allows])
def test_a_default_device_can_still_be_denied(allows: Any) -> None:
    wanted = listed(DENY_ALL, {**NULL, "allow": False, "access": "w"})
    assert allows(wanted, "c", 1, 3, "r")
    assert not allows(wanted, "c", 1, 3, "w")
    assert not allows(wanted, "c", 1, 3, "rw")
    wanted = listed({**NULL, "allow": False, "access": "w"})
    assert not allows(wanted, "c", 1, 3, "w")
    assert allows(wanted, "c", 1, 3, "m")
    assert allows(wanted, "b", 8, 0, "rwm")


@pytest.mark.parametrize("allows", [v1_allows, v2_allows])
def test_each_letter_of_access_counts_by_itself(allows: Any) -> None:
    wanted = listed(
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "b", "access": "r"},
        {"allow": True, "type": "b", "access": "m"},
    )
    assert allows(wanted, "b", 8, 0, "rm")
    assert not allows(wanted, "b", 8, 0, "rw")


@pytest.mark.parametrize("allows", [v1_allows, v2_allows])
def test_a_whole_type_can_be_denied_alone(allows: Any) -> None:
    wanted = listed({"allow": False, "type": "b", "access": "rwm"})
    assert not allows(wanted, "b", 8, 0, "r")
    assert allows(wanted, "c", 10, 229, "rwm")


def test_minus_one_is_any_number() -> None:
    given = {"allow": False, "type": "c", "major": 5, "minor": -1, "access": "r"}
    assert listed(given) == listed({key: value for key, value in given.items() if key != "minor"})


def test_an_empty_access_is_refused() -> None:
    with pytest.raises(ConfigError, match="/linux/resources/devices/0/access"):
        listed({"allow": True, "access": ""})


def test_v1_has_no_way_for_a_hole_and_says_so() -> None:
    wanted = listed(
        DENY_ALL,
        {"allow": True, "type": "c", "access": "rw"},
        {**NULL, "allow": False, "access": "r"},
    )
    with pytest.raises(ConfigError) as error:
        v1_rules(wanted)
    assert error.value.pointer == "/linux/resources/devices/2"
    assert not v2_allows(wanted, "c", 1, 3, "r")
    assert v2_allows(wanted, "c", 1, 5, "r")


def test_v1_has_a_way_for_a_hole_in_everything() -> None:
    wanted = listed(
        DENY_ALL,
        {"allow": True, "type": "c", "access": "r"},
        {"allow": True, "access": "rwm"},
        {"allow": False, "type": "c", "major": 120, "access": "r"},
    )
    assert v1_rules(wanted)[0] is False
    assert not v1_allows(wanted, "c", 120, 3, "r")
    assert v1_allows(wanted, "c", 120, 3, "w")
    assert v1_allows(wanted, "b", 120, 3, "rwm")


def test_v1_need_not_have_what_a_rule_about_everything_takes_back() -> None:
    hole = {"allow": False, "type": "b", "minor": 0, "access": "r"}
    wanted = listed({"allow": True, "access": "rwm"}, hole, DENY_ALL)
    assert v1_rules(wanted) == (True, list(DEFAULTS))


def test_rules_read_as_the_kernel_writes_them() -> None:
    assert [rule.text() for rule in DEFAULTS[:3]] == ["c *:* m", "b *:* m", "c 1:3 rwm"]


def entries(random_: random.Random) -> list[dict[str, Any]]:
    found = []
    for _ in range(random_.randint(1, 6)):
        entry: dict[str, Any] = {"allow": random_.random() < 0.5}
        if random_.random() < 0.8:
            entry["type"] = random_.choice("abc")
        if random_.random() < 0.7:
            entry["major"] = random_.choice([1, 5])
            if random_.random() < 0.7:
                entry["minor"] = random_.choice([3, 5])
        entry["access"] = "".join(sorted(random_.sample("rwm", random_.randint(1, 3))))
        found.append(entry)
    return found


def by_the_text(wanted: list[Rule], kind: str, major: int, minor: int, letter: str) -> bool:
    allowed = True
    asked = Rule(allow=True, type=kind, major=major, minor=minor, access=frozenset(letter))
    for rule in wanted:
        if rule.meets(asked):
            allowed = rule.allow
    return allowed


ASKED = list(itertools.product("cb", [1, 5, 9], [3, 5, 7], ["r", "w", "m", "rw", "rwm"]))


def test_the_last_rule_that_matches_decides_on_v1_and_v2_alike() -> None:
    random_ = random.Random(3)  # noqa: S311 - any rules will do
    on_v1 = 0
    for _ in range(400):
        wanted = listed(*entries(random_))
        code = device_filter.program(wanted)
        try:
            v1_rules(wanted)
            is_possible = not any(rule.default for rule in wanted)
        except ConfigError:
            is_possible = False
        on_v1 += is_possible
        for kind, major, minor, access in ASKED:
            expected = all(by_the_text(wanted, kind, major, minor, each) for each in access)
            assert device_filter.allows(code, kind, major, minor, access) == expected
            # A list of v1 allows what one entry of it covers whole.
            if is_possible and len(access) == 1:
                assert v1_allows(wanted, kind, major, minor, access) == expected
    assert on_v1 > 50


def cgroup() -> str | None:
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(f"{path}/cgroup.controllers") and os.access(path, os.W_OK):
            return path
    return None


@pytest.mark.skipif(
    os.geteuid() != 0 or cgroup() is None or not device_rules.owns_devices(),
    reason="needs a v2 cgroup and the right to load a filter",
)
def test_the_kernel_takes_the_program_and_replaces_it() -> None:
    path = tempfile.mkdtemp(prefix="seatrial-test-", dir=cgroup())
    try:
        wanted = listed(DENY_ALL, {"allow": True, "type": "b", "access": "r"})
        blob = device_filter.program(wanted)
        op = Op(Kind.DEVICE_FILTER, Stage.BEFORE, "filter", path=path, blob=blob)
        for flags in (0, device_rules.IN_PLACE):
            plan = Plan(0, [msgspec.structs.replace(op, flags=flags)]).encode()
            assert _core.run_stage(plan, Stage.BEFORE, 0, b'""', b'""', b"", b"") is None
        broken = struct.pack("<BBhI", 0x95, 0, 0, 0)
        plan = Plan(0, [msgspec.structs.replace(op, blob=broken)]).encode()
        assert _core.run_stage(plan, Stage.BEFORE, 0, b'""', b'""', b"", b"") is not None
    finally:
        os.rmdir(path)
