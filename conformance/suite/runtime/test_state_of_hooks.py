"""runtime.md, "State": what the state has to be also where hooks are handed it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.conformance.hooks import (
    IN_CONTAINER_NAMESPACE,
    IN_RUNTIME_NAMESPACE,
    KINDS,
    Hook,
    hooked,
    records,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.states import SEMVER, STATUSES, breaches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.states import State

_START_CONTAINER = ("startContainer",)
_OTHERS = [kind for kind in KINDS if kind not in _START_CONTAINER]
_WITH_PROCESS = [kind for kind in IN_RUNTIME_NAMESPACE if kind != "poststop"]


def _live(
    harness: Harness, kinds: Sequence[str], config: Config | None = None
) -> tuple[dict[str, State], Container]:
    """Return the states that hooks were handed in the life of a container, by kind.

    Create is given the bundle by a relative path.
    """
    given = config or harness.config("pause")
    with hooked(harness, {kind: [Hook(kind)] for kind in kinds}, config=given) as container:
        folder = container.bundle.path
        assert container.create(bundle=folder.name, cwd=str(folder.parent)).ok
        assert container.start().ok
        container.read_line()
        assert container.kill("KILL").ok
        container.wait()
        assert container.delete().ok
        states = {record.tag: record.state for record in records(container.bundle)}
        assert states.keys() == {*kinds}
        return states, container


@requirement("runtime.state.oci-version-present")
def test_the_state_of_a_hook_names_a_version_of_the_spec(harness: Harness) -> None:
    states, _ = _live(harness, KINDS)
    versions = {kind: state["ociVersion"] for kind, state in states.items()}
    assert all(SEMVER.fullmatch(version) for version in versions.values()), versions


@requirement("runtime.state.schema-valid")
def test_the_state_of_a_hook_is_valid(harness: Harness) -> None:
    states, _ = _live(harness, _OTHERS)
    assert [(kind, breaches(state)) for kind, state in states.items() if breaches(state)] == []


@requirement("runtime.state.schema-valid")
def test_the_state_of_a_start_container_hook_is_valid(harness: Harness) -> None:
    states, _ = _live(harness, _START_CONTAINER)
    assert breaches(states["startContainer"]) == []


@requirement("runtime.state.status-extra-only-new-states")
def test_no_status_of_its_own_stands_for_created_while_start_is_at_work(harness: Harness) -> None:
    states, _ = _live(harness, _START_CONTAINER)
    # Create has finished, and the process has neither exited nor executed the program.
    assert states["startContainer"]["status"] in STATUSES


@requirement("runtime.state.bundle-absolute")
def test_the_bundle_of_a_hook_is_absolute_although_create_was_told_a_relative_path(
    harness: Harness,
) -> None:
    states, container = _live(harness, _OTHERS)
    bundles = {kind: os.path.normpath(state["bundle"]) for kind, state in states.items()}
    assert bundles == dict.fromkeys(_OTHERS, str(container.bundle.path))


@requirement("runtime.state.bundle-present")
def test_the_bundle_of_a_start_container_hook_is_the_bundle(harness: Harness) -> None:
    states, container = _live(harness, _START_CONTAINER)
    assert os.path.normpath(states["startContainer"]["bundle"]) == str(container.bundle.path)


@requirement("runtime.state.pid-in-runtime-namespace-hooks", "runtime.state.pid-seen-by-host")
def test_every_hook_of_the_runtime_is_handed_the_pid_that_create_reported(harness: Harness) -> None:
    states, container = _live(harness, _WITH_PROCESS)
    pids = {kind: state.get("pid") for kind, state in states.items()}
    assert pids == dict.fromkeys(_WITH_PROCESS, container.pid)


@requirement("runtime.state.pid-in-container-namespace-hooks")
def test_the_pid_of_a_hook_of_the_container_is_the_hosts_where_the_container_has_the_hosts(
    harness: Harness,
) -> None:
    config = harness.config("pause")
    config["linux"]["namespaces"] = [{"type": "mount"}]
    states, container = _live(harness, IN_CONTAINER_NAMESPACE, config)
    pids = {kind: state.get("pid") for kind, state in states.items()}
    assert pids == dict.fromkeys(IN_CONTAINER_NAMESPACE, container.pid)
