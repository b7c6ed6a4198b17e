"""Findings as folders: the bundle, what was seen, and a script that runs it on any runtime."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.comparison import programs, shown
from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from seatrial.conformance.comparison.search import Finding
    from seatrial.conformance.comparison.shown import Comparison

_TEMPLATE = Path(__file__).parent / "run.sh.jinja"
#: Where the script puts its containers, in every hierarchy.
_CGROUP = "/seatrial-compare"
_NAME_CHARACTERS = 60


def prepare(folder: Path) -> None:
    """Make the folder that findings will be in; raises ``UsageError`` if it is not empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", hint="--output takes a new folder")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None


def write(comparison: Comparison, folder: Path) -> None:
    """Write a folder for each finding; raises ``UsageError`` where that cannot be."""
    try:
        for number, finding in enumerate(comparison.findings(), 1):
            _write(comparison, finding, folder / f"{number:02}-{_name(finding)}")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None


def _name(finding: Finding) -> str:
    words = re.sub(r"[^A-Za-z0-9.]+", "-", finding.differences[0].place).strip("-.")
    return words[:_NAME_CHARACTERS]


def _write(comparison: Comparison, finding: Finding, folder: Path) -> None:
    folder.mkdir()
    config = programs.with_program(finding.config)
    config["linux"]["cgroupsPath"] = f"{_CGROUP}/difference"
    made = Bundle(folder, config)
    for empty in ("proc", "dev", "tmp"):
        (made.rootfs / empty / ".keep").touch()  # git and zip lose empty folders
    made.path.rename(folder / "bundle")
    told = json.dumps(shown.as_dict(comparison, finding), indent=1, ensure_ascii=False)
    (folder / "difference.json").write_bytes(f"{told}\n".encode("utf-8", "surrogatepass"))
    source = _TEMPLATE.read_text(encoding="utf-8")
    environment = jinja2.Environment(  # noqa: S701 - a script, whose texts are words of ours
        keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    runtimes = [dict(each) for each in comparison.runtimes.values()]
    text = environment.from_string(source).render(runtimes=runtimes, cgroup=_CGROUP)
    script = folder / "run.sh"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
