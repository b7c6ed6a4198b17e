"""Runs tests on an executor and a launcher that are built with sanitizers (``make sanitize``).

An environment under build/ stands in the place of .venv: its Python has the sanitizers' library
loaded, its package is a copy with another ``_core``, and its ``seatrial-oci`` is another launcher.
All processes of a container up to exec are of these.  In the end it says which kinds of operations
were executed, and fails where one was not that it expects.
"""

from __future__ import annotations

import argparse
import array
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from seatrial.oci.operations import Kind

ROOT = Path(__file__).resolve().parents[3]
RUNTIME = ROOT / "runtime"
BUILD = ROOT / "build" / "sanitize"
COUNTS = BUILD / "counts"
FLAGS = (
    "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fno-omit-frame-pointer", "-U_FORTIFY_SOURCE",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    "-DSEATRIAL_COUNT_OPERATIONS", f'-DSEATRIAL_COUNTS="{COUNTS}"',
)  # fmt: skip
#: Python never gives back all that it has, so leaks are looked for by the fuzzer.
OPTIONS = "detect_leaks=0:detect_stack_use_after_return=0:allocator_may_return_null=1"
APART = ("engine", "fuzz", "faults", "endurance", "test_killed.py", "test_wheel.py")
#: What is not there on every machine: systemd, cgroup v2, resctrl, security modules.
RARE = {"ATTACH_TASK", "ATTRIBUTE", "DEVICE_FILTER", "SYSTEMD"}


def run(*command: str | Path) -> str:
    """Run a command that has to succeed; return its output."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))[:500]}\n{done.stderr}")
    return done.stdout.strip()


def compile_all(package: Path) -> None:
    """Compile the extension module and the launcher with sanitizers."""
    csrc = RUNTIME / "csrc"
    executor = [
        *sorted(csrc.glob("*.c")),
        *sorted((csrc / "facts").glob("*.c")),
        csrc / "fuzz" / "counts.c",
    ]
    include = f"-I{sysconfig.get_path('include')}"
    module = [*executor, *sorted((csrc / "python").glob("*.c"))]
    run("gcc", *FLAGS, include, "-fPIC", "-shared", "-o", package / "_core.abi3.so", *module)
    launcher = [*executor, *sorted((csrc / "launcher").glob("*.c"))]
    run("gcc", *FLAGS, "-o", BUILD / "bin" / "seatrial-oci", *launcher)
    package.joinpath("bin").mkdir()
    shutil.copy(BUILD / "bin" / "seatrial-oci", package / "bin")


def make() -> Path:
    """Make the environment; return its Python."""
    shutil.rmtree(BUILD, ignore_errors=True)
    venv.create(BUILD, symlinks=True)
    package = BUILD / "src" / "seatrial" / "oci"
    shutil.copytree(
        RUNTIME / "src" / "seatrial" / "oci", package,
        ignore=shutil.ignore_patterns("__pycache__", "*.so", "bin"),
    )  # fmt: skip
    compile_all(package)
    site = Path(run(BUILD / "bin" / "python3", "-c",
                    "import sysconfig; print(sysconfig.get_path('purelib'))"))  # fmt: skip
    # The copy first, then all of ours; nothing that Python starts needs the library too.
    site.joinpath("sanitize.pth").write_text(
        f"{BUILD / 'src'}\nimport site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        "import os; os.environ.pop('LD_PRELOAD', None)\n",
        "utf-8",
    )
    python = BUILD / "bin" / "python3"
    real = python.resolve()
    python.unlink()
    library = run("gcc", "-print-file-name=libasan.so")
    python.write_text(
        f"#!/bin/bash\nexport LD_PRELOAD={library} ASAN_OPTIONS={OPTIONS}\n"
        f'exec -a "$0" {real} "$@"\n',
        "utf-8",
    )
    python.chmod(0o755)
    return python


def executed() -> dict[Kind, int]:
    """Return how often each kind of operation was executed."""
    counts = array.array("L", COUNTS.read_bytes() if COUNTS.exists() else b"")
    return {kind: counts[kind] if kind < len(counts) else 0 for kind in Kind}


def report() -> int:
    """Say which kinds of operations were executed; return 1 where one is missing."""
    found = executed()
    never = {kind.name for kind, count in found.items() if not count}
    done = " ".join(f"{kind.name}:{count}" for kind, count in found.items() if count)
    print(f"== executed with sanitizers, {len(found) - len(never)} of {len(found)} kinds: {done}")  # noqa: T201
    print(f"== never executed here: {', '.join(sorted(never)) or 'none'}")  # noqa: T201
    return int(bool(never - RARE))


def main() -> int:
    """Make the environment, run the commands in it, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", metavar="REQUIREMENT", help="also the suite's tests of these")
    parser.add_argument("tests", nargs="*", default=[str(RUNTIME / "tests")])
    wanted = parser.parse_args()
    python = make()
    environment = {**os.environ, "ASAN_OPTIONS": OPTIONS}
    # pytest's own cache is no part of this, nor is what has libraries or environments of its own.
    apart = [f"--ignore={RUNTIME / 'tests' / each}" for each in APART]
    # The variants of the attacks are installations of their own too.
    left_out = ("what_we_execute_cannot_be_written_to", "attack_succeeds", "A01")
    apart += ["-k", " and ".join(f"not {each}" for each in left_out)]
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *apart, *wanted.tests]
    commands = [pytest]
    if wanted.suite:
        seatrial = str(Path(sys.executable).parent / "seatrial")
        runtime = str(BUILD / "bin" / "seatrial-oci")
        commands.append([seatrial, "test", "--runtime", runtime, "--requirement", wanted.suite])
    failed = 0
    for command in commands:
        failed |= subprocess.run(command, env=environment, check=False).returncode
    return int(bool(failed)) | report()


if __name__ == "__main__":
    sys.exit(main())
