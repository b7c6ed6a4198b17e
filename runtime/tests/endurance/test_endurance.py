"""Containers by the dozen leave nothing; ``make thousand`` and ``make load`` take longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_fifty_containers_leave_nothing_behind() -> None:
    script = Path(__file__).with_name("thousand.py")
    command = [sys.executable, str(script), "--count", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 containers, 8 at a time" in done.stdout


def test_load_brings_no_complaint() -> None:
    script = Path(__file__).with_name("load.py")
    command = [sys.executable, str(script), "--seconds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("; 0 complaints\n")
