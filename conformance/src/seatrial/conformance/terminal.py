"""What the user sees: progress while the suite runs, then the tree, the failures, the scores."""

from __future__ import annotations

import contextlib
import json
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from seatrial.conformance import config as configs
from seatrial.conformance.verdicts import rows, scores

if TYPE_CHECKING:
    import pytest

    from seatrial.conformance.errors import SeatrialError
    from seatrial.conformance.expectations import Outcome
    from seatrial.conformance.profiles import Profile
    from seatrial.conformance.registry import Registry
    from seatrial.conformance.verdicts import Row, Verdict

_WORDS: dict[str, tuple[str, str, str]] = {
    "pass": ("passed", ".", "PASS"),
    "fail": ("failed", "F", "FAIL"),
    "known": ("known", "k", "KNOWN"),
    "error": ("error", "E", "ERROR"),
    "skip": ("skipped", "s", "SKIP"),
    "note": ("noted", "n", "NOTE"),
}
_COLOURS = {"pass": "green", "fail": "red", "error": "red", "known": "yellow"}
_WIDTH = 100


@dataclass(frozen=True)
class Judged:
    """One runtime with what came of it."""

    runtime: dict[str, Any]
    outcome: Outcome
    complete: bool = True


def complain(error: SeatrialError) -> None:
    """Print an error for the user: one sentence on stderr, and the hint below it."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()  # what was said before comes before it, where both go the same way
    print(_printable(f"seatrial: {error}"), file=sys.stderr)  # noqa: T201
    if error.hint:
        print(_printable(f"  hint: {error.hint}"), file=sys.stderr)  # noqa: T201


def _printable(text: str) -> str:
    """Return ``text`` with lone surrogates, which no stream takes, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def word(verdict: Verdict, *, known: bool) -> tuple[str, str, str]:
    """Return pytest's category, letter and word for a verdict."""
    return _WORDS["known" if known else verdict.status]


def prepare(
    config: pytest.Config, runtimes: list[dict[str, Any]], spec: str, profile: Profile
) -> None:
    """Say what is judged, and leave the failures to ``summary`` instead of pytest's tracebacks."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    if reporter is None:
        return
    reporter.reportchars = ""
    for runtime in runtimes:
        reporter.write_line(
            f"judging {runtime['name']} {runtime['version']} ({runtime['path']}) by runtime-spec"
            f" {spec}; configs say {runtime['config_version']}, cgroup view {runtime['view']}"
        )
    if profile.name != "default":
        reporter.write_line(f"drawing examples by {' '.join(profile.arguments)}")


class Out(Protocol):
    """Where the summary is written to: pytest's terminal, or plain text."""

    def line(self, text: str = "", colour: str | None = None) -> None:
        """Write one line."""


class _Terminal(Out):
    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self.reporter = reporter

    def line(self, text: str = "", colour: str | None = None) -> None:
        self.reporter.write_line(_printable(text), **({colour: True} if colour else {}))


class Plain(Out):
    """Plain text on a stream."""

    def __init__(self) -> None:
        """Write to standard output."""

    def line(self, text: str = "", colour: str | None = None) -> None:
        """Write one line without its colour."""
        del colour
        print(_printable(text))  # noqa: T201


def summary(
    reporter: pytest.TerminalReporter, judged: list[Judged], registry: Registry, spec: str
) -> None:
    """Print all that there is to say at the end of a run."""
    reporter.write_sep("=", "verdicts")
    show(_Terminal(reporter), judged, registry, spec, quiet=reporter.verbosity < 0)


def show(
    out: Out, judged: list[Judged], registry: Registry, spec: str, *, quiet: bool = False
) -> None:
    """Write the tree of each runtime, then all failures, then the scores."""
    if not quiet:
        for each in judged:
            _tree(out, each, registry)
    for each in judged:
        _failures(out, each, registry)
    for each in judged:
        _score(out, each, registry, spec)


def _title(judged: Judged) -> str:
    return f"{judged.runtime['name']} {judged.runtime['version']}"


def _count(things: list[Verdict], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _word_of(row: Row) -> str:
    return "known" if row.status == "fail" and row.known else row.status


def _tree(out: Out, judged: Judged, registry: Registry) -> None:
    out.line()
    out.line(_title(judged))
    place = ""
    for identifier, row in rows(judged.outcome.verdicts, registry).items():
        requirement = registry[identifier]
        if requirement.place != place:
            place = requirement.place
            out.line(f"  {place}")
        kind = _word_of(row)
        out.line(
            f"    {_WORDS[kind][2]:<6} {requirement.level:<10} {identifier}"
            f"  ({_count(row.verdicts, 'test')})",
            _COLOURS.get(kind),
        )
        if kind == "skip":
            out.line(f"           {row.verdicts[0].evidence}")
        if kind == "note":
            for note in dict.fromkeys(note for v in row.verdicts for note in v.notes):
                _wrapped(out, "           ", note)


def _failures(out: Out, judged: Judged, registry: Registry) -> None:
    bad = [v for v in judged.outcome.verdicts if v.status in {"fail", "error"}]
    known = [v for v in bad if v.known]
    news = [v for v in bad if not v.known]
    if known:
        out.line()
        out.line(f"{_title(judged)}: {_count(known, 'known failure')}", "yellow")
        for verdict in known:
            _failure(out, verdict, registry, brief=True)
    if news:
        out.line()
        out.line(f"{_title(judged)}: {_count(news, 'failure')}", "red")
        for verdict in news:
            out.line()
            _failure(out, verdict, registry)
    for expectation in judged.outcome.unexpected_passes:
        out.line()
        out.line(
            f"{_title(judged)}: {expectation.requirement} passes, but is listed as a known failure:"
            " remove it from the expectations",
            "red",
        )


def _failure(out: Out, verdict: Verdict, registry: Registry, *, brief: bool = False) -> None:
    for name in verdict.requirements:
        requirement = registry[name]
        status = "error" if verdict.status == "error" else verdict.kind or ""
        out.line(f"{name}   {requirement.level}   {requirement.place}   {status}".rstrip(), "bold")
        _field(out, "clause", requirement.paraphrase)
    if brief:
        _field(out, "got", (verdict.got.splitlines() or [""])[0])
        for text in verdict.because:
            _field(out, "known", text)
        return
    _field(out, "expected", verdict.expected)
    if verdict.commands:
        _field(out, "did", verdict.commands[-1])
    _field(out, "got", verdict.got)
    if verdict.example:
        _field(out, "example", verdict.example)
    if verdict.config is not None:
        text = verdict.config
        if isinstance(text, dict):
            text = json.dumps(configs.difference(text), ensure_ascii=False)
        _field(out, "config", f"minimal config with {text}")
    if verdict.reproduce:
        _field(out, "again", verdict.reproduce)


def _field(out: Out, name: str, text: str) -> None:
    lines = text.splitlines() or [""]
    for number, line in enumerate(lines):
        label = name if number == 0 else ""
        _wrapped(out, f"  {label:<9} ", line)


def _wrapped(out: Out, prefix: str, text: str) -> None:
    pieces = textwrap.wrap(
        text, _WIDTH - len(prefix), break_long_words=False, break_on_hyphens=False
    ) or [""]
    out.line(prefix + pieces[0])
    for piece in pieces[1:]:
        out.line(" " * len(prefix) + piece)


def _score(out: Out, judged: Judged, registry: Registry, spec: str) -> None:
    out.line()
    incomplete = "" if judged.complete else " (run was interrupted)"
    out.line(f"{_title(judged)}, requirements of runtime-spec {spec}{incomplete}")
    for level, score in scores(judged.outcome.verdicts, registry, spec).items():
        out.line(f"  {level:<10} {score}")
