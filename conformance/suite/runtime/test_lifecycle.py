"""runtime.md, "Lifecycle" and "Operations": operations in any order, illegal ones among them."""

from __future__ import annotations

import contextlib
import os
import signal as signals
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from seatrial.conformance.marks import requirement
from seatrial.conformance.runtime import parse_object
from seatrial.conformance.states import State

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.spawn import Result

#: One of the ids more often than the others, so that most operations meet what came before.
_numbers = st.sampled_from([0, 0, 0, 0, 1, 2])


class Lifecycle(RuleBasedStateMachine):
    """Operations on three ids, beside a model that knows the status of each.

    A legal operation has to succeed, an illegal one has to be an error, and after either each
    container has the status that the model says, and the process and bundle that it had.  A
    process may also end while no operation is under way.  To delete a created container is left
    out: it has tests of its own, and several runtimes do it on purpose.
    """

    def __init__(self, harness: Harness) -> None:
        super().__init__()
        self.harness = harness
        self.contexts = contextlib.ExitStack()
        self.ids = [harness.new_id() for _ in range(3)]
        self.containers: dict[str, Container] = {}
        self.status: dict[str, str] = {}
        self.story: list[str] = []

    def _did(self, result: Result, what: str, identifier: str, *, legal: bool) -> None:
        """Judge one operation; what happened before is part of what is wrong."""
        self.story.append(f"{what} container {self.ids.index(identifier)}")
        told = f"{', '.join(self.story)}: {result!r}"
        assert result.ok if legal else result.failed, told

    @initialize()
    def begin(self) -> None:
        """Begin with a container, as there is not much to do without."""
        self.create(0)

    @rule(number=_numbers)
    def create(self, number: int) -> None:
        """Create is legal where there is no container of that id."""
        identifier = self.ids[number]
        container = self._named(self.harness.config("catch"), identifier)
        legal = identifier not in self.status
        self._did(container.create(), "create", identifier, legal=legal)
        if legal:
            self.containers[identifier] = container
            self.status[identifier] = "created"

    def _named(self, config: Config, identifier: str) -> Container:
        return self.contexts.enter_context(self.harness.container(config, identifier=identifier))

    @rule(number=_numbers)
    def create_in_vain(self, number: int) -> None:
        """Create is an error, whatever is there, if the config has what cannot be applied."""
        config = self.harness.config("catch") | {"hostname": "h" * 65}
        result = self._named(config, self.ids[number]).create()
        self._did(result, "create, with a name that is too long,", self.ids[number], legal=False)

    @rule(number=_numbers)
    def start(self, number: int) -> None:
        """Start is legal for a created container."""
        identifier = self.ids[number]
        legal = self.status.get(identifier) == "created"
        self._did(self.harness.runtime.start(identifier), "start", identifier, legal=legal)
        if legal:
            assert self.containers[identifier].read_line()["act"] == "catch"
            self.status[identifier] = "running"

    @rule(number=_numbers)
    def end(self, number: int) -> None:
        """Kill is legal for a created and for a running container; this signal ends it."""
        identifier = self.ids[number]
        legal = self.status.get(identifier) in {"created", "running"}
        self._did(self.harness.runtime.kill(identifier, "KILL"), "kill", identifier, legal=legal)
        if legal:
            self.containers[identifier].wait()
            self.status[identifier] = "stopped"

    @precondition(lambda self: not {"created", "running"}.isdisjoint(self.status.values()))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """A process may end at any time, without the runtime's doing."""
        ids = [each for each in self.ids if self.status.get(each) in {"created", "running"}]
        identifier = data.draw(st.sampled_from(ids))
        container = self.containers[identifier]
        assert container.pid is not None
        os.kill(container.pid, signals.SIGKILL)
        container.wait()
        self.status[identifier] = "stopped"
        self.story.append(f"the process of container {self.ids.index(identifier)} ends")

    @rule(number=_numbers, signal=st.sampled_from(["USR1", "TERM", "HUP"]))
    def signal(self, number: int, signal: str) -> None:
        """Kill delivers its signal to the program of a running container."""
        identifier = self.ids[number]
        status = self.status.get(identifier)
        if status == "created":
            return  # what a signal does to the process before start is the runtime's business
        result = self.harness.runtime.kill(identifier, signal)
        self._did(result, f"kill by {signal}", identifier, legal=status == "running")
        if status == "running":
            assert self.containers[identifier].read_line()["act"] == "caught"

    @rule(number=_numbers)
    def delete(self, number: int) -> None:
        """Delete is legal for a stopped container."""
        identifier = self.ids[number]
        status = self.status.get(identifier)
        if status == "created":
            return
        result = self.harness.runtime.delete(identifier)
        self._did(result, "delete", identifier, legal=status == "stopped")
        if status == "stopped":
            self.containers.pop(identifier).exists = False
            del self.status[identifier]

    @invariant()
    def every_status_is_that_of_the_model(self) -> None:
        """A query tells the status of each container, and is an error where there is none."""
        for identifier in self.ids:
            known = identifier in self.status
            result = self.harness.runtime.state(identifier)
            self._did(result, "query", identifier, legal=known)
            self.story.pop()
            if known:
                self._check(self.containers[identifier], State(parse_object(result)))

    def _check(self, container: Container, state: State) -> None:
        expected: dict[str, Any] = {
            "status": self.status[container.id],
            "bundle": str(container.bundle.path),
        }
        if expected["status"] != "stopped":
            expected["pid"] = container.pid
        story = ", ".join(self.story)
        assert {name: state.get(name) for name in expected} == expected, story
        assert container.alive == (expected["status"] != "stopped"), story

    def teardown(self) -> None:
        """Put away what is left."""
        self.contexts.close()


@requirement(
    "runtime.operations.all-supported",
    "runtime.create.duplicate-id-creates-nothing",
    "runtime.start.not-created-no-effect",
    "runtime.kill.not-alive-no-effect",
    "runtime.delete.not-stopped-no-effect",
)
def test_operations_in_any_order_are_legal_or_errors_as_the_lifecycle_has_it(
    harness: Harness,
) -> None:
    class LifecycleHere(Lifecycle):
        def __init__(self) -> None:
            super().__init__(harness)

    run_state_machine_as_test(
        LifecycleHere, settings=settings(max_examples=10, stateful_step_count=12)
    )
