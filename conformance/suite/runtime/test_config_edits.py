"""runtime.md, "Lifecycle", step 2: what becomes of config.json after create is no matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.hooks import Hook, hooked, tags
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report

_MOUNT = {"destination": "/added", "type": "tmpfs", "source": "tmpfs"}
_DEVICE = {"path": "/dev/added", "type": "c", "major": 1, "minor": 3}
_LIMIT = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}

#: Each a JSON merge patch for a config (RFC 7396).
_PATCHES: tuple[dict[str, Any], ...] = (
    {"process": {"args": ["/probe", "exit", "7"]}},
    {"process": {"env": ["EDITED=yes"]}},
    {"process": {"cwd": "/proc"}},
    {"process": {"user": {"uid": 77, "gid": 77, "additionalGids": [78]}}},
    {"process": {"noNewPrivileges": True}},
    {"process": {"oomScoreAdj": 777}},
    {"process": {"rlimits": [_LIMIT]}},
    {"process": {"capabilities": {"bounding": ["CAP_KILL"], "effective": []}}},
    {"process": None},
    {"root": {"path": "elsewhere"}},
    {"root": {"readonly": True}},
    {"hostname": "edited"},
    {"mounts": [_MOUNT]},
    {"mounts": None},
    {"annotations": {"org.example.edited": "yes"}},
    {"linux": {"namespaces": [{"type": "mount"}]}},
    {"linux": {"devices": [_DEVICE]}},
    {"linux": {"maskedPaths": ["/proc/version"]}},
    {"linux": {"cgroupsPath": "/seatrial/edited"}},
    {"linux": None},
    {"ociVersion": "0.0.0"},
)
_MEMBERS = (
    *("argv", "environ", "cwd", "hostname", "uid", "gid", "groups", "capabilities", "rlimits"),
    *("no_new_privileges", "oom_score_adj", "cgroup"),
)


def _patched(document: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _patched(result.get(key), value)
    return result


def _seen(report: Report) -> dict[str, object]:
    """Return what edits would show in."""
    seen = {key: report[key] for key in _MEMBERS}
    seen["mounts"] = [mount.target for mount in report.mounts]
    return {**seen, "read_only": report["root"]["read_only"]}


def _replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


_patches = st.lists(st.sampled_from(_PATCHES), min_size=1, max_size=4)

#: What may happen to the file as such.
_FATES: dict[str, Callable[[Bundle], object]] = {
    "removed": lambda bundle: bundle.config_file.unlink(),
    "emptied": lambda bundle: bundle.write_config(b""),
    "garbled": lambda bundle: bundle.write_config(b"{"),
    "replaced by a folder": lambda bundle: _replace_by_folder(bundle.config_file),
}


@requirement("runtime.lifecycle.config-edits-ignored")
@settings(max_examples=12)
@given(patches=_patches)
def test_an_edit_after_create_does_not_show_in_the_program(
    harness: Harness, patches: list[dict[str, Any]]
) -> None:
    config = harness.config()
    config["process"]["env"] = ["ORIGINAL=yes"]
    config["hostname"] = "original"
    config["linux"]["cgroupsPath"] = f"{harness.cgroup}/edits"
    expected = _seen(harness.run(config))
    with harness.created(config) as container:
        edited: Any = config
        for patch in patches:
            edited = _patched(edited, patch)
        container.bundle.write_config(edited)
        assert container.start().ok
        assert _seen(container.report()) == expected
        assert container.delete().ok


@requirement("runtime.lifecycle.config-edits-ignored")
@pytest.mark.parametrize("fate", _FATES.values(), ids=_FATES)
def test_a_container_lives_on_whatever_becomes_of_the_file(
    harness: Harness, fate: Callable[[Bundle], object]
) -> None:
    config = harness.config("pause")
    config["annotations"] = {"org.example.key": "value"}
    with harness.created(config) as container:
        fate(container.bundle)
        assert container.state()["annotations"] == config["annotations"]
        assert container.start().ok
        container.read_line()
        assert container.state()["status"] == "running"
        assert container.kill("KILL").ok
        container.wait()
        assert container.state()["annotations"] == config["annotations"]
        assert container.delete().ok


@requirement("runtime.lifecycle.config-edits-ignored")
def test_an_edit_of_the_annotations_after_create_does_not_show_in_the_state(
    harness: Harness, staged: Container
) -> None:
    before = staged.state()
    edited = {**harness.config(), "annotations": {"org.example.edited": "yes"}}
    staged.bundle.write_config(edited)
    assert staged.state() == before


@requirement("runtime.lifecycle.config-edits-ignored")
@pytest.mark.parametrize("stage", ["created", "running", "stopped"])
def test_hooks_are_those_that_create_was_given(harness: Harness, stage: str) -> None:
    kinds = ("startContainer", "poststart", "poststop")
    hooks = {kind: [Hook("original")] for kind in kinds}
    with hooked(harness, hooks, "mark", "program", Bundle.LOG, "+", "pause") as container:
        bundle = container.bundle

        def edit() -> None:
            entries = {kind: [Hook("edited").entry(kind, bundle)] for kind in kinds}
            bundle.write_config({**harness.config(), "hooks": entries})

        assert container.create().ok
        if stage == "created":
            edit()
        assert container.start().ok
        # A startContainer hook may print to the container's stdout, too.
        while container.read_line()["act"] != "pause":
            pass
        if stage == "running":
            edit()
        assert container.kill("KILL").ok
        container.wait()
        if stage == "stopped":
            edit()
        assert container.delete().ok
        assert sorted(tags(bundle)) == ["original", "original", "original", "program"]
