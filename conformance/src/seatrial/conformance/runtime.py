"""The runtime under test: its five operations, each a command line with a ``Result``."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.conformance import processes, spawn, trace
from seatrial.conformance.adapters import locate
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import Hung, Malformed, UnfitError
from seatrial.conformance.trace import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.spawn import Result, Streams

#: The only variable that a runtime under test is given, beside the name of the run.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VERSION_CHARACTERS = 100


@dataclass(frozen=True)
class Identity:
    """Which runtime this is: for results files, expectations and the user's eyes."""

    name: str
    path: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Runtime:
    """One runtime with a state root of its own.

    ``caller`` is a command that executes the rest of its arguments: the runtime's caller, where a
    test needs one with another umask, nice value or set of capabilities than the harness.
    """

    adapter: Adapter
    identity: Identity
    state_root: Path
    run_name: str
    timeout_s: float = 10.0
    caller: tuple[str, ...] = ()
    umask: int = -1
    journal: list[Result] = field(default_factory=list, compare=False)
    trace: list[Step] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """The name that results and expectations go by."""
        return self.identity.name

    @property
    def null(self) -> Path:
        """A device like /dev/null that is the run's own, where the host lets one be made."""
        own = self.state_root.parent / "null"
        return own if own.exists() else Path(os.devnull)

    def called_through(self, *caller: str) -> Runtime:
        """Return the same runtime, called by ``caller`` (it must execute its last arguments)."""
        return replace(self, caller=caller)

    def called_with_umask(self, umask: int) -> Runtime:
        """Return the same runtime, called by a process with ``umask``."""
        return replace(self, umask=umask)

    def argv(self, verb: str, **values: str | None) -> list[str]:
        """Return the whole command line for ``verb``; values that are ``None`` are left out."""
        given = {"root": str(self.state_root)}
        given |= {key: value for key, value in values.items() if value is not None}
        return [*self.caller, self.identity.path, *self.adapter.argv(verb, given)]

    def invoke(
        self,
        verb: str,
        *,
        streams: Streams | None = None,
        stdin: int | None = None,
        cwd: str | None = None,
        pass_fds: Sequence[int] = (),
        **values: str | None,
    ) -> Result:
        """Run one verb of the adapter; raises ``Hung`` when it does not come back."""
        argv = self.argv(verb, **values)
        work = self.state_root.parent
        members = {
            "argv": argv,
            "cwd": cwd or str(work),
            "umask": None if self.umask < 0 else self.umask,
            "descriptors": len(pass_fds) or None,
            "files": trace.given(argv, work, probe_binary()) or None,
        }
        try:
            result = spawn.run(
                argv,
                timeout_s=self.timeout_s,
                environ={"PATH": PATH, "SEATRIAL_RUN": self.run_name},
                cwd=cwd or str(work),
                streams=streams,
                pass_fds=pass_fds,
                umask=self.umask,
                **({} if stdin is None else {"stdin": stdin}),
            )
        except Hung:
            self.trace.append(Step("run", members | {"hung": True}))
            raise
        said = {"stdout": trace.text(result.stdout), "stderr": trace.text(result.stderr)}
        self.trace.append(Step("run", members | {"exit_status": result.exit_status} | said))
        self.journal.append(result)
        return result

    def start(self, identifier: str | None) -> Result:
        """Start a container (runtime.md, "Start")."""
        return self.invoke("start", id=identifier)

    def state(self, identifier: str | None) -> Result:
        """Query a container's state (runtime.md, "Query State")."""
        return self.invoke("state", id=identifier)

    def kill(self, identifier: str | None, signal: str | None = "KILL") -> Result:
        """Send ``signal``, a name without SIG or a number, to a container (runtime.md, "Kill")."""
        return self.invoke("kill", id=identifier, signal=signal)

    def delete(self, identifier: str | None) -> Result:
        """Delete a container (runtime.md, "Delete")."""
        return self.invoke("delete", id=identifier)

    def force_delete(self, identifier: str) -> Result:
        """Delete a container whatever its status, where the command line has a way to say so."""
        verb = "force-delete" if self.adapter.has("force-delete") else "delete"
        return self.invoke(verb, id=identifier)

    def features(self) -> dict[str, Any]:
        """Return the features document, empty for a runtime without one (features.md)."""
        if not self.adapter.has("features"):
            return {}
        result = self.invoke("features")
        return parse_object(result) if result.ok else {}


def parse_object(result: Result) -> dict[str, Any]:
    """Return the JSON object that a command printed; raises ``Malformed``."""
    try:
        document = json.loads(result.stdout)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"standard output is not JSON ({error}): {result!r}") from None
    if not isinstance(document, dict):
        raise Malformed(f"standard output is not a JSON object: {result!r}")
    return document


def identify(adapter: Adapter, *, timeout_s: float = 10.0) -> Identity:
    """Find the runtime's file and ask for its version; nothing is left running.

    Raises ``UnfitError`` if it is not there or does not come back; what it says that does not
    look like a version makes its version ``unknown``.
    """
    path = locate(adapter.command)
    if path is None:
        raise UnfitError(f"runtime {adapter.command} does not exist")
    path = os.path.abspath(path)
    processes.become_subreaper()
    others = frozenset(processes.children(os.getpid()))
    try:
        result = spawn.run(
            [path, *adapter.version_arguments], timeout_s=timeout_s, environ={"PATH": PATH}
        )
        content = Path(path).read_bytes()
    except Hung as hung:
        raise UnfitError(f"{adapter.name}: {hung}") from None
    except OSError as error:
        raise UnfitError(f"cannot read {path}: {error.strerror}") from None
    finally:
        processes.end_all(others)
    found = re.search(adapter.version_pattern, result.stdout.decode(errors="replace"))
    return Identity(
        name=adapter.name,
        path=path,
        version=_plain(found[1]) if found and found[1] else "unknown",
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _plain(version: str) -> str:
    return version if version.isprintable() and len(version) <= _VERSION_CHARACTERS else "unknown"
