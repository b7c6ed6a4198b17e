"""Who may be compared: a runtime whose containers do what they are told, and that conforms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from seatrial.perf import bundles, kinds
from seatrial.perf.cases import Case
from seatrial.perf.concerns import concerns
from seatrial.perf.configs import plain
from seatrial.perf.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.contenders import Contender
    from seatrial.perf.place import Place

_STATUS = 7
_SHOWN = 3


def try_out(place: Place, contender: Contender) -> str | None:
    """Run the plain bundle twice; return what is wrong with what came of it.

    Its payload has to be heard, and its exit status has to arrive, 0 and another.
    """
    case = Case("guard", "plain", "run", plain(), floor=True)
    for status in (0, _STATUS):
        arguments = [str(status)] if status else []
        bundle = bundles.make(place, contender, case, *arguments, slot=f"-{status}")
        identifier = place.new_id()
        raw = place.sample(kinds.run(place, contender, bundle, identifier))
        wrong = _wrong(raw, status)
        if wrong:
            place.clear(contender, identifier)
            return wrong
    return None


def _wrong(raw: dict[str, Any], status: int) -> str | None:
    expected = f"run: exit status {status}"
    if status and raw.get("error") == expected:
        return None
    if "error" in raw:
        said = raw.get("stderr", "").strip().splitlines()
        return f"{raw['error']}{': ' + said[-1] if said else ''}"
    if status:
        return f"run: exit status {raw['steps'][-1]['status']} of a program that ends with {status}"
    return None


def _name(verdict: dict[str, Any]) -> str:
    name: str = verdict["test"].rpartition("::")[2]
    return name


class Conformance:
    """What the conformance results given say about runtimes, by their hashes."""

    def __init__(self, paths: list[Path]) -> None:
        """Read results files; raises ``UsageError`` for one that is none, or was cut off."""
        self._failures: dict[str, list[str]] = {}
        self._concerning: dict[str, list[str]] = {}
        for path in paths:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        except ValueError:
            raise UsageError(f"{path} is not a file of conformance results") from None
        if not lines or not isinstance(lines[0], dict) or lines[0].get("type") != "header":
            raise UsageError(f"{path} is not a file of conformance results")
        footer = lines[-1]
        if footer.get("type") != "footer" or not footer.get("complete"):
            raise UsageError(f"{path} is not complete: its run was cut off")
        hashes = {each["name"]: each["sha256"] for each in lines[0]["runtimes"]}
        for runtime, sha256 in hashes.items():
            failed = [
                line
                for line in lines[1:-1]
                if line["status"] in {"fail", "error"} and line["runtime"] == runtime
            ]
            # Only the exit status says whether what failed was known, and whether it decides.
            names = self._failures.setdefault(sha256, [])
            names += map(_name, failed if footer["exit_status"] else ())
            names = self._concerning.setdefault(sha256, [])
            names += map(_name, filter(concerns, failed))

    def wrong(self, contender: Contender) -> str | None:
        """Return why a contender's figures are not comparable, by these results."""
        for failed, what in (
            (self._concerning, "it fails tests of the conformance suite that its bundles rest on"),
            (self._failures, "its failures in the conformance suite are not all known ones"),
        ):
            if names := failed.get(contender.sha256, []):
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                return f"{what}: {', '.join(names[:_SHOWN])}{more}"
        return None

    def knows(self, contender: Contender) -> bool:
        """Whether there are results for this very build."""
        return contender.sha256 in self._failures
