"""Some of the faults at operations of the plan; ``make faults`` tries them all."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_no_fault_survives_of_a_sample() -> None:
    if platform.machine() != "x86_64":
        pytest.skip(f"inject.c knows no registers of {platform.machine()}")
    script = Path(__file__).with_name("faults.py")
    command = [sys.executable, str(script), "--sample", "40", "--case", "plain", "--case", "whole"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[0-9]+ calls failed, [0-9]+ kills, 0 survivors", done.stdout)
