"""Values that a member of a config cannot have: of another type, out of range, not in the list."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from seatrial.conformance.strategies.members import BOUNDS
from seatrial.conformance.strategies.process import texts

if TYPE_CHECKING:
    from seatrial.conformance.strategies.members import Member

_WORDS = st.text(string.ascii_uppercase, max_size=12).map("SEATRIAL_{}".format)
_FRACTIONS = st.floats(-1e6, 1e6).filter(lambda number: not number.is_integer())
#: By JSON type, what is of it; the first value of each is the one most likely to be confused.
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(0, 2**31 - 1),
    "string": st.sampled_from(["1", "true", "", "[]"]) | texts(max_size=10),
    "boolean": st.booleans(),
    "fraction": _FRACTIONS,
    "array": st.lists(st.integers(0, 9) | texts(max_size=5), min_size=1, max_size=3),
    "object": st.dictionaries(texts(max_size=5), texts(max_size=5), min_size=1, max_size=3),
}
_TYPES = {"string": "string", "word": "string", "bool": "boolean", "array": "array"}
_TYPES |= {"object": "object"} | dict.fromkeys(BOUNDS, "integer")
#: The other types of each, the most likely confusion first.
_OTHERS = {
    "string": ("integer", "boolean", "array", "object"),
    "boolean": ("string", "integer", "array", "object"),
    "integer": ("string", "boolean", "fraction", "array", "object"),
    "array": ("string", "object", "integer", "boolean"),
    "object": ("array", "string", "integer", "boolean"),
}


def of_another_type(member: Member) -> st.SearchStrategy[Any]:
    """JSON that is of another type than the member's, without null."""
    return st.one_of(*(_VALUES[kind] for kind in _OTHERS[_TYPES[member.kind]]))


def out_of_range(member: Member) -> st.SearchStrategy[int]:
    """Integers beyond the bounds of the member's type, those next to them first."""
    least, most = BOUNDS[member.kind]
    near = [] if least is None else [least - 1]
    near += [] if most is None else [most + 1]
    far = [st.just(number) for number in near]
    far += [] if least is None else [st.integers(max_value=least - 1)]
    far += [] if most is None else [st.integers(min_value=most + 1)]
    return st.one_of(*far)


def unlisted_words() -> st.SearchStrategy[str]:
    """Words that no list of the spec has, nor any of the kernel."""
    return _WORDS
