"""runtime.md, "State": pid, bundle and annotations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.containers import relative_bundles
from seatrial.conformance.strategies.process import texts

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


# pid


@needs("host-kernel")
@requirement("runtime.state.pid-when-created", "runtime.state.pid-seen-by-host")
def test_a_created_container_has_the_pid_of_its_process(created: Container) -> None:
    pid = created.state()["pid"]
    assert type(pid) is int
    assert pid == created.pid
    assert created.alive
    # It is the one that will run the program: it is rooted in the container.
    assert os.path.samefile(f"/proc/{pid}/root/probe", created.bundle.rootfs / "probe")


@needs("host-kernel")
@requirement("runtime.state.pid-when-running", "runtime.state.pid-seen-by-host")
def test_a_running_container_has_the_pid_of_its_program(running: Container) -> None:
    pid = running.state()["pid"]
    assert type(pid) is int
    assert pid == running.pid
    assert running.alive
    assert os.readlink(f"/proc/{pid}/exe") == "/probe"


@requirement("runtime.state.pid-when-running")
def test_the_container_process_keeps_its_pid_from_create_to_its_end(harness: Harness) -> None:
    with harness.created() as container:
        before = container.state()["pid"]
        assert container.start().ok
        container.read_line()
        assert container.state()["pid"] == before


@needs("host-kernel")
@requirement("runtime.state.pid-when-running", "runtime.state.pid-seen-by-host")
def test_the_pid_is_the_hosts_without_a_pid_namespace_too(harness: Harness) -> None:
    config = harness.config("pause")
    config["linux"]["namespaces"] = [{"type": "mount"}]
    with harness.created(config) as container:
        assert container.start().ok
        own = container.read_line()["pid"]
        assert container.state()["pid"] == own


# bundle


@requirement("runtime.state.bundle-present")
def test_the_state_names_the_bundle_at_every_stage(staged: Container) -> None:
    assert os.path.samefile(staged.state()["bundle"], staged.bundle.path)


@requirement("runtime.state.bundle-absolute")
@given(spelling=relative_bundles())
def test_the_bundle_is_absolute_however_create_was_told(harness: Harness, spelling: str) -> None:
    with harness.container(harness.config()) as container:
        folder = container.bundle.path
        result = container.create(bundle=spelling.format(folder.name), cwd=str(folder.parent))
        assert result.ok, result
        bundle = container.state()["bundle"]
        assert os.path.isabs(bundle)
        assert os.path.samefile(bundle, folder)


@requirement("runtime.state.bundle-absolute")
def test_the_bundle_is_absolute_when_create_is_called_in_it(harness: Harness) -> None:
    with harness.container(harness.config()) as container:
        result = container.create(bundle=".", cwd=str(container.bundle.path))
        assert result.ok, result
        bundle = container.state()["bundle"]
        assert os.path.isabs(bundle)
        assert os.path.samefile(bundle, container.bundle.path)


# annotations


def _kept(harness: Harness, annotations: dict[str, str]) -> dict[str, str]:
    """Return what the state shows of annotations; that a runtime adds its own is not ruled out."""
    config = harness.config()
    config["annotations"] = annotations
    with harness.created(config) as container:
        shown = container.state().get("annotations", {})
        return {key: value for key, value in shown.items() if key in annotations}


@requirement("runtime.state.annotations-from-config")
@given(annotations=st.dictionaries(texts(without="=", min_size=1), texts()))
def test_the_state_shows_the_annotations(harness: Harness, annotations: dict[str, str]) -> None:
    assert _kept(harness, annotations) == annotations


@requirement("runtime.state.annotations-from-config")
@given(key=st.tuples(texts(max_size=5), texts(max_size=5)).map("=".join), value=texts())
def test_the_key_of_an_annotation_may_hold_an_equals_sign(
    harness: Harness, key: str, value: str
) -> None:
    assert _kept(harness, {key: value}) == {key: value}


@requirement("runtime.state.annotations-from-config")
def test_an_annotation_may_hold_nul(harness: Harness) -> None:
    annotations = {"org.example.nul": "before\0after"}
    assert _kept(harness, annotations) == annotations


@requirement("runtime.state.annotations-from-config")
def test_annotations_of_the_names_of_members_are_annotations(harness: Harness) -> None:
    annotations = dict.fromkeys(("id", "status", "pid", "rootfs"), "/elsewhere")
    assert _kept(harness, annotations) == annotations


@requirement("runtime.state.annotations-from-config")
def test_the_annotations_are_shown_at_every_stage(harness: Harness) -> None:
    annotations = {"org.example.key": "value"}
    config = harness.config("pause")
    config["annotations"] = annotations
    with harness.created(config) as container:
        shown = [container.state()["annotations"]]
        assert container.start().ok
        container.read_line()
        shown += [container.state()["annotations"]]
        assert container.kill("KILL").ok
        container.wait()
        shown += [container.state()["annotations"]]
    assert [each["org.example.key"] for each in shown] == ["value"] * 3


@requirement("runtime.state.bundle-present")
def test_an_annotation_named_bundle_is_not_taken_for_the_bundle(harness: Harness) -> None:
    config = harness.config()
    config["annotations"] = {"bundle": "/elsewhere"}
    with harness.created(config) as container:
        assert container.state()["bundle"] == str(container.bundle.path)


@requirement("runtime.state.annotations-from-config")
def test_an_annotation_named_bundle_is_among_the_annotations(harness: Harness) -> None:
    assert _kept(harness, {"bundle": "/elsewhere"}) == {"bundle": "/elsewhere"}


@requirement("runtime.state.annotations-absent-or-empty")
def test_without_annotations_there_are_none_in_the_state(harness: Harness) -> None:
    without = harness.config()
    empty = harness.config()
    empty["annotations"] = {}
    for config in (without, empty):
        with harness.created(config) as container:
            annotations = container.state().get("annotations", {})
            assert isinstance(annotations, dict)
            if annotations:
                harness.note("without annotations the runtime adds its own")
