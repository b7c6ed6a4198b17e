"""Builds what is written in C: the probe, the executor, the launcher, the benchmarks' programs.

hatchling runs this as its build hook, for wheels and for editable installs. `make` runs it as a
command, `.venv/bin/python hatch_build.py`, to rebuild what is older than its sources.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from hatchling.builders.config import BuilderConfig
else:
    BuilderConfig = Any

FLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O2"),
    *("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"),
)


class Artifact(NamedTuple):
    """One thing to compile: all C files of some folders to one file; paths are the tree's."""

    sources: tuple[str, ...]
    output: str
    flags: tuple[str, ...]
    needs: str


#: What is built of it has its name in it, by which the parts know one another.
EXECUTOR = ("runtime/csrc", "runtime/csrc/facts")
LAUNCHER = "runtime/src/seatrial/oci/bin/seatrial-oci"
#: What is linked in place of glibc, where it knows how to make system calls.
OWN_LIBC = ("runtime/csrc/libc",) if platform.machine() in {"x86_64", "aarch64"} else ()
BARE = (
    *("-static", "-nostdlib", "-fno-pie", "-no-pie", "-s", "-ffunction-sections"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables"),
    *("-fno-tree-loop-distribute-patterns", "-Wl,--gc-sections"),
    "-Wl,-z,noseparate-code,--build-id=none",
)
ARTIFACTS = (
    # Static: the probe is the only file in a test's root file system, with no loader and no libc.
    Artifact(
        ("conformance/csrc/probe",),
        "conformance/src/seatrial/conformance/bin/probe",
        ("-static",),
        "gcc libc6-dev",
    ),
    # The stable ABI: one module for every CPython since 3.11.
    Artifact(
        ("runtime/csrc", "runtime/csrc/facts", "runtime/csrc/python"),
        "runtime/src/seatrial/oci/_core.abi3.so",
        ("-fPIC", "-shared", f"-I{sysconfig.get_path('include')}"),
        "gcc libc6-dev python3-dev",
    ),
    # Static: it starts faster without a loader. The executor is in it too.
    Artifact(
        ("runtime/csrc", "runtime/csrc/facts", "runtime/csrc/launcher", *OWN_LIBC),
        LAUNCHER,
        BARE if OWN_LIBC else ("-static",),
        "gcc libc6-dev",
    ),
    # What a container process of the module's is at first: as few pages as can be.
    *(
        Artifact(
            ("runtime/csrc", "runtime/csrc/container", folder),
            "runtime/src/seatrial/oci/bin/container",
            BARE,
            "gcc libc6-dev",
        )
        for folder in OWN_LIBC
    ),
    # Static: it is the first program of containers that hold no loader.
    Artifact(
        ("runtime/csrc/init",),
        "runtime/src/seatrial/engine/bin/init",
        ("-static", "-s"),
        "gcc libc6-dev",
    ),
    # What is between two readings of the clock is static: no loader, few pages.
    *(
        Artifact(
            (f"perf/csrc/{name}",),
            f"perf/src/seatrial/perf/bin/{name}",
            ("-static",),
            "gcc libc6-dev",
        )
        for name in ("stopwatch", "floor")
    ),
    # About 1 KB: it has no libc, and its first act is to read the clocks.
    Artifact(
        ("perf/csrc/payload",),
        "perf/src/seatrial/perf/bin/payload",
        (
            *("-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-s"),
            *("-fno-asynchronous-unwind-tables", "-Wl,-z,noseparate-code,--build-id=none"),
        ),
        "gcc libc6-dev",
    ),
)

# What a wheel carries besides the packages: pattern in the tree, folder in the wheel.
DATA = {
    "conformance/requirements/*.toml": "seatrial/conformance/requirements",
    "conformance/runtimes/*.toml": "seatrial/conformance/runtimes",
    "conformance/expectations/*.toml": "seatrial/conformance/expectations",
    "results/schema/*.json": "seatrial/conformance/schema",
}
SUITE = "conformance/suite"


class BuildError(Exception):
    """Something cannot be built; the text is one sentence that says why and what helps."""


def build(root: Path, artifact: Artifact) -> Path:
    """Return the path of an up-to-date artifact, compiled only if a source is newer than it."""
    sources: list[Path] = []
    headers: list[Path] = []
    for folder in artifact.sources:
        found = sorted((root / folder).glob("*.c"))
        if not found:
            raise BuildError(f"there are no C sources in {folder}")
        sources += found
        headers += (root / folder).glob("*.h")
    output = root / artifact.output
    inputs = [*sources, *headers, Path(__file__)]
    if output.exists() and output.stat().st_mtime_ns >= max(f.stat().st_mtime_ns for f in inputs):
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    # Compiled beside its place and renamed: a program that runs cannot be written to (ETXTBSY).
    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        named = [f'-DSEATRIAL_BUILD="{build_id(root)}"'] if EXECUTOR[0] in artifact.sources else []
        _compile([*_compiler(artifact), *named], sources, artifact, fresh)
        fresh.replace(output)
    finally:
        fresh.unlink(missing_ok=True)
    return output


def build_id(root: Path) -> str:
    """Return the name of the executor: a hash of its sources."""
    sources = sorted(f for folder in EXECUTOR for f in (root / folder).glob("*.[ch]"))
    content = b"".join(b"%s\0%s\0" % (f.name.encode(), f.read_bytes()) for f in sources)
    return hashlib.sha256(content).hexdigest()[:16]


def _compiler(artifact: Artifact) -> list[str]:
    """Return the C compiler's command, from $CC or `cc`."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        raise BuildError(
            f"{artifact.output} needs a C compiler and there is no {command[0]!r} on PATH "
            f"(hint: apt-get install {artifact.needs})"
        )
    return command


def _compile(compiler: list[str], sources: list[Path], artifact: Artifact, output: Path) -> None:
    flags = [*FLAGS, *artifact.flags]
    command = [*compiler, *flags, "-o", str(output), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if not _links(compiler, artifact):
        raise BuildError(
            f"{artifact.output} cannot be built: {compiler[0]!r} finds no headers or libraries for"
            f" {' '.join(artifact.flags)} (hint: apt-get install {artifact.needs})"
        )
    raise BuildError(f"compiling failed: {shlex.join(command)}\n{done.stderr.rstrip()}")


def _links(compiler: list[str], artifact: Artifact) -> bool:
    """Whether a program that does nothing can be built in the same way."""
    python = "#include <Python.h>\n" if "-shared" in artifact.flags else ""
    program = f"{python}#include <stdio.h>\nint main(void) {{ return 0; }}\n"
    command = [*compiler, *artifact.flags, "-x", "c", "-", "-o", os.devnull]
    # The linker unlinks its output when it fails, but only a regular file, never /dev/null.
    done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    return done.returncode == 0


def wheel_data(root: Path) -> dict[str, str]:
    """Return what the wheel carries besides packages: path in the tree to path in the wheel."""
    included = {str(root / SUITE): "seatrial/conformance/suite"}
    if not (root / SUITE).is_dir():
        raise BuildError(f"the folder {SUITE} is missing, and a wheel without it has no tests")
    for pattern, folder in DATA.items():
        found = sorted(root.glob(pattern))
        if not found:
            raise BuildError(f"nothing matches {pattern}, and a wheel without it does not work")
        included |= {str(path): f"{folder}/{path.name}" for path in found}
    return included


class SeatrialBuildHook(BuildHookInterface[BuilderConfig]):
    """Puts what is compiled and the data folders into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile all; `version` is "editable" or "standard"."""
        root = Path(self.root)
        try:
            built = {str(build(root, each)): _place(each) for each in ARTIFACTS}
            # As it is, not by a script of Python's: it stands beside the Python of an environment.
            build_data["shared_scripts"] |= {str(root / LAUNCHER): Path(LAUNCHER).name}
            if version == "editable":
                # The tree itself is on sys.path, with all that was compiled in its place.
                return
            build_data["force_include"] |= wheel_data(root)
        except BuildError as error:
            raise SystemExit(f"seatrial: {error}") from None
        build_data["force_include"] |= built
        # Compiled for one kind of machine; the Python around it runs on any CPython.
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def _place(artifact: Artifact) -> str:
    """Return an artifact's path in the wheel: what follows the room's src."""
    return artifact.output.partition("/src/")[2]


def main() -> int:
    """Compile what is older than its sources in the tree that this file is in."""
    try:
        for artifact in ARTIFACTS:
            build(Path(__file__).resolve().parent, artifact)
    except BuildError as error:
        print(f"seatrial: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
