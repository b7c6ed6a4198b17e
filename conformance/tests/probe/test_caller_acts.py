"""Acts of the probe that change what is handed down to the program it executes."""

from __future__ import annotations

import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest
from conformance.tests.probe.conftest import NO_LEAK_CHECK, Probe, needs_root

from seatrial.conformance import facts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_quiet_probe_prints_no_line(probe: Probe) -> None:
    assert probe.run("say", "x", "+", "quiet", "+", "say", "y", "+", "report")[1:] == []


def test_exec_hands_down_the_process_as_it_is(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in")
    with (tmp_path / "file").open() as stdin:
        done = subprocess.run(
            [probe.path, "quiet", "+", "chdir", "/usr", "+", "exec", "sh", "-c", SHELL, "sh", "+"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "KEY": "value", **NO_LEAK_CHECK},
            check=False,
        )
    assert (done.returncode, done.stdout) == (7, b"in /usr value 1 +\n")


SHELL = 'echo "$(cat) $PWD $KEY $# $1"; exit 7'


def test_what_is_executed_has_the_nice_value(probe: Probe) -> None:
    assert probe.act("quiet", "+", "nice", "7", "+", "exec", probe.path, "report")["nice"] == 7


def test_what_is_executed_has_the_affinity(probe: Probe) -> None:
    cpu = str(max(os.sched_getaffinity(0)))
    report = probe.act("quiet", "+", "affinity", cpu, "+", "exec", probe.path, "report")
    assert report["affinity"] == [int(cpu)]


def test_what_is_executed_has_the_memory_policy(probe: Probe) -> None:
    act = ("memory-policy", "1", "0")  # MPOL_PREFERRED
    report = probe.act("quiet", "+", *act, "+", "exec", probe.path, "report")
    assert report["memory_policy"] == {"mode": 1, "flags": 0, "nodes": [0]}


def test_what_is_executed_has_the_personality(probe: Probe) -> None:
    report = probe.act("quiet", "+", "personality", "0x0008", "+", "exec", probe.path, "report")
    assert report["personality"] & 0xFF == 0x0008  # PER_LINUX32
    assert report["machine"] == facts.compat_machine()


@needs_root
def test_what_is_executed_is_in_new_namespaces(probe: Probe) -> None:
    uts = "0x04000000"
    report = probe.act("quiet", "+", "unshare", uts, "+", "exec", probe.path, "report")
    assert report["namespaces"]["uts"] != os.readlink("/proc/self/ns/uts")
    assert report["namespaces"]["ipc"] == os.readlink("/proc/self/ns/ipc")


def test_what_is_executed_has_the_limits(probe: Probe) -> None:
    limit = str(int(resource.RLIMIT_FSIZE))
    report = probe.act(
        "quiet", "+", "rlimit", limit, "4096", "0x2000", "+", "exec", probe.path, "report"
    )
    assert report["rlimits"]["RLIMIT_FSIZE"] == {"soft": 4096, "hard": 8192}


@needs_root
def test_what_is_executed_lacks_what_was_dropped(probe: Probe) -> None:
    before = probe.report()["capabilities"]["bounding"]
    report = probe.act("quiet", "+", "drop-bounding", "0", "27", "+", "exec", probe.path, "report")
    assert report["capabilities"]["bounding"] == [each for each in before if each not in {0, 27}]


@pytest.mark.parametrize(("path", "name"), [("/missing", "ENOENT"), ("/dev/null", "EACCES")])
def test_what_cannot_be_executed_is_told(probe: Probe, path: str, name: str) -> None:
    assert probe.act("exec", path, "+", "x") == {"act": "exec", "ok": False, "errno": name}
    assert probe.act("exec", status=64)["error"] == "usage: exec ARGV..."


def test_an_act_that_fails_quietly_ends_the_sequence(probe: Probe) -> None:
    for act in (("chdir", "/missing"), ("nice", "7", "+", "stat", "/missing")):
        done = subprocess.run(
            [probe.path, "quiet", "+", *act, "+", "exec", "echo", "no"],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (69, b"")
        assert done.stderr.startswith(b"probe: ")
        assert done.stderr.endswith(b": No such file or directory\n")
