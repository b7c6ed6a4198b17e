"""Hooks that record themselves: their entries, what is read back, and gates."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance.bundle import Bundle, probe_binary
from seatrial.conformance.config import PROBE, minimal
from seatrial.conformance.errors import HarnessError, Hung, Malformed, Misbehaved
from seatrial.conformance.hooks import (
    KINDS,
    LOG,
    NOT_EXECUTABLE,
    ROOTFS,
    WAYS_TO_FAIL,
    Gate,
    Hook,
    UnderWay,
    at_gate,
    failing,
    for_each_kind,
    has_ended,
    record_of,
    records,
    tags,
)
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.spawn import Result

if TYPE_CHECKING:
    from pathlib import Path

_OK = Result(("true",), 0)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path, minimal())


def _execute(
    entry: dict[str, Any], stdin: bytes = b"{}", timeout_s: float = 10
) -> subprocess.CompletedProcess[bytes]:
    """Run an entry of a runtime hook as a runtime would."""
    return subprocess.run(
        entry["args"],
        executable=entry["path"],
        input=stdin,
        stdout=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
    )


# Entries


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_is_the_probe_where_its_kind_finds_it(bundle: Bundle, kind: str) -> None:
    path = Hook("a").entry(kind, bundle)["path"]
    assert path == (PROBE if kind == "startContainer" else str(probe_binary()))


def test_places_are_paths_where_the_hook_runs(bundle: Bundle) -> None:
    hook = Hook("a", "write", f"{ROOTFS}/file", "text", "+", "mark", "b", LOG)
    acts = ["+", "write", f"{bundle.rootfs}/file", "text", "+", "mark", "b", str(bundle.log)]
    assert hook.entry("createContainer", bundle)["args"][5:] == acts
    acts = ["+", "write", "/file", "text", "+", "mark", "b", Bundle.LOG]
    assert hook.entry("startContainer", bundle)["args"][5:] == acts


def test_members_replace_what_is_there_by_default(bundle: Bundle) -> None:
    hook = Hook("a", env=["A=1"], args=["name", f"{ROOTFS}/x"], path=f"{ROOTFS}/../hook", timeout=3)
    assert hook.entry("poststop", bundle) == {
        "env": ["A=1"],
        "args": ["name", f"{bundle.rootfs}/x"],
        "path": f"{bundle.rootfs}/../hook",
        "timeout": 3,
    }


def test_a_hook_shows_the_call_that_makes_it() -> None:
    assert repr(Hook("a", "exit", "1", timeout=2)) == "Hook('a', 'exit', '1', timeout=2)"


def test_each_kind_judges_its_own_rows() -> None:
    registry = Registry.load(requirements_directory())
    for each in for_each_kind("invoked").args[1]:
        [name] = each.marks[0].args
        assert registry.find(name).id.startswith("config.hooks.")


# What is recorded


def test_a_hook_records_its_tag_its_input_and_what_it_sees(bundle: Bundle) -> None:
    state = {"id": "ä", "pid": 7}
    assert (
        _execute(Hook("a").entry("prestart", bundle), b'{"id": "\xc3\xa4", "pid": 7}').returncode
        == 0
    )
    [record] = records(bundle)
    assert (record.tag, record.path, record.state, record.pid) == ("a", str(bundle.log), state, 7)
    assert record.time_ns > 0
    assert record.seen.argv[:3] == [b"hook-a", b"hook", b"a"]


def test_a_mark_has_neither_input_nor_report(bundle: Bundle) -> None:
    _execute(Hook("a", "mark", "b", LOG).entry("prestart", bundle))
    mark = records(bundle)[1]
    assert (mark.tag, mark.stdin) == ("b", None)
    with pytest.raises(HarnessError):
        _ = mark.seen
    assert tags(bundle) == ["a", "b"]


def test_the_record_of_a_tag_is_the_only_one(bundle: Bundle) -> None:
    _execute(Hook("a", "mark", "b", LOG, "+", "mark", "b", LOG).entry("prestart", bundle))
    assert record_of(bundle, "a").tag == "a"
    for tag in ("b", "c"):
        with pytest.raises(Misbehaved, match=tag):
            record_of(bundle, tag)


def test_nothing_is_recorded_where_nothing_ran(bundle: Bundle) -> None:
    assert records(bundle) == []


@pytest.mark.parametrize("stdin", [b"", b"{", b"[]", b'"text"'])
def test_input_that_is_no_state_is_malformed(bundle: Bundle, stdin: bytes) -> None:
    _execute(Hook("a").entry("prestart", bundle), stdin)
    with pytest.raises(Malformed):
        _ = records(bundle)[0].state


@pytest.mark.parametrize("stdin", [b"{}", b'{"pid": 0}', b'{"pid": -1}', b'{"pid": "1"}'])
def test_a_state_without_the_pid_of_a_process_is_malformed(bundle: Bundle, stdin: bytes) -> None:
    _execute(Hook("a").entry("prestart", bundle), stdin)
    with pytest.raises(Malformed):
        _ = records(bundle)[0].pid


# Failures


def test_failing_hooks_fail_after_they_have_recorded_themselves(bundle: Bundle) -> None:
    assert _execute(failing("exit-status").entry("prestart", bundle)).returncode == 1
    assert _execute(failing("signal").entry("prestart", bundle)).returncode == -9
    slow = failing("timeout").entry("prestart", bundle)
    with pytest.raises(subprocess.TimeoutExpired):
        _execute(slow, timeout_s=slow["timeout"])
    assert tags(bundle) == ["failing"] * len(WAYS_TO_FAIL)


@pytest.mark.parametrize("path", NOT_EXECUTABLE)
def test_what_is_not_executable_is_not(path: str) -> None:
    with pytest.raises(OSError, match=path):
        subprocess.run([path], check=False)


def test_a_process_has_ended_once_it_is_dead() -> None:
    process = subprocess.Popen([str(probe_binary()), "pause"], stdout=subprocess.DEVNULL)
    assert not has_ended(process.pid)
    process.kill()
    assert has_ended(process.pid)
    process.wait()
    assert has_ended(process.pid)


# Gates


def _executing(hook: Hook, bundle: Bundle) -> Result:
    finished = _execute(hook.entry("prestart", bundle))
    return Result(tuple(map(str, finished.args)), finished.returncode)


def test_who_reaches_a_gate_waits_until_it_is_opened(bundle: Bundle) -> None:
    hook = Hook("a", *at_gate(), "+", "mark", "b", LOG)
    with Gate(bundle) as gate, UnderWay(lambda: _executing(hook, bundle), gate) as operation:
        assert operation.reaches(gate)
        assert gate.is_reached()
        assert not operation.returned
        assert tags(bundle) == ["a"]
        gate.open()
        assert operation.result().ok
    assert tags(bundle) == ["a", "b"]


def test_who_comes_to_an_open_gate_does_not_wait(bundle: Bundle) -> None:
    hook = Hook("a", *at_gate())
    with Gate(bundle) as gate:
        gate.open()
        gate.open()
        assert _execute(hook.entry("prestart", bundle)).returncode == 0


def test_gates_of_other_names_are_other_gates(bundle: Bundle) -> None:
    with (
        Gate(bundle, "first") as first,
        Gate(bundle, "second") as second,
        UnderWay(lambda: _executing(Hook("a", *at_gate("second")), bundle), second) as operation,
    ):
        assert operation.reaches(first, second)
        assert not operation.reaches(first, within_s=0)
        assert operation.reaches(second, within_s=0)


def test_an_operation_that_returns_reaches_no_gate(bundle: Bundle) -> None:
    with Gate(bundle) as gate, UnderWay(lambda: _OK, gate) as operation:
        assert not operation.reaches(gate)
        assert not gate.is_reached()
        assert operation.result() is _OK
        assert operation.returned


def test_gates_are_opened_for_an_operation_that_is_left(bundle: Bundle) -> None:
    hook = Hook("a", *at_gate(), "+", "mark", "b", LOG)
    with Gate(bundle) as gate:
        with UnderWay(lambda: _executing(hook, bundle), gate) as operation:
            assert operation.reaches(gate)
        assert tags(bundle) == ["a", "b"]


def test_gates_stay_closed_after_an_operation_that_has_returned(bundle: Bundle) -> None:
    hook = Hook("a", *at_gate())
    with Gate(bundle) as gate:
        with UnderWay(lambda: _OK, gate) as operation:
            assert operation.result() is _OK
        with UnderWay(lambda: _executing(hook, bundle), gate) as operation:
            assert operation.reaches(gate)
            assert not operation.returned


def test_what_an_operation_raises_is_raised_by_its_result() -> None:
    def hang() -> Result:
        raise Hung("no answer")

    with UnderWay(hang) as operation, pytest.raises(Hung, match="no answer"):
        operation.result()


def test_an_operation_runs_in_the_namespaces_of_its_caller() -> None:
    seen: list[str] = []

    def look() -> Result:
        seen.append(os.readlink("/proc/thread-self/ns/mnt"))
        return _OK

    with UnderWay(look) as operation:
        operation.result()
    assert seen == [os.readlink("/proc/thread-self/ns/mnt")]
