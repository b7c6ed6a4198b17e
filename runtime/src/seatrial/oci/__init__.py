"""The reference OCI runtime: a config compiled to a plan in Python, executed in C."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Container", "Event"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import what is asked for: the command does not need it."""
    if name == "Container":
        from seatrial.oci.container import Container

        return Container
    if name == "Event":
        from seatrial.oci.events import Event

        return Event
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
