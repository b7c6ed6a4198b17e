"""The releases of the runtime-spec that the suite knows."""

from __future__ import annotations

RELEASES = ("1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.2.0", "1.2.1", "1.3.0")
NEWEST = RELEASES[-1]


def up_to(release: str) -> tuple[str, ...]:
    """Return the releases up to and with ``release``, newest first."""
    return RELEASES[: RELEASES.index(release) + 1][::-1]
