"""Bad input and bad surroundings: one clear sentence, a fitting exit status, a clean host."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import processes
from seatrial.conformance.errors import UsageError
from seatrial.conformance.results import Results

if TYPE_CHECKING:
    import subprocess

    from conformance.tests.conftest import Ran, Trial

    from seatrial.conformance.adapters import Adapter

KILL = "runtime.kill.delivers-signal"
HEAD = "from seatrial.conformance.marks import needs, requirement\n"
PASSES = f"""
@requirement("{KILL}")
def test_one(harness):
    pass
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make containers")


@pytest.fixture
def runtime(trial: Trial) -> Path:
    """A runtime that is there and could be executed."""
    path = trial.folder / "runtime"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def suite(trial: Trial, text: str = PASSES) -> None:
    (trial.folder / "test_small.py").write_text(HEAD + text)


def assert_refused(ran: Ran, status: int, sentence: str, hint: str = "") -> None:
    """Check for one sentence, and at most one hint, and no verdict."""
    first, *rest = ran.complaint
    assert first == f"seatrial: {sentence}"
    assert ran.status == status
    assert len(rest) <= 1
    assert hint in "".join(rest)
    assert not hint or rest[0].startswith("  hint: ")
    assert "requirements of runtime-spec" not in ran.out


# Wrong usage


@pytest.mark.parametrize(
    ("options", "sentence", "hint"),
    [
        (["--runtime", "crum"], "there is no runtime named 'crum'", "did you mean crun?"),
        (["--runtime", "./none"], "runtime {folder}/none does not exist", "--runtime"),
        (["--runtime", "{folder}"], "runtime {folder} is a directory", ""),
        (["--runtime", "./plain"], "runtime {folder}/plain is not executable", "chmod"),
        (["--runtime", "x.toml"], "cannot read adapter x.toml: No such file or directory", ""),
        (
            ["--requirement", "runtime.kil"],
            "unknown requirement 'runtime.kil'",
            "did you mean runtime.kill",
        ),
        (
            ["--runtime-timeout", "0"],
            "--runtime-timeout has to be a number of seconds above 0",
            "",
        ),
        (
            ["--runtime-timeout", "nan"],
            "--runtime-timeout has to be a number of seconds above 0",
            "",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_names_nothing_is_refused(
    trial: Trial, options: list[str], sentence: str, hint: str
) -> None:
    suite(trial)
    (trial.folder / "plain").touch()
    folder = str(trial.folder)
    ran = trial(*(word.replace("{folder}", folder) for word in options))
    assert_refused(ran, 2, sentence.replace("{folder}", folder), hint)
    assert ran.out == ""


def test_a_wrong_key_of_an_adapter_is_refused(trial: Trial) -> None:
    suite(trial)
    (trial.folder / "mine.toml").write_text("nmae = 'x'\n")
    ran = trial("--runtime", "mine.toml", "--results", "results.jsonl")
    assert_refused(ran, 2, "adapter mine.toml: unknown key nmae", "the keys are command, ")
    assert not (trial.folder / "results.jsonl").exists()


@pytest.mark.parametrize(
    ("test", "sentence", "hint"),
    [
        (
            '@requirement("runtime.kill.delivers")\ndef test_one(harness): pass',
            "test_small.py::test_one[runtime]: unknown requirement 'runtime.kill.delivers'",
            "did you mean runtime.kill.delivers-signal",
        ),
        (
            f'@requirement("{KILL}")\n@needs("warp")\ndef test_one(harness): pass',
            "test_small.py::test_one[runtime]: there is no need 'warp' in the vocabulary",
            "",
        ),
        (
            f'@requirement("{KILL}")\ndef test_one(): pass',
            f"test_small.py::test_one: judges {KILL} without a harness",
            "",
        ),
        ("def helper(): pass", "no test of the suite is selected", ""),
    ],
    ids=["requirement", "need", "harness", "nothing"],
)
def test_a_suite_that_is_wrong_is_refused(
    trial: Trial, runtime: Path, test: str, sentence: str, hint: str
) -> None:
    suite(trial, test)
    assert_refused(trial("--runtime", runtime), 2, sentence, hint)


def test_workers_of_xdist_hand_on_why_they_refuse(trial: Trial, runtime: Path) -> None:
    suite(trial, '@requirement("no.such.row")\ndef test_one(harness): pass')
    sentence = "test_small.py::test_one[runtime]: unknown requirement 'no.such.row'"
    assert_refused(trial("--runtime", runtime, "-n", "1"), 2, sentence)


@needs_root
@pytest.mark.parametrize(
    ("place", "why"),
    [
        (".", "Is a directory"),
        ("test_small.py/below", "File exists"),
        ("/dev/full", "No space left on device"),
    ],
)
def test_results_that_cannot_be_written_are_told(
    good: Adapter, trial: Trial, place: str, why: str
) -> None:
    suite(trial)
    ran = trial("--runtime", good.name, "--results", place)
    assert_refused(ran, 2, f"cannot write results to {place}: {why}")


def test_a_disk_that_fills_up_is_told(good: Adapter, trial: Trial) -> None:
    # A file of more than this gets EFBIG, which is as good as ENOSPC; the header fits.
    text = f"""
import pytest, resource
@pytest.mark.parametrize("number", range(9))
@requirement("{KILL}")
def test_one(harness, number):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    assert False, "x" * 500
"""
    suite(trial, text)
    ran = trial("--runtime", good.name, "--results", "results.jsonl")
    assert ran.complaint == ["seatrial: cannot write results to results.jsonl: File too large"]
    assert ran.status == 2
    assert "9 failed" not in ran.out
    with pytest.raises(UsageError, match="is cut off"):
        Results.read(trial.folder / "results.jsonl")


# Surroundings that do not allow a run


def test_without_a_runtime_nothing_is_judged(trial: Trial) -> None:
    suite(trial)
    script = "import pytest, sys; sys.executable = '/nowhere/python'; exit(pytest.main())"
    ran = trial(env={"PATH": "/nowhere"}, program=(sys.executable, "-c", script))
    sentence = "no runtime found: none of crun, runc, runsc, seatrial-oci, youki is on PATH"
    assert_refused(ran, 3, sentence, "apt-get install")
    assert trial("--collect-only", env={"PATH": "/nowhere"}).status == 0


def test_a_work_folder_that_is_too_small_is_told(good: Adapter, trial: Trial) -> None:
    suite(trial)
    script = (
        "import pytest; from seatrial.conformance import namespaces as n; mount = n.mount;"
        "n.mount = lambda *a, data='', **k: mount(*a, data=data and data + ',size=64k', **k);"
        "exit(pytest.main())"
    )
    ran = trial("--runtime", good.name, program=(sys.executable, "-c", script))
    assert ran.status == 3
    assert ran.complaint[0].startswith(f"seatrial: smoke test of {good.name}: [Errno 28] No space")


def test_a_runtime_that_is_no_program_is_told(good: Adapter, trial: Trial, runtime: Path) -> None:
    del good
    suite(trial)
    runtime.write_bytes(b"\x7fELF garbage")
    ran = trial("--runtime", runtime)
    assert_refused(ran, 3, f"cannot execute {runtime}: Exec format error")


@needs_root
def test_without_root_nothing_is_judged(trial: Trial, runtime: Path) -> None:
    # Not where pytest makes its folders: it closes them to others whenever it starts.
    with tempfile.TemporaryDirectory() as name:
        open_to_all = replace(trial, folder=Path(name))
        open_to_all.tmpdir.mkdir()
        open_to_all.folder.chmod(0o755)
        suite(open_to_all)
        shutil.copy(runtime, name)
        options = ("--runtime", "./runtime", "-p", "no:cacheprovider")
        ran = open_to_all(*options, user=65534, group=65534)
    sentence = "the harness needs root: it makes namespaces, mounts and cgroups of its own"
    assert_refused(ran, 3, sentence, "sudo")


@needs_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare(1) is missing")
@pytest.mark.parametrize(
    ("under", "sentence", "hint"),
    [
        (
            ("-m", "sh", "-c", 'umount -lR /sys/fs/cgroup && exec "$@"', "sh"),
            "no cgroup hierarchy is mounted below /sys/fs/cgroup",
            "mount cgroup2 there",
        ),
        (
            ("-Ur",),
            "setns into the namespaces we are from: Operation not permitted",
            "needs root in the user namespace",
        ),
    ],
    ids=["no cgroups", "user namespace"],
)
def test_without_cgroups_or_the_rights_of_root_nothing_is_judged(
    trial: Trial, runtime: Path, under: tuple[str, ...], sentence: str, hint: str
) -> None:
    suite(trial)
    assert_refused(trial("--runtime", runtime, under=("unshare", *under)), 3, sentence, hint)


# Runs that are broken off

WAITS = f"""
@requirement("{KILL}")
def test_before(harness):
    pass

@requirement("{KILL}")
def test_that_waits(running):
    with open("fifo", "w") as fifo:
        fifo.write(str(running.pid))
    running.wait()

@requirement("{KILL}")
def test_after(harness):
    pass
"""


def waiting(trial: Trial, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start a run and wait until it is in the midst of a container's life; give that's process."""
    suite(trial, WAITS)
    os.mkfifo(trial.folder / "fifo")
    fifo = os.open(trial.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    words = ("--results", "results.jsonl", "--runtime-timeout", "60", *options)
    process = trial.start(*words, process_group=0)
    pidfd = os.pidfd_open(process.pid)
    assert processes.poll([fifo, pidfd], 60) == [fifo], process.communicate()
    os.set_blocking(fifo, True)
    with open(fifo) as file:
        container = int(file.read())
    os.close(pidfd)
    return process, container


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_ctrl_c_ends_a_run_in_good_order(
    good: Adapter, trial: Trial, options: tuple[str, ...]
) -> None:
    process, container = waiting(trial, "--runtime", good.name, *options)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    ran = trial.finish(process)
    assert ran.status == 130
    assert ran.err == ""
    assert "KeyboardInterrupt" in ran.out
    assert processes.wait(container, timeout_s=30)
    footer = Results.read(trial.folder / "results.jsonl").footer
    assert (footer["verdicts"], footer["complete"], footer["exit_status"]) == (1, False, 130)


def test_a_run_that_is_killed_leaves_results_that_are_refused(good: Adapter, trial: Trial) -> None:
    process, container = waiting(trial, "--runtime", good.name)
    below = processes.children(process.pid)
    (janitor,) = [pid for pid in below if "janitor" in processes.command_line(pid)]
    watched = os.pidfd_open(janitor)
    process.kill()
    assert processes.poll([watched], 60)
    os.close(watched)
    assert trial.finish(process).status == -signal.SIGKILL
    assert processes.wait(container, timeout_s=30)
    with pytest.raises(UsageError, match="is cut off: it has no footer"):
        Results.read(trial.folder / "results.jsonl")


@pytest.mark.parametrize("program", [("pytest",), ("seatrial", "test")], ids=lambda each: each[0])
def test_a_reader_that_has_seen_enough_ends_a_run(
    trial: Trial, runtime: Path, program: tuple[str, ...]
) -> None:
    suite(trial)
    command = Path(sys.executable).with_name(program[0])
    words = (*program[1:], "test_small.py", "--runtime", str(runtime))
    reader, writer = os.pipe()
    os.close(reader)
    process = trial.start(*words, program=(str(command),), stdout=writer)
    os.close(writer)
    # 1 in mid-run; where the output was kept back until the end, what the run came to: no smoke.
    assert trial.finish(process).status in {1, 3}


# Hangs and crashes within a test

HANGS = f"""
from hypothesis import HealthCheck, given, settings, strategies as st
from seatrial.conformance.errors import Hung

@requirement("{KILL}")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(5, 9))
def test_that_hangs(harness, number):
    with open("log", "a") as log:
        log.write(f"{{number}}\\n")
    config = harness.config("say", "x", "+", "pause")
    with harness.running(config) as container:
        container.wait(timeout_s=0.1)

@requirement("runtime.start.runs-program")
def test_after(harness):
    harness.run(harness.config())
"""


def test_a_hang_is_seen_once_and_not_made_smaller(good: Adapter, trial: Trial) -> None:
    suite(trial, HANGS)
    ran = trial("--runtime", good.name, "--results", "results.jsonl")
    assert ran.status == 1
    first, second = Results.read(trial.folder / "results.jsonl").verdicts
    assert (first.status, first.kind, second.status) == ("fail", "hung", "pass")
    assert first.message.startswith("the container process neither ended nor printed")
    assert first.config["process"]["args"] == ["/probe", "say", "x", "+", "pause"]
    assert len((trial.folder / "log").read_text().splitlines()) == 1
