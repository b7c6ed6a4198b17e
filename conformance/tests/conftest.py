"""What several test files share: runs of the suite in a process of their own, and their host."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from seatrial.conformance import adapters, cgroups, processes
from seatrial.conformance.errors import UsageError
from seatrial.conformance.harness import Harness
from seatrial.conformance.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View

# The same examples in every run, however long a loaded machine takes for one.
settings.register_profile("harness", derandomize=True, database=None, deadline=None)
settings.load_profile("harness")

#: One timeout for whatever may hang because of a defect; nothing waits for it otherwise.
TIMEOUT_S = 60
PYTEST = (sys.executable, "-m", "pytest")
SEATRIAL = (sys.executable, "-c", "from seatrial.conformance.cli.main import main; exit(main())")
STREAMS = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
}
#: A release whose configs every runtime takes.
OLD = "1.0.2"
BROKEN = Path(__file__).parent / "broken"


@dataclass(frozen=True)
class Ran:
    """A program that has ended."""

    pid: int
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> list[str]:
        """The lines on stderr: a sentence, and a hint below it."""
        return self.err.splitlines()


NewTrial = Callable[[], "Trial"]


@dataclass(frozen=True)
class Trial:
    """Runs pytest or ``seatrial`` in a process of its own, and looks around afterwards."""

    folder: Path

    @property
    def tmpdir(self) -> Path:
        """Where runs make their work folders."""
        return self.folder / "tmp"

    def start(
        self,
        *words: str | Path,
        program: tuple[str, ...] = PYTEST,
        under: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Start it, with its streams in pipes; ``under`` is a program that executes it."""
        # What the pytest that runs this test says to those below it is not for this one; and what
        # was compiled once is kept, as compiling is the most of what a short run does.
        outer = {name for name in os.environ if name.startswith("PYTEST_")}
        outer.add("PYTHONDONTWRITEBYTECODE")
        environ = {key: value for key, value in os.environ.items() if key not in outer}
        environ["TMPDIR"] = str(self.tmpdir)
        return subprocess.Popen(
            [*under, *program, *map(str, words)],
            text=True,
            cwd=self.folder,
            env={**environ, **(env or {})},
            **{**STREAMS, **options},
        )

    def finish(self, process: subprocess.Popen[str]) -> Ran:
        """Wait for its end; whatever came of it, it showed no traceback and left nothing."""
        try:
            out, err = (text or "" for text in process.communicate(timeout=TIMEOUT_S))
        finally:
            process.kill()
        for text in (out, err):
            assert "Traceback (most recent call last)" not in text, text
            assert "INTERNALERROR" not in text, text
        self.assert_clean(process.pid)
        return Ran(process.pid, process.returncode, out, err)

    def __call__(self, *words: str | Path, **options: Any) -> Ran:
        """Start it and wait for its end."""
        return self.finish(self.start(*words, **options))

    def assert_clean(self, pid: int) -> None:
        """Fail if anything of the runs that process ``pid`` made is left on the host."""
        assert not [*self.tmpdir.glob("seatrial-*")]
        for top in ("", "/*"):
            assert not glob.glob(f"/sys/fs/cgroup{top}/seatrial/{pid}-*")
        assert not glob.glob(f"/sys/fs/cgroup/seatrial-{pid}-*")
        assert not [path for path in glob.glob("/proc/[0-9]*") if _carries(path, pid)]
        assert f"seatrial-{pid}-" not in Path("/proc/self/mountinfo").read_text()


def _carries(path: str, pid: int) -> bool:
    try:
        return f"SEATRIAL_RUN={pid}-".encode() in Path(path, "environ").read_bytes()
    except OSError:
        return False


@pytest.fixture(scope="session")
def new_trial(tmp_path_factory: pytest.TempPathFactory) -> NewTrial:
    """Make a trial in a folder of its own, which has no pytest configuration."""

    def make() -> Trial:
        made = Trial(tmp_path_factory.mktemp("trial"))
        made.tmpdir.mkdir()
        return made

    return make


@pytest.fixture
def trial(new_trial: NewTrial) -> Trial:
    """Run the suite in a process of its own."""
    return new_trial()


@pytest.fixture(scope="session")
def good() -> Adapter:
    """A runtime that works: what the broken ones wrap."""
    if os.geteuid() != 0:
        pytest.skip("only root may make containers")
    for name in ("crun", "runc"):
        with contextlib.suppress(UsageError):
            return adapters.find(name)
    pytest.skip("neither crun nor runc is here")


@pytest.fixture(scope="session")
def view() -> View:
    """What the broken runtimes are to see of the host: what crun takes, if they wrap that."""
    return "v1" if cgroups.mode(cgroups.hierarchies()) == "hybrid" else "host"


@pytest.fixture
def session(good: Adapter) -> Iterator[Session]:
    """A session of the good runtime, in this process."""
    with Session(good, timeout_s=TIMEOUT_S) as entered:
        entered.config_version = OLD
        yield entered


@pytest.fixture
def door(session: Session) -> Harness:
    """A harness as a test of the suite has it."""
    return Harness(session)


@pytest.fixture(autouse=True)
def _orphans(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let orphans go to init again: a session in this process is for one test only.

    Else they would be pytest's own children, whom nobody waits for, in the tests that come after.
    """
    yield
    # The trials of broken runtimes are a run of the suite, and its session goes on.
    if not request.path.is_relative_to(BROKEN):
        ctypes.CDLL(None).prctl(processes.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.fixture
def bystanders() -> Iterator[frozenset[int]]:
    """The processes below us that were there before the test, which leaves no other behind."""
    before = frozenset(processes.children(os.getpid()))
    yield before
    left = [pid for pid in processes.children(os.getpid()) if pid not in before]
    lines = [processes.command_line(pid) for pid in left]
    processes.end_all(before)
    assert not lines
