"""The command ``seatrial``: its subcommands, its exit statuses, what it prints and where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from seatrial.conformance import adapters, expectations
from seatrial.conformance.cli.main import main
from seatrial.conformance.results import Writer
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from conformance.tests.conftest import Trial

KILL = "runtime.kill.delivers-signal"
COMMAND = Path(sys.executable).with_name("seatrial")
RUNTIME = {
    "name": "crun",
    "path": "/usr/bin/crun",
    "version": "1.8",
    "sha256": "0" * 64,
    "view": "host",
    "config_version": "1.3.0",
}
FAILED = Verdict(
    "a.py::test_it_fails[crun]",
    "crun",
    (KILL,),
    "fail",
    kind="wrong",
    message="assert False\n +  where False = </bin/crun → exit status 0, stderr '\ud800'>.failed",
    config={"hostname": "h\u00e9\ud800", "mounts": [1]},
    commands=("crun kill c1 KILL",),
    reproduce="pytest a.py",
)

Output = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results file with one failure and one skip."""
    path = tmp_path / "results.jsonl"
    write(path, FAILED, Verdict("a.py::test_b[crun]", "crun", (KILL,), "skip", evidence="none"))
    return path


def write(path: Path, *verdicts: Verdict, complete: bool = True) -> None:
    writer = Writer(path)
    writer.header(spec="1.3.0", runtimes=[RUNTIME], environment={"kernel": "6.1"})
    for verdict in verdicts:
        writer.verdict(verdict)
    writer.footer(exit_status=1, complete=complete)


# report


def test_report_shows_what_the_run_showed(results: Path, capsys: Output) -> None:
    assert main(["report", "text", str(results)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"    FAIL   MUST       {KILL}  (2 tests)\n" in out
    assert "crun 1.8: 1 failure\n" in out
    assert "  got       exit status 0, stderr '\\udc" not in out
    assert "  got       exit status 0, stderr '\\ud800'\n" in out
    assert "  did       crun kill c1 KILL\n" in out
    assert "  again     pytest a.py\n" in out
    assert "crun 1.8, requirements of runtime-spec 1.3.0\n  MUST       0 pass, 1 fail, " in out


def test_report_knows_what_is_expected(
    results: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (results.parent / "crun.toml").write_text(
        f'[[expect]]\nrequirement = "{KILL}"\nstatus = "fail"\nreason = "r"\nurl = "https://u"\n'
        'when = { version = "<2", kernel = "==6.1" }\n'
    )
    monkeypatch.setattr(expectations, "data_directory", lambda _: results.parent)
    assert main(["report", "text", str(results)]) == 0
    out = capsys.readouterr().out
    assert f"KNOWN  MUST       {KILL}" in out
    assert "1 known failure\n" in out
    assert "1 fail (1 known)" in out


def test_report_says_when_a_run_was_interrupted(tmp_path: Path, capsys: Output) -> None:
    write(tmp_path / "r", FAILED, complete=False)
    assert main(["report", "text", str(tmp_path / "r")]) == 0
    assert "1.3.0 (run was interrupted)\n" in capsys.readouterr().out


def test_report_in_other_formats(results: Path, capsys: Output) -> None:
    assert main(["report", "json", str(results)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["spec"], len(document["verdicts"])) == ("1.3.0", 2)
    assert main(["report", "junit", str(results)]) == 0
    suite = ET.fromstring(capsys.readouterr().out)[0]  # noqa: S314 - ours
    assert {each.get("value") for each in suite.iter("property")} == {KILL, "MUST"}


def test_report_gives_the_config_of_a_failure(results: Path, capsys: Output) -> None:
    done = subprocess.run([COMMAND, "report", "config", results, "fails"], check=True, stdout=-1)
    assert done.stdout == b'{\n "hostname": "h\xc3\xa9\xed\xa0\x80",\n "mounts": [\n  1\n ]\n}\n'
    assert main(["report", "config", str(results), "nothing"]) == 2
    assert capsys.readouterr() == (
        "",
        "seatrial: no failure in the results has a test id that contains 'nothing'\n",
    )


def test_report_of_a_config_that_is_no_json_gives_its_bytes(tmp_path: Path, capsys: Output) -> None:
    write(tmp_path / "r", Verdict("a.py::x[crun]", "crun", (KILL,), "error", config="{\\xff"))
    assert main(["report", "config", str(tmp_path / "r"), "x"]) == 0
    assert capsys.readouterr().out == "{\\xff\n"


def test_report_refuses_a_file_that_was_cut(results: Path, capsys: Output) -> None:
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:-1]))
    assert main(["report", "text", str(results)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"seatrial: results {results} is cut off: it has no footer",
        "  hint: the run was killed or its disk was full; run it again",
    ]


@pytest.mark.parametrize("kind", ["text", "html", "markdown", "junit", "tap", "json", "badge"])
def test_report_refuses_rows_that_the_registry_has_not(
    tmp_path: Path, capsys: Output, kind: str
) -> None:
    write(tmp_path / "r", Verdict("a.py::x[crun]", "crun", ("runtime.kill.new",), "pass"))
    assert main(["report", kind, str(tmp_path / "r")]) == 2
    assert "unknown requirement 'runtime.kill.new'" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("kind", ["text", "html", "markdown", "junit", "tap", "json", "badge"])
def test_report_can_be_printed_anywhere(results: Path, kind: str, encoding: str) -> None:
    done = subprocess.run(
        [COMMAND, "report", kind, results],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.stderr == b""
    assert (b"crun 1.8" if kind == "badge" else KILL.encode()) in done.stdout


@pytest.mark.parametrize("kind", ["html", "markdown", "junit", "tap", "json", "badge"])
def test_report_writes_a_file(results: Path, capsys: Output, kind: str) -> None:
    output = results.parent / "new" / "report"
    assert main(["report", kind, str(results)]) == 0
    printed = capsys.readouterr().out
    assert main(["report", kind, str(results), "-o", str(output)]) == 0
    assert capsys.readouterr() == ("", "")
    written = output.read_text()
    made = re.compile(r"Made \S+ by")
    assert made.sub("", written) == made.sub("", printed)
    assert main(["report", kind, str(results), "-o", str(results / "below-a-file")]) == 2
    assert capsys.readouterr().err.startswith(f"seatrial: cannot write {results}/below-a-file: ")


@pytest.mark.parametrize("kind", ["text", "html", "markdown", "junit", "tap"])
def test_report_of_several_files_is_one(results: Path, capsys: Output, kind: str) -> None:
    assert main(["report", kind, str(results), str(results)]) == 0
    assert capsys.readouterr().out.count("crun 1.8") >= 2


@pytest.mark.parametrize("kind", ["html", "markdown", "junit", "tap", "json", "badge"])
def test_no_format_is_made_of_a_file_that_was_cut(results: Path, capsys: Output, kind: str) -> None:
    output = results.parent / "report"
    whole = results.read_bytes()
    for size in (len(whole) - 2, whole.index(b"\n") + 1, whole.rindex(b"\n", 0, -1) + 1):
        results.write_bytes(whole[:size])
        assert main(["report", kind, str(results), "-o", str(output)]) == 2
        assert f"results {results} is cut off" in capsys.readouterr().err
        assert not output.exists()


def test_a_badge_is_of_one_runtime(results: Path, capsys: Output) -> None:
    both = [str(results), str(results)]
    assert main(["report", "badge", *both]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "seatrial: the results are of several runtimes",
        "  hint: --runtime takes one of: crun 1.8 (1), crun 1.8 (2)",
    ]
    assert main(["report", "badge", *both, "--runtime", "crun 1.8 (2)", "--endpoint"]) == 0
    badge = json.loads(capsys.readouterr().out)
    assert badge["label"] == "crun 1.8 (2), runtime-spec 1.3.0"
    assert main(["report", "badge", str(results), "--runtime", "runc"]) == 2
    assert "the results are of no runtime named 'runc'" in capsys.readouterr().err


# runtimes


def test_runtimes_are_listed_with_what_is_here(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = {"crun": "echo crun version 9.9", "runc": "sleep 0; exit 1", "youki": None}
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n" if script else "\x7fELF")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert main(["runtimes"]) == 0
    refused = f"unknown (cannot execute {tmp_path}/youki: Exec format error)"
    assert capsys.readouterr().out.splitlines() == [
        f"crun         9.9  {tmp_path}/crun",
        f"runc         unknown  {tmp_path}/runc",
        "runsc        not on this machine",
        "seatrial-oci not on this machine",
        f"youki        {refused}  {tmp_path}/youki",
    ]
    assert main(["runtimes", "--format", "json"]) == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["crun"]["version"] == "9.9"
    assert found["runsc"]["path"] is None
    assert list(found) == list(adapters.known())


# test


def test_test_runs_the_suite_with_what_pytest_takes(trial: Trial) -> None:
    program = (str(COMMAND),)
    ran = trial("test", "--collect-only", "-q", "--requirement", "runtime.kill", program=program)
    assert ran.status == 0
    assert "test_kill" in ran.out
    ran = trial("test", "--requirement", "runtime.kil", program=program)
    assert (ran.status, ran.complaint[0]) == (2, "seatrial: unknown requirement 'runtime.kil'")
    ran = trial("test", "--no-such-option", program=program)
    assert ran.status == 2
    assert "unrecognized arguments: --no-such-option" in ran.err


# The command itself


@pytest.mark.parametrize(
    "words", [[], ["test"], ["report"], ["runtimes"], ["requirements"], ["requirements", "list"]]
)
def test_help_fits_into_the_terminal(
    words: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: {' '.join(['seatrial', *words])}")
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["tset"], "invalid choice: 'tset'"),
        (["report"], "the following arguments are required: FORMAT"),
        (["report", "text"], "the following arguments are required: RESULTS"),
        (["report", "r"], "invalid choice: 'r' (choose from "),
        (["report", "junit", "r", "--format", "html"], "unrecognized arguments: --format html"),
        (["runtimes", "crun"], "unrecognized arguments: crun"),
        (["report", "text", "r", "--frob"], "unrecognized arguments: --frob"),
    ],
)
def test_wrong_arguments_are_told_with_the_usage(
    words: list[str], said: str, capsys: Output
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: seatrial")
    assert said in err


def test_the_version_is_that_of_the_distribution(capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"seatrial {metadata.version('seatrial')}\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "r", *[FAILED] * 500)
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [COMMAND, "report", "text", tmp_path / "r"], stdout=writer, stderr=-1
    )
    os.close(writer)
    os.read(reader, 100)
    os.close(reader)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapters, "known", interrupt)
    assert main(["runtimes"]) == 130
