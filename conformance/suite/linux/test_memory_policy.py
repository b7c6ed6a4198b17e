"""config-linux.md, "Memory policy"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.memory_policy import (
    FLAGS,
    MODES,
    WITH_NODES,
    WITHOUT_NODES,
    node_lists,
    node_sets,
    unknown,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.runtime import Runtime

Policy = dict[str, Any]

#: What a program has whose caller has nothing special, as get_mempolicy(2) tells it.
_PLAIN = {"mode": MODES["MPOL_DEFAULT"], "flags": 0, "nodes": []}


def with_policy(harness: Harness, policy: Policy) -> Config:
    """Return a config with ``memoryPolicy``."""
    config = harness.config()
    config["linux"]["memoryPolicy"] = policy
    return config


def check(
    harness: Harness, policy: Policy, nodes: set[int], *, runtime: Runtime | None = None
) -> None:
    """Run a container with a policy, and compare what its program has."""
    seen = harness.run(with_policy(harness, policy), runtime=runtime)["memory_policy"]
    flags = sum(FLAGS[name] for name in policy.get("flags", ()))
    expected = {"mode": MODES[policy["mode"]], "flags": flags, "nodes": sorted(nodes)}
    if seen == _PLAIN != expected:
        raise Ignored("memoryPolicy is accepted and changes nothing")
    assert seen == expected


def check_mode(
    harness: Harness, mode: str, data: st.DataObject, *, most: int | None = None
) -> None:
    """Judge a mode that wants nodes."""
    nodes = data.draw(node_sets(most=most))
    check(harness, {"mode": mode, "nodes": data.draw(node_lists(nodes))}, nodes)


# Modes


@requirement("linux.memory-policy.mode.default")
@needs("numa")
@pytest.mark.parametrize("nodes", [None, ""], ids=["without nodes", "of no nodes"])
def test_default_takes_the_place_of_the_callers_policy(harness: Harness, nodes: str | None) -> None:
    policy = {"mode": "MPOL_DEFAULT"} if nodes is None else {"mode": "MPOL_DEFAULT", "nodes": nodes}
    local = ("memory-policy", str(MODES["MPOL_LOCAL"]))
    runtime = harness.runtime.called_through(str(probe_binary()), "quiet", "+", *local, "+", "exec")
    seen = harness.run(with_policy(harness, policy), runtime=runtime)["memory_policy"]
    if seen["mode"] == MODES["MPOL_LOCAL"]:
        raise Ignored("memoryPolicy is accepted, and the program has the caller's")
    assert seen == _PLAIN


@requirement("linux.memory-policy.mode.bind")
@given(data=st.data())
@settings(max_examples=5)
def test_bind_is_the_policy_of_the_program(harness: Harness, data: st.DataObject) -> None:
    check_mode(harness, "MPOL_BIND", data)


@requirement("linux.memory-policy.mode.interleave")
@given(data=st.data())
@settings(max_examples=5)
def test_interleave_is_the_policy_of_the_program(harness: Harness, data: st.DataObject) -> None:
    check_mode(harness, "MPOL_INTERLEAVE", data)


@requirement("linux.memory-policy.mode.weighted-interleave")
@given(data=st.data())
@settings(max_examples=5)
def test_weighted_interleave_is_the_policy_of_the_program(
    harness: Harness, data: st.DataObject
) -> None:
    check_mode(harness, "MPOL_WEIGHTED_INTERLEAVE", data)


@requirement("linux.memory-policy.mode.preferred")
@given(data=st.data())
@settings(max_examples=5)
def test_preferred_is_the_policy_of_the_program(harness: Harness, data: st.DataObject) -> None:
    # Of several nodes the kernel takes the first.
    check_mode(harness, "MPOL_PREFERRED", data, most=1)


@requirement("linux.memory-policy.mode.preferred-many")
@given(data=st.data())
@settings(max_examples=5)
def test_preferred_many_is_the_policy_of_the_program(harness: Harness, data: st.DataObject) -> None:
    check_mode(harness, "MPOL_PREFERRED_MANY", data)


@requirement("linux.memory-policy.mode.local")
@needs("numa")
@pytest.mark.parametrize("uid", [0, 1000])
def test_local_is_the_policy_of_the_program(harness: Harness, uid: int) -> None:
    config = with_policy(harness, {"mode": "MPOL_LOCAL"})
    config["process"]["user"]["uid"] = uid
    seen = harness.run(config)["memory_policy"]
    if seen == _PLAIN:
        raise Ignored("memoryPolicy is accepted and changes nothing")
    assert (seen["mode"], seen["flags"]) == (MODES["MPOL_LOCAL"], 0)


# Flags and nodes


@requirement("linux.memory-policy.flag.numa-balancing")
@given(data=st.data())
@settings(max_examples=3)
def test_numa_balancing_is_set(harness: Harness, data: st.DataObject) -> None:
    _check_flag(harness, "MPOL_F_NUMA_BALANCING", ["MPOL_BIND"], data)


@requirement("linux.memory-policy.flag.relative-nodes")
@given(data=st.data())
@settings(max_examples=5)
def test_nodes_are_relative(harness: Harness, data: st.DataObject) -> None:
    _check_flag(harness, "MPOL_F_RELATIVE_NODES", [*WITH_NODES, "MPOL_PREFERRED"], data)


@requirement("linux.memory-policy.flag.static-nodes")
@given(data=st.data())
@settings(max_examples=5)
def test_nodes_are_static(harness: Harness, data: st.DataObject) -> None:
    _check_flag(harness, "MPOL_F_STATIC_NODES", [*WITH_NODES, "MPOL_PREFERRED"], data)


def _check_flag(harness: Harness, flag: str, modes: list[str], data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(modes))
    nodes = data.draw(node_sets(most=1 if mode == "MPOL_PREFERRED" else None))
    text = data.draw(node_lists(nodes))
    seen = harness.run(with_policy(harness, {"mode": mode, "nodes": text, "flags": [flag]}))
    policy = seen["memory_policy"]
    if policy == _PLAIN:
        raise Ignored("memoryPolicy is accepted and changes nothing")
    assert (policy["mode"], policy["flags"]) == (MODES[mode], FLAGS[flag])


@requirement("linux.memory-policy.nodes")
@given(data=st.data())
@settings(max_examples=15)
def test_nodes_are_those_of_the_list(harness: Harness, data: st.DataObject) -> None:
    check_mode(harness, data.draw(st.sampled_from(WITH_NODES)), data)


# What cannot be applied


def check_refused(harness: Harness, policy: Policy) -> None:
    """Judge the attempt to get what the kernel, or the spec, does not have."""
    if harness.attempt(with_policy(harness, policy)).ok:
        raise Ignored(f"a policy that cannot be is accepted: {policy}")


@requirement("linux.memory-policy.nodes-mode-mismatch-errors")
@needs("numa")
@pytest.mark.parametrize("mode", WITHOUT_NODES)
def test_nodes_for_a_mode_that_has_none_generate_an_error(harness: Harness, mode: str) -> None:
    check_refused(harness, {"mode": mode, "nodes": "0"})


@requirement("linux.memory-policy.nodes-mode-mismatch-errors")
@needs("numa")
@pytest.mark.parametrize("nodes", [None, ""], ids=["without nodes", "of no nodes"])
@pytest.mark.parametrize("mode", WITH_NODES)
def test_no_nodes_for_a_mode_that_has_some_generate_an_error(
    harness: Harness, mode: str, nodes: str | None
) -> None:
    check_refused(harness, {"mode": mode} if nodes is None else {"mode": mode, "nodes": nodes})


@requirement("linux.memory-policy.nodes")
@pytest.mark.parametrize("nodes", ["banana", "0-", "-1", "0,,0x", "1-0", "0;0"])
def test_what_is_no_list_of_nodes_generates_an_error(harness: Harness, nodes: str) -> None:
    check_refused(harness, {"mode": "MPOL_BIND", "nodes": nodes})


@requirement("linux.memory-policy.unknown-flag-errors")
@given(flag=unknown("MPOL_F_", FLAGS))
@settings(max_examples=10)
def test_an_unknown_flag_generates_an_error(harness: Harness, flag: str) -> None:
    check_refused(harness, {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]})


@requirement("linux.memory-policy.mode-present")
@given(mode=unknown("MPOL_", MODES))
@settings(max_examples=10)
def test_an_unknown_mode_generates_an_error(harness: Harness, mode: str) -> None:
    check_refused(harness, {"mode": mode})


@requirement("linux.memory-policy.mode-present")
def test_a_policy_without_mode_is_recorded(harness: Harness) -> None:
    result = harness.attempt(with_policy(harness, {"nodes": "0"}))
    harness.note(f"memoryPolicy without mode is {'refused' if result.failed else 'accepted'}")
