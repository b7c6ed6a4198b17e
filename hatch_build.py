"""Builds the probe, the static binary that looks at a container from inside.

hatchling runs this as its build hook, for wheels and for editable installs. `make` runs it as a
command, `.venv/bin/python hatch_build.py`, to rebuild the probe alone.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from hatchling.builders.config import BuilderConfig
else:
    BuilderConfig = Any

PROBE_SOURCES = "conformance/csrc/probe"
PROBE = "conformance/src/seatrial/conformance/bin/probe"

# Static, because the probe is the only file in a test's root file system: no loader, no libc.
CFLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O2", "-static"),
    *("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"),
)

# What a wheel carries besides the packages: pattern in the tree, folder in the wheel.
DATA = {
    "conformance/requirements/*.toml": "seatrial/conformance/requirements",
    "conformance/runtimes/*.toml": "seatrial/conformance/runtimes",
    "conformance/expectations/*.toml": "seatrial/conformance/expectations",
    "results/schema/*.json": "seatrial/conformance/schema",
}
SUITE = "conformance/suite"


class ProbeError(Exception):
    """The probe cannot be built; the text is one sentence that says why and what helps."""


def build_probe(root: Path) -> Path:
    """Return the path of an up-to-date probe, compiled only if a source is newer than it."""
    sources = sorted((root / PROBE_SOURCES).glob("*.c"))
    if not sources:
        raise ProbeError(f"there are no C sources in {PROBE_SOURCES}")
    probe = root / PROBE
    inputs = [*sources, *(root / PROBE_SOURCES).glob("*.h"), Path(__file__)]
    if probe.exists() and probe.stat().st_mtime_ns >= max(f.stat().st_mtime_ns for f in inputs):
        return probe
    probe.parent.mkdir(parents=True, exist_ok=True)
    # Compiled beside its place and renamed: a probe that is running cannot be written to (ETXTBSY).
    fresh = probe.with_name(f".probe.{os.getpid()}")
    try:
        _compile(_compiler(), sources, fresh)
        fresh.replace(probe)
    finally:
        fresh.unlink(missing_ok=True)
    return probe


def _compiler() -> list[str]:
    """Return the C compiler's command, from $CC or `cc`."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        raise ProbeError(
            f"the probe needs a C compiler and there is no {command[0]!r} on PATH "
            "(hint: apt-get install gcc libc6-dev)"
        )
    return command


def _compile(compiler: list[str], sources: list[Path], output: Path) -> None:
    command = [*compiler, *CFLAGS, "-o", str(output), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if not _has_static_libc(compiler):
        raise ProbeError(
            f"the probe is linked statically and {compiler[0]!r} finds no headers or no libc.a "
            "of the C library (hint: apt-get install gcc libc6-dev)"
        )
    raise ProbeError(f"compiling the probe failed: {shlex.join(command)}\n{done.stderr.rstrip()}")


def _has_static_libc(compiler: list[str]) -> bool:
    """Whether an empty program can be compiled and linked statically."""
    program = "#include <stdio.h>\nint main(void) { return 0; }\n"
    command = [*compiler, "-static", "-x", "c", "-", "-o", os.devnull]
    # The linker unlinks its output when it fails, but only a regular file, never /dev/null.
    done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    return done.returncode == 0


def wheel_data(root: Path) -> dict[str, str]:
    """Return what the wheel carries besides packages: path in the tree to path in the wheel."""
    included = {str(root / SUITE): "seatrial/conformance/suite"}
    if not (root / SUITE).is_dir():
        raise ProbeError(f"the folder {SUITE} is missing, and a wheel without it has no tests")
    for pattern, folder in DATA.items():
        found = sorted(root.glob(pattern))
        if not found:
            raise ProbeError(f"nothing matches {pattern}, and a wheel without it does not work")
        included |= {str(path): f"{folder}/{path.name}" for path in found}
    return included


class SeatrialBuildHook(BuildHookInterface[BuilderConfig]):
    """Puts the probe and the data folders into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the probe; `version` is "editable" or "standard"."""
        root = Path(self.root)
        try:
            probe = build_probe(root)
            if version == "editable":
                # The tree itself is on sys.path, with the probe and the data in their places.
                return
            build_data["force_include"] |= wheel_data(root)
        except ProbeError as error:
            raise SystemExit(f"seatrial: {error}") from None
        build_data["force_include"][str(probe)] = "seatrial/conformance/bin/probe"
        # The probe runs on one kind of machine; the Python around it on any CPython.
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def main() -> int:
    """Build the probe of the tree that this file is in."""
    try:
        build_probe(Path(__file__).resolve().parent)
    except ProbeError as error:
        print(f"seatrial: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
