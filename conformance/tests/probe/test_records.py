"""Acts of the probe that write down that they were called: hooks, logs, marks."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import jsonschema
    from conformance.tests.probe.conftest import Probe


def test_log_appends_one_line_with_the_report(
    probe: Probe, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    assert probe.act("log", "tag", log) == {"act": "log", "ok": True, "path": str(log)}
    before, line = log.read_text().splitlines()
    assert before == "before"
    document = json.loads(line)
    assert list(document) == ["tag", "path", "time_ns", "boottime_ns", "report"]
    assert document["tag"] == "tag"
    assert document["path"] == str(log)
    schema.validate(document["report"])
    assert [x["fd"] for x in document["report"]["fds"]] == [0, 1, 2]


def test_a_hook_records_its_stdin_in_the_first_file_that_opens(
    probe: Probe, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    line = probe.act(
        *("hook", "prestart", tmp_path / "missing/log", log, tmp_path / "unused"),
        stdin=None,
        input=b'{"id": "\xff\0"}',
    )
    assert line == {"act": "hook", "ok": True, "path": str(log)}
    assert os.listdir(tmp_path) == ["log"]
    (text,) = log.read_text().splitlines()
    document = json.loads(text)
    assert document["stdin"].encode("latin-1") == b'{"id": "\xff\0"}'
    assert document["report"]["probe"] == 1


def test_a_hook_keeps_one_mebibyte_and_reads_the_rest(probe: Probe, tmp_path: Path) -> None:
    probe.act("hook", "x", tmp_path / "log", stdin=None, input=b"x" * 3_000_000)
    assert len(json.loads((tmp_path / "log").read_text())["stdin"]) == 2**20


@pytest.mark.parametrize("redirection", [">&-", "<&-", "<&- >&- 2>&-"])
def test_a_hook_records_itself_with_streams_closed(
    probe: Probe, tmp_path: Path, redirection: str
) -> None:
    log = tmp_path / "log"
    probe.run(
        "hook", "x", log, "+", "mark", "y", log, under=("sh", "-c", f'"$0" "$@" {redirection}')
    )
    hook, mark = (json.loads(line) for line in log.read_text().splitlines())
    assert (hook["tag"], mark["tag"]) == ("x", "y")
    assert hook["stdin"] == (None if "<" in redirection else "")


def test_a_hook_survives_a_broken_stdout(probe: Probe, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = tmp_path / "log"
    try:
        probe.run("hook", "x", log, "+", "hook", "y", log, stdout=writer)
    finally:
        os.close(writer)
    documents = [json.loads(line) for line in log.read_text().splitlines()]
    assert [x["tag"] for x in documents] == ["x", "y"]
    ignored = int(documents[1]["report"]["signals"]["ignored"], 16)
    assert not ignored >> signal.SIGPIPE - 1 & 1


def test_a_write_to_a_pipe_that_nobody_reads_is_epipe(probe: Probe) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        line = probe.act("write", f"/proc/self/fd/{writer}", "x", pass_fds=[writer])
    finally:
        os.close(writer)
    assert line == {"act": "write", "ok": False, "errno": "EPIPE"}


def test_mark_has_no_report(probe: Probe, tmp_path: Path) -> None:
    log = tmp_path / "log"
    probe.run("mark", "a", log, "+", "mark", "b", log)
    documents = [json.loads(line) for line in log.read_text().splitlines()]
    assert [x["tag"] for x in documents] == ["a", "b"]
    assert list(documents[0]) == ["tag", "path", "time_ns", "boottime_ns"]
    assert documents[0]["time_ns"] < documents[1]["time_ns"]
