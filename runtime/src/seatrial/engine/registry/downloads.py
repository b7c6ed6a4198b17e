"""A blob on its way into a file: cut, it goes on where it was cut; other bytes are refused."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import IO, TYPE_CHECKING

import aiohttp

from seatrial.engine.errors import BadRequest
from seatrial.engine.registry.client import RegistryError, error_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yarl import URL

    from seatrial.engine.registry.client import Client
    from seatrial.engine.registry.manifests import Descriptor

    #: Is told of how many bytes there are by now.
    Told = Callable[[int], Awaitable[None]]

_CHUNK = 1 << 18
#: Attempts that bring nothing new, one after the other; each waits twice as long as the last.
_MOST_ATTEMPTS = 5
_FIRST_WAIT_S = 0.05
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_OK, _PARTIAL = 200, 206


class Download:
    """One blob, and how far it is."""

    def __init__(self, client: Client, url: URL, wanted: Descriptor, file: IO[bytes]) -> None:
        self._client, self._url = client, url
        self._wanted, self._file = wanted, file
        self._hash = hashlib.sha256()
        self._have = 0

    async def run(self, told: Told) -> None:
        """Get all of it; raises BadRequest for other bytes than the descriptor is of."""
        failures = 0
        while True:
            before = self._have
            error: Exception | None = None
            try:
                await self._attempt(told)
            except (RegistryError, aiohttp.ClientError, TimeoutError) as caught:
                error = caught
            if self._have == self._wanted.size_bytes:
                break
            failures = 0 if self._have > before else failures + 1
            if failures == _MOST_ATTEMPTS:
                raise error or BadRequest(
                    f"blob {self._wanted.digest} ends after {self._have} of "
                    f"{self._wanted.size_bytes} bytes"
                )
            if failures:
                await asyncio.sleep(_FIRST_WAIT_S * 2**failures)
        digest = f"sha256:{self._hash.hexdigest()}"
        if digest != self._wanted.digest:
            raise BadRequest(
                f"filesystem layer verification failed for digest {self._wanted.digest}: "
                f"it is {digest}"
            )

    async def _attempt(self, told: Told) -> None:
        headers = {"Range": f"bytes={self._have}-"} if self._have else {}
        async with self._client.request("GET", self._url, headers=headers) as response:
            if self._have and response.status == _PARTIAL:
                match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if match is None or int(match[1]) != self._have:
                    raise BadRequest(
                        f"blob {self._wanted.digest}: another part came than was asked for"
                    )
            elif response.status != _OK:
                raise await error_of(response)
            elif self._have:  # all of it comes again
                self._file.seek(0)
                self._hash, self._have = hashlib.sha256(), 0
            async for chunk in response.content.iter_chunked(_CHUNK):
                await self._take(chunk)
                await told(self._have)

    async def _take(self, chunk: bytes) -> None:
        if self._have + len(chunk) > self._wanted.size_bytes:
            raise BadRequest(f"blob {self._wanted.digest} is longer than was said")
        self._hash.update(chunk)
        await asyncio.to_thread(self._file.write, chunk)
        self._have += len(chunk)
