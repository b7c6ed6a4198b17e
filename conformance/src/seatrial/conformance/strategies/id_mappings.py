"""Values of ``uidMappings`` and ``gidMappings``."""

from __future__ import annotations

from hypothesis import strategies as st

Mapping = dict[str, int]

_SIZE = 1 << 16


@st.composite
def mappings(draw: st.DrawFn, *, most: int = 8) -> list[Mapping]:
    """Mappings of which no two have an id in common, on either side; id 0 is in the first."""
    sizes = draw(st.lists(st.integers(1, _SIZE), min_size=1, max_size=most))
    places = draw(st.permutations(range(len(sizes))))
    first_host = draw(st.integers(0, 1 << 20))
    return [
        {
            "containerID": number * _SIZE + (draw(st.integers(0, _SIZE - size)) if number else 0),
            "hostID": first_host + places[number] * _SIZE + draw(st.integers(0, _SIZE - size)),
            "size": size,
        }
        for number, size in enumerate(sizes)
    ]


def many(count: int) -> list[Mapping]:
    """Return so many mappings of one id each, in a text shorter than a page (4096 bytes)."""
    return [
        {"containerID": number, "hostID": 1000 + 2 * number, "size": 1} for number in range(count)
    ]
