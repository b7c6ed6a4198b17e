"""From what pytest saw in one phase of a test to a verdict, and how it travels with the report."""

from __future__ import annotations

import contextlib
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance.errors import Hung, Leaked, Misbehaved, SeatrialError, said
from seatrial.conformance.harness import Harness
from seatrial.conformance.plan import KEY
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.harness import Journal
    from seatrial.conformance.profiles import Profile

_LIMIT_CHARACTERS = 4000
_COMMANDS = 8
_STEPS = 200
#: Clauses that the auditor's findings are about.
_AFTER_ERROR = "runtime.errors.environment-restored"
_AFTER_DELETE = "runtime.delete.removes-created-resources"

#: Where a test keeps its harness for the verdict.
HARNESS = pytest.StashKey[Harness]()
#: The report's member that carries the verdict, as JSON: pytest-xdist hands on plain values only.
_MEMBER = "seatrial"


def marked(item: pytest.Item) -> list[str]:
    """Return the ids of the requirements that a test judges."""
    return [str(name) for mark in item.iter_markers("requirement") for name in mark.args]


def needed(item: pytest.Item) -> list[str]:
    """Return the needs that a test has beyond those of its requirements."""
    return [str(name) for mark in item.iter_markers("needs") for name in mark.args]


def attach(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put the verdict of one phase, if it has one, into its report."""
    if marked(item) and (call.when == "call" or call.excinfo is not None):
        line = {
            "verdict": _verdict(item, call).as_dict(),
            "runtimes": item.config.stash[KEY].runtimes,
        }
        vars(report)[_MEMBER] = json.dumps(line)
        if report.failed:
            # As it travels from a worker of pytest-xdist, which takes no lone surrogates.
            text = str(report.longrepr)
            report.longrepr = text.encode(errors="backslashreplace").decode()


def verdict_of(report: pytest.TestReport) -> Verdict | None:
    """Return the verdict that a report carries; set-up and teardown that went well have none."""
    text = vars(report).get(_MEMBER)
    return Verdict.from_dict(json.loads(text)["verdict"]) if text else None


def runtimes_of(report: pytest.TestReport) -> list[dict[str, Any]]:
    """Return the runtimes that are judged, as the process knows them that ran the test."""
    text = vars(report).get(_MEMBER)
    found: list[dict[str, Any]] = json.loads(text)["runtimes"] if text else []
    return found


def _verdict(item: pytest.Item, call: pytest.CallInfo[None]) -> Verdict:
    plan = item.config.stash[KEY]
    door = item.stash.get(HARNESS, None)
    error = call.excinfo.value if call.excinfo else None
    adapter: Adapter = item.callspec.params["seatrial_session"]  # type: ignore[attr-defined]
    rows = [name for name in marked(item) if plan.registry[name].in_force(plan.spec)]
    common: dict[str, Any] = {
        "test": item.nodeid,
        "runtime": adapter.name,
        "requirements": tuple(rows),
        "duration_s": round(call.duration, 4),
    }
    if error is None:
        notes = tuple(dict.fromkeys(door.notes)) if door else ()
        return Verdict(**common, status="note" if notes else "pass", notes=notes)
    message = _message(error)
    if isinstance(error, pytest.skip.Exception):
        return Verdict(**common, status="skip", evidence=message)
    common |= {
        "message": message,
        "example": _example(error),
        "reproduce": _again(item.nodeid, adapter, plan.profile),
    }
    if isinstance(error, Leaked) and door and call.when == "teardown":
        leak = door.leaks[0]
        common["requirements"] = (_AFTER_ERROR if leak.after_error else _AFTER_DELETE,)
        return Verdict(
            **common,
            **_evidence(leak.journal, door.places),
            status="fail",
            kind="leaked",
            audit=True,
        )
    common |= _evidence(door.journal, door.places) if door else {}
    if isinstance(error, Misbehaved | Hung):
        return Verdict(**common, status="fail", kind=error.kind)
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return Verdict(**common, status="fail", kind="wrong")
    return Verdict(**common, status="error")


def _message(error: BaseException) -> str:
    if isinstance(error, AssertionError | Hung | SeatrialError | pytest.skip.Exception):
        text = said(error)
    else:
        text = f"{type(error).__name__}: {error}"
    text = text or type(error).__name__
    return text if len(text) <= _LIMIT_CHARACTERS else text[:_LIMIT_CHARACTERS] + "…"


def _example(error: BaseException) -> str:
    notes = [
        note
        for note in getattr(error, "__notes__", ())
        if note.startswith(("Falsifying example", "Failing test case"))
    ]
    return "\n".join(notes)[:_LIMIT_CHARACTERS]


def _again(nodeid: str, adapter: Adapter, profile: Profile) -> str:
    test, _, _ = nodeid.partition("[")
    name = adapter.given or adapter.name
    return shlex.join(["pytest", test, "--runtime", name, *profile.arguments])


def _evidence(journal: Journal, places: dict[str, str]) -> dict[str, Any]:
    config: Any = journal.config
    if isinstance(config, bytes):
        config = config.decode(errors="backslashreplace")
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        # What JSON cannot say was not in a config.json either, but in a test that went wrong.
        json.dumps(config)
        steps = [step.as_dict() for step in journal.trace[-_STEPS:]]
        json.dumps(steps)
        return {
            "config": config,
            "commands": tuple(shlex.join(each.argv) for each in journal.commands[-_COMMANDS:]),
            "trace": {**places, "steps": steps},
        }
    return {}
