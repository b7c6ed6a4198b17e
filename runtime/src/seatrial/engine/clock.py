"""Times as the interface writes them: RFC 3339 with nanoseconds, in UTC."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from seatrial.engine.errors import BadRequest

#: What Go writes for a time that was never set.
NEVER = "0001-01-01T00:00:00Z"
_BILLION = 1_000_000_000
_SECONDS = re.compile(r"(-?\d+)(?:\.(\d{1,9}))?")
_FRACTION = re.compile(r"\.(\d{1,9})\d*")


def now() -> str:
    """Return the time."""
    return from_ns(time.time_ns())


def from_ns(since_epoch_ns: int) -> str:
    """Write a time; zeros at the end are left out, as Go does."""
    seconds, rest = divmod(since_epoch_ns, _BILLION)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def to_ns(text: str) -> int:
    """Read a time that was written so."""
    fraction = _FRACTION.search(text)
    whole = _FRACTION.sub("", text).replace("Z", "+00:00")
    seconds = int(datetime.fromisoformat(whole).timestamp())
    return seconds * _BILLION + (int(fraction[1].ljust(9, "0")) if fraction else 0)


def given_ns(text: str) -> int:
    """Read what clients send as since and until: seconds since the epoch, or RFC 3339."""
    match = _SECONDS.fullmatch(text)
    if match:
        return int(match[1]) * _BILLION + int((match[2] or "0").ljust(9, "0"))
    try:
        return to_ns(text)
    except ValueError:
        raise BadRequest(f"invalid time {text!r}: want seconds since 1970, or RFC 3339") from None
