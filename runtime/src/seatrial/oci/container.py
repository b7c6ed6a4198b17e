"""The Python API: a container in process, without starting a command.

::

    from seatrial.oci import Container

    with Container("demo", bundle="/srv/demo") as container:
        container.create()
        container.start()
        print(container.wait())

    def show(event: Event) -> None:
        print(event.name, event.pid)

    Container("demo", bundle="/srv/demo", on_event=show).create()
"""

from __future__ import annotations

import contextlib
import os
import select
import signal as signals
from typing import TYPE_CHECKING, Any, Self

import msgspec

from seatrial.oci import cgroups, config, events, execution, pause, runtime, stats, update
from seatrial.oci.command import default_root
from seatrial.oci.creation import Created
from seatrial.oci.errors import NoSuchContainer, OCIError
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from seatrial.oci.config import Process, Resources
    from seatrial.oci.events import Event


class Container:
    """One container, by its id below a state root; as a context it is deleted at the end.

    ``on_event`` is called with an ``Event`` at each step of its life, as it happens; what it raises
    during ``create`` gives the create up, and nothing of it is left.  Every method raises
    ``OCIError``.
    """

    def __init__(
        self,
        identifier: str,
        *,
        bundle: str | None = None,
        root: str | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.id = identifier
        self.bundle = bundle
        self.root = root or default_root()
        self._teller = events.Teller(identifier, on_event)
        self._created: Created | None = None

    @property
    def pid(self) -> int | None:
        """The container process's pid in our view; ``None`` where this object did not create it."""
        return self._created.pid if self._created else None

    def create(self, *, console_socket: str | None = None, preserve_fds: int = 0) -> Self:
        """Create it from its bundle (runtime.md, "Create"); the process is our child."""
        if self.bundle is None:
            raise OCIError(f"container {self.id} cannot be created without a bundle")
        self._teller.tell("creating")
        self._created = runtime.create(
            self.id,
            bundle=self.bundle,
            root=self.root,
            console_socket=console_socket,
            preserve_fds=preserve_fds,
            teller=self._teller,
        )
        self._teller.tell("created", pid=self.pid)
        return self

    def start(self) -> Self:
        """Run its program (runtime.md, "Start"); returns once that is executed."""
        self._teller.tell("starting")
        runtime.start(self.id, root=self.root)
        self._teller.tell("running", pid=self.pid)
        return self

    def state(self) -> dict[str, Any]:
        """Return its state (runtime.md, "State")."""
        return runtime.state(self.id, root=self.root)

    def kill(self, signal: int = signals.SIGTERM) -> None:
        """Send its process a signal (runtime.md, "Kill")."""
        runtime.kill(self.id, signal, root=self.root)

    def wait(self, timeout_s: float | None = None) -> int:
        """Return the exit status of its program, negative for a signal; only for our own child.

        Raises ``TimeoutError`` when ``timeout_s`` has passed.
        """
        if self._created is None or self._created.pidfd < 0:
            raise OCIError(f"container {self.id} is not a child of this process, or was waited for")
        if timeout_s is not None:
            poller = select.poll()
            poller.register(self._created.pidfd, select.POLLIN)
            if not poller.poll(timeout_s * 1000):
                raise TimeoutError(f"container {self.id} still runs after {timeout_s:g} s")
        _, status = os.waitpid(self._created.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._teller.tell("stopped", pid=self.pid, status=code)
        self._close()
        return code

    def execute(self, args: list[str] | Process) -> Created:
        """Execute a further process; a list of arguments is the container's own with these."""
        if isinstance(args, list):
            args = execution.derived_of(self.id, args, root=self.root)
        return execution.execute(self.id, args, root=self.root)

    def pause(self) -> None:
        """Stop all its processes, until ``resume``."""
        pause.pause(self.id, root=self.root)
        self._teller.tell("paused", pid=self.pid)

    def resume(self) -> None:
        """Let its processes run on."""
        pause.resume(self.id, root=self.root)
        self._teller.tell("resumed", pid=self.pid)

    def update(self, resources: Resources | dict[str, Any]) -> None:
        """Change its limits: an object like ``linux.resources``; what it has not stays as it is."""
        if isinstance(resources, dict):
            resources = config.decode_resources(msgspec.json.encode(resources))
        update.update(self.id, resources, root=self.root)
        self._teller.tell("updated", pid=self.pid)

    def stats(self) -> dict[str, Any]:
        """Return what it uses, in the form of ``events --stats`` (sizes in bytes, times in ns)."""
        folder = Folder(self.root, self.id)
        folder.record()
        return stats.collect(cgroups.stored_groups(folder.plan()))

    def delete(self, *, force: bool = False) -> None:
        """Delete it (runtime.md, "Delete"); ``force`` kills it first."""
        runtime.delete(self.id, root=self.root, force=force)
        if self._created is not None and self._created.pidfd >= 0:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._created.pid, 0)
            self._close()
        self._teller.tell("deleted")

    def _close(self) -> None:
        if self._created is not None and self._created.pidfd >= 0:
            os.close(self._created.pidfd)
            self._created = Created(self._created.pid, -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(NoSuchContainer):
            self.delete(force=True)
