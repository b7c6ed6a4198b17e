"""config-linux.md, "Masked Paths"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.paths import Tree, relative_paths, trees

if TYPE_CHECKING:
    from typing import Any

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def masking(harness: Harness, paths: list[str], *act: str) -> Config:
    """Return a config that masks these paths."""
    config = harness.config(*act)
    config["linux"]["maskedPaths"] = paths
    return config


def shows_nothing(line: dict[str, Any]) -> bool:
    """Return whether a file or folder was refused or empty."""
    return not line["ok"] or line.get("content") == "" or line.get("entries") == []


@requirement("linux.masked-paths.unreadable")
@given(tree=trees())
def test_masked_files_and_folders_show_nothing_and_others_all(harness: Harness, tree: Tree) -> None:
    config = masking(harness, tree.chosen, *tree.looks())
    with harness.bundle(config) as bundle:
        tree.make(bundle.rootfs)
        lines = harness.lines(config, bundle=bundle)
        for path, line in zip(tree.all, lines, strict=True):
            if tree.is_chosen(path):
                assert shows_nothing(line), path
            else:
                assert line.get("content") == "text" or line.get("entries"), path


@requirement("linux.masked-paths.unreadable")
@pytest.mark.parametrize("path", ["/proc/version", "/proc/self/mounts", "/proc/sys", "/proc/fs"])
def test_what_proc_shows_can_be_masked(harness: Harness, path: str) -> None:
    act = "list" if path in {"/proc/sys", "/proc/fs"} else "read"
    assert shows_nothing(harness.lines(masking(harness, [path], act, path))[0])


@requirement("linux.masked-paths.unreadable")
def test_what_is_mounted_can_be_masked(harness: Harness) -> None:
    config = masking(
        harness,
        ["/m/file", "/m/in", "/n"],
        "read",
        "/m/file",
        "+",
        "list",
        "/m/in",
        "+",
        "list",
        "/n",
    )
    config = with_mounts(config, bind("/m", "source"), mount("/n"), mount("/n/in"))
    with harness.bundle(config) as bundle:
        (bundle.path / "source" / "in" / "below").mkdir(parents=True)
        (bundle.path / "source" / "file").write_text("text")
        lines = harness.lines(config, bundle=bundle)
        assert [shows_nothing(line) for line in lines] == [True, True, True]
        assert (bundle.path / "source" / "file").read_text() == "text"
        assert [each.name for each in (bundle.path / "source" / "in").iterdir()] == ["below"]


@requirement("linux.masked-paths.unreadable")
def test_nobody_writes_through_a_mask(harness: Harness) -> None:
    config = masking(
        harness, ["/file", "/in"], "write", "/file", "new", "+", "write", "/in/f", "new"
    )
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "in").mkdir()
        (bundle.rootfs / "in" / "f").write_text("text")
        (bundle.rootfs / "file").write_text("text")
        harness.lines(config, bundle=bundle)
        assert (bundle.rootfs / "file").read_text() == "text"
        assert (bundle.rootfs / "in" / "f").read_text() == "text"


@requirement("linux.masked-paths.unreadable")
def test_the_reaction_to_a_path_that_does_not_exist_is_recorded(harness: Harness) -> None:
    failed = harness.attempt(masking(harness, ["/nowhere"], "exit", "0")).failed
    harness.note(f"a masked path that does not exist is {'refused' if failed else 'left alone'}")


@requirement("linux.masked-paths.unreadable")
@pytest.mark.parametrize("target", ["/in/file", "in/file"])
def test_what_becomes_of_the_target_of_a_masked_link_is_recorded(
    harness: Harness, target: str
) -> None:
    config = masking(harness, ["/link"], "read", "/link", "+", "read", "/in/file")
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "in").mkdir()
        (bundle.rootfs / "in" / "file").write_text("text")
        (bundle.rootfs / "link").symlink_to(target)
        with harness.container(config, bundle=bundle) as container:
            if container.create().failed:
                harness.note("a masked link is refused")
                return
            assert container.start().ok
            link, file = container.lines()
            assert shows_nothing(link)
            harness.note(
                f"a masked link's target is {'masked too' if shows_nothing(file) else 'not masked'}"
            )


@requirement("linux.masked-paths.absolute")
@settings(max_examples=10)
@given(path=relative_paths())
def test_a_relative_path_is_an_error(harness: Harness, path: str) -> None:
    config = masking(harness, [path], "exit", "0")
    with harness.bundle(config) as bundle:
        (bundle.rootfs / path).mkdir(parents=True, exist_ok=True)
        assert harness.attempt(config, bundle=bundle).failed
