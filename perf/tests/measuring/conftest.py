"""Runs of ``seatrial bench`` in processes of their own, and runtimes that go wrong."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "from seatrial.conformance.cli.main import main; exit(main())"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Ran:
    """A run that has ended, and its results folder."""

    status: int
    out: str
    err: str
    folder: Path

    def document(self, name: str) -> Any:
        """Return a file of the results folder."""
        return json.loads((self.folder / name).read_text())

    @property
    def environment(self) -> Any:
        """What the folder says of the run."""
        return self.document("environment.json")

    @property
    def samples(self) -> list[dict[str, Any]]:
        """The samples that were kept."""
        lines = (self.folder / "samples.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Bench:
    """Starts ``seatrial bench run`` and looks around afterwards."""

    folder: Path
    temporary: Path

    @property
    def output(self) -> Path:
        """The results folder."""
        return self.folder / "results"

    def start(
        self, *words: str | Path, before: str = "", output: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start it; ``before`` is Python that goes before it in the same process."""
        where: list[str | Path] = ["--output", output or self.output]
        if "--resume" in words:
            where = []
        return subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{PROGRAM}", "bench", "run", *words, *where],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )

    def finish(self, process: subprocess.Popen[str], output: Path | None = None) -> Ran:
        """Wait for its end; whatever came of it, it showed no traceback and left nothing."""
        with process:
            try:
                out, err = process.communicate(timeout=TIMEOUT_S)
            finally:
                process.kill()
        assert "Traceback" not in out + err, out + err
        self.assert_clean(process.pid)
        return Ran(process.returncode, out, err, output or self.output)

    def __call__(self, *words: str | Path, before: str = "", output: Path | None = None) -> Ran:
        """Start it and wait for its end."""
        return self.finish(self.start(*words, before=before, output=output), output)

    def assert_clean(self, pid: int) -> None:
        """Fail if anything of the run of this process is left on the host."""
        assert not [*self.temporary.iterdir()]
        assert not glob.glob(f"/sys/fs/cgroup/seatrial-perf-{pid}-*")
        assert not glob.glob(f"/sys/fs/cgroup/*/seatrial-perf-{pid}-*")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    if os.geteuid() != 0:
        pytest.skip("only root can make containers")
    # pytest's folders are closed to other users, and one of the cases is such a user's.
    with tempfile.TemporaryDirectory(prefix="spt-") as temporary:
        os.chmod(temporary, 0o711)  # noqa: S103 - passed through, not read
        yield Bench(tmp_path, Path(temporary))


@pytest.fixture
def crun() -> str:
    found = shutil.which("crun")
    if found is None:
        pytest.skip("crun is not on this machine")
    return found


@dataclass(frozen=True)
class Wrapper:
    """Makes runtimes out of crun that do something else before it."""

    folder: Path
    crun: str

    def __call__(self, name: str, script: str) -> str:
        """Return a runtime's path; in ``script`` the command's words are ``$@``."""
        path = self.folder / name
        path.write_text(f'#!/bin/sh\n{script}\nexec {self.crun} "$@"\n')
        path.chmod(0o755)
        return str(path)


@pytest.fixture
def runtime_that(tmp_path: Path, crun: str) -> Wrapper:
    return Wrapper(tmp_path, crun)
