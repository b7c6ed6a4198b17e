"""The trace: what a test did with a container, as a results file keeps it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance import trace
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.report import parse
from seatrial.conformance.results import _validator

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.harness import Harness


def steps(door: Harness) -> list[dict[str, Any]]:
    return [step.as_dict() for step in door.journal.trace]


def test_a_trace_has_commands_waits_and_what_was_looked_at(door: Harness) -> None:
    config = door.config("report")
    config["hostname"] = "aft"
    report = door.run(config)
    assert report["hostname"] == "aft"
    seen = steps(door)
    assert [step["do"] for step in seen] == ["bundle", "run", "run", "wait", "run"]
    assert seen[3]["seen"] == ['"hostname":"aft"']
    assert seen[3]["exit_status"] == 0
    assert [step["exit_status"] for step in seen if step["do"] == "run"] == [0, 0, 0]
    files = {each["path"]: each for each in seen[0]["files"]}
    assert json.loads(files["config.json"]["text"])["hostname"] == "aft"
    assert files["rootfs/probe"] == {"path": "rootfs/probe", "type": "probe", "mode": 0o755}
    assert files["rootfs/tmp"]["type"] == "directory"
    for place in (door.places["work"], door.places["cgroup"]):
        assert place in json.dumps(seen)


def test_a_trace_has_the_lines_that_were_read(door: Harness) -> None:
    with door.running() as running:
        assert running.kill("KILL").ok
    kinds = [step["do"] for step in steps(door)]
    assert kinds == ["bundle", "run", "run", "line", "run"]
    assert json.loads(steps(door)[3]["text"])["act"] == "pause"


def test_a_trace_has_the_log_only_where_a_test_has_read_it(door: Harness) -> None:
    config = door.config("mark", "here", "/seatrial.log")
    for reads in (False, True):
        with door.stopped(config) as stopped:
            if reads:
                stopped.bundle.log_lines()
        assert ("log" in steps(door)[0]) == reads
    assert steps(door)[0]["log"][0].startswith('{"tag":"here"')


def test_every_step_is_as_the_schema_says(door: Harness) -> None:
    with door.stopped() as stopped:
        (stopped.bundle.path / "given.json").write_text("{}")
        stopped.runtime.invoke("state", id=str(stopped.bundle.path / "given.json"))
    done = steps(door)
    found: dict[str, Any] = {**door.places, "steps": done}
    assert done[-1]["files"][0]["text"] == "{}"
    line = {"type": "verdict", "test": "t", "runtime": "r", "requirements": ["x"], "status": "pass"}
    assert [*_validator("verdict").iter_errors({**line, "trace": found})] == []
    done[0]["do"] = "dance"
    assert [*_validator("verdict").iter_errors({**line, "trace": found})]


def test_files_of_all_types(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("é")
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "link").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "below").mkdir(0o700)
    (tmp_path / "below" / "large").write_bytes(b"\0" * ((1 << 20) + 1))
    found = {each.pop("path"): each for each in trace.files(tmp_path, probe_binary())}
    assert {name: each["type"] for name, each in found.items()} == {
        "text": "file",
        "bytes": "file",
        "link": "symlink",
        "fifo": "fifo",
        "below": "directory",
        "below/large": "other",
    }
    assert (found["text"]["text"], found["bytes"]["base64"]) == ("é", "/w==")
    assert found["link"]["target"] == "/nowhere"
    assert found["below"]["mode"] == 0o700


@pytest.mark.parametrize(
    ("line", "name", "value", "said"),
    [
        ('{"a":1,"umask":18}', "umask", 18, '"umask":18'),
        ('{"s":{"umask":7},"umask":18}', "umask", 18, '"umask":18'),
        ('{"t":"\\"umask\\":","umask":[1,2]}', "umask", [1, 2], '"umask":[1,2]'),
        ('{"a":1}', "umask", None, ""),
    ],
)
def test_a_member_is_found_as_it_was_printed(line: str, name: str, value: Any, said: str) -> None:
    assert trace.member(line, name, value) == said


def test_a_report_knows_what_was_asked() -> None:
    report = parse(b'{"probe":1,"cwd":"/","argv":[],"pid":1}')
    assert report.cwd == b"/"
    assert report["pid"] == 1
    assert list(report.asked) == ["cwd", "pid"]
