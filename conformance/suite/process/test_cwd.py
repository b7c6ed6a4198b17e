"""config.md, "Process": cwd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given

from seatrial.conformance.config import without
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import absolute_paths

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def starting_in(harness: Harness, cwd: str, *act: str) -> Config:
    """Return a config with ``cwd``."""
    config = harness.config(*act)
    config["process"]["cwd"] = cwd
    return config


@requirement("config.process.cwd-applied")
@given(path=absolute_paths(below="/w"))
@example(path="/w/ a b ")
@example(path="/w/$HOME/~/*")
def test_the_program_starts_in_cwd(harness: Harness, path: str) -> None:
    config = starting_in(harness, path)
    with harness.bundle(config) as bundle:
        (bundle.rootfs / path.lstrip("/")).mkdir(parents=True)
        report = harness.run(config, bundle=bundle)
    assert report.cwd == path.encode()


@requirement("config.process.cwd-applied")
@pytest.mark.parametrize("path", ["/w/folder/", "//w//folder", "/w/./folder/.", "/w/../w/folder"])
def test_a_roundabout_cwd_leads_to_the_same_folder(harness: Harness, path: str) -> None:
    config = starting_in(harness, path)
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "w/folder").mkdir(parents=True)
        report = harness.run(config, bundle=bundle)
    assert report.cwd == b"/w/folder"


@requirement("config.process.cwd-applied")
@pytest.mark.parametrize("target", ["/w/folder", "w/folder", "../../w/folder"])
def test_a_symlink_in_cwd_is_followed_inside_the_container(harness: Harness, target: str) -> None:
    config = starting_in(harness, "/link")
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "w/folder").mkdir(parents=True)
        (bundle.rootfs / "link").symlink_to(target)
        report = harness.run(config, bundle=bundle)
    assert report.cwd == b"/w/folder"


@requirement("config.process.cwd-applied")
def test_cwd_may_be_in_a_mount(harness: Harness) -> None:
    config = starting_in(harness, "/proc/sys/kernel", "stat", "hostname")
    with harness.created(config) as container:
        assert container.start().ok
        assert container.read_line()["ok"]


@requirement("config.process.cwd-applied")
def test_cwd_may_be_a_folder_that_only_the_user_can_enter(harness: Harness) -> None:
    config = starting_in(harness, "/w")
    config["process"]["user"] = {"uid": 1000, "gid": 1000}
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "w").mkdir(mode=0o700)
        os.chown(bundle.rootfs / "w", 1000, 1000)
        report = harness.run(config, bundle=bundle)
    assert report.cwd == b"/w"


@requirement("config.process.cwd-applied")
def test_a_cwd_that_is_no_folder_is_refused(harness: Harness) -> None:
    config = starting_in(harness, "/file")
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "file").touch()
        assert harness.attempt(config, bundle=bundle).failed


@requirement("config.process.cwd-applied")
def test_a_cwd_that_the_root_filesystem_lacks_is_made_or_refused(harness: Harness) -> None:
    with harness.container(starting_in(harness, "/missing/folder")) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        if result.failed:
            harness.note("a cwd that the root filesystem lacks is refused")
        else:
            assert container.report().cwd == b"/missing/folder"
            harness.note("a cwd that the root filesystem lacks is made")


@requirement("config.process.cwd-absolute", "config.valid-values.invalid-errors")
@pytest.mark.parametrize("path", ["tmp", "./tmp", "../tmp", "."])
def test_a_cwd_that_is_not_absolute_is_refused(harness: Harness, path: str) -> None:
    assert harness.attempt(starting_in(harness, path)).failed


@requirement("config.process.cwd-present")
def test_a_process_without_cwd_is_refused_or_starts_somewhere(harness: Harness) -> None:
    with harness.container(without(harness.config(), "process", "cwd")) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        if result.failed:
            harness.note("a process without cwd is refused")
        else:
            harness.note(f"a process without cwd starts in {container.report().cwd.decode()}")
