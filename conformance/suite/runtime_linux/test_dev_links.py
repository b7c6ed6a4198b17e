"""runtime-linux.md, "Dev symbolic links"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}

#: Edits of the mounts: where /dev is, and where /proc comes in.
_MOUNTS = {
    "proc before dev": ["/proc", "/dev"],
    "dev before proc": ["/dev", "/proc"],
    "dev in the root": ["/proc"],
}


def with_mounts(harness: Harness, destinations: Iterable[str], *act: str) -> Config:
    """Return a config with just these of the usual mounts, in this order."""
    config = harness.config(*act)
    mounts = {each["destination"]: each for each in config["mounts"]}
    config["mounts"] = [mounts[each] for each in destinations]
    return config


for_each_order = pytest.mark.parametrize("mounts", _MOUNTS.values(), ids=_MOUNTS)


@requirement("runtime-linux.dev-symlinks.fd")
@for_each_order
def test_dev_fd_is_a_link(harness: Harness, mounts: list[str]) -> None:
    _is_linked(harness, mounts, "/dev/fd")


@requirement("runtime-linux.dev-symlinks.stdin")
@for_each_order
def test_dev_stdin_is_a_link(harness: Harness, mounts: list[str]) -> None:
    _is_linked(harness, mounts, "/dev/stdin")


@requirement("runtime-linux.dev-symlinks.stdout")
@for_each_order
def test_dev_stdout_is_a_link(harness: Harness, mounts: list[str]) -> None:
    _is_linked(harness, mounts, "/dev/stdout")


@requirement("runtime-linux.dev-symlinks.stderr")
@for_each_order
def test_dev_stderr_is_a_link(harness: Harness, mounts: list[str]) -> None:
    _is_linked(harness, mounts, "/dev/stderr")


def _is_linked(harness: Harness, mounts: list[str], path: str) -> None:
    with harness.created(with_mounts(harness, mounts, "readlink", path)) as container:
        assert container.start().ok
        assert container.read_line().get("target") == _LINKS[path]


@requirement("runtime-linux.dev-symlinks.only-if-source-exists")
def test_links_to_nothing_are_recorded(harness: Harness) -> None:
    """Without proc nothing is demanded, and nothing forbidden."""
    act = [word for path in _LINKS for word in ("readlink", path, "+")]
    config = with_mounts(harness, ["/dev"], *act, "say", "end")
    with harness.container(config) as container:
        if container.create().failed:
            harness.note("a container without /proc is refused")
            return
        assert container.start().ok
        seen = [container.read_line().get("target") for _ in _LINKS]
    made = sum(target is not None for target in seen)
    harness.note(f"without /proc {made} of {len(_LINKS)} links are made")


@requirement("runtime-linux.dev-symlinks.only-if-source-exists")
def test_what_counts_is_what_is_there_after_the_mounts(harness: Harness) -> None:
    """/proc of the root is empty, and is full only once proc is mounted on it, last of all."""
    act = [word for path in _LINKS for word in ("readlink", path, "+")]
    config = with_mounts(harness, ["/dev", "/proc"], *act, "say", "end")
    with harness.created(config) as container:
        assert container.start().ok
        assert [container.read_line().get("target") for _ in _LINKS] == list(_LINKS.values())
