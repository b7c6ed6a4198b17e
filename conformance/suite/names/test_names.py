"""config.md, "Hostname" and "Domainname": one name each, and the same rules for both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.report import raw
from seatrial.conformance.strategies.names import (
    dotted_names,
    longest_names,
    odd_names,
    too_long_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

applied = pytest.mark.parametrize(
    "member",
    [
        pytest.param("hostname", marks=requirement("config.hostname.applied")),
        pytest.param("domainname", marks=requirement("config.domainname.applied")),
    ],
)
shared = pytest.mark.parametrize(
    "member",
    [
        pytest.param("hostname", marks=requirement("config.hostname.shared-uts")),
        pytest.param("domainname", marks=requirement("config.domainname.shared-uts")),
    ],
)


def named(harness: Harness, member: str, name: str) -> Config:
    """Return a config with a ``hostname`` or ``domainname``."""
    config = harness.config()
    config[member] = name
    return config


def seen(harness: Harness, member: str, name: str) -> bytes:
    """Run a container with the name, and return what its program saw."""
    shown = harness.run(named(harness, member, name))[member]
    if shown != name and shown == own(member):
        raise Ignored(f"{member} is accepted and changes nothing")
    return raw(shown)


def own(member: str) -> str:
    """Return the name in the UTS namespace of the harness, which is the runtime's."""
    return Path(f"/proc/sys/kernel/{member}").read_text(encoding="latin-1").rstrip("\n")


@applied
@given(name=dotted_names())
@settings(max_examples=15)
def test_the_program_sees_the_name(harness: Harness, member: str, name: str) -> None:
    assert seen(harness, member, name) == name.encode()


@applied
@given(name=odd_names())
@settings(max_examples=10)
def test_the_program_sees_a_name_of_any_characters(
    harness: Harness, member: str, name: str
) -> None:
    assert seen(harness, member, name) == name.encode()


@applied
@given(name=longest_names())
@settings(max_examples=3)
def test_the_program_sees_the_longest_name(harness: Harness, member: str, name: str) -> None:
    assert seen(harness, member, name) == name.encode()


@applied
@given(name=dotted_names())
@settings(max_examples=5)
def test_the_name_stays_in_the_container(harness: Harness, member: str, name: str) -> None:
    before = own(member)
    harness.run(named(harness, member, name))
    assert own(member) == before


@applied
@given(name=too_long_names())
@settings(max_examples=5)
def test_a_name_that_the_kernel_refuses_generates_an_error(
    harness: Harness, member: str, name: str
) -> None:
    result = harness.attempt(named(harness, member, name))
    if result.ok:
        raise Ignored(f"{member} of {len(name)} bytes is accepted: {result!r}")


@pytest.fixture
def put_back(member: str) -> Iterator[None]:
    """Put the name of the harness back in the end."""
    name = own(member)
    yield
    Path(f"/proc/sys/kernel/{member}").write_text(name, encoding="latin-1")


@shared
@pytest.mark.usefixtures("put_back")
def test_a_name_in_the_runtimes_uts_namespace_is_recorded(harness: Harness, member: str) -> None:
    before = own(member)
    config = with_namespaces(named(harness, member, "seatrial"), ["pid", "mount", "ipc"])
    with harness.container(config) as container:
        result = container.create()
        result = container.start() if result.ok else result
        if result.failed:
            assert own(member) == before
            harness.note(f"{member} without a UTS namespace is refused")
            return
        if container.report()[member] != "seatrial":
            raise Ignored(f"{member} without a UTS namespace is accepted and changes nothing")
        harness.note(f"{member} without a UTS namespace renames the runtime's")
