"""The fuzzer of kept plans finds nothing, and would find a check that is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FUZZING = Path(__file__).with_name("fuzzing.py")
CSRC = FUZZING.parents[2] / "csrc"


def fuzz(iterations: int, sources: Path = CSRC) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FUZZING), "--iterations", str(iterations),
               "--sources", str(sources)]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_slots_that_are_spoiled_are_refused_or_read_within_bounds() -> None:
    done = fuzz(50_000)
    assert done.returncode == 0, done.stderr
    whole, questions, plans, operations = (
        int(word) for word in done.stdout.split(":")[1].split() if word.isdigit()
    )
    assert min(whole, questions, plans, operations) > 1000


@pytest.mark.parametrize(
    ("file", "check"),
    [
        ("launcher/kept.c", "length >= bytes - at ||"),
        ("facts/hold.c", "name > bytes - at || answer > bytes - at - name ||"),
        ("template.c", "first > plan.heap_bytes ||"),
    ],
)
def test_a_check_that_is_missing_is_found(tmp_path: Path, file: str, check: str) -> None:
    sources = tmp_path / "csrc"
    shutil.copytree(CSRC, sources)
    text = (sources / file).read_text("utf-8")
    flat = " ".join(text.split())
    assert check in flat
    (sources / file).write_text(missing(text, check), "utf-8")
    done = fuzz(200_000, sources)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr or "runtime error" in done.stderr


def missing(text: str, check: str) -> str:
    """Return a source without a check, which may go over the end of a line."""
    words = check.split()
    at = text.index(words[0])
    while " ".join(text[at:].split()[: len(words)]) != check:
        at = text.index(words[0], at + 1)
    end = at
    for word in words:
        end = text.index(word, end) + len(word)
    return text[:at] + text[end:]
