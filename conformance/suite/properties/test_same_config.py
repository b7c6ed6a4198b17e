"""config.md and bundle.md: what is said in another way, or from another place, is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies import oracle
from seatrial.conformance.strategies.configs import configs, prepare, reordered_lists, respelled
from seatrial.conformance.strategies.names import dotted_names

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.strategies.oracle import Facts


def drawn(harness: Harness, data: st.DataObject) -> Config:
    """Draw a config in a cgroup of the run's own, whose program looks around."""
    config = data.draw(configs(harness.config(), least_oom_score=oracle.host().oom_score))
    config["process"]["args"] = oracle.program(config)
    config["linux"]["cgroupsPath"] = f"{harness.cgroup}/{harness.new_id()}"
    return config


def same(seen: Facts, usual: Facts) -> None:
    """Compare what two programs saw."""
    others = oracle.differences(usual, seen)
    assert not others, "; ".join(others)


@requirement("glossary.json.utf8", "glossary.json.order-insignificant")
@settings(max_examples=12)
@given(data=st.data())
def test_spaces_and_escapes_have_no_meaning(harness: Harness, data: st.DataObject) -> None:
    config = drawn(harness, data)
    content = data.draw(respelled(config))
    with harness.bundle(config) as bundle:
        prepare(bundle)
        usual = oracle.observed(harness, config, bundle)
        same(oracle.observed(harness, config, bundle, content=content), usual)


@requirement("runtime.create.all-properties-applied")
@settings(max_examples=12)
@given(data=st.data())
def test_the_order_of_independent_entries_has_no_meaning(
    harness: Harness, data: st.DataObject
) -> None:
    config = drawn(harness, data)
    other = data.draw(reordered_lists(config))
    with harness.bundle(config) as bundle:
        prepare(bundle)
        usual = oracle.observed(harness, config, bundle)
        # Seen by the same program, in the same order.
        other["process"]["args"] = config["process"]["args"]
        same(oracle.observed(harness, other, bundle), usual)


@requirement("runtime.create.makes-container", "config.root.path-absolute-or-bundle-relative")
@settings(max_examples=12)
@given(data=st.data(), name=dotted_names(), relative=st.booleans(), absolute_root=st.booleans())
def test_a_bundle_may_be_moved_and_named_in_another_way(
    harness: Harness, data: st.DataObject, name: str, *, relative: bool, absolute_root: bool
) -> None:
    config = drawn(harness, data)
    with harness.bundle(config) as bundle:
        prepare(bundle)
        usual = oracle.observed(harness, config, bundle)
        bundle.rename(f"moved-{name}")
        if absolute_root:
            config["root"]["path"] = str(bundle.rootfs)
        where = {"bundle": bundle.path.name, "cwd": str(bundle.path.parent)} if relative else {}
        same(oracle.observed(harness, config, bundle, where=where), usual)


@requirement("runtime.create.all-properties-applied")
@needs("run")
@settings(max_examples=12)
@given(data=st.data())
def test_create_and_start_come_to_what_run_comes_to(harness: Harness, data: st.DataObject) -> None:
    # The spec knows nothing of run: what it does otherwise is noted, and no failure.
    config = drawn(harness, data)
    with harness.bundle(config) as bundle:
        prepare(bundle)
        usual = oracle.observed(harness, config, bundle)
        by_run = oracle.observed_by_run(harness, config, bundle)
    if not isinstance(by_run, dict):
        harness.note("run is refused, unlike create and start")
        return
    del usual["annotations"]
    for name in sorted(name for name in usual if by_run.get(name) != usual[name]):
        harness.note(f"by run another thing is seen: {name}")
