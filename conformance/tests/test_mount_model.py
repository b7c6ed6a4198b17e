"""The model of mount options, by examples that were looked up by hand in mount(8)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from seatrial.conformance.namespaces import Mount
from seatrial.conformance.strategies.mounts import (
    ACCESS_TIMES,
    FILESYSTEM_FLAGS,
    FLAGS,
    IDS,
    Flags,
    Mapping,
    expected,
    flag_sets,
    lists,
    mappings,
)


@pytest.mark.parametrize(
    ("options", "mount", "filesystem", "access_time"),
    [
        ([], set(), set(), "relatime"),
        (["ro", "nosuid"], {"ro", "nosuid"}, set(), "relatime"),
        (["ro", "rw"], set(), set(), "relatime"),
        (["rw", "ro", "exec", "noexec", "exec"], {"ro"}, set(), "relatime"),
        (["sync", "lazytime", "async"], set(), {"lazytime"}, "relatime"),
        (["dirsync", "async"], set(), {"dirsync"}, "relatime"),
        (["noatime"], set(), set(), "noatime"),
        (["noatime", "atime"], set(), set(), "relatime"),
        (["noatime", "norelatime", "nostrictatime"], set(), set(), "noatime"),
        (["strictatime", "nodiratime"], {"nodiratime"}, set(), "strictatime"),
        (["norelatime"], set(), set(), "relatime"),
        (["defaults", "size=4k", "mode=700"], set(), set(), "relatime"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else None,
)
def test_options_make_flags(
    options: list[str], mount: set[str], filesystem: set[str], access_time: str
) -> None:
    assert expected(options) == Flags(frozenset(mount), frozenset(filesystem), access_time)


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("1 2 0:1 / /m rw,nosuid,relatime - tmpfs t rw", Flags(frozenset({"nosuid"}))),
        ("1 2 0:1 / /m ro - tmpfs t rw", Flags(frozenset({"ro"}), access_time="strictatime")),
        (
            "1 2 0:1 / /m rw,relatime - tmpfs t ro,sync",
            Flags(frozenset({"ro"}), frozenset({"sync"})),
        ),
        ("1 2 0:1 / /m rw,noatime - tmpfs t rw,size=4k", Flags(access_time="noatime")),
    ],
)
def test_a_line_of_mountinfo_shows_flags(line: str, flags: Flags) -> None:
    assert Flags.shown(Mount.parse(line)) == flags


@given(options=flag_sets(FLAGS, FILESYSTEM_FLAGS, ACCESS_TIMES))
def test_a_set_of_options_says_each_flag_once_so_that_the_order_is_no_matter(
    options: list[str],
) -> None:
    assert len(set(options)) == len(options)
    assert expected(options) == expected(options[::-1])


@given(options=lists(FLAGS, ACCESS_TIMES))
def test_a_list_sets_access_times_of_one_kind_only(options: list[str]) -> None:
    assert len(set(options) & set(ACCESS_TIMES)) <= 1


@given(mapping=mappings())
def test_the_ranges_of_a_mapping_have_nothing_in_common(mapping: Mapping) -> None:
    for side in ("containerID", "hostID"):
        ranges = sorted((each[side], each[side] + each["size"]) for each in mapping.entries)
        assert all(one[1] <= other[0] for one, other in pairwise(ranges))


def test_a_mapping_maps_what_is_in_its_ranges() -> None:
    mapping = Mapping(
        (
            {"containerID": 10, "hostID": 100, "size": 2},
            {"containerID": 0, "hostID": 50, "size": 1},
        )
    )
    assert [mapping.of(number) for number in (0, 1, 10, 11, 12)] == [50, 65534, 100, 101, 65534]
    assert set(IDS) >= {0, 1}
