"""The fuzzer runs clean, and finds bugs that are planted for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import budget
import creating
import pytest

FUZZING = Path(__file__).with_name("fuzzing.py")
SOURCES = FUZZING.parents[2] / "csrc"


def fuzz(*options: str | Path, iterations: int, seed: int = 1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FUZZING, "--iterations", iterations, "--seed", seed, *options]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def test_mutated_plans_are_refused_or_executed_within_bounds(tmp_path: Path) -> None:
    done = fuzz("--build", tmp_path / "build", iterations=100_000)
    assert done.returncode == 0, done.stderr[-5000:]
    assert "100000 mutants executed" in done.stdout
    assert "never executed" not in done.stdout


@pytest.mark.parametrize(
    ("file", "check", "without"),
    [
        ("plan.c", "offset < plan->heap_bytes &&", ""),
        ("plan.c", "cut <= bytes && ends_in_zero(blob, cut) &&", ""),
        ("plan.c", "bytes > plan->heap_bytes - op->blob", "false"),
        ("plan.c", "bytes % shape->unit == 0 &&", ""),
        ("plan.c", "op->number[i] >= ids_end", "false"),
        ("mounts.c", "slot < context->slot_count ?", "true ?"),
        ("process.c", "folder + length + 2 <= sizeof candidate", "true"),
    ],
)
def test_a_check_that_is_missing_is_found(
    tmp_path: Path, file: str, check: str, without: str
) -> None:
    sources = tmp_path / "csrc"
    shutil.copytree(SOURCES, sources)
    text = sources.joinpath(file).read_text("utf-8")
    assert text.count(check) == 1, "the check to be dropped is written otherwise now"
    sources.joinpath(file).write_text(text.replace(check, without), "utf-8")
    done = fuzz("--build", tmp_path / "build", "--sources", sources, iterations=2_000_000)
    assert done.returncode == 1
    assert "ERROR: AddressSanitizer" in done.stderr or "runtime error" in done.stderr
    again = done.stderr.rpartition("again: ")[2].split()
    assert subprocess.run(again, capture_output=True, check=False).returncode != 0


def test_what_reads_json_and_state_refuses_in_a_sentence_or_takes_it_whole() -> None:
    decoding = FUZZING.with_name("decoding.py")
    done = subprocess.run(
        [sys.executable, decoding, "--seconds", "4"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "inputs decoded" in done.stdout


def test_mutated_configs_make_whole_containers_or_leave_nothing() -> None:
    said = creating.sampled(20, seed=1)
    assert "20 configs given to create" in said


def test_the_launcher_reads_mutated_records_within_bounds() -> None:
    assert budget.records(0, seed=1) == budget.CHUNK
