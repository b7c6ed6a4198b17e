"""config.md, "Mounts": what makes a bind mount, and remounts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


@contextlib.contextmanager
def tree(harness: Harness, config: Config) -> Iterator[Bundle]:
    """Give a bundle with a folder ``source`` that has a file, and another mount with one."""
    with harness.bundle(config) as bundle:
        source = bundle.path / "source"
        (source / "below").mkdir(parents=True)
        (source / "file").write_text("upper")
        with harness.mounted("lower", source / "below", "tmpfs"):
            (source / "below" / "file").write_text("lower")
            yield bundle


_READS = ("read", "/m/file", "+", "read", "/m/below/file")


@requirement("config.mounts.option.bind")
def test_bind_shows_the_source_without_the_mounts_in_it(harness: Harness) -> None:
    config = with_mounts(harness.config(*_READS), mount("/m", "bind", source="source", kind=None))
    with tree(harness, config) as bundle:
        file, lower = harness.lines(config, bundle=bundle)
        assert (file.get("content"), lower.get("errno")) == ("upper", "ENOENT")


@requirement("config.mounts.option.rbind")
@pytest.mark.parametrize("options", [["rbind"], ["bind", "rbind"], ["rbind", "bind"]], ids=",".join)
def test_rbind_shows_the_source_and_the_mounts_in_it(harness: Harness, options: list[str]) -> None:
    entry = mount("/m", *options, source="source", kind="none")
    config = with_mounts(harness.config(*_READS), entry)
    with tree(harness, config) as bundle:
        file, lower = harness.lines(config, bundle=bundle)
        assert (file.get("content"), lower.get("content")) == ("upper", "lower")


@requirement("config.mounts.option.bind", "config.mounts.option.rbind")
@pytest.mark.parametrize("option", ["bind", "rbind"])
def test_a_file_may_be_bound_to_a_file(harness: Harness, option: str) -> None:
    entry = mount("/m", option, source="source/file", kind="none")
    config = with_mounts(harness.config("read", "/m"), entry)
    with tree(harness, config) as bundle:
        assert harness.lines(config, bundle=bundle)[0].get("content") == "upper"


@requirement("config.mounts.option.bind")
def test_what_is_written_through_a_bind_mount_is_in_its_source(harness: Harness) -> None:
    config = with_mounts(harness.config("write", "/m/new", "text"), bind("/m", "source"))
    with tree(harness, config) as bundle:
        assert harness.lines(config, bundle=bundle)[0]["ok"]
        assert (bundle.path / "source" / "new").read_text() == "text"


@requirement("config.mounts.bind-iff-option", "config.mounts.type.dummy-for-bind")
@pytest.mark.parametrize(
    "kind", [None, "none", "bind", "", "tmpfs", "proc", "no such type"], ids=str
)
@pytest.mark.parametrize("option", ["bind", "rbind"])
def test_the_option_makes_a_bind_mount_whatever_the_type_says(
    harness: Harness, option: str, kind: str | None
) -> None:
    entry = mount("/m", option, source="source", kind=kind)
    config = with_mounts(harness.config("read", "/m/file"), entry)
    with tree(harness, config) as bundle:
        assert harness.lines(config, bundle=bundle)[0].get("content") == "upper"


@requirement("config.mounts.bind-iff-option", "config.mounts.type.unknown-errors")
@pytest.mark.parametrize("options", [[], ["ro"]], ids=["no options", "ro"])
def test_the_type_bind_alone_makes_no_bind_mount(harness: Harness, options: list[str]) -> None:
    # The kernel has no filesystem of that name.
    entry = mount("/m", *options, source="source", kind="bind")
    config = with_mounts(harness.config("exit", "0"), entry)
    with tree(harness, config) as bundle:
        assert harness.attempt(config, bundle=bundle).failed


@requirement("config.mounts.option.bind")
def test_a_source_that_does_not_exist_is_an_error(harness: Harness) -> None:
    config = with_mounts(harness.config("exit", "0"), bind("/m", "nowhere"))
    assert harness.attempt(config).failed


# Remount


@requirement("config.mounts.option.remount")
@pytest.mark.parametrize("option", ["nosuid", "nodev", "noexec", "nodiratime", "noatime"])
def test_remount_changes_the_flags_of_a_mount_that_is_there(harness: Harness, option: str) -> None:
    entries = [mount("/m", "size=64k"), mount("/m", "remount", option)]
    report = harness.run(with_mounts(harness.config(), *entries))
    assert [each.target for each in report.mounts].count("/m") == 1
    assert option in report.mount("/m").options


@requirement("config.mounts.option.remount")
def test_remount_makes_a_mount_read_only_that_was_written_to_before(harness: Harness) -> None:
    entries = [mount("/m"), bind("/m/in", "source"), mount("/m", "remount", "ro")]
    act = ("write", "/m/new", "text", "+", "read", "/m/in/file")
    config = with_mounts(harness.config(*act), *entries)
    with tree(harness, config) as bundle:
        written, file = harness.lines(config, bundle=bundle)
        assert (written.get("errno"), file.get("content")) == ("EROFS", "upper")


@requirement("config.mounts.option.remount")
def test_remount_changes_the_filesystem(harness: Harness) -> None:
    entries = [mount("/m", "size=64k"), mount("/m", "remount", "size=128k")]
    report = harness.run(with_mounts(harness.config(), *entries))
    assert [each.target for each in report.mounts].count("/m") == 1
    assert "size=128k" in report.mount("/m").filesystem_options
