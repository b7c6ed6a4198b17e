"""Where a run takes place: its own mount namespace, folder in memory, cgroups and stopwatch."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from seatrial.perf import cgroups, janitor, kernel
from seatrial.perf.cgroups import OwnCgroups
from seatrial.perf.engines import Engines
from seatrial.perf.errors import UnfitError
from seatrial.perf.in_process import InProcess
from seatrial.perf.stopwatch import UNPRIVILEGED, Step, Stopwatch

if TYPE_CHECKING:
    from types import TracebackType

    from seatrial.perf.contenders import Contender


def closed_to_others() -> str | None:
    """Return what on the way to a run's work folder keeps users without privileges out."""
    top = Path(tempfile.gettempdir()).resolve()
    for folder in (top, *top.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return str(folder)
    return None


class Place:
    """A context in which containers can be made without the host noticing.

    This process stays in the mount namespace to its end.  Raises ``UnfitError`` on entry where
    the host does not allow it.
    """

    def __init__(self, *, timeout_s: float = 30.0, docker_host: str | None = None) -> None:
        """Prepare it; no step of a sample may take longer than ``timeout_s``."""
        self.timeout_s = timeout_s
        self._docker_host = docker_host
        self.name = f"{os.getpid()}-{time.time_ns() // 1_000_000}"
        self._ids = itertools.count(1)
        self._exit = contextlib.ExitStack()
        self._in_process: dict[str, InProcess] = {}

    def __enter__(self) -> Self:
        """Make all of it."""
        if os.geteuid() != 0:
            raise UnfitError(
                "the benchmarks need root: they make namespaces, mounts and cgroups of their own",
                hint="sudo, or a root shell in a virtual machine",
            )
        try:
            self._open()
        except OSError as error:
            self._exit.close()
            raise UnfitError(f"the surroundings of a run cannot be made: {error}") from error
        except BaseException:
            self._exit.close()
            raise
        return self

    def _open(self) -> None:
        self._exit.callback(os.umask, os.umask(0o022))
        self.work = Path(tempfile.mkdtemp(prefix="seatrial-perf-"))
        self._exit.callback(self._remove_work)
        self._watch()
        kernel.own_mount_namespace()
        self.view = cgroups.take_view()
        kernel.mount("seatrial-perf", str(self.work), "tmpfs", data="mode=755")
        self._exit.callback(kernel.umount, str(self.work), kernel.MNT_DETACH)
        self.cgroups = OwnCgroups(self.name)
        self._exit.callback(self.cgroups.remove)
        self.tracepoint = self._find_tracepoint()
        self.stopwatch = Stopwatch(environ={"SEATRIAL_TRACEPOINT": str(self.tracepoint)})
        self._exit.callback(self._end)
        self.cgroups.adopt(self.stopwatch.pid)
        self.engines = Engines(self.work, self.cgroups, self._docker_host)
        self._exit.callback(self.engines.close)

    def _watch(self) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        name = f"{cgroups.PREFIX}{self.name}"
        words = [sys.executable, "-I", "-S", janitor.__file__, name, str(self.work), str(reader)]
        watcher = subprocess.Popen(
            words, pass_fds=[reader], stdin=subprocess.DEVNULL, start_new_session=True
        )
        os.close(reader)

        def dismiss() -> None:
            os.close(writer)
            watcher.wait()

        self._exit.callback(dismiss)

    def _find_tracepoint(self) -> int:
        """Return perf's number of the tracepoint of all system calls; 0 where there is none."""
        folder = self.work / "tracefs"
        folder.mkdir()
        try:
            kernel.mount("tracefs", str(folder), "tracefs")
        except OSError:
            return 0
        try:
            return int((folder / "events/raw_syscalls/sys_enter/id").read_text())
        except (OSError, ValueError):
            return 0
        finally:
            kernel.umount(str(folder), kernel.MNT_DETACH)

    def _end(self) -> None:
        for each in self._in_process.values():
            each.close()
        self.stopwatch.close()
        janitor.sweep(f"{cgroups.PREFIX}{self.name}")

    def _remove_work(self) -> None:
        with contextlib.suppress(OSError):  # the janitor of a dying run was faster
            self.work.rmdir()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove all that the run made."""
        self._exit.close()

    def new_id(self) -> str:
        """Return an id that no container of the run has had."""
        return f"b{next(self._ids)}"

    def root(self, contender: Contender, *, rootless: bool = False) -> str:
        """Return a contender's state root; the two of the A/A pair have one each."""
        folder = self.work / ("rootless" if rootless else "state") / contender.name
        folder.mkdir(parents=True, exist_ok=True)
        if rootless:
            os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        return str(folder)

    @property
    def pid_file(self) -> str:
        """Where runtimes write the container's process."""
        return str(self.work / "pid")

    def sample(self, *steps: Step, pid_file: bool = False, count: bool = False) -> dict[str, Any]:
        """Take one sample."""
        return self.stopwatch.sample(
            steps,
            timeout_s=self.timeout_s,
            pid_file=self.pid_file if pid_file else "",
            count=count,
        )

    def pids(self) -> list[int]:
        """Return the processes whose use, with that of their children, is the run's."""
        workers = (each.pid for each in self._in_process.values())
        return [os.getpid(), self.stopwatch.pid, *(pid for pid in workers if pid)]

    def sample_in_process(
        self, contender: Contender, bundle: str, identifier: str, *, count: bool = False
    ) -> dict[str, Any]:
        """Take one sample of a runtime's Python API."""
        if contender.name not in self._in_process:
            self._in_process[contender.name] = InProcess(
                contender, self.tracepoint, self.cgroups.adopt
            )
        return self._in_process[contender.name].sample(
            identifier, bundle, self.root(contender), timeout_s=self.timeout_s, count=count
        )

    def clear(self, contender: Contender, identifier: str) -> None:
        """Remove what a failed sample may have left of a container."""
        if not contender.is_floor and not contender.is_engine:
            root = self.root(contender)
            self.sample(contender.step("delete", root, "--force", identifier))
        self.cgroups.clear()
