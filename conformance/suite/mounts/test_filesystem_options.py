"""config.md, "Linux mount options": those of filesystems, known to all or to one kind only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.mounts import Flags, expected

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.namespaces import Mount

_PAGE_BYTES = 4096
#: The mode of a tmpfs without an option, which is not shown.
_MODE = 0o1777


def mounted(harness: Harness, *options: str) -> Mount:
    """Return what a new tmpfs with these options is."""
    return harness.run(with_mounts(harness.config(), mount("/m", *options))).mount("/m")


# Options that every filesystem has


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.option.{option}"))
        for option in ("sync", "dirsync", "lazytime", "async", "nolazytime")
    ],
)
def test_a_filesystem_has_the_flag_of_its_option(harness: Harness, option: str) -> None:
    assert Flags.shown(mounted(harness, option)) == expected([option])


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.option.{option}"))
        for option in ("silent", "loud", "iversion", "noiversion")
    ],
)
def test_an_option_that_shows_nowhere_is_understood(harness: Harness, option: str) -> None:
    # A tmpfs refuses what it does not know, so that the option has not come to it as its own.
    assert Flags.shown(mounted(harness, "nosuid", option)) == expected(["nosuid"])


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.option.{option}"))
        for option in ("mand", "nomand")
    ],
)
def test_the_reaction_to_mandatory_locking_is_recorded(harness: Harness, option: str) -> None:
    result = harness.attempt(with_mounts(harness.config("exit", "0"), mount("/m", option)))
    harness.note(f"{option} is {'refused' if result.failed else 'accepted'}")


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.option.{option}"))
        for option in ("sync", "async", "lazytime", "nolazytime", "dirsync", "silent", "loud")
    ],
)
def test_a_bind_mount_may_have_an_option_of_its_filesystem(harness: Harness, option: str) -> None:
    config = with_mounts(harness.config(), bind("/m", "source", option, "nosuid"))
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        assert Flags.shown(harness.run(config, bundle=bundle).mount("/m")).mount == {"nosuid"}


# Options of one kind of filesystem


@requirement("config.mounts.options.unknown-as-data")
@settings(max_examples=15)
@given(pages=st.integers(1, 4096), mode=st.integers(0o1, 0o1777), inodes=st.integers(2, 10**6))
def test_options_of_the_filesystem_reach_it(
    harness: Harness, pages: int, mode: int, inodes: int
) -> None:
    options = [f"size={pages * _PAGE_BYTES}", f"mode={mode:o}", f"nr_inodes={inodes}"]
    seen = mounted(harness, *options).filesystem_options
    assert f"size={pages * _PAGE_BYTES // 1024}k" in seen
    assert f"nr_inodes={inodes}" in seen
    assert f"mode={mode:03o}" in seen or mode == _MODE


@requirement("config.mounts.options.unknown-as-data", "config.mounts.mount8-options")
@given(options=st.permutations(["nosuid", "size=64k", "noexec", "mode=700", "nodiratime"]))
def test_options_of_the_filesystem_may_stand_among_others(
    harness: Harness, options: list[str]
) -> None:
    seen = mounted(harness, *options)
    assert Flags.shown(seen) == expected(options)
    assert {"size=64k", "mode=700"} <= seen.filesystem_options


@requirement("config.mounts.options.unknown-as-data")
def test_one_string_may_hold_several_options_of_the_filesystem(harness: Harness) -> None:
    # The strings are joined with commas, so that one may have commas of its own.
    assert {"size=64k", "mode=700"} <= mounted(harness, "size=64k,mode=700").filesystem_options


@requirement("config.mounts.options.unknown-as-data")
@pytest.mark.parametrize("option", ["seatrial", "seatrial=1", "size=seatrial", "Ro", "no-suid"])
def test_an_option_that_nobody_knows_reaches_the_filesystem_which_refuses_it(
    harness: Harness, option: str
) -> None:
    config = with_mounts(harness.config("exit", "0"), mount("/m", option))
    assert harness.attempt(config).failed


@requirement("config.mounts.options.custom-follows-mount8")
@pytest.mark.parametrize("option", ["user", "owner", "nofail", "_netdev", "x-seatrial=1", "acl"])
def test_what_a_runtime_makes_of_further_options_of_mount8_is_recorded(
    harness: Harness, option: str
) -> None:
    config = with_mounts(harness.config("report"), mount("/m", option))
    with harness.container(config) as container:
        result = container.create()
        if result.failed:
            harness.note(f"{option} on a tmpfs is refused")
            return
        assert container.start().ok
        flags = sorted(Flags.shown(container.report().mount("/m")).mount)
        harness.note(f"{option} on a tmpfs is accepted, flags: {', '.join(flags) or 'none'}")
