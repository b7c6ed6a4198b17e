"""``seatrial requirements``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import pytest

from seatrial.conformance.cli import requirements as command
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.registry.requirement import RegistryError, UnknownRequirement

if TYPE_CHECKING:
    from pathlib import Path

TESTS = {"runtime.kill.not-alive-errors": ["test_kill.py::test_a", "test_kill.py::test_b"]}

Output = pytest.CaptureFixture[str]


class Run(Protocol):
    """What the fixture ``run`` gives: words of the command line to exit status."""

    def __call__(self, *words: str) -> int: ...


def collect(monkeypatch: pytest.MonkeyPatch, tests: dict[str, list[str]]) -> None:
    module = ModuleType("seatrial.conformance.collection")
    module.collect_tests = lambda: tests  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line as ``seatrial`` does, with a suite of two tests."""
    collect(monkeypatch, TESTS)

    def run(*words: str) -> int:
        parser = argparse.ArgumentParser(prog="seatrial")
        command.add_parser(parser.add_subparsers(required=True))
        arguments = parser.parse_args(["requirements", *words])
        status: int = arguments.run(arguments)
        return status

    return run


def ids(capsys: Output) -> list[str]:
    return [row["id"] for row in json.loads(capsys.readouterr().out)]


# --- list ---


def test_list_shows_level_id_and_paraphrase_by_section(run: Run, capsys: Output) -> None:
    assert run("list", "runtime.kill.delivers-signal", "runtime.start.missing-id-errors") == 0
    assert capsys.readouterr().out == (
        "runtime.md#start\n"
        "  MUST        runtime.start.missing-id-errors\n"
        "              start without an id is an error\n"
        "\n"
        "runtime.md#kill\n"
        "  MUST        runtime.kill.delivers-signal\n"
        "              kill delivers the given signal to the container process\n"
        "\n"
        "2 of 687 requirements\n"
    )


def test_list_and_its_filters_do_without_the_suite(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "seatrial.conformance.collection", None)
    assert run("list", "--level", "MUST", "--format", "json") == 0
    with pytest.raises(ImportError):
        run("list", "--status", "tested")


def test_list_is_what_happens_without_a_command(run: Run, capsys: Output) -> None:
    for words in ([], ["runtime.kill"], ["--level", "MAY", "bundle", "config"]):
        assert run("list", *words) == 0
        with_command = capsys.readouterr().out
        assert run(*words) == 0
        assert capsys.readouterr().out == with_command


def test_no_command_is_named_as_a_prefix_is() -> None:
    registry = Registry.load(requirements_directory())
    assert not {name.split(".")[0] for name in registry} & {*command.COMMANDS}


def test_list_fits_into_100_columns(run: Run, capsys: Output) -> None:
    assert run("list", "--status", "tested,untested,pending,missing") == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 100
    assert "687 of 687 requirements" in output


def test_list_filters_by_every_column(run: Run, capsys: Output) -> None:
    assert (
        run("--format", "json", "--level", "must,SHOULD", "--level", "MAY", "--needs", "hook") == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert {row["level"] for row in rows} == {"MUST", "MAY"}
    assert all("hook" in row["needs"] for row in rows)

    assert run("--format", "json", "--document", "config-vm.md", "--binds", "config") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["document"], row["binds"]) for row in rows} == {("config-vm.md", "config")}

    assert run("--format", "json", "config.hooks.poststart", "--in-force", "1.2.0") == 0
    assert "config.hooks.poststart.failure-warns" in ids(capsys)
    assert run("--format", "json", "config.hooks.poststart", "--in-force", "1.3.0") == 0
    assert "config.hooks.poststart.failure-warns" not in ids(capsys)


def test_list_by_status_collects_the_tests(run: Run, capsys: Output) -> None:
    assert run("--status", "tested", "--format", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["id"] == "runtime.kill.not-alive-errors"
    assert row["status"] == "tested"
    assert row["tests"] == TESTS[row["id"]]
    assert run("--status", "tested") == 0
    assert "runtime.kill.not-alive-errors  tested\n" in capsys.readouterr().out


def test_list_of_nothing_says_so(run: Run, capsys: Output) -> None:
    assert run("bundle", "--level", "SHOULD") == 0
    assert capsys.readouterr().out == "no requirements\n"


def test_json_of_a_row_has_every_field(run: Run, capsys: Output) -> None:
    assert run("runtime.kill.delivers-signal", "--format", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["url"].endswith("/v1.3.0/runtime.md#kill")
    assert row["until"] is None
    assert row["also"] == []
    assert "status" not in row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--level", "OUGHT"], "argument --level: unknown word 'OUGHT' (known: MUST, MUST-NOT,"),
        (["--needs", "rooot"], "argument --needs: unknown need 'rooot'"),
        (["--in-force", "1.x"], "argument --in-force: spec version '1.x' is not of the form"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["show"], "the following arguments are required: ID"),
        (["check", "runtime"], "unrecognized arguments: runtime"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    run: Run, capsys: Output, words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_every_command(run: Run, capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--help")
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: seatrial requirements [-h] [COMMAND] ...\n")
    assert all(name in output for name in command.COMMANDS)


# --- show ---


def test_show_tells_everything_on_one(run: Run, capsys: Output) -> None:
    assert run("show", "runtime.kill.not-alive-errors") == 0
    assert capsys.readouterr().out == (
        "runtime.kill.not-alive-errors\n"
        "  kill on a container neither created nor running is an error\n"
        "\n"
        "  level     MUST\n"
        "  place     runtime.md#kill\n"
        "  url       https://github.com/opencontainers/runtime-spec/blob/v1.3.0/runtime.md#kill\n"
        "  binds     runtime\n"
        "  since     1.0.0\n"
        "  testable  yes\n"
        "  method    kill a stopped, a deleted and an unknown container: all fail\n"
        "  status    tested\n"
        "  tests     test_kill.py::test_a\n"
        "            test_kill.py::test_b\n"
    )


def test_show_says_what_a_need_means_and_why_there_is_no_test(run: Run, capsys: Output) -> None:
    assert run("show", "config.mounts.idmap.userns-mapping-allowed") == 0
    output = capsys.readouterr().out
    assert "  needs     idmap         idmapped mounts on the test filesystem\n" in output
    assert "            kernel>=5.12  Linux 5.12 or newer\n" in output
    assert "  status    untested\n" in output
    assert "  untested  permission: nothing can fail" in output


def test_show_as_json_has_status_and_tests(run: Run, capsys: Output) -> None:
    assert run("show", "runtime.kill.not-alive-errors", "--format", "json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["status"], row["tests"]) == ("tested", TESTS["runtime.kill.not-alive-errors"])


@pytest.mark.parametrize("words", [["show", "runtime.kil.delivers-signal"], ["runtime.kil"]])
def test_an_unknown_id_is_an_error_with_close_matches(run: Run, words: list[str]) -> None:
    with pytest.raises(UnknownRequirement, match="unknown requirement") as caught:
        run(*words)
    assert "runtime.kill" in str(caught.value.hint)


def test_a_broken_registry_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "requirements_directory", lambda: tmp_path)
    with pytest.raises(RegistryError, match="no toml file in it"):
        run()


# --- coverage ---


def test_coverage_counts_per_document_and_level(run: Run, capsys: Output) -> None:
    assert run("coverage") == 0
    output = capsys.readouterr().out
    lines = output[: output.index("\nMUST, MUST-NOT and REQUIRED:")].splitlines()
    assert lines[0].split() == [
        "document",
        "level",
        "tested",
        "untested",
        "pending",
        "missing",
        "all",
    ]
    assert len({len(line) for line in lines if line}) == 1
    assert max(map(len, lines)) <= 100
    assert "%" not in output
    start = next(number for number, line in enumerate(lines) if line.startswith("runtime.md"))
    assert lines[start].split()[:3] == ["runtime.md", "MUST", "1"]
    assert lines[start].split()[-1] == "57"
    assert lines[-1].split()[0] == "all"
    assert lines[-1].split()[-1] == "687"


def test_coverage_as_json_has_the_same_counts(run: Run, capsys: Output) -> None:
    assert run("coverage", "--format", "json") == 0
    table = json.loads(capsys.readouterr().out)
    total = table[-1]
    assert (total["document"], total["level"], total["all"]) == ("all", "all", 687)
    assert total["tested"] + total["untested"] + total["pending"] + total["missing"] == 687
    for status in ("tested", "untested", "pending", "missing", "all"):
        parts = [
            line[status] for line in table if line["document"] != "all" and line["level"] != "all"
        ]
        assert sum(parts) == total[status]


def test_coverage_says_of_each_row_that_is_not_tested_why(run: Run, capsys: Output) -> None:
    assert run("coverage") == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 100
    said = output[output.index("\nMUST, MUST-NOT and REQUIRED:") :]
    registry = Registry.load(requirements_directory())
    binding = [row for row in registry.values() if row.level in {"MUST", "MUST-NOT", "REQUIRED"}]
    reasons = sum(row.untested is not None for row in binding)
    assert (
        f"MUST, MUST-NOT and REQUIRED: {len(binding)}, of which 1 are tested, {reasons} are not for"
        f" a reason, {len(binding) - reasons - 1} are neither\n" in said
    )
    rows = [row for row in registry.values() if row.level not in {"MAY", "IMPLIED"}]
    assert [row.id for row in rows if f"  {row.id}\n" not in said] == [*TESTS]
    flat = " ".join(said.split())
    assert [row.id for row in rows if " ".join((row.untested or "").split()) not in flat] == []
    assert "runtime.kill.delivers-signal missing: neither a test nor a reason" in flat


def test_coverage_may_be_asked_for_as_a_flag(run: Run, capsys: Output) -> None:
    for words in ([], ["--format", "json"]):
        assert run("coverage", *words) == 0
        as_command = capsys.readouterr().out
        assert run("--coverage", *words) == 0
        assert capsys.readouterr().out == as_command


# --- check ---


def test_check_prints_problems_one_per_line_and_fails(run: Run, capsys: Output) -> None:
    assert run("check") == 1
    lines = capsys.readouterr().out.splitlines()
    assert (
        "runtime.kill.delivers-signal (MUST, runtime.md#kill): neither a test nor a reason" in lines
    )
    assert not any("runtime.kill.not-alive-errors" in line for line in lines)


def test_check_of_a_complete_suite_says_one_line(
    run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry.load(requirements_directory())
    rows = [row for row in registry.values() if not row.untested and not registry.is_pending(row)]
    collect(monkeypatch, {row.id: ["test_a"] for row in rows})
    assert run("check") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"687 requirements: {len(rows)} tested, ")
    assert line.endswith(", 0 missing")


# --- pipes ---


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = (
        "import argparse, sys\n"
        "from seatrial.conformance.cli import requirements\n"
        "sys.exit(requirements.run(argparse.Namespace(words=[])))\n"
    )
    read, write = os.pipe()
    os.close(read)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environ,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
