"""The registry's files: each is read, and checked down to the last key."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from seatrial.conformance.registry.requirement import (
    BINDS,
    DOCUMENTS,
    LEVELS,
    NEEDS,
    REASONS,
    TESTABLE,
    RegistryError,
    Requirement,
    meaning_of_need,
    suggestion,
)
from seatrial.conformance.spec import NEWEST, RELEASES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_ID = re.compile(rf"{_WORD}(?:\.{_WORD})+")
_ANCHOR = re.compile(_WORD)
_REASON = re.compile(rf"({_WORD}): \S.*")

_NEEDED_KEYS = ("id", "level", "anchor", "paraphrase", "binds", "since", "testable", "method")
_KEYS = (*_NEEDED_KEYS, "also", "until", "needs", "note", "untested")
_FILE_KEYS = ("document", "pending", "requirement")

_T = TypeVar("_T", bound=str)


class File:
    """One file of the registry, read and checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _parse(path)
        where = str(path)
        _check_keys(data, needed=_FILE_KEYS, allowed=_FILE_KEYS, where=where)
        self.document = _word(_string(data, "document", where), DOCUMENTS, "document", where)
        if path.stem != self.document.removesuffix(".md"):
            raise RegistryError(f"{path}: document {self.document} belongs in another file")
        tables = data["requirement"]
        if not isinstance(tables, list) or not tables:
            raise RegistryError(f"{path}: requirement is not an array of tables")
        self.rows: list[Requirement] = []
        for number, table in enumerate(tables, start=1):
            self.rows.append(self._row(table, number))
        self.pending = _strings(data, "pending", where)
        anchors = {row.anchor for row in self.rows}
        for anchor in self.pending:
            if anchor not in anchors:
                raise RegistryError(f"{path}: pending anchor {anchor!r}: no row has it")

    def _row(self, table: object, number: int) -> Requirement:
        where = f"{self.path}: requirement number {number}"
        if not isinstance(table, dict):
            raise RegistryError(f"{where}: is not a table")
        if "id" not in table:
            raise RegistryError(f"{where}: id is missing")
        identifier = _string(table, "id", where)
        where = f"{self.path}: requirement {identifier}"
        if _ID.fullmatch(identifier) is None:
            raise RegistryError(f"{where}: id is not lower-case words joined by '-' and '.'")
        _check_keys(table, needed=_NEEDED_KEYS, allowed=_KEYS, where=where)
        anchor = _string(table, "anchor", where)
        if _ANCHOR.fullmatch(anchor) is None:
            raise RegistryError(f"{where}: anchor {anchor!r} is not a heading's slug")
        row = Requirement(
            id=identifier,
            document=self.document,
            level=_word(_string(table, "level", where), LEVELS, "level", where),
            anchor=anchor,
            also=_strings(table, "also", where),
            paraphrase=_string(table, "paraphrase", where),
            binds=_word(_string(table, "binds", where), BINDS, "binds", where),
            since=_word(_string(table, "since", where), RELEASES, "since", where),
            until=_optional(table, "until", where),
            testable=_word(_string(table, "testable", where), TESTABLE, "testable", where),
            needs=_strings(table, "needs", where),
            method=_string(table, "method", where),
            note=_optional(table, "note", where),
            untested=_optional(table, "untested", where),
        )
        _check_places(row, where)
        _check_releases(row, where)
        _check_needs(row, where)
        _check_untested(row, where)
        return row


def _check_places(row: Requirement, where: str) -> None:
    for place in row.also:
        document, _, anchor = place.partition("#")
        if document not in DOCUMENTS or _ANCHOR.fullmatch(anchor) is None:
            raise RegistryError(f"{where}: also {place!r} is not of the form document.md#anchor")


def _check_releases(row: Requirement, where: str) -> None:
    if row.until is not None:
        _word(row.until, RELEASES, "until", where)
        if RELEASES.index(row.until) < RELEASES.index(row.since):
            raise RegistryError(f"{where}: until {row.until} is before since {row.since}")
        if row.until == NEWEST:
            raise RegistryError(f"{where}: until {row.until} is the newest release: leave it out")


def _check_needs(row: Requirement, where: str) -> None:
    for need in row.needs:
        if meaning_of_need(need) is None:
            raise RegistryError(
                f"{where}: unknown need {need!r}",
                hint=suggestion(need, NEEDS) or f"known: {', '.join(NEEDS)}, ...",
            )


def _check_untested(row: Requirement, where: str) -> None:
    if row.testable == "no" and row.untested is None:
        raise RegistryError(f"{where}: untested is missing, though testable is 'no'")
    if row.untested is not None:
        match = _REASON.fullmatch(row.untested)
        if match is None:
            raise RegistryError(f"{where}: untested is not of the form 'word: sentence'")
        _word(match[1], tuple(REASONS), "untested", where)


def _parse(path: Path) -> dict[str, object]:
    """Read one TOML file; an error names the line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RegistryError(f"{path}:{line}: not utf-8: {error.reason}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # "(at line 3, column 7)", or "(at end of document)"
        match = re.search(r"at line (\d+)", str(error))
        where = match[1] if match else text.count("\n") + 1
        raise RegistryError(f"{path}:{where}: not valid toml: {error}") from error


def _check_keys(
    table: Mapping[str, object], *, needed: Sequence[str], allowed: Sequence[str], where: str
) -> None:
    for key in table:
        if key not in allowed:
            raise RegistryError(f"{where}: unknown key {key!r}", hint=f"keys: {', '.join(allowed)}")
    for key in needed:
        if key not in table:
            raise RegistryError(f"{where}: {key} is missing")


def _string(table: Mapping[str, object], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise RegistryError(f"{where}: {key} is not a string: {value!r}")
    if not value.strip():
        raise RegistryError(f"{where}: {key} is empty")
    return value


def _optional(table: Mapping[str, object], key: str, where: str) -> str | None:
    return _string(table, key, where) if key in table else None


def _strings(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RegistryError(f"{where}: {key} is not an array of strings: {value!r}")
    items: list[str] = value
    for item, times in Counter(items).items():
        if times > 1:
            raise RegistryError(f"{where}: {key} has {item!r} more than once")
    return tuple(items)


def _word(value: str, words: tuple[_T, ...], key: str, where: str) -> _T:
    """Return the one of ``words`` that ``value`` is."""
    for word in words:
        if word == value:
            return word
    raise RegistryError(f"{where}: unknown {key} {value!r}", hint=f"known: {', '.join(words)}")
