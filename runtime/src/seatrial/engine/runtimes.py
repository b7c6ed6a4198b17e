"""The OCI runtimes' command line, for what needs neither a container's streams nor its parent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from seatrial.engine import names
from seatrial.engine.errors import EngineError

#: With this in its environment, ``create`` does what its keeper has prepared.
_PREPARED = {"SEATRIAL_OCI_CACHE": "on"}


class Runtime:
    """One runtime, with its own folder for its state."""

    def __init__(self, name: str, command: list[str], state: str) -> None:
        self.name, self.command = name, [*command, "--root", state]
        self.path, self._state = command[0], state
        self._keeper: asyncio.subprocess.Process | None = None
        self._asking = asyncio.Lock()

    async def begin(self) -> None:
        """Start what prepares creates, if the runtime has that (``seatrial-oci keep --serve``).

        Compiling a config takes it three milliseconds, a create that starts Python for it forty.
        A runtime that does not know the verb ends at once.
        """
        self._keeper = await asyncio.create_subprocess_exec(
            *self.command,
            *("keep", "--serve"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def prepare(self, bundle: str) -> dict[str, str]:
        """Let a create be prepared; return what is to be in its environment.

        What cannot be prepared is no error here: create says what is wrong.
        """
        # An answer has to be read by who has asked, though nobody waits for it any more.
        answer = await asyncio.shield(asyncio.ensure_future(self._ask(bundle)))
        return _PREPARED if answer == b"kept\n" else {}

    async def _ask(self, bundle: str) -> bytes:
        async with self._asking:
            keeper = self._keeper
            if keeper is None or keeper.stdin is None or keeper.stdout is None:
                return b""
            try:
                keeper.stdin.write(f"{bundle}\n".encode())
                await keeper.stdin.drain()
                answer = await keeper.stdout.readline()
            except OSError:
                answer = b""
            if not answer:
                await self.end()
            return answer

    async def end(self) -> None:
        """Let the keeper end."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None:
            keeper.stdin.close()
            await keeper.wait()

    async def __call__(self, *words: str, stdin: bytes | None = None) -> bytes:
        """Run a command; return its output. Raises EngineError with what it complained of."""
        process = await asyncio.create_subprocess_exec(
            *self.command,
            *words,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate(stdin)
        if process.returncode:
            said = stderr.decode(errors="replace").strip() or f"exit status {process.returncode}"
            raise EngineError(f"OCI runtime {words[0]} failed: {said}")
        return stdout

    def containers(self) -> set[str]:
        """Return the ids that the runtime has something of: it has a folder for each."""
        return names.ids_in(self._state)

    async def pids(self, identifier: str) -> list[int]:
        """Return the processes of a container."""
        found: list[int] = json.loads(await self("ps", "--format", "json", identifier))
        return found

    async def update(self, identifier: str, resources: dict[str, Any]) -> None:
        """Change the limits of a container."""
        await self("update", "--resources", "-", identifier, stdin=json.dumps(resources).encode())
