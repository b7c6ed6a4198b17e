"""``seatrial bench`` as users start it."""

from __future__ import annotations

import subprocess
import sys

SEATRIAL = (sys.executable, "-c", "from seatrial.conformance.cli.main import main; exit(main())")


def test_the_main_command_finds_bench_by_its_entry_point() -> None:
    done = subprocess.run(
        [*SEATRIAL, "bench", "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Measure how fast container runtimes start containers" in done.stdout


def test_other_commands_do_not_wait_for_it() -> None:
    program = (
        "import sys\n"
        "from seatrial.conformance.cli.main import main\n"
        "try: main(['runtimes', '--help'])\n"
        "finally: print([n for n in sys.modules if n in ('pyperf', 'seatrial.perf.driver')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.endswith("\n[]\n")
