"""The OCI runtimes' command line, for what needs neither a container's streams nor its parent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from seatrial.engine.errors import EngineError


class Runtime:
    """One runtime, with its own folder for its state."""

    def __init__(self, name: str, command: list[str], state: str) -> None:
        self.name, self.command = name, [*command, "--root", state]
        self.path = command[0]

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

    async def pids(self, identifier: str) -> list[int]:
        """Return the processes of a container."""
        found: list[int] = json.loads(await self("ps", "--format", "json", identifier))
        return found

    async def update(self, identifier: str, resources: dict[str, Any]) -> None:
        """Change the limits of a container."""
        await self("update", "--resources", "-", identifier, stdin=json.dumps(resources).encode())
