"""config-linux.md, "Readonly Paths"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.paths import Tree, relative_paths, trees

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def protecting(harness: Harness, paths: list[str], *act: str) -> Config:
    """Return a config in which these paths are read-only."""
    config = harness.config(*act)
    config["linux"]["readonlyPaths"] = paths
    return config


@requirement("linux.readonly-paths.read-only")
@given(tree=trees())
def test_only_read_only_files_and_folders_cannot_be_changed(harness: Harness, tree: Tree) -> None:
    config = protecting(harness, tree.chosen, *tree.changes())
    with harness.bundle(config) as bundle:
        tree.make(bundle.rootfs)
        lines = harness.lines(config, bundle=bundle)
        for path, line in zip(tree.all, lines, strict=True):
            assert line.get("errno") == ("EROFS" if tree.is_chosen(path) else None), path


@requirement("linux.readonly-paths.read-only")
@given(tree=trees())
def test_read_only_files_and_folders_can_be_read(harness: Harness, tree: Tree) -> None:
    config = protecting(harness, tree.chosen, *tree.looks())
    with harness.bundle(config) as bundle:
        tree.make(bundle.rootfs)
        for path, line in zip(tree.all, harness.lines(config, bundle=bundle), strict=True):
            assert line.get("content") == "text" or line.get("entries"), path


@requirement("linux.readonly-paths.read-only")
@pytest.mark.parametrize("path", ["/proc/sys", "/proc/sys/vm/overcommit_memory"])
def test_what_proc_shows_can_be_read_only(harness: Harness, path: str) -> None:
    act = ("open", "/proc/sys/vm/overcommit_memory", "w")
    assert harness.lines(protecting(harness, [path], *act))[0].get("errno") == "EROFS"


@requirement("linux.readonly-paths.read-only")
def test_what_is_mounted_can_be_read_only(harness: Harness) -> None:
    act = ("write", "/m/file", "new", "+", "mkdir", "/m/in/new", "+", "mkdir", "/n/new")
    config = protecting(harness, ["/m/file", "/m/in", "/n"], *act)
    config = with_mounts(config, bind("/m", "source"), mount("/n"))
    with harness.bundle(config) as bundle:
        (bundle.path / "source" / "in").mkdir(parents=True)
        (bundle.path / "source" / "file").write_text("text")
        lines = harness.lines(config, bundle=bundle)
        assert [line.get("errno") for line in lines] == ["EROFS"] * 3
        (bundle.path / "source" / "file").write_text("new")


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.option.{option}"))
        for option in ("nosuid", "nodev", "noexec")
    ],
)
@pytest.mark.parametrize("path", ["/m", "/m/in"])
def test_an_option_of_a_mount_holds_where_its_path_is_read_only_too(
    harness: Harness, path: str, option: str
) -> None:
    config = with_mounts(protecting(harness, [path]), bind("/m", "source", option))
    with harness.bundle(config) as bundle:
        (bundle.path / "source" / "in").mkdir(parents=True)
        assert option in harness.run(config, bundle=bundle).mount(path).options


@requirement("linux.readonly-paths.read-only")
def test_what_becomes_of_mounts_below_a_read_only_path_is_recorded(harness: Harness) -> None:
    config = protecting(harness, ["/m"], "mkdir", "/m/in/new")
    config = with_mounts(config, mount("/m"), mount("/m/in"))
    errno = harness.lines(config)[0].get("errno")
    harness.note(f"mounts below a read-only path are {'read-only too' if errno else 'writable'}")


@requirement("linux.readonly-paths.read-only")
def test_the_reaction_to_a_path_that_does_not_exist_is_recorded(harness: Harness) -> None:
    failed = harness.attempt(protecting(harness, ["/nowhere"], "exit", "0")).failed
    harness.note(f"a read-only path that does not exist is {'refused' if failed else 'left alone'}")


@requirement("linux.readonly-paths.absolute")
@settings(max_examples=10)
@given(path=relative_paths())
def test_a_relative_path_is_an_error(harness: Harness, path: str) -> None:
    config = protecting(harness, [path], "exit", "0")
    with harness.bundle(config) as bundle:
        (bundle.rootfs / path).mkdir(parents=True, exist_ok=True)
        assert harness.attempt(config, bundle=bundle).failed
