"""Results files: JSON Lines with a header, one line per verdict, and a footer."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Self

import jsonschema
from jsonschema.exceptions import best_match

from seatrial.conformance.data import schema_file
from seatrial.conformance.errors import UsageError
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The version of the format; files of another one are refused.
FORMAT = 1

_SHOWN_CHARACTERS = 200


def now() -> str:
    """Return the time as results files write it: UTC, seconds, RFC 3339."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


@cache
def _validator(kind: str | None = None) -> jsonschema.Draft202012Validator:
    """Return the validator of any line, or of one ``kind``, which can say better what is wrong."""
    schema = json.loads(schema_file("conformance-results.json").read_text(encoding="utf-8"))
    if kind is not None:
        schema = {**schema["$defs"][kind], "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(schema)


class Writer:
    """Writes one results file, line by line, so that a run that is killed leaves what it had."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` anew; raises ``UsageError`` when it cannot be written."""
        self.path = path
        self._tests = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(f"cannot write results to {self.path}: {error.strerror}")

    def header(
        self,
        *,
        spec: str,
        runtimes: list[dict[str, Any]],
        environment: Mapping[str, object],
        profile: str = "default",
        seed: int | None = None,
    ) -> None:
        """Write the first line: what was judged, by what, where."""
        self._line(
            {
                "type": "header",
                "format": FORMAT,
                "suite": {"name": "seatrial", "version": metadata.version("seatrial")},
                "spec": spec,
                "profile": profile,
                **({} if seed is None else {"seed": seed}),
                "started": now(),
                "runtimes": runtimes,
                "environment": environment,
            }
        )

    def verdict(self, verdict: Verdict) -> None:
        """Write one verdict."""
        self._tests += 1
        self._line({"type": "verdict", **verdict.as_dict()})

    def footer(self, *, exit_status: int, complete: bool) -> None:
        """Write the last line and close the file."""
        self._line(
            {
                "type": "footer",
                "finished": now(),
                "verdicts": self._tests,
                "complete": complete,
                "exit_status": exit_status,
            }
        )
        self.close()

    def close(self) -> None:
        """Close the file as it is; safe to repeat."""
        self._file.close()

    def _line(self, line: dict[str, Any]) -> None:
        _validator().validate(line)
        content = memoryview(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise self._unwritable(error) from None


@dataclass(frozen=True)
class Results:
    """A results file that was read whole."""

    header: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    footer: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a file; raises ``UsageError`` saying which line is wrong and how."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UsageError(f"cannot read results {path}: {error.strerror}") from None
        except UnicodeError:
            raise UsageError(f"results {path} is not UTF-8 text") from None
        if not lines:
            raise UsageError(f"results {path} is empty")
        documents = [_parse(path, number, line) for number, line in enumerate(lines, 1)]
        _check_order(path, documents)
        header, *inner, footer = documents
        names = [runtime["name"] for runtime in header["runtimes"]]
        if len(names) != len(set(names)):
            raise UsageError(f"results {path}: two runtimes of one name in the header")
        for number, document in enumerate(inner, 2):
            if document["runtime"] not in names:
                raise UsageError(
                    f"results {path}, line {number}: runtime {document['runtime']} is not in the"
                    " header"
                )
        return cls(header, tuple(Verdict.from_dict(each) for each in inner), footer)


def _check_order(path: Path, documents: list[dict[str, Any]]) -> None:
    header, footer = documents[0], documents[-1]
    if header["type"] != "header":
        raise UsageError(f"results {path} has no header: line 1 is a {header['type']}")
    if footer["type"] != "footer":
        raise UsageError(
            f"results {path} is cut off: it has no footer",
            hint="the run was killed or its disk was full; run it again",
        )
    inner = documents[1:-1]
    for number, document in enumerate(inner, 2):
        if document["type"] != "verdict":
            raise UsageError(f"results {path}, line {number}: a {document['type']} in between")
    if len(inner) != footer["verdicts"]:
        raise UsageError(
            f"results {path} is cut: {len(inner)} verdicts where the footer counts"
            f" {footer['verdicts']}"
        )


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    where = f"results {path}, line {number}"
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(
            f"results {path} is cut off or damaged at line {number}: not JSON",
            hint="the run was killed or its disk was full; run it again",
        ) from None
    kinds = ("header", "verdict", "footer")
    if not isinstance(document, dict) or document.get("type") not in kinds:
        raise UsageError(f"{where}: neither header, verdict nor footer")
    if document["type"] == "header" and document.get("format") != FORMAT:
        raise UsageError(
            f"results {path} has format {document.get('format')!r}, and this seatrial reads"
            f" format {FORMAT}"
        )
    problem = best_match(_validator(document["type"]).iter_errors(document))
    if problem is not None:
        raise UsageError(f"{where}: a {document['type']} in which {_shorten(problem)}")
    return document


def _shorten(problem: jsonschema.ValidationError) -> str:
    text = f"{problem.json_path}: {problem.message}"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
