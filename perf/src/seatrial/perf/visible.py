"""Text of results made visible: what came from a runtime may hold any character."""

from __future__ import annotations

import re

#: Control characters, lone surrogates, and what turns the direction of the text around it
#: (Unicode annex 9): written out, so that nothing in results can make a report say otherwise.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    """Return ``text`` with every character written out that cannot be seen for what it is."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
