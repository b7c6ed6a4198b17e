"""The Python API: a container in process, without starting a command.

::

    from seatrial.oci import Container

    with Container("demo", bundle="/srv/demo") as container:
        container.create()
        container.start()
        print(container.wait())
"""

from __future__ import annotations

import contextlib
import os
import select
import signal as signals
from typing import TYPE_CHECKING, Any, Self

from seatrial.oci import config, execution, runtime
from seatrial.oci.command import DEFAULT_ROOT
from seatrial.oci.errors import NoSuchContainer, OCIError
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from seatrial.oci.config import Process


class Container:
    """One container, by its id below a state root; as a context it is deleted at the end.

    ``on_event`` is called with a word at each step of its life: ``creating``, ``created``,
    ``starting``, ``running``, ``stopped``, ``deleted``.  Every method raises ``OCIError``.
    """

    def __init__(
        self,
        identifier: str,
        *,
        bundle: str | None = None,
        root: str = DEFAULT_ROOT,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self.id = identifier
        self.bundle = bundle
        self.root = root
        self._tell = on_event or (lambda _event: None)
        self._created: runtime.Created | None = None

    @property
    def pid(self) -> int | None:
        """The container process's pid in our view; ``None`` where this object did not create it."""
        return self._created.pid if self._created else None

    def create(self, *, console_socket: str | None = None, preserve_fds: int = 0) -> Self:
        """Create it from its bundle (runtime.md, "Create"); the process is our child."""
        if self.bundle is None:
            raise OCIError(f"container {self.id} cannot be created without a bundle")
        self._tell("creating")
        self._created = runtime.create(
            self.id,
            bundle=self.bundle,
            root=self.root,
            console_socket=console_socket,
            preserve_fds=preserve_fds,
        )
        self._tell("created")
        return self

    def start(self) -> Self:
        """Run its program (runtime.md, "Start"); returns once that is executed."""
        self._tell("starting")
        runtime.start(self.id, root=self.root)
        self._tell("running")
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
        poller = select.poll()
        poller.register(self._created.pidfd, select.POLLIN)
        if not poller.poll(None if timeout_s is None else timeout_s * 1000):
            raise TimeoutError(f"container {self.id} still runs after {timeout_s:g} s")
        _, status = os.waitpid(self._created.pid, 0)
        self._close()
        self._tell("stopped")
        return os.waitstatus_to_exitcode(status)

    def execute(self, args: list[str] | Process) -> runtime.Created:
        """Execute a further process; a list of arguments is the container's own with these."""
        if isinstance(args, list):
            spec = config.decode(Folder(self.root, self.id).read("config.json"))
            args = execution.derived(spec, args, {})
        return execution.execute(self.id, args, root=self.root)

    def delete(self, *, force: bool = False) -> None:
        """Delete it (runtime.md, "Delete"); ``force`` kills it first."""
        runtime.delete(self.id, root=self.root, force=force)
        if self._created is not None and self._created.pidfd >= 0:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._created.pid, 0)
            self._close()
        self._tell("deleted")

    def _close(self) -> None:
        if self._created is not None and self._created.pidfd >= 0:
            os.close(self._created.pidfd)
            self._created = runtime.Created(self._created.pid, -1)

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
