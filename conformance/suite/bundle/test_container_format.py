"""bundle.md, "Container Format"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import file_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report

_OTHER_NAMES = (
    *("Config.json", "CONFIG.JSON", "config.JSON", "config", "config.yaml", "config.json.orig"),
    *("runtime.json", "spec.json", ".config.json", "config.json ", "rootfs/config.json"),
)


# config.json


def _refuse(harness: Harness, spoil: Callable[[Bundle], object]) -> None:
    """Assert that create refuses a bundle that was spoiled, and makes no container of it."""
    with harness.container(harness.config()) as container:
        spoil(container.bundle)
        assert container.create().failed
        assert container.runtime.state(container.id).failed


@requirement("bundle.config.in-bundle-root")
def test_a_folder_without_config_json_is_no_bundle(harness: Harness) -> None:
    _refuse(harness, lambda bundle: bundle.config_file.unlink())


@requirement("bundle.config.in-bundle-root")
def test_a_folder_with_a_folder_named_config_json_is_no_bundle(harness: Harness) -> None:
    def spoil(bundle: Bundle) -> None:
        bundle.config_file.unlink()
        bundle.config_file.mkdir()

    _refuse(harness, spoil)


@requirement("bundle.config.in-bundle-root")
@pytest.mark.parametrize("folder", ["below", "rootfs", ".."])
def test_config_json_is_looked_for_in_the_folder_itself(harness: Harness, folder: str) -> None:
    with harness.container(harness.config()) as container:
        (container.bundle.path / "below").mkdir()
        assert container.create(bundle=str(container.bundle.path / folder)).failed
        assert container.runtime.state(container.id).failed


@requirement("bundle.config.in-bundle-root")
@pytest.mark.parametrize("path", ["missing", "config.json", ""])
def test_what_is_no_folder_is_no_bundle(harness: Harness, path: str) -> None:
    with harness.container(harness.config()) as container:
        bundle = str(container.bundle.path / path) if path else ""
        cwd = str(container.bundle.rootfs)
        assert container.create(bundle=bundle, cwd=cwd).failed
        assert container.runtime.state(container.id).failed


@requirement("bundle.config.exact-name")
@pytest.mark.parametrize("name", _OTHER_NAMES)
def test_the_config_goes_by_no_other_name(harness: Harness, name: str) -> None:
    _refuse(harness, lambda bundle: bundle.config_file.rename(bundle.path / name))


@requirement("bundle.config.exact-name")
def test_other_files_of_the_bundle_are_not_taken_for_the_config(harness: Harness) -> None:
    with harness.bundle(harness.config()) as bundle:
        for name in _OTHER_NAMES:
            (bundle.path / name).write_text("not a config")
        assert harness.run(harness.config(), bundle=bundle).argv == [b"/probe", b"report"]


# The root filesystem


@requirement("bundle.rootfs.designated-by-root-path")
@given(name=file_names())
def test_the_root_is_the_folder_that_root_path_names(harness: Harness, name: str) -> None:
    _run_from_root(harness, name, absolute=False)


@requirement("bundle.rootfs.designated-by-root-path")
def test_the_root_may_be_named_by_an_absolute_path(harness: Harness) -> None:
    _run_from_root(harness, "named", absolute=True)


def _run_from_root(harness: Harness, name: str, *, absolute: bool) -> None:
    config = harness.config("stat", "/marker")
    with harness.bundle(config) as bundle:
        parent = bundle.path / "roots"
        parent.mkdir()
        bundle.rootfs.rename(parent / name)
        # Where it would be by the name that most bundles have is another one.
        bundle.rootfs.mkdir()
        (parent / name / "marker").mkdir()
        config["root"]["path"] = f"{parent}/{name}" if absolute else f"roots/{name}"
        (marker,) = harness.lines(config, bundle=bundle)
        assert marker["ok"], marker


# The folder itself


def _essence(report: Report) -> dict[str, object]:
    members = ("argv", "environ", "cwd", "exe", "hostname", "uid", "gid", "capabilities", "root")
    essence = {key: report[key] for key in members}
    return essence | {"mounts": [mount.target for mount in report.mounts]}


@requirement("bundle.directory.not-part-of-bundle")
@given(name=file_names())
def test_a_bundle_works_under_any_name(harness: Harness, name: str) -> None:
    config = harness.config()
    with harness.bundle(config) as bundle:
        expected = _essence(harness.run(config, bundle=bundle))
        folder = bundle.path.parent / f"moved-{bundle.path.name}"
        folder.mkdir()
        original = bundle.path
        bundle.path.rename(folder / name)
        bundle.path = folder / name
        bundle.rootfs = bundle.path / "rootfs"
        try:
            seen = _essence(harness.run(config, bundle=bundle))
        finally:
            bundle.path.rename(original)
            bundle.path, bundle.rootfs = original, original / "rootfs"
            folder.rmdir()
        assert seen == expected
