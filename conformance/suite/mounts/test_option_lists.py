"""config.md, "Linux mount options": whole lists of them, against the model of ``mounts.Flags``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.mounts import (
    ACCESS_TIMES,
    FILESYSTEM_FLAGS,
    FLAGS,
    Flags,
    expected,
    flag_sets,
    lists,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_OPPOSITES = [
    (name, opposite)
    for table in (FLAGS, FILESYSTEM_FLAGS, ACCESS_TIMES)
    for name, opposite in table.items()
    if opposite
]


def shown(harness: Harness, entry: Config) -> Flags:
    """Return the flags of the mount that an entry at /m makes."""
    return Flags.shown(harness.run(with_mounts(harness.config(), entry)).mount("/m"))


@requirement("config.mounts.options.as-mount8", "config.mounts.parameters-as-mount2")
@given(options=flag_sets(FLAGS, FILESYSTEM_FLAGS, ACCESS_TIMES))
def test_all_options_of_a_new_mount_take_effect_in_any_order(
    harness: Harness, options: list[str]
) -> None:
    assert shown(harness, mount("/m", *options)) == expected(options)


@requirement("config.mounts.options.as-mount8")
@given(options=flag_sets(FLAGS, ACCESS_TIMES))
def test_all_options_of_a_bind_mount_take_effect_in_any_order(
    harness: Harness, options: list[str]
) -> None:
    config = harness.config()
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        entry = bind("/m", "source", *options)
        report = harness.run(with_mounts(config, entry), bundle=bundle)
        # The filesystem is that of the run's work folder, with flags of its own.
        seen, wanted = Flags.shown(report.mount("/m")), expected(options)
        assert (seen.mount, seen.access_time) == (wanted.mount, wanted.access_time)


@requirement("config.mounts.options.as-mount8")
@given(options=lists(FLAGS, FILESYSTEM_FLAGS, ACCESS_TIMES))
def test_the_last_of_several_opposites_counts_for_a_new_mount(
    harness: Harness, options: list[str]
) -> None:
    assert shown(harness, mount("/m", *options)) == expected(options)


@requirement("config.mounts.options.as-mount8")
@given(options=lists(FLAGS, ACCESS_TIMES))
def test_the_last_of_several_opposites_counts_for_a_bind_mount(
    harness: Harness, options: list[str]
) -> None:
    config = harness.config()
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        entry = bind("/m", "source", *options)
        report = harness.run(with_mounts(config, entry), bundle=bundle)
        seen, wanted = Flags.shown(report.mount("/m")), expected(options)
        assert (seen.mount, seen.access_time) == (wanted.mount, wanted.access_time)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(first, last, marks=requirement(f"config.mounts.option.{last}"))
        for pair in _OPPOSITES
        for first, last in (pair, pair[::-1])
    ],
)
def test_an_option_undoes_its_opposite_before_it(harness: Harness, first: str, last: str) -> None:
    assert shown(harness, mount("/m", first, last)) == expected([last])
