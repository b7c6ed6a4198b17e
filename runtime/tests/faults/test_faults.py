"""Some of the faults at operations of the plan; ``make faults`` tries them all."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="inject.c knows the registers of x86-64 only"
)


def faults(folder: Path, *options: str) -> str:
    """Let faults happen; return what is said, which ends with no survivors."""
    script = str(Path(__file__).with_name("faults.py"))
    command = [sys.executable, script, "--journal", str(folder / "journal"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9][0-9]* calls failed, [0-9]+ kills, 0 survivors", done.stdout)
    return done.stdout


@pytest.mark.parametrize(
    ("half", "case", "count"), [("kept", "whole, kept", "60"), ("python", "plain", "15")]
)
def test_no_fault_survives_of_a_sample(tmp_path: Path, half: str, case: str, count: str) -> None:
    faults(tmp_path, "--half", half, "--case", case, "--sample", count)


def test_a_launcher_that_cannot_lock_or_forget_undoes_what_it_did(tmp_path: Path) -> None:
    calls = ("flock", "dup", "renameat", "execveat", "open_tree")
    words = [word for call in calls for word in ("--call", call)]
    lives = ("--case", "plain, kept", "--verb", "create", "--verb", "run")
    faults(tmp_path, *lives, *words)


def test_a_plan_that_cannot_be_kept_whole_is_not_kept(tmp_path: Path) -> None:
    words = [word for call in ("write", "linkat", "getresuid") for word in ("--call", call)]
    faults(tmp_path, "--case", "plain, keeping", *words)


def test_a_run_that_was_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    options = ("--case", "plain, kept", "--verb", "kill", "--sample", "4")
    faults(tmp_path, *options)
    journal = tmp_path / "journal"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    assert len(lines) == 5
    journal.write_text("".join(lines[:3]) + lines[3][:20], "utf-8")
    said = faults(tmp_path, *options)
    assert "going on: 2 of 4 faults are done" in said
    assert "4 of 4" in said
