"""The one error of this room."""

from __future__ import annotations


class VmError(Exception):
    """What stands between the user and a guest: one sentence, and what may help."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep ``message`` as the text and ``hint`` beside it."""
        super().__init__(message)
        self.hint = hint
