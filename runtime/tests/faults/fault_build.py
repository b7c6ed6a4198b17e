"""Compiles what faults are injected into: the runtime as it is, with marks of what it is doing.

An environment under build/ stands in the place of .venv, as for the sanitizers: its package is a
copy with another ``_core``, its ``seatrial-oci`` another launcher.  Both say in their memory which
operation of the plan is under way (marks.c); nothing else about them is different.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RUNTIME = ROOT / "runtime"
HERE = Path(__file__).resolve().parent
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion")
MARKED = ("-DSEATRIAL_COUNT_OPERATIONS",)


def compile_c(output: Path, flags: tuple[str, ...], sources: list[Path]) -> None:
    """Compile; what the compiler says is shown."""
    command = ["gcc", *FLAGS, "-Werror", *flags, "-o", str(output), *map(str, sources)]
    subprocess.run(command, check=True)


def sources() -> list[Path]:
    """Return the files of the runtime, and of the faults."""
    folders = [RUNTIME / "csrc", RUNTIME / "src" / "seatrial" / "oci", HERE]
    found = [each for folder in folders for each in folder.rglob("*.*")]
    return [each for each in found if each.suffix in {".c", ".h", ".py"}]


def build(folder: Path) -> Path:
    """Return the environment's ``bin``, with ``seatrial-oci`` and ``inject``; made where stale."""
    stamp, binaries = folder / ".built", folder / "bin"
    newest = max(each.stat().st_mtime for each in sources())
    if stamp.exists() and stamp.stat().st_mtime > newest:
        return binaries
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, symlinks=True)
    package = folder / "src" / "seatrial" / "oci"
    shutil.copytree(
        RUNTIME / "src" / "seatrial" / "oci", package,
        ignore=shutil.ignore_patterns("__pycache__", "*.so", "bin"),
    )  # fmt: skip
    csrc = RUNTIME / "csrc"
    executor = [each for folder in (csrc, csrc / "facts") for each in sorted(folder.glob("*.c"))]
    executor.append(HERE / "marks.c")
    include = f"-I{sysconfig.get_path('include')}"
    compile_c(package / "_core.abi3.so", (*MARKED, "-fPIC", "-shared", include),
              [*executor, *sorted((csrc / "python").glob("*.c"))])  # fmt: skip
    compile_c(binaries / "seatrial-oci", (*MARKED, "-static"),
              [*executor, *sorted((csrc / "launcher").glob("*.c"))])  # fmt: skip
    compile_c(binaries / "inject", ("-static",), [HERE / "inject.c"])
    compile_c(binaries / "program", ("-static",), [HERE / "program.c"])
    (package / "bin").mkdir()
    shutil.copy(binaries / "seatrial-oci", package / "bin")
    site = subprocess.run(
        [str(binaries / "python3"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    # The copy first, then all of ours.
    Path(site, "faults.pth").write_text(
        f"{folder / 'src'}\nimport site; site.addsitedir({sysconfig.get_path('purelib')!r})\n",
        "utf-8",
    )
    compileall.compile_dir(str(folder / "src"), quiet=2)
    os.utime(stamp) if stamp.exists() else stamp.touch()
    return binaries


def call_names() -> dict[int, str]:
    """Return the names of the system calls."""
    text = subprocess.run(
        ["gcc", "-E", "-dM", "-"], input="#include <sys/syscall.h>", check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    words = [line.split() for line in text.splitlines() if line.startswith("#define __NR_")]
    return {int(each[2]): each[1][5:] for each in words if len(each) == 3 and each[2].isdigit()}
