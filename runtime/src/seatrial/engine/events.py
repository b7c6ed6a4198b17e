"""What happens, told to those who listen: ``docker events``."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Event = dict[str, Any]
Filters = dict[str, list[str]]
#: How many are kept for those who ask about the past.
_REMEMBERED = 1000
_BILLION = 1_000_000_000


class Events:
    """The last events, and who wants to hear of the next."""

    def __init__(self) -> None:
        self._past: deque[Event] = deque(maxlen=_REMEMBERED)
        self._listeners: set[asyncio.Queue[Event]] = set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def tell(self, kind: str, action: str, identifier: str, attributes: dict[str, str]) -> None:
        """Tell that something happened to an object."""
        moment = time.time_ns()
        event: Event = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": identifier, "Attributes": attributes},
            "scope": "local",
            "time": moment // _BILLION,
            "timeNano": moment,
        }
        if kind in {"container", "image"}:
            event["status"], event["id"] = action, identifier
            if kind == "container":
                event["from"] = attributes.get("image", "")
        self._past.append(event)
        for listener in self._listeners:
            listener.put_nowait(event)

    async def listen(
        self, filters: Filters, since_ns: int | None, until_ns: int | None
    ) -> AsyncGenerator[Event]:
        """Yield past events if there is a ``since``, then the next ones until the time is up."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            for event in list(self._past) if since_ns is not None else ():
                inside = until_ns is None or event["timeNano"] <= until_ns
                if event["timeNano"] >= (since_ns or 0) and inside and matches(event, filters):
                    yield event
            if until_ns is None:
                while True:
                    event = await queue.get()
                    if matches(event, filters):
                        yield event
            while (left := until_ns - time.time_ns()) > 0:
                try:
                    event = await asyncio.wait_for(queue.get(), left / _BILLION)
                except TimeoutError:
                    return
                if matches(event, filters):
                    yield event
        finally:
            self._listeners.discard(queue)


def matches(event: Event, filters: Filters) -> bool:
    """Whether an event is one of those that were asked for: by each kind of filter, any value."""
    actor = event["Actor"]
    attributes: dict[str, str] = actor["Attributes"]
    for kind, values in filters.items():
        if kind == "type":
            found = event["Type"] in values
        elif kind == "event":
            found = any(
                event["Action"].partition(":")[0] == value.partition(":")[0] for value in values
            )
        elif kind == "label":
            found = all(_has_label(attributes, value) for value in values)
        elif kind == "scope":
            found = event["scope"] in values
        elif kind in {"container", "image", "volume", "network"}:
            found = event["Type"] == kind and any(
                actor["ID"].removeprefix("sha256:").startswith(value.removeprefix("sha256:"))
                or attributes.get("name") == value
                for value in values
            )
            if kind == "image" and not found:
                found = attributes.get("image") in values
        else:
            found = True
        if not found:
            return False
    return True


def _has_label(attributes: dict[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in attributes and (not equals or attributes[name] == value)
