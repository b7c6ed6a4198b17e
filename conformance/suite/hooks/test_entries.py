"""config.md, "POSIX-platform Hooks": the members of a hook's entry."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.config import PROBE
from seatrial.conformance.hooks import (
    BEFORE_PROGRAM,
    IN_RUNTIME_NAMESPACE,
    KINDS,
    LOG,
    Hook,
    attempt,
    has_ended,
    hooked,
    live,
    record_of,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.hooks import (
    kinds,
    relative_paths,
    timeouts,
    wrong_timeouts,
)
from seatrial.conformance.strategies.process import arguments, environments, texts

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.hooks import Record

for_each_kind_of_hook = pytest.mark.parametrize("kind", KINDS)


def _live_with(harness: Harness, kind: str, hook: Hook) -> Record:
    with hooked(harness, {kind: [hook]}) as container:
        live(container)
        return record_of(container.bundle)


@requirement("config.hooks.args-as-argv")
@for_each_kind_of_hook
@settings(max_examples=10)
@given(name=texts(), rest=arguments())
def test_args_are_the_arguments_of_the_hook(
    harness: Harness, kind: str, name: str, rest: list[str]
) -> None:
    # What follows the act `report` is not looked at.
    args = [name, "hook", "hook", LOG, "+", "report", *rest]
    hook = _live_with(harness, kind, Hook("hook", args=args))
    assert [hook.seen.argv[0], *hook.seen.argv[6:]] == [word.encode() for word in (name, *rest)]
    assert len(hook.seen.argv) == len(args)


@requirement("config.hooks.env-as-environ")
@for_each_kind_of_hook
@settings(max_examples=10)
@given(env=environments().filter(bool))
def test_env_is_the_environment_of_the_hook(harness: Harness, kind: str, env: list[str]) -> None:
    hook = _live_with(harness, kind, Hook("hook", env=env))
    assert sorted(hook.seen.environ) == sorted(entry.encode() for entry in env)


@requirement("config.hooks.env-as-environ")
@for_each_kind_of_hook
def test_the_environment_of_a_hook_without_variables_is_left_open(
    harness: Harness, kind: str
) -> None:
    for name, hook in {"without": Hook("hook"), "with an empty": Hook("hook", env=[])}.items():
        environ = _live_with(harness, kind, hook).seen.environ
        of_caller = any(entry.startswith(b"SEATRIAL_RUN=") for entry in environ)
        what = "that of the caller" if of_caller else "another" if environ else "empty"
        harness.note(f"the environment of a {kind} hook {name} env is {what}")


@requirement("config.hooks.path-present")
@for_each_kind_of_hook
def test_a_hook_without_a_path_is_refused_or_not(harness: Harness, kind: str) -> None:
    config = harness.config("exit", "0")
    config["hooks"] = {kind: [{"args": [PROBE, "exit", "0"]}]}
    outcome = "refused" if harness.attempt(config).failed else "accepted"
    harness.note(f"a {kind} hook without path is {outcome}")


@requirement("config.hooks.path-absolute")
@given(kind=kinds(), path=relative_paths())
def test_a_relative_path_of_a_hook_is_refused(harness: Harness, kind: str, path: str) -> None:
    _refuse_path(harness, kind, path)


# Not of poststart: how such a hook would fail is not what this is about.
@requirement("config.hooks.path-absolute")
@given(kind=kinds(BEFORE_PROGRAM))
def test_a_bare_name_of_a_hook_is_refused(harness: Harness, kind: str) -> None:
    _refuse_path(harness, kind, "probe")


def _refuse_path(harness: Harness, kind: str, path: str) -> None:
    with hooked(harness, {kind: [Hook("hook", path=path)]}) as container:
        # Such a file is there, whether the runtime looks from the bundle or from the root.
        shutil.copy(probe_binary(), container.bundle.path / "probe")
        for name in ("proc", "dev"):
            (container.bundle.path / name).mkdir()
        assert attempt(container).failed


@requirement("config.hooks.timeout-positive")
@given(kind=kinds(), timeout=wrong_timeouts())
def test_a_timeout_that_is_not_positive_is_refused(
    harness: Harness, kind: str, timeout: int
) -> None:
    # One that takes its time: where such a timeout runs out at once, it always does so first.
    slow = Hook("hook", *["fork-report", "+"] * 10, "exit", "0", timeout=timeout)
    with hooked(harness, {kind: [slow]}) as container:
        assert attempt(container).failed


@requirement("config.hooks.timeout-aborts")
@given(kind=kinds(), timeout=timeouts())
def test_a_hook_that_ends_within_its_timeout_is_let_end(
    harness: Harness, kind: str, timeout: int
) -> None:
    hook = Hook("hook", "mark", "end", LOG, timeout=timeout)
    with hooked(harness, {kind: [hook]}) as container:
        assert "end" in [record.tag for record in live(container)]


@requirement("config.hooks.timeout-aborts")
@for_each_kind_of_hook
def test_a_hook_that_does_not_end_within_its_timeout_is_aborted(
    harness: Harness, kind: str
) -> None:
    with hooked(harness, {kind: [Hook("hook", "pause", timeout=1)]}) as container:
        began = time.monotonic()
        if container.create().ok:
            container.start()
            container.wait()
            container.delete()
        # Some runtimes count whole seconds of a coarse clock.
        assert time.monotonic() - began > 0.9
        hook = record_of(container.bundle)
        # One in the container's pid namespace has ended together with its init.
        assert kind not in IN_RUNTIME_NAMESPACE or has_ended(hook.seen["pid"])
