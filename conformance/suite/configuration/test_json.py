"""glossary.md, "JSON"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.config import dumps
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.documents import large, lasting, reordered
from seatrial.conformance.strategies.process import texts

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def placed(harness: Harness, *act: str) -> Config:
    """Return a config in a cgroup of the run's own, to be written as bytes."""
    config = harness.config(*act)
    config["linux"]["cgroupsPath"] = f"{harness.cgroup}/{harness.new_id()}"
    return config


# Encoding


@requirement("glossary.json.utf8")
@given(text=texts(max_size=20), escaped=st.booleans())
def test_text_is_read_as_utf_8_or_from_escapes(
    harness: Harness, text: str, *, escaped: bool
) -> None:
    config = placed(harness, "report", text)
    content = json.dumps(config, ensure_ascii=escaped).encode()
    with harness.created(content) as container:
        assert container.start().ok
        assert container.report().argv[-1] == text.encode()


@requirement("glossary.json.utf8")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_the_reaction_to_another_encoding_is_recorded(harness: Harness, encoding: str) -> None:
    content = dumps(placed(harness, "exit", "0")).decode().encode(encoding)
    failed = harness.attempt(content).failed
    harness.note(f"a config in {encoding} is {'refused' if failed else 'accepted'}")


@requirement("glossary.json.utf8")
@pytest.mark.parametrize(
    "wrong", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"], ids=bytes.hex
)
def test_the_reaction_to_bytes_that_are_no_utf_8_is_recorded(
    harness: Harness, wrong: bytes
) -> None:
    content = dumps(placed(harness, "report", "WRONG")).replace(b"WRONG", wrong)
    with harness.container(content) as container:
        if container.create().failed:
            harness.note(f"the bytes {wrong.hex()} are refused")
            return
        assert container.start().ok
        seen = container.report().argv[-1]
        harness.note(f"the bytes {wrong.hex()} arrive as {seen.hex()}")


# Names


@requirement("glossary.json.no-duplicate-names")
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_the_reaction_to_a_name_that_comes_twice_is_recorded(
    harness: Harness, *, known: bool
) -> None:
    config = placed(harness)
    name = "hostname" if known else "seatrial"
    content = dumps(config).rstrip()[:-1] + f', "{name}": "first", "{name}": "second"}}'.encode()
    with harness.container(content) as container:
        if container.create().failed:
            harness.note(f"a second {name} is refused")
            return
        assert container.start().ok
        seen = container.report()["hostname"]
        assert not known or seen in {"first", "second"}
        harness.note(f"a second {name} is accepted" + (f", the {seen} counts" if known else ""))


@requirement("glossary.json.order-insignificant")
def test_the_order_of_members_has_no_meaning(harness: Harness) -> None:
    config = large(harness.config())
    known = lasting(harness.run(config))

    @given(shuffled=reordered(config))
    def have_no_meaning(shuffled: Config) -> None:
        assert lasting(harness.run(shuffled)) == known

    have_no_meaning()
