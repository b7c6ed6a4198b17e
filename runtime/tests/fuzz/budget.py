"""Fuzzes all that reads what it is given, for so many seconds (``make fuzz SECONDS=N SEED=N``).

Half of the time goes to plans (fuzzing.py), a quarter to JSON and state in Python (decoding.py),
the rest to the launcher's reading of records and to real creates (creating.py).  It prints how
often what was executed, and ends at the first crash, hang, or container that is half-made.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import creating
import decoding
import fuzzing

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 50_000
CREATE_S = 0.5


def build_records(folder: Path, sources: Path) -> Path:
    """Build the fuzzer of the launcher's records; return the program."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "records"
    flags = [each for each in fuzzing.FLAGS if not each.startswith("-DSEATRIAL")]
    flags.append('-DSEATRIAL_BUILD="fuzz"')
    files = [
        each for folder in ("", "facts", "launcher") for each in (sources / folder).glob("*.c")
    ]
    fuzzing.run("gcc", *flags, "-c", "-Dmain=launcher", "-o", str(folder / "launcher.o"),
                str(sources / "launcher" / "launcher.c"))  # fmt: skip
    fuzzing.run(
        "gcc", *flags, "-o", str(program), str(folder / "launcher.o"),
        str(sources / "fuzz" / "records.c"),
        *(str(each) for each in sorted(files) if each.name != "launcher.c"),
    )  # fmt: skip
    return program


def repeated(command: list[str], arguments: list[str], seconds: float, seed: int) -> int:
    """Run a fuzzer with one seed after the other; return the mutants.  Raises ``SystemExit``."""
    until = time.monotonic() + seconds
    total = 0
    while total == 0 or time.monotonic() < until:
        done = subprocess.run(
            [*command, str(seed), str(CHUNK), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(
                f"{command[0]} with seed {seed}:\n{(done.stdout + done.stderr)[-5000:]}"
            )
        found = re.search(r"(\d+) mutants", done.stdout)
        assert found is not None, done.stdout
        total += int(found[1])
        seed += 1
    return total


def records(seconds: float, seed: int) -> int:
    """Fuzz the launcher's reading of records; return how many it was given."""
    program = build_records(fuzzing.BUILD, fuzzing.RUNTIME / "csrc")
    # In memory: each input is a file.
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="seatrial-fuzz-") as folder:
        files = []
        for number, content in enumerate(decoding.corpus()["record"]):
            files.append(Path(folder, f"corpus{number}"))
            files[-1].write_bytes(content)
        return repeated([str(program)], [folder, *map(str, files)], seconds, seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, and say how much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args(arguments)
    seconds, seed = wanted.seconds, wanted.seed
    program = fuzzing.build(fuzzing.BUILD, fuzzing.RUNTIME / "csrc", libfuzzer=False)
    corpus = [str(each) for each in fuzzing.write_corpus(fuzzing.BUILD / "corpus")]
    total = repeated([str(program)], corpus, seconds * 0.5, seed)
    print(f"{total} plans executed", flush=True)  # noqa: T201 - a command's output
    count = records(seconds * 0.1, seed)
    print(f"{count} records read by the launcher", flush=True)  # noqa: T201
    total += count
    count, said = decoding.told(seconds * 0.25, seed)
    print(said, flush=True)  # noqa: T201
    total += count
    shutil.rmtree(decoding.BUILD / "bundle", ignore_errors=True)
    count = max(5, int(seconds * 0.15 / CREATE_S))
    print(creating.sampled(count, seed), flush=True)  # noqa: T201
    print(f"seed {seed}: {total + count} executions, no crash, no hang, nothing half-made")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
