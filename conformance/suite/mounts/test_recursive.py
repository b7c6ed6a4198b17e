"""config.md, "Linux mount options": attributes of a mount and of all mounts below it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance import namespaces
from seatrial.conformance.config import mount, with_mounts
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.mounts import (
    ACCESS_TIMES,
    FLAGS,
    SYMLINKS,
    Flags,
    expected,
    flag_sets,
    mount_flags,
    recursive,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: The table has no rnodev, so that a runtime need not know it.
_FLAGS = {name: opposite for name, opposite in FLAGS.items() if name != "nodev"}
#: A failure of one of these is also one of the others in the test of their combinations.
_TRIED = {name: _FLAGS[name] for name in ("ro", "nosuid", "noexec")}
_PLACES = ("", "/below", "/below/deep", "/beside")


@contextlib.contextmanager
def tree(harness: Harness, config: Config, *below: Sequence[str]) -> Iterator[Bundle]:
    """Give a bundle with a folder ``source``, and mounts in it that have these flags."""
    with harness.bundle(config) as bundle, contextlib.ExitStack() as stack:
        (bundle.path / "source").mkdir()
        for place, flags in zip(_PLACES[1:], below, strict=True):
            target = bundle.path / f"source{place}"
            target.mkdir(exist_ok=True)
            stack.enter_context(harness.mounted("tmpfs", target, "tmpfs"))
            (target / "file").touch()
            (target / "deep").mkdir()
            namespaces.mount("none", str(target), None, mount_flags(flags))
        yield bundle


def seen(harness: Harness, options: Sequence[str], *below: Sequence[str]) -> list[Flags]:
    """Return the flags of all mounts of the tree, bound with these options."""
    entry = mount("/m", "rbind", *options, source="source", kind="none")
    config = with_mounts(harness.config(), entry)
    with tree(harness, config, *below) as bundle:
        report = harness.run(config, bundle=bundle)
        found = [Flags.shown(report.mount(f"/m{place}")) for place in _PLACES]
        return [Flags(each.mount, access_time=each.access_time) for each in found]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.r{name}"))
        for name in (*_FLAGS, *SYMLINKS, *ACCESS_TIMES)
    ],
)
def test_all_mounts_below_have_the_attribute_too(harness: Harness, name: str) -> None:
    other = "noatime" if name in {"relatime", "strictatime"} else "relatime"
    found = seen(harness, [f"r{name}"], [], ["strictatime"], [other])
    if name in ACCESS_TIMES:
        assert [each.access_time for each in found] == [name] * len(_PLACES)
        assert {each.mount for each in found} == {frozenset()}
    else:
        assert [each.mount for each in found] == [{name}] * len(_PLACES)


@pytest.mark.parametrize(
    ("name", "opposite"),
    [
        pytest.param(*pair, marks=requirement(f"config.mounts.option.r{pair[1]}"))
        for pair in {**FLAGS, **SYMLINKS}.items()
    ],
)
def test_no_mount_below_has_an_attribute_that_is_taken_away(
    harness: Harness, name: str, opposite: str
) -> None:
    found = seen(harness, [f"r{opposite}"], [], [name], [name, "nodiratime"])
    assert [name in each.mount for each in found] == [False] * len(_PLACES)
    assert "nodiratime" in found[-1].mount or name == "nodiratime"


@pytest.mark.parametrize(
    ("name", "opposite"),
    [
        pytest.param(*pair, marks=requirement(f"config.mounts.option.r{pair[1]}"))
        for pair in ACCESS_TIMES.items()
    ],
)
def test_no_mount_below_has_access_times_that_are_taken_away(
    harness: Harness, name: str, opposite: str
) -> None:
    found = {each.access_time for each in seen(harness, [f"r{opposite}"], [], [name], [name])}
    # relatime is also what there is when nothing else is wanted.
    assert found <= {"relatime", "strictatime"}
    assert name not in found or name == "relatime"


@pytest.mark.parametrize(
    ("option", "act", "errno"),
    [
        pytest.param(option, act, errno, marks=requirement(f"config.mounts.option.{option}"))
        for option, act, errno in (
            ("rro", ["write", "/m/beside/file", "text"], "EROFS"),
            ("rrw", ["write", "/m/beside/file", "text"], None),
            ("rnoexec", ["spawn", "/m/beside/probe", "exit", "0"], "EACCES"),
            ("rexec", ["spawn", "/m/beside/probe", "exit", "0"], None),
            ("rnosymfollow", ["open", "/m/beside/link", "r"], "ELOOP"),
            ("rsymfollow", ["open", "/m/beside/link", "r"], None),
        )
    ],
)
def test_an_attribute_is_in_force_on_a_mount_below(
    harness: Harness, option: str, act: list[str], errno: str | None
) -> None:
    entry = mount("/m", "rbind", option, source="source", kind="none")
    config = with_mounts(harness.config(*act), entry)
    with tree(harness, config, [], [], []) as bundle:
        place = bundle.path / "source" / "beside"
        (place / "link").symlink_to("file")
        (place / "probe").write_bytes((bundle.rootfs / "probe").read_bytes())
        (place / "probe").chmod(0o755)
        assert harness.lines(config, bundle=bundle)[0].get("errno") == errno


@requirement(*(f"config.mounts.option.r{name}" for pair in _TRIED.items() for name in pair))
@given(options=flag_sets(_TRIED), below=st.lists(flag_sets(FLAGS), min_size=3, max_size=3))
def test_attributes_in_any_order_change_what_each_mount_has(
    harness: Harness, options: list[str], below: list[list[str]]
) -> None:
    wanted = [expected(flags).after(options) for flags in ([], *below)]
    assert seen(harness, recursive(options), *below) == wanted


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(first, last, marks=requirement(f"config.mounts.option.r{last}"))
        for pair in _FLAGS.items()
        for first, last in (pair, pair[::-1])
    ],
)
def test_an_attribute_undoes_its_opposite_before_it(
    harness: Harness, first: str, last: str
) -> None:
    found = seen(harness, [f"r{first}", f"r{last}"], [], [], [])
    assert [each.mount for each in found] == [expected([last]).mount] * len(_PLACES)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.r{name}"))
        for name in (*_FLAGS, *SYMLINKS, *ACCESS_TIMES)
    ],
)
def test_a_new_filesystem_may_have_a_recursive_attribute(harness: Harness, name: str) -> None:
    report = harness.run(with_mounts(harness.config(), mount("/m", f"r{name}")))
    assert Flags.shown(report.mount("/m")) == expected([name])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(f"config.mounts.option.r{name}"))
        for name in ("ro", "noexec")
    ],
)
def test_a_bound_file_may_have_a_recursive_attribute(harness: Harness, name: str) -> None:
    entry = mount("/m", "bind", f"r{name}", source="source", kind="none")
    config = with_mounts(harness.config(), entry)
    with harness.bundle(config) as bundle:
        (bundle.path / "source").touch()
        report = harness.run(config, bundle=bundle)
        assert Flags.shown(report.mount("/m")).mount == {name}
