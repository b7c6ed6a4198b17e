"""config.md, "POSIX-platform Hooks": the state that a hook reads from its standard input."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.hooks import (
    IN_CONTAINER_NAMESPACE,
    KINDS,
    LOG,
    OF_CREATE,
    Hook,
    for_each_kind,
    hooked,
    record_of,
    tags,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.states import breaches
from seatrial.conformance.strategies.hooks import annotation_maps, kinds
from seatrial.conformance.strategies.process import texts

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.hooks import Record

for_each_kind_of_hook = pytest.mark.parametrize("kind", KINDS)


def _call(harness: Harness, kind: str, config: Config | None = None) -> tuple[Record, Container]:
    """Return what a hook recorded, whose container ran until it was killed."""
    program = ("mark", "program", Bundle.LOG, "+", "pause")
    with hooked(harness, {kind: [Hook("hook")]}, *program, config=config) as container:
        assert container.create().ok
        assert container.start().ok
        while container.read_line()["act"] != "pause":
            pass
        assert container.kill("KILL").ok
        container.wait()
        assert container.delete().ok
        return record_of(container.bundle), container


@requirement("config.hooks.state-on-stdin")
@for_each_kind_of_hook
def test_a_hook_reads_the_state_of_its_container(harness: Harness, kind: str) -> None:
    hook, container = _call(harness, kind)
    assert hook.state["id"] == container.id
    assert os.path.isabs(hook.state["bundle"])
    assert os.path.normpath(hook.state["bundle"]) == str(container.bundle.path)


@requirement("config.hooks.state-on-stdin")
@for_each_kind_of_hook
@settings(max_examples=10)
@given(annotations=annotation_maps())
def test_a_hook_reads_the_annotations_of_its_container(
    harness: Harness, kind: str, annotations: dict[str, str]
) -> None:
    config = harness.config("pause")
    config["annotations"] = annotations
    hook, _ = _call(harness, kind, config)
    assert hook.state.get("annotations", {}).items() >= annotations.items()


@requirement("config.hooks.state-on-stdin")
@given(kind=kinds(), name=texts())
def test_a_hook_reads_annotations_with_an_equals_sign_in_their_names(
    harness: Harness, kind: str, name: str
) -> None:
    config = harness.config("pause")
    config["annotations"] = {f"org.example.{name}=": "value"}
    hook, _ = _call(harness, kind, config)
    assert hook.state.get("annotations", {}).items() >= config["annotations"].items()


@requirement("config.hooks.state-on-stdin")
@given(kind=kinds())
def test_a_hook_reads_a_state_that_is_valid_but_for_the_status(harness: Harness, kind: str) -> None:
    hook, _ = _call(harness, kind)
    # Which status it is has rows of its own, and the text allows for more of them than the schema.
    assert isinstance(hook.state["status"], str)
    assert breaches({**hook.state, "status": "running"}) == []


@requirement("config.hooks.state-on-stdin")
@for_each_kind_of_hook
def test_a_hook_need_not_read_the_state(harness: Harness, kind: str) -> None:
    # More than a pipe holds: who writes it is still at it when the hook ends (pipe(7)).
    config = harness.config("mark", "program", Bundle.LOG)
    config["annotations"] = {"org.example.long": "x" * (1 << 17)}
    hook = Hook("hook", args=["hook", "mark", "hook", LOG])
    with hooked(harness, {kind: [hook]}, config=config) as container:
        # Not `ok`: an end by SIGPIPE is no other wrong here than an error.
        assert container.create().exit_status == 0
        assert container.start().exit_status == 0
        container.wait()
        assert container.delete().exit_status == 0
        assert sorted(tags(container.bundle)) == ["hook", "program"]


# The status


@for_each_kind("state-status", kinds=OF_CREATE)
def test_the_status_is_creating_while_create_is_under_way(harness: Harness, kind: str) -> None:
    hook, _ = _call(harness, kind)
    # It is created "after step 2 in the lifecycle", which those hooks are, and also "when create
    # has finished", which it has not.
    assert hook.state["status"] in {"creating", "created"}
    if hook.state["status"] == "created":
        harness.note(f"the state that a {kind} hook reads has status created")


@for_each_kind("state-status", kinds=["startContainer"])
def test_the_status_is_created_before_the_program_is_executed(harness: Harness, kind: str) -> None:
    hook, _ = _call(harness, kind)
    assert hook.state["status"] == "created"


@for_each_kind("state-status", kinds=["poststart"])
def test_the_status_is_running_once_the_program_was_executed(harness: Harness, kind: str) -> None:
    hook, _ = _call(harness, kind)
    assert hook.state["status"] == "running"


@for_each_kind("state-status", kinds=["poststop"])
def test_the_status_is_stopped_once_the_container_is_deleted(harness: Harness, kind: str) -> None:
    hook, _ = _call(harness, kind)
    assert hook.state["status"] == "stopped"


# The pid


@requirement("runtime.state.pid-in-container-namespace-hooks")
@pytest.mark.parametrize("kind", IN_CONTAINER_NAMESPACE)
def test_a_hook_of_the_container_reads_the_pid_that_the_container_sees(
    harness: Harness, kind: str
) -> None:
    hook, _ = _call(harness, kind)
    assert hook.pid == 1
