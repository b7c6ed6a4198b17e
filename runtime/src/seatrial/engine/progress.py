"""What a transfer of an image tells while it goes on: ``docker pull`` draws its bars from this."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: No bar moves more often.
_INTERVAL_S = 0.1


class Progress:
    """Tells a client of a transfer's parts, each by the first twelve digits of its digest."""

    def __init__(self, say: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._say = say
        self._moved: dict[str, float] = {}

    async def tell(self, status: str, identifier: str = "") -> None:
        """Tell of what concerns all of it."""
        await self._say({"status": status, **({"id": identifier} if identifier else {})})

    async def part(self, digest: str, status: str) -> None:
        """Tell where a part is."""
        await self._say({"status": status, "progressDetail": {}, "id": short(digest)})

    async def bar(self, digest: str, status: str, current: int, total: int) -> None:
        """Tell how much of a part there is by now; not every time."""
        now = time.monotonic()
        if current < total and now - self._moved.get(digest, 0.0) < _INTERVAL_S:
            return
        self._moved[digest] = now
        detail = {"current": current, "total": total}
        await self._say({"status": status, "progressDetail": detail, "id": short(digest)})

    async def aux(self, document: dict[str, Any]) -> None:
        """Tell a program what came of it."""
        await self._say({"progressDetail": {}, "aux": document})


def short(digest: str) -> str:
    """Return how a digest is shown to people."""
    return digest.removeprefix("sha256:")[:12]
