"""Names of images as Docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.engine import references
from seatrial.engine.errors import BadRequest

_DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag", "short"),
    [
        ("busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("docker.io/busybox:1", "docker.io", "library/busybox", "1", "busybox:1"),
        ("index.docker.io/a/b", "docker.io", "a/b", "latest", "a/b:latest"),
        ("a/b:1", "docker.io", "a/b", "1", "a/b:1"),
        ("localhost/a", "localhost", "a", "latest", "localhost/a:latest"),
        ("local:5000/a/b:x", "local:5000", "a/b", "x", "local:5000/a/b:x"),
        ("ex.org/a", "ex.org", "a", "latest", "ex.org/a:latest"),
        (f"a@{_DIGEST}", "docker.io", "library/a", "", f"a@{_DIGEST}"),
    ],
)
def test_what_people_leave_out_is_filled_in(
    text: str, registry: str, path: str, tag: str, short: str
) -> None:
    read = references.parse(text)
    assert (read.registry, read.path, read.tag, str(read)) == (registry, path, tag, short)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "a/B",
        "a:",
        "a b",
        "-a",
        "a//b",
        "a/",
        "/a",
        "a:b:c",
        "a@sha256:12",
        "../a",
        "0a" * 32,
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        references.parse(text)


@given(st.from_regex(r"\A(?:[a-z]{1,8}\.[a-z]{2}(?::[0-9]{1,4})?/)?[a-z0-9]{1,9}(?:/[a-z0-9]{1,9}){0,2}"
                     r"(?::[A-Za-z0-9_.-]{1,9})?\Z"))  # fmt: skip
def test_a_name_is_read_again_as_it_is_written(text: str) -> None:
    try:
        read = references.parse(text)
    except BadRequest:
        return  # a tag cannot begin with a dot
    assert references.parse(str(read)) == read
