"""Results files: what is written is what is read, and a file that was cut is refused."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from seatrial.conformance.data import schema_file
from seatrial.conformance.errors import UsageError
from seatrial.conformance.results import Results, Writer, now
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

RUNTIME = {
    "name": "crun",
    "path": "/usr/bin/crun",
    "version": "1.8",
    "sha256": "0" * 64,
    "view": "host",
    "config_version": "1.3.0",
}
VERDICTS = (
    Verdict("a.py::test_a[crun]", "crun", ("runtime.kill.delivers-signal",), "pass"),
    Verdict(
        "a.py::test_b[crun]",
        "crun",
        ("runtime.start.runs-program",),
        "fail",
        duration_s=0.5,
        kind="wrong",
        message="no \ud800 \x1b \u2028 \x85",
        config={"a": ["\x00", 1.5, None]},
        commands=("crun create c1",),
    ),
    Verdict("a.py::test_c[crun]", "crun", ("runtime.a.b",), "skip", evidence="none"),
    Verdict("a.py::test_d[crun]", "crun", ("runtime.a.b",), "note", notes=("seen",)),
)
STATUSES = " ['pass', 'fail', 'error', 'skip', 'note']"
Lines = list[dict[str, Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A results file with four verdicts."""
    path = tmp_path / "deep" / "er" / "results.jsonl"
    writer = Writer(path)
    writer.header(spec="1.3.0", runtimes=[RUNTIME], environment={"kernel": "6.1"})
    for verdict in VERDICTS:
        writer.verdict(verdict)
    writer.footer(exit_status=1, complete=True)
    return path


def lines(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(path: Path, edit: Callable[[Lines], object]) -> None:
    documents = lines(path)
    edit(documents)
    path.write_text("".join(json.dumps(line) + "\n" for line in documents))


def complaint(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        Results.read(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    return text.replace(str(path), "FILE")


def test_what_was_written_is_read(path: Path) -> None:
    found = Results.read(path)
    assert found.verdicts == VERDICTS
    assert found.header["runtimes"] == [RUNTIME]
    assert found.header["environment"] == {"kernel": "6.1"}
    assert (found.footer["complete"], found.footer["exit_status"]) == (True, 1)


def test_each_line_is_as_the_schema_says(path: Path) -> None:
    schema = json.loads(schema_file("conformance-results.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for line in lines(path):
        jsonschema.validate(line, schema)
    assert path.read_bytes().isascii()


def test_a_line_is_there_as_soon_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    writer = Writer(path)
    writer.header(spec="1.3.0", runtimes=[RUNTIME], environment={})
    assert len(lines(path)) == 1
    writer.verdict(VERDICTS[0])
    assert len(lines(path)) == 2
    writer.close()
    writer.close()
    assert complaint(path) == "results FILE is cut off: it has no footer"


def test_times_are_utc_to_the_second() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", now())


@pytest.mark.parametrize("bytes_lost", [1, 10, 200, 400])
def test_a_file_cut_anywhere_is_refused(path: Path, bytes_lost: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: -bytes_lost - 1])
    assert "cut off" in complaint(path)


def test_a_file_cut_at_many_places_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 7):
        path.write_bytes(content[:length])
        with pytest.raises(UsageError):
            Results.read(path)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda each: each.pop(0), "results FILE has no header: line 1 is a verdict"),
        (lambda each: each.pop(), "results FILE is cut off: it has no footer"),
        (lambda each: each.pop(2), "results FILE is cut: 3 verdicts where the footer counts 4"),
        (lambda each: each.insert(2, each[0]), "results FILE, line 3: a header in between"),
        (lambda each: each.insert(2, each[-1]), "results FILE, line 3: a footer in between"),
        (lambda each: each.reverse(), "results FILE has no header: line 1 is a footer"),
        (
            lambda each: each[0].update(format=2),
            "results FILE has format 2, and this seatrial reads format 1",
        ),
        (
            lambda each: each[0].pop("format"),
            "results FILE has format None, and this seatrial reads format 1",
        ),
        (
            lambda each: each[1].update(type="verdikt"),
            "results FILE, line 2: neither header, verdict nor footer",
        ),
        (
            lambda each: each[1].update(type=[]),
            "results FILE, line 2: neither header, verdict nor footer",
        ),
        (
            lambda each: each[1].update(status="great"),
            "results FILE, line 2: a verdict in which $.status: 'great' is not one of" + STATUSES,
        ),
        (
            lambda each: each[2].pop("kind"),
            "results FILE, line 3: a verdict in which $: 'kind' is a required property",
        ),
        (
            lambda each: each[-1].update(verdicts="4"),
            "results FILE, line 6: a footer in which $.verdicts: '4' is not of type 'integer'",
        ),
        (
            lambda each: each[1].update(runtime="runc"),
            "results FILE, line 2: runtime runc is not in the header",
        ),
        (
            lambda each: each[0]["runtimes"].append(RUNTIME),
            "results FILE: two runtimes of one name in the header",
        ),
        (
            lambda each: each[0].update(runtimes=[]),
            "results FILE, line 1: a header in which $.runtimes: [] should be non-empty",
        ),
    ],
    ids=itertools.count(1),
)
def test_what_is_wrong_is_told_with_its_line(
    path: Path, edit: Callable[[Lines], object], expected: str
) -> None:
    rewrite(path, edit)
    assert complaint(path) == expected


def test_a_long_wrong_value_is_shortened(path: Path) -> None:
    rewrite(path, lambda each: each[1].update(status="x" * 10_000))
    assert complaint(path).endswith("…")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "results FILE is empty"),
        (b"\n", "results FILE is cut off or damaged at line 1: not JSON"),
        (b"\xff\n", "results FILE is not UTF-8 text"),
        (b"\x1f\x8b\x08", "results FILE is not UTF-8 text"),
        (b"[]\n", "results FILE, line 1: neither header, verdict nor footer"),
        (b"<html>\n", "results FILE is cut off or damaged at line 1: not JSON"),
        (b"[" * 100_000, "results FILE is cut off or damaged at line 1: not JSON"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_what_are_no_results_is_told(path: Path, content: bytes, expected: str) -> None:
    path.write_bytes(content)
    assert complaint(path) == expected


def test_a_damaged_line_is_told(path: Path) -> None:
    content = path.read_bytes().splitlines(keepends=True)
    content[2] = content[2][:30] + b"\n"
    path.write_bytes(b"".join(content))
    assert complaint(path) == "results FILE is cut off or damaged at line 3: not JSON"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert complaint(tmp_path) == "cannot read results FILE: Is a directory"
    assert complaint(tmp_path / "none") == "cannot read results FILE: No such file or directory"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, "Is a directory"),
        (tmp_path / "file" / "below", "File exists"),
        (Path("/proc/none/results"), "No such file or directory"),
    ):
        with pytest.raises(UsageError, match=f"^cannot write results to {path}: {why}$"):
            Writer(path)


def test_a_full_disk_is_told() -> None:
    writer = Writer(Path("/dev/full"))
    with pytest.raises(UsageError, match=r"^cannot write results to /dev/full: No space left"):
        writer.header(spec="1.3.0", runtimes=[RUNTIME], environment={})
    writer.close()


def test_a_line_that_the_schema_does_not_know_is_not_written(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "results.jsonl")
    with pytest.raises(jsonschema.ValidationError):
        writer.header(spec="2", runtimes=[RUNTIME], environment={})
    writer.close()
    assert (tmp_path / "results.jsonl").read_bytes() == b""
