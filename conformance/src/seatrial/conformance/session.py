"""One runtime's session: private namespaces, work folder, cgroups, state root, auditor."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from seatrial.conformance import cgroups, facts, janitor, namespaces, processes
from seatrial.conformance.audit import Auditor
from seatrial.conformance.cgroups import OwnCgroups, View
from seatrial.conformance.errors import UnfitError
from seatrial.conformance.facts import Evidence
from seatrial.conformance.runtime import Runtime, identify

if TYPE_CHECKING:
    from types import TracebackType

    from seatrial.conformance.adapters import Adapter

_runs = itertools.count(1)


class Session:
    """A context in which one runtime can be judged without the host noticing.

    Raises ``UnfitError`` on entry where the host does not allow it.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        spec: str = "1.3.0",
        view: View | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Prepare a session; ``view`` ``None`` means: what this runtime needs on this host."""
        self.adapter = adapter
        self.spec = spec
        self.config_version = spec
        self.view = view or self._own_view()
        self.timeout_s = timeout_s
        self._needs: dict[str, Evidence] = {}
        self._ids = itertools.count(1)
        self._exit = contextlib.ExitStack()

    def _own_view(self) -> View:
        hybrid = cgroups.mode(cgroups.hierarchies()) == "hybrid"
        return "v1" if hybrid and not self.adapter.hybrid_cgroups else "host"

    def __enter__(self) -> Self:
        """Enter the namespaces and make the work folder, cgroups and state root."""
        if os.geteuid() != 0:
            raise UnfitError(
                "the harness needs root: it makes namespaces, mounts and cgroups of its own",
                hint="sudo, or a root shell in a virtual machine",
            )
        name = f"{os.getpid()}-{next(_runs)}-{time.time_ns() // 1_000_000}"
        try:
            self._open(name)
        except OSError as error:
            self._exit.close()
            raise UnfitError(f"the surroundings of a run cannot be made: {error}") from error
        except BaseException:
            self._exit.close()
            raise
        return self

    def _open(self, name: str) -> None:
        # Users of all kinds get along in the bundles, whatever the umask of who runs the suite.
        self._exit.callback(os.umask, os.umask(0o022))
        processes.become_subreaper()
        identity = identify(self.adapter, timeout_s=self.timeout_s)
        self.work = Path(tempfile.mkdtemp(prefix="seatrial-"))
        self._exit.callback(self._remove_work)
        self._watch(name)
        self._exit.enter_context(processes.collecting())
        self._exit.enter_context(namespaces.Private())
        cgroups.take_view(self.view)
        # In memory, and in our mount namespace alone: gone with the run, however that ends.
        # By its source the janitor knows who lives on it.
        namespaces.mount(f"seatrial-{name}", str(self.work), "tmpfs", data="mode=755")
        with contextlib.suppress(PermissionError):  # as in some user namespaces
            os.mknod(self.work / "null", stat.S_IFCHR | 0o666, os.stat(os.devnull).st_rdev)
            (self.work / "null").chmod(0o666)
        self.cgroups = OwnCgroups(name)
        self._exit.callback(self.cgroups.remove)
        state_root = self.work / "state"
        state_root.mkdir()
        self.runtime = Runtime(
            self.adapter, identity, state_root, run_name=name, timeout_s=self.timeout_s
        )
        self.auditor = Auditor(self.cgroups, state_root)
        self._exit.callback(self.auditor.clear)

    def _remove_work(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # the janitor of a dying run was faster
            self.work.rmdir()

    def _watch(self, name: str) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", janitor.__file__, name, str(self.work), str(reader)],
            pass_fds=[reader],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reader)

        def dismiss() -> None:
            os.close(writer)
            watcher.wait()

        self._exit.callback(dismiss)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove all that the session made and go back to the host's namespaces."""
        self._exit.close()

    def new_id(self) -> str:
        """Return an id that no container of the session has had."""
        return f"c{next(self._ids)}"

    def need(self, name: str) -> Evidence:
        """Judge one need of a requirement in this session's view, looking only once."""
        if name not in self._needs:
            found = facts.need(name, self.adapter)
            self._needs[name] = self._features() if found and name == "features" else found
        return self._needs[name]

    def _features(self) -> Evidence:
        """Whether this runtime has the command that its adapter has."""
        result = self.runtime.invoke("features")
        text = f"{self.adapter.name} features: exit status {result.exit_status}"
        return Evidence(result.exit_status == 0, text)

    def settle(self, identifier: str) -> None:
        """Keep what the runtime made in its root at its first use, a lock or a cache.

        Entries that carry ``identifier`` are those of the container that was the first.
        """
        made = {name for name in self.auditor.look().state if identifier not in name}
        before = self.auditor.before
        self.auditor.before = replace(before, state=before.state | made)
