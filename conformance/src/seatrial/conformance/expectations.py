"""Expectations: which failures of a runtime are known, and why.  A second axis beside verdicts.

They never change what was seen; they only decide the exit status.
"""

from __future__ import annotations

import contextlib
import fnmatch
import platform
import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from seatrial.conformance.cgroups import MODES
from seatrial.conformance.data import data_directory
from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from seatrial.conformance.registry import Registry
    from seatrial.conformance.verdicts import Verdict

_KEYS = {"requirement", "status", "test", "when", "reason", "checked", "url"}
_REQUIRED = ("requirement", "status", "reason", "url")
#: Kinds of failure that no expectation covers: a crash or a hang is news every time.
_NEVER_KNOWN = frozenset({"crashed", "hung"})


@dataclass(frozen=True)
class Expectation:
    """One known failure; ``test`` narrows it to the tests whose name is that.

    After the name may stand ``[PATTERN|PATTERN]`` for those of its parameters that are meant; in a
    pattern ``*`` is any text.  ``checked`` says what was run by hand, without the harness, and
    what was seen.
    """

    requirement: str
    reason: str
    url: str
    test: str = ""
    version: SpecifierSet | None = None
    kernel: SpecifierSet | None = None
    cgroups: str = ""
    checked: str = ""

    def applies(self, runtime_version: str, kernel: str, cgroups: str = "") -> bool:
        """Whether it is about this version of the runtime on this kernel, seeing these cgroups."""
        within = _within(self.version, runtime_version) and _within(self.kernel, kernel)
        return within and self.cgroups in {"", cgroups}

    def covers(self, verdict: Verdict, requirement: str) -> bool:
        """Whether ``verdict`` on ``requirement`` is what it is about."""
        name, _, parameter = verdict.test.rpartition("::")[2].partition("[")
        own, _, pattern = self.test.partition("[")
        if requirement != self.requirement or own not in {"", name}:
            return False
        # The runtime's name is a parameter as well, the first or the last.
        parameter = parameter.removesuffix("]").removeprefix(f"{verdict.runtime}-")
        parameter = parameter.removesuffix(f"-{verdict.runtime}")
        patterns = pattern.removesuffix("]").split("|")
        return not pattern or any(fnmatch.fnmatchcase(parameter, each) for each in patterns)


def _within(specifier: SpecifierSet | None, text: str) -> bool:
    if specifier is None:
        return True
    found = re.match(r"\d+(\.\d+)*", text)
    try:
        return found is not None and specifier.contains(Version(found[0]), prereleases=True)
    except InvalidVersion:
        return False


def load(path: Path, registry: Registry) -> list[Expectation]:
    """Read an expectations file; raises ``UsageError`` naming file, entry and key."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read expectations {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"expectations {path} is not TOML: {error}") from None
    entries = table.pop("expect", [])
    if table or not isinstance(entries, list):
        raise UsageError(f"expectations {path}: only [[expect]] tables belong there")
    return [_entry(path, number, entry, registry) for number, entry in enumerate(entries, 1)]


def for_runtime(name: str, registry: Registry) -> list[Expectation]:
    """Return the expectations that come with the harness for the runtime ``name``.

    Runtimes of one name are told apart by a number, ``crun#2``: they share their expectations.
    """
    path = data_directory("expectations") / f"{name.partition('#')[0]}.toml"
    return load(path, registry) if path.is_file() else []


def _entry(path: Path, number: int, entry: Any, registry: Registry) -> Expectation:  # noqa: ANN401
    where = f"expectations {path}, entry {number}"
    _check_keys(where, entry)
    if not entry["url"].startswith(("https://", "http://")):
        raise UsageError(f"{where}: url has to be an address, not {entry['url']!r}")
    try:
        registry.find(entry["requirement"])
    except UsageError as error:
        raise UsageError(f"{where}: {error}", hint=error.hint) from None
    if entry["status"] != "fail":
        raise UsageError(f'{where}: status has to be "fail", not {entry["status"]!r}')
    when = entry.get("when", {})
    return Expectation(
        requirement=entry["requirement"],
        reason=entry["reason"],
        url=entry["url"],
        test=entry.get("test", ""),
        version=_specifier(where, when.get("version")),
        kernel=_specifier(where, when.get("kernel")),
        cgroups=_cgroups(where, when.get("cgroups", "")),
        checked=entry.get("checked", ""),
    )


def _check_keys(where: str, entry: Any) -> None:  # noqa: ANN401
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: not a table")
    for key in entry:
        if key not in _KEYS:
            raise UsageError(
                f"{where}: unknown key {key}", hint=f"the keys are {', '.join(sorted(_KEYS))}"
            )
    for key in _REQUIRED:
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise UsageError(f"{where}: {key} is missing or not a text")
    if not isinstance(entry.get("test", ""), str):
        raise UsageError(f"{where}: test has to be the name of a test")
    if not isinstance(entry.get("checked", ""), str):
        raise UsageError(f"{where}: checked has to be a text")
    when = entry.get("when", {})
    if not isinstance(when, dict) or not when.keys() <= {"version", "kernel", "cgroups"}:
        raise UsageError(f"{where}: when takes version, kernel and cgroups")


def _cgroups(where: str, text: object) -> str:
    if text != "" and text not in MODES:
        raise UsageError(f"{where}: {text!r} is no mode of cgroups", hint=", ".join(MODES))
    return str(text)


def _specifier(where: str, text: object) -> SpecifierSet | None:
    if text is None:
        return None
    found: SpecifierSet | None = None
    if isinstance(text, str):
        with contextlib.suppress(InvalidSpecifier):
            found = SpecifierSet(text)
    if found is None:
        raise UsageError(f"{where}: {text!r} is not a version range", hint='">=1.1,<1.2"')
    return found


@dataclass(frozen=True)
class Outcome:
    """Verdicts seen against expectations."""

    verdicts: list[Verdict]
    unexpected_passes: list[Expectation]


def compare(
    verdicts: Iterable[Verdict],
    expectations: Iterable[Expectation],
    runtime_version: str,
    kernel: str | None = None,
    cgroups: str = "",
) -> Outcome:
    """Mark the verdicts that are known failures, and find expectations that no longer hold.

    ``kernel`` is the release that the verdicts are from; default: the running one.  ``cgroups`` is
    what the runtime saw of them: v1, v2 or hybrid.
    """
    kernel = platform.release() if kernel is None else kernel
    active = [each for each in expectations if each.applies(runtime_version, kernel, cgroups)]
    failed: set[Expectation] = set()
    passed: set[Expectation] = set()
    marked: list[Verdict] = []
    for verdict in verdicts:
        covered = {
            requirement: [each for each in active if each.covers(verdict, requirement)]
            for requirement in verdict.requirements
        }
        listed = {each for found in covered.values() for each in found}
        if verdict.status == "fail":
            failed |= listed
            known = all(covered.values()) and verdict.kind not in _NEVER_KNOWN
            because = dict.fromkeys(
                text
                for found in covered.values()
                for each in found
                for text in (each.reason, each.url)
            )
            marked.append(replace(verdict, known=known, because=tuple(because) if known else ()))
            continue
        if verdict.status in {"pass", "note"} and not verdict.audit:
            passed |= listed
        marked.append(verdict)
    return Outcome(marked, [each for each in active if each in passed - failed])
