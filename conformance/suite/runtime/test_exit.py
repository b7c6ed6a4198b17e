"""runtime.md, "Lifecycle", step 10: whatever the process ends by, the container is stopped."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

#: Those whose default is not to end a process (signal(7)).
_HARMLESS = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}
#: The C library's own, which no program uses: a caller may have left them ignored for good.
_RESERVED = {32, 33}
_DEADLY = [number for number in range(1, 65) if number not in _HARMLESS | _RESERVED]


def _is_stopped(container: Container) -> bool:
    state = container.state()
    return state["status"] == "stopped" and container.delete().ok


@requirement("runtime.lifecycle.any-exit-cause-ends")
@settings(max_examples=10)
@given(code=st.integers(0, 255))
def test_a_container_is_stopped_by_the_exit_of_its_program(harness: Harness, code: int) -> None:
    with harness.stopped(harness.config("exit", str(code))) as container:
        assert container.exit_status == code
        assert _is_stopped(container)


@requirement("runtime.lifecycle.any-exit-cause-ends")
@given(number=st.sampled_from(_DEADLY))
def test_a_container_is_stopped_by_the_crash_of_its_program(harness: Harness, number: int) -> None:
    # The first process of a PID namespace cannot end itself by a signal (pid_namespaces(7)).
    config = with_namespaces(harness.config("raise", str(number)), ["mount"])
    with harness.stopped(config) as container:
        assert container.ended_by(number)
        assert _is_stopped(container)


@requirement("runtime.lifecycle.any-exit-cause-ends")
def test_a_container_is_stopped_by_kill(running: Container) -> None:
    assert running.kill("KILL").ok
    running.wait()
    assert _is_stopped(running)


@requirement("runtime.lifecycle.any-exit-cause-ends")
def test_a_container_is_stopped_by_a_signal_that_the_runtime_knows_nothing_of(
    running: Container,
) -> None:
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert _is_stopped(running)


@requirement("runtime.lifecycle.any-exit-cause-ends")
def test_a_created_container_is_stopped_by_the_end_of_its_process(created: Container) -> None:
    assert created.pid is not None
    os.kill(created.pid, signal.SIGKILL)
    created.wait()
    assert _is_stopped(created)


@requirement("runtime.lifecycle.any-exit-cause-ends")
def test_a_container_is_stopped_by_a_program_that_the_kernel_does_not_execute(
    harness: Harness,
) -> None:
    config = harness.config()
    config["process"]["args"] = ["/garbage"]
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "garbage").write_bytes(b"\x7fELF, but nothing more")
        (bundle.rootfs / "garbage").chmod(0o755)
        with harness.container(config, bundle=bundle) as container:
            # Whether an operation tells is another matter.
            if container.create().ok:
                container.start()
                container.wait()
                assert _is_stopped(container)


@requirement("runtime.lifecycle.any-exit-cause-ends")
def test_one_container_ends_without_another(harness: Harness) -> None:
    with harness.running() as other, harness.stopped(harness.config("exit", "1")) as container:
        assert _is_stopped(container)
        assert other.state()["status"] == "running"
