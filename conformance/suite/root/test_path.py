"""config.md, "Root": path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.config import PROBE, without
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.process import absolute_paths

if TYPE_CHECKING:
    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def rooted(harness: Harness, path: str, *act: str) -> Config:
    """Return a config with the root filesystem at ``path``."""
    config = harness.config(*act)
    config["root"]["path"] = path
    return config


def inode(bundle: Bundle) -> int:
    """Return what tells the bundle's root filesystem from any other folder."""
    return bundle.rootfs.stat().st_ino


@needs("host-kernel")
@requirement("config.root.path-absolute-or-bundle-relative")
@pytest.mark.parametrize("path", ["rootfs", "./rootfs", "rootfs/", "w/../rootfs"])
def test_a_relative_path_is_seen_from_the_bundle(harness: Harness, path: str) -> None:
    config = rooted(harness, path)
    with harness.bundle(config) as bundle:
        (bundle.path / "w").mkdir()
        assert harness.run(config, bundle=bundle)["root"]["inode"] == inode(bundle)


@needs("host-kernel")
@requirement("config.root.path-absolute-or-bundle-relative")
def test_a_relative_path_is_not_seen_from_where_the_caller_is(harness: Harness) -> None:
    config = harness.config("exit", "0")
    with harness.bundle(config) as elsewhere, harness.bundle(config) as bundle:
        bundle.copy_probe("/only-here")
        config["process"]["args"] = ["/only-here", "report"]
        with harness.container(config, bundle=bundle) as container:
            result = container.create(cwd=str(elsewhere.path))
            assert result.ok, result
            assert container.start().ok
            assert container.report()["root"]["inode"] == inode(bundle)


@needs("host-kernel")
@requirement("config.root.path-absolute-or-bundle-relative")
@given(below=absolute_paths(below="/w"))
def test_a_relative_path_may_have_any_name_and_depth(harness: Harness, below: str) -> None:
    path = below.lstrip("/")
    config = rooted(harness, path)
    with harness.bundle(config) as bundle:
        target = bundle.path / path
        target.parent.mkdir(parents=True)
        bundle.rootfs.rename(target)
        assert harness.run(config, bundle=bundle)["root"]["inode"] == target.stat().st_ino


@needs("host-kernel")
@requirement("config.root.path-absolute-or-bundle-relative")
@pytest.mark.parametrize("form", ["{rootfs}", "{rootfs}/", "{bundle}/./rootfs", "{bundle}//rootfs"])
def test_an_absolute_path_is_taken_as_it_is(harness: Harness, form: str) -> None:
    with harness.bundle(harness.config()) as bundle:
        path = form.format(rootfs=bundle.rootfs, bundle=bundle.path)
        report = harness.run(rooted(harness, path), bundle=bundle)
        assert report["root"]["inode"] == inode(bundle)


@needs("host-kernel")
@requirement("config.root.path-absolute-or-bundle-relative")
def test_an_absolute_path_may_be_outside_the_bundle(harness: Harness) -> None:
    with harness.bundle(harness.config()) as other:
        config = rooted(harness, str(other.rootfs))
        with harness.bundle(config) as bundle:
            assert harness.run(config, bundle=bundle)["root"]["inode"] == inode(other)


@needs("host-kernel")
@requirement("config.root.path-absolute-or-bundle-relative")
def test_a_path_that_is_a_symlink_is_followed_or_refused(harness: Harness) -> None:
    config = rooted(harness, "link")
    with harness.bundle(config) as bundle:
        (bundle.path / "link").symlink_to("rootfs")
        with harness.container(config, bundle=bundle) as container:
            result = container.create()
            if result.failed:
                harness.note("a root.path that is a symlink to a directory is refused")
            else:
                assert container.start().ok
                assert container.report()["root"]["inode"] == inode(bundle)


@requirement("config.root.path-is-directory", "config.valid-values.invalid-errors")
@pytest.mark.parametrize("form", ["{name}", "{bundle}/{name}"], ids=["relative", "absolute"])
@pytest.mark.parametrize("name", ["missing", "config.json", "fifo", "dangling"])
def test_a_path_without_a_directory_is_refused(harness: Harness, name: str, form: str) -> None:
    with harness.bundle(harness.config()) as bundle:
        (bundle.path / "dangling").symlink_to("nowhere")
        os.mkfifo(bundle.path / "fifo")
        config = rooted(harness, form.format(name=name, bundle=bundle.path))
        # So that the program is there even for a runtime that would make the directory itself.
        program = {"destination": PROBE, "source": str(probe_binary()), "options": ["bind"]}
        config["mounts"].append(program)
        with harness.container(config, bundle=bundle) as container:
            assert container.create().failed


@requirement("config.root.present")
def test_a_config_without_root_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(without(harness.config(), "root")).failed
    harness.note(f"a config without root is {'refused' if refused else 'accepted'}")


@requirement("config.root.path-present")
def test_a_root_without_path_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(without(harness.config(), "root", "path")).failed
    harness.note(f"a root without path is {'refused' if refused else 'accepted'}")
