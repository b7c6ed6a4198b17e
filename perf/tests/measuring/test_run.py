"""``seatrial bench run``: what a run leaves in its folder, whatever came in between."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyperf
import pytest
from perf.tests.measuring.conftest import PROGRAM

from seatrial.perf import api_worker

if TYPE_CHECKING:
    from perf.tests.measuring.conftest import Bench, Wrapper

LIFECYCLE = ("--suite", "lifecycle", "--case", "plain", "--samples", "2", "--seed", "7")


def test_a_run_has_phases_counts_a_floor_and_a_pair(bench: Bench, crun: str) -> None:
    ran = bench(*LIFECYCLE, "--runtime", crun, "--blocks", "2")
    assert ran.status == 0, ran.err
    suite = pyperf.BenchmarkSuite.load(str(ran.folder / "crun.json"))
    names = suite.get_benchmark_names()
    for phase in ("create", "start", "first-instruction", "exit-seen", "delete", "whole", "run"):
        assert f"lifecycle/plain/{phase}-wall" in names
    for count in ("run-cpu", "run-minor-faults", "run-context-switches"):
        assert f"lifecycle/plain/{count}" in names
    benchmark = suite.get_benchmark("lifecycle/plain/run-wall")
    runs = benchmark.get_runs()
    assert [run.get_metadata()["block"] for run in runs] == [0, 1]
    assert {len(run.values) for run in runs} == {2}
    metadata = runs[0].get_metadata()
    assert metadata["runtime"] == "crun"
    assert (metadata["suite"], metadata["case"], metadata["phase"]) == (
        *("lifecycle", "plain", "run-wall"),
    )
    assert 1e-4 < benchmark.median() < 60
    assert {path.name for path in ran.folder.iterdir()} == {
        *("environment.json", "samples.jsonl", "skipped.json"),
        *("crun.json", "crun-again.json", "floor.json"),
    }
    environment = ran.environment
    assert environment["complete"]
    assert not environment["publishable"]
    assert "2 blocks are few: 10 are the least" in environment["reasons"]
    assert set(environment["pair"]) >= {"lifecycle/plain/run-wall", "lifecycle/plain/whole-wall"}
    assert environment["seed"] == 7
    assert environment["gaps_ns"]["least"] > 0
    assert len(environment["blocks"]) == 2


def test_the_two_of_the_pair_and_the_floor_are_interleaved(bench: Bench, crun: str) -> None:
    ran = bench(*LIFECYCLE, "--runtime", crun, "--blocks", "4", "--samples", "1")
    orders = set()
    for block in range(4):
        lines = [s for s in ran.samples if s["block"] == block and s["kind"] == "run"]
        order = tuple(dict.fromkeys(line["contender"] for line in lines))
        assert sorted(order) == ["crun", "crun-again", "floor"]
        positions = {line["contender"]: line["position"] for line in lines}
        assert [positions[name] for name in order] == [0, 1, 2]
        orders.add(order)
    assert len(orders) > 1


def test_pyperf_reads_every_file(bench: Bench, crun: str) -> None:
    words = ("--suite", "lifecycle", "--case", "plain", "--suite", "scaling", "--suite", "density")
    ran = bench(*words, "--runtime", crun, "--blocks", "2", "--samples", "2")
    files = set(ran.folder.glob("*.json")) - {
        ran.folder / "environment.json",
        ran.folder / "skipped.json",
    }
    assert {path.stem for path in files} == {"crun", "crun-again", "floor"}
    for path in files:
        for command in ("stats", "hist", "check"):
            done = _pyperf(command, path)
            assert done.returncode == 0, done.stderr
    for path in files - {ran.folder / "crun.json"}:
        done = _pyperf("compare_to", ran.folder / "crun.json", path)
        assert done.returncode == 0, done.stderr


def _pyperf(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyperf", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("suite", "figure"),
    [
        ("axes", "axes/rootless/run-wall"),
        ("scaling", "scaling/1/starts-per-second"),
        ("density", "density/8/pss-memory"),
        ("exec", "exec/plain/exec-first-instruction-wall"),
    ],
)
def test_every_suite_gives_its_figures(bench: Bench, crun: str, suite: str, figure: str) -> None:
    words = ("--suite", suite, "--runtime", crun, "--blocks", "1", "--samples", "1")
    ran = bench(*words)
    assert ran.status == 0, ran.out + ran.err
    assert not [line for line in ran.samples if "error" in line]
    loaded = pyperf.BenchmarkSuite.load(str(ran.folder / "crun.json"))
    assert figure in loaded.get_benchmark_names()


def test_the_floor_alone_needs_no_runtime(bench: Bench) -> None:
    words = ("--suite", "floor", "--suite", "micro", "--blocks", "1", "--samples", "2")
    ran = bench(*words)
    assert ran.status == 0, ran.err
    names = pyperf.BenchmarkSuite.load(str(ran.folder / "floor.json")).get_benchmark_names()
    assert "micro/namespace-network/wall" in names
    assert "floor/9-network/run-wall" in names


# --- What goes wrong ---------------------------------------------------------------------------


def test_a_runtime_that_fails_before_is_left_out_with_the_reason(
    bench: Bench, crun: str, runtime_that: Wrapper
) -> None:
    bad = runtime_that("bad", '[ "$1" = --version ] || { echo no kernel >&2; exit 4; }')
    ran = bench(*LIFECYCLE, "--runtime", crun, "--runtime", bad, "--blocks", "1")
    assert ran.document("skipped.json") == [
        {
            "contender": "bad",
            "reason": "the plain bundle fails before anything is timed: "
            "run: exit status 4: no kernel",
        }
    ]
    assert (ran.folder / "crun.json").exists()
    assert not (ran.folder / "bad.json").exists()


def test_a_runtime_that_loses_exit_statuses_is_left_out(
    bench: Bench, runtime_that: Wrapper, crun: str
) -> None:
    liar = runtime_that("liar", f'{crun} "$@"; exit 0')
    ran = bench(*LIFECYCLE, "--runtime", liar, "--runtime", crun, "--blocks", "1")
    (skipped,) = ran.document("skipped.json")
    assert "exit status 0 of a program that ends with 7" in skipped["reason"]


def test_nothing_to_measure_is_an_error(bench: Bench, runtime_that: Wrapper) -> None:
    bad = runtime_that("bad", "exit 4")
    ran = bench(*LIFECYCLE, "--runtime", bad)
    assert ran.status == 3
    assert "there is nothing to measure: " in ran.err
    assert "--version: exit status 4" in ran.err


def test_a_runtime_that_fails_mid_run_is_given_up_and_the_others_go_on(
    bench: Bench, crun: str, runtime_that: Wrapper, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    tired = runtime_that(
        "tired",
        f'echo x >>{count}; [ "$(wc -l <{count})" -lt 9 ] || {{ echo tired >&2; exit 5; }}',
    )
    ran = bench(*LIFECYCLE, "--runtime", crun, "--runtime", tired, "--blocks", "6")
    assert ran.status == 1
    skipped = {each["case"]: each for each in ran.document("skipped.json")}
    for kind in ("run", "steps"):
        each = skipped[f"lifecycle/plain/{kind}"]
        assert each["contender"] == "tired"
        assert each["reason"].startswith("it failed in 3 turns in a row and was given up: ")
        assert "exit status 5" in each["reason"]
    errors = [line for line in ran.samples if "error" in line]
    assert errors
    assert {line["contender"] for line in errors} == {"tired"}
    assert "tired" in errors[0]["stderr"]
    crun_suite = pyperf.BenchmarkSuite.load(str(ran.folder / "crun.json"))
    assert crun_suite.get_benchmark("lifecycle/plain/run-wall").get_nrun() == 6
    assert "skipped: tired lifecycle/plain/run: it failed" in ran.out


def test_a_runtime_that_hangs_does_not_hang_the_run(
    bench: Bench, crun: str, runtime_that: Wrapper
) -> None:
    hanging = runtime_that("hanging", '[ "$1" = --version ] || exec sleep 1000')
    short = (
        "from seatrial.perf import place\nplace.Place.__init__.__kwdefaults__['timeout_s'] = 0.5"
    )
    words = (*LIFECYCLE, "--runtime", hanging, "--runtime", crun, "--blocks", "1")
    ran = bench(*words, before=short)
    (skipped,) = ran.document("skipped.json")
    assert "run: not done within the timeout" in skipped["reason"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has_and_can_go_on(
    bench: Bench, crun: str, runtime_that: Wrapper, tmp_path: Path, number: signal.Signals
) -> None:
    process, fifo = _run_that_waits(bench, crun, runtime_that, tmp_path)
    fifo.read_text()  # so many samples are taken
    process.send_signal(number)
    ran = bench.finish(process)
    assert ran.status == 130
    assert not ran.environment["complete"]
    assert "the run was interrupted" in ran.environment["notes"]
    assert "the run is not complete" in ran.environment["reasons"]
    assert (ran.folder / "crun.json").exists()
    _assert_it_goes_on(bench, tmp_path, len(ran.samples))


def test_a_killed_run_leaves_nothing_on_the_host_and_can_go_on(
    bench: Bench, crun: str, runtime_that: Wrapper, tmp_path: Path
) -> None:
    process, fifo = _run_that_waits(bench, crun, runtime_that, tmp_path)
    fifo.read_text()
    process.kill()
    process.wait()
    # The janitor holds the run's streams until it has cleaned up.
    ran = bench.finish(process)
    assert not ran.environment["complete"]
    assert ran.environment["reasons"] == ["the run is not complete"]
    _assert_it_goes_on(bench, tmp_path, len(ran.samples))


def _run_that_waits(
    bench: Bench, crun: str, runtime_that: Wrapper, tmp_path: Path
) -> tuple[subprocess.Popen[str], Path]:
    """Start a run with a runtime that says at its 30th command that it is there, and waits."""
    count, fifo = tmp_path / "count", tmp_path / "fifo"
    subprocess.run(["mkfifo", fifo], check=True)
    wait = f"{{ echo x >{fifo}; exec sleep 1000; }}"
    waiting = runtime_that("waiting", f'echo x >>{count}; [ "$(wc -l <{count})" != 30 ] || {wait}')
    words = (*LIFECYCLE, "--runtime", crun, "--runtime", waiting, "--blocks", "3")
    return bench.start(*words), fifo


def _assert_it_goes_on(bench: Bench, tmp_path: Path, kept: int) -> None:
    assert kept > 0
    (tmp_path / "count").unlink()
    (tmp_path / "count").write_text("x\n" * 100)
    ran = bench("--resume", bench.output)
    assert ran.status == 0, ran.out + ran.err
    assert ran.environment["complete"]
    assert len(ran.samples) > kept
    for name in ("crun", "waiting", "floor", "crun-again"):
        suite = pyperf.BenchmarkSuite.load(str(ran.folder / f"{name}.json"))
        benchmark = suite.get_benchmark("lifecycle/plain/run-wall")
        assert [run.get_metadata()["block"] for run in benchmark.get_runs()] == [0, 1, 2]
    assert {line["attempt"] for line in ran.samples} == {1, 2}


def test_a_run_goes_on_only_with_the_same_build_and_options(
    bench: Bench, runtime_that: Wrapper
) -> None:
    runtime = runtime_that("mine", "true")
    bench(*LIFECYCLE, "--runtime", runtime, "--blocks", "1")
    ran = bench("--resume", bench.output, "--blocks", "5")
    assert ran.status == 2
    assert "--blocks does not go with --resume" in ran.err
    runtime_that("mine", "true # another")
    ran = bench("--resume", bench.output)
    assert ran.status == 2
    assert "the run cannot go on: mine is another build now" in ran.err


def test_a_full_disk_keeps_what_was_measured(bench: Bench, crun: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "disk", disk], check=True)
    try:
        words = (*LIFECYCLE, "--runtime", crun, "--blocks", "10")
        ran = bench(*words, output=disk / "results")
        assert ran.status == 1
        assert "samples.jsonl: No space left on device" in ran.err
        assert "hint: what was measured before is kept; make room" in ran.err
        assert not ran.environment["complete"]
        lines = (ran.folder / "samples.jsonl").read_text().splitlines()
        assert len(lines) > 5
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        resumed = bench("--resume", ran.folder, output=ran.folder)
        assert resumed.status == 0, resumed.err
        assert resumed.environment["complete"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_folder_with_something_in_it_is_not_written_over(bench: Bench, crun: str) -> None:
    bench.output.mkdir()
    (bench.output / "thesis.txt").write_text("all I have")
    ran = bench(*LIFECYCLE, "--runtime", crun)
    assert ran.status == 2
    assert "is not empty" in ran.err
    assert [path.name for path in bench.output.iterdir()] == ["thesis.txt"]


def test_a_machine_without_counters_says_so(bench: Bench, crun: str) -> None:
    none = "from seatrial.perf.place import Place\nPlace._find_tracepoint = lambda self: 0"
    words = ("--suite", "tax", "--runtime", crun, "--blocks", "1", "--samples", "1")
    ran = bench(*words, before=none)
    assert ran.status == 0
    assert "syscalls cannot be counted on this machine" in ran.environment["notes"]
    assert "note: syscalls cannot be counted on this machine" in ran.out


@pytest.mark.parametrize(
    ("changing", "why"),
    [
        (
            "environment.frequencies = lambda: [1000.0 + 300 * next(numbers)]",
            "the processors' frequency changed: 1000 to 1300 MHz",
        ),
        (
            "environment.Use.others = lambda *_: 1.5 * next(numbers)",
            "other programs kept 0.0 processors busy in the median block, 1.5 in another",
        ),
    ],
)
def test_a_machine_that_changes_meanwhile_is_told(
    bench: Bench, crun: str, changing: str, why: str
) -> None:
    before = f"from seatrial.perf import environment\nnumbers = iter([0, 0, 0, 0, 1])\n{changing}"
    words = ("--suite", "tax", "--runtime", crun, "--blocks", "5", "--samples", "1")
    ran = bench(*words, before=before)
    assert ran.status == 0, ran.err
    assert any(reason.endswith(why) for reason in ran.environment["reasons"])
    assert not ran.environment["publishable"]
    assert why in ran.out
    assert ran.environment["complete"]


def test_without_names_of_calls_the_cases_with_a_filter_are_left_out(
    bench: Bench, crun: str
) -> None:
    none = (
        "from seatrial.perf import filters\n"
        "def choose(count): raise filters.NoNamesError('libseccomp.so.2 is missing')\n"
        "filters.choose = choose"
    )
    words = ("--suite", "lifecycle", "--runtime", crun, "--blocks", "1", "--samples", "1")
    ran = bench(*words, before=none)
    why = "lifecycle has no case with a seccomp filter: libseccomp.so.2 is missing"
    assert why in ran.environment["notes"]
    assert {sample["case"] for sample in ran.samples} == {"plain", "netns"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runtime", "cruun"], "there is no runtime named 'cruun'"),
        (["--runtime", "./nowhere"], "runtime ./nowhere does not exist"),
        (["--runtime", "/etc/passwd"], "runtime /etc/passwd is not executable"),
        (["--blocks", "0"], "a number from 1 on, not '0'"),
        (["--suite", "dance"], "invalid choice: 'dance'"),
        (["--conformance", "/nowhere"], "cannot read /nowhere: No such file or directory"),
        (["--conformance", "/etc/passwd"], "/etc/passwd is not a file of conformance results"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(bench: Bench, words: list[str], said: str) -> None:
    ran = bench(*words)
    assert ran.status == 2
    assert said in ran.err


def test_a_folder_that_is_none_cannot_be_resumed(bench: Bench, tmp_path: Path) -> None:
    ran = bench("--resume", tmp_path)
    assert ran.status == 2
    assert "environment.json: No such file or directory" in ran.err


def test_an_editable_runtime_is_left_out_unless_asked_for(bench: Bench, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    information = environment / "lib/python3.11/site-packages/seatrial-1.dist-info"
    information.mkdir(parents=True)
    (information / "direct_url.json").write_text('{"dir_info": {"editable": true}}')
    runtime = environment / "bin/seatrial-oci"
    runtime.parent.mkdir()
    runtime.write_text("#!/bin/sh\necho seatrial-oci version 1\n")
    runtime.chmod(0o755)
    ran = bench("--suite", "tax", "--runtime", runtime)
    assert ran.status == 3
    assert "it runs from an editable install" in ran.err


# --- Conformance -------------------------------------------------------------------------------


def test_a_runtime_that_fails_the_suite_is_marked(bench: Bench, crun: str, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(Path(crun).read_bytes()).hexdigest()
    results = tmp_path / "crun.jsonl"
    lines: list[dict[str, Any]] = [
        {"type": "header", "runtimes": [{"name": "crun", "sha256": sha256}]},
        {
            "test": "suite/test_a.py::test_it_works[crun]",
            "status": "fail",
            "runtime": "crun",
            "requirements": ["config.hooks.poststop.failure-continues"],
        },
        {"type": "footer", "complete": True, "exit_status": 1},
    ]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("--suite", "tax", "--runtime", crun, "--quick", "--conformance", results)
    ran = bench(*words)
    why = "its failures in the conformance suite are not all known ones: test_it_works[crun]"
    assert ran.environment["not_comparable"] == {"crun": why, "crun-again": why}
    assert f"not comparable: crun: {why}" in ran.out
    lines[-1]["exit_status"] = 0
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = bench(*words, output=tmp_path / "again")
    assert ran.environment["not_comparable"] == {}
    results.write_text("".join(json.dumps(line) + "\n" for line in lines[:-1]))
    ran = bench(*words, output=tmp_path / "cut")
    assert ran.status == 2
    assert "is not complete: its run was cut off" in ran.err


# --- The reference runtime's modes -------------------------------------------------------------


@pytest.fixture
def reference(bench: Bench) -> str:
    del bench  # it needs root
    path = Path(sys.executable).parent / "seatrial-oci"
    if not path.is_file():
        pytest.skip("the reference runtime is not beside this Python")
    return str(path)


def test_the_reference_runtime_is_timed_in_its_modes(bench: Bench, reference: str) -> None:
    words = ("--suite", "lifecycle", "--runtime", reference, "--editable", "--blocks", "1")
    ran = bench(*words, "--samples", "1")
    assert ran.status == 0, ran.out + ran.err
    assert not [line for line in ran.samples if "error" in line]
    found = {(line["contender"], line["case"], line["kind"]) for line in ran.samples}
    for case in ("plain", "netns", "seccomp400"):
        for mode in ("", "-cold", "-off"):
            assert {(f"seatrial-oci{mode}", case, kind) for kind in ("run", "steps")} <= found
        for mode in ("-api", "-api-200mb"):
            assert (f"seatrial-oci{mode}", case, "run") in found
    for name in ("seatrial-oci", "seatrial-oci-api"):
        suite = pyperf.BenchmarkSuite.load(str(ran.folder / f"{name}.json"))
        for figure in ("run-cpu", "run-minor-faults", "run-syscalls", "run-first-instruction-wall"):
            assert suite.get_benchmark(f"lifecycle/plain/{figure}").median() > 0
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "bench", "targets", ran.folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for what in ("in-process API", "run, plan kept", "run, cold", "minor faults of run"):
        assert done.stdout.count(what) == 3


def test_an_api_that_raises_is_told_as_any_failure(tmp_path: Path) -> None:
    package = tmp_path / "broken"
    package.mkdir()
    (package / "api.py").write_text(
        "class Container:\n    def __init__(self, *_, **__): raise OSError('no kernel')\n"
    )
    worker = Path(api_worker.__file__)
    order = {"id": "a", "bundle": "/", "root": "/", "count": False}
    done = subprocess.run(
        [sys.executable, worker, "broken.api", "0", "0"],
        input=json.dumps(order) + "\n",
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"error": "run: OSError: no kernel", "stderr": ""}
