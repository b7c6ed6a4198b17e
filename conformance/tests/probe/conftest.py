"""The probe, built twice: as it is shipped, and with sanitizers."""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFORMANCE = Path(__file__).resolve().parents[2]
SOURCES = sorted((CONFORMANCE / "csrc/probe").glob("*.c"))
SCHEMA = CONFORMANCE / "src/seatrial/conformance/schema/probe.json"

CFLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O2"),
    *("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"),
)
BUILDS = {
    "static": ("-static",),
    "sanitized": ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}

TIMEOUT_S = 30
INFINITY = 2**64 - 1
NOBODY = 65534

# The leak checker wants /proc and the right to trace itself, which some acts give up.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}

# Numbers of system calls: getpid, set_mempolicy.
GETPID, SET_MEMPOLICY = {"x86_64": (39, 238), "aarch64": (172, 237)}.get(
    platform.machine(), (-1, -1)
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")
needs_numbers = pytest.mark.skipif(GETPID < 0, reason="no system call numbers for this machine")

Line = dict[str, Any]


class Probe(NamedTuple):
    """A built probe."""

    path: Path

    def run(
        self,
        *acts: str | bytes | Path,
        under: tuple[str, ...] = (),
        status: int = 0,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> list[Line]:
        """Return the lines that the probe prints; ``under`` is a program that starts it."""
        done = subprocess.run(
            [*under, self.path, *acts],
            check=False,
            timeout=TIMEOUT_S,
            env={**os.environ, **(env or {})},
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options},
        )
        assert done.returncode == status
        return [json.loads(line) for line in (done.stdout or b"").splitlines()]

    def act(self, *act: str | bytes | Path, **options: Any) -> Line:
        """Return the one line that one act prints."""
        (line,) = self.run(*act, **options)
        return line

    def report(self, **options: Any) -> Line:
        """Return a report."""
        return self.act("report", **options)

    @contextmanager
    def started(
        self, *acts: str | Path, under: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start the probe and kill it at the end."""
        with subprocess.Popen(
            [*under, self.path, *acts],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **NO_LEAK_CHECK},
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def next_line(process: subprocess.Popen[bytes]) -> Line:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], TIMEOUT_S)[0], "the probe keeps silent"
    line: Line = json.loads(process.stdout.readline())
    return line


def build(kind: str, folder: Path) -> Probe:
    path = folder / "probe"
    subprocess.run(["cc", *CFLAGS, *BUILDS[kind], "-o", path, *SOURCES], check=True)
    return Probe(path)


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("static", tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("sanitized", tmp_path_factory.mktemp("sanitized"))


@pytest.fixture(params=BUILDS)
def probe(request: pytest.FixtureRequest) -> Probe:
    built = request.getfixturevalue(request.param)
    assert isinstance(built, Probe)
    return built


@pytest.fixture(scope="session")
def schema() -> jsonschema.Draft202012Validator:
    document = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.fixture
def empty_root(static: Probe, tmp_path: Path) -> Path:
    """Return a root file system in which there is nothing but the probe."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(static.path, root / "probe")
    return root


def status_fields(report: Line) -> dict[str, str]:
    return {name: value.strip() for name, value in (x.split(":", 1) for x in report["status"])}


def bits(mask: str) -> list[int]:
    return [number for number in range(64) if int(mask, 16) >> number & 1]
