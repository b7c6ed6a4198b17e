"""runtime.md, "Create": ids that are no plain names, and what operations make of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.runtime import Runtime

#: Ways out of the folder that a runtime may keep its containers in; ``{0}`` is a container there,
#: ``{1}`` the folder around it.
_ESCAPES = ("..", "../escaped", "{0}/../../escaped", "{1}/escaped")
#: Ways to a container of that folder that are not its name.
_DETOURS = ("./{0}", "{0}/", "{0}/.", "{0}/../{0}", "../state/{0}")
#: Ids that a runtime may find invalid for reasons of its own.
_PECULIAR = {
    "a slash": "outer/inner",
    "a step back": "outer/../inner",
    "nothing but a dot": ".",
    "nothing but three dots": "...",
    "a dot at its front": ".hidden",
    "a space": "two words",
    "a line feed": "two\nlines",
    "a control character": "a\x01b",
    "a letter beyond ASCII": "Behälter",
    "256 letters": "long" * 64,
    "a colon": "prefix:name",
    "quotes": "a\"b'c",
    "a percent sign": "100%s",
    "a backslash": "a\\b",
}


def _apart(runtime: Runtime, bundle: Bundle) -> tuple[Runtime, Path]:
    """Return the runtime with a state root of its own, and the folder that is around that."""
    outer = bundle.path / "outer"
    outer.mkdir()
    return replace(runtime, state_root=outer / "state"), outer


@requirement("runtime.create.invalid-id-errors", "runtime.create.invalid-id-creates-nothing")
def test_no_id_leads_out_of_the_state_root(harness: Harness) -> None:
    escaped = []
    for way in _ESCAPES:
        with harness.bundle(harness.config()) as bundle:
            runtime, outer = _apart(harness.runtime, bundle)
            with harness.created(runtime=runtime) as first:
                # Beside its state root a runtime may keep what it likes.
                before = set(os.listdir(outer))
                with harness.container(
                    harness.config(), runtime=runtime, identifier=way.format(first.id, outer)
                ) as container:
                    # It need not be refused if what is kept of it stays where it belongs. The pid
                    # file that the harness asks for by default is named after the id.
                    container.create(pid_file=str(container.bundle.path / "pid"))
                    if set(os.listdir(outer)) != before:
                        escaped.append(way)
                assert first.state()["status"] == "created"
    assert escaped == []


@requirement("runtime.create.invalid-id-errors", "runtime.create.invalid-id-creates-nothing")
def test_a_peculiar_id_is_refused_or_works(harness: Harness) -> None:
    refused = []
    for peculiarity, identifier in _PECULIAR.items():
        with harness.container(harness.config("pause"), identifier=identifier) as container:
            if container.create(pid_file=str(container.bundle.path / "pid")).failed:
                refused.append(peculiarity)
                assert container.runtime.state(identifier).failed
                continue
            assert container.state()["id"] == identifier
            assert container.start().ok
            container.read_line()
            assert container.kill("KILL").ok
            container.wait()
            assert container.delete().ok
    if refused:
        harness.note(f"refused are ids with {', '.join(refused)}")


@requirement("runtime.create.invalid-id-errors")
def test_an_id_that_json_cannot_say_is_refused(harness: Harness) -> None:
    # No state could name such a container, and the state has to.
    identifier = os.fsdecode(b"a\xffb")
    with harness.container(harness.config("pause"), identifier=identifier) as container:
        assert container.create(pid_file=str(container.bundle.path / "pid")).failed


@requirement("runtime.create.missing-id-errors")
def test_create_with_an_empty_id_generates_an_error(harness: Harness) -> None:
    with harness.container(harness.config(), identifier="") as container:
        assert container.create().failed


@requirement("runtime.state-query.missing-id-errors")
def test_a_query_with_an_empty_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.state("").failed


@requirement("runtime.start.missing-id-errors")
def test_start_with_an_empty_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.start("").failed


@requirement("runtime.kill.missing-id-errors")
def test_kill_with_an_empty_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.kill("", "KILL").failed


@requirement("runtime.delete.missing-id-errors")
def test_delete_with_an_empty_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.delete("").failed


@requirement("runtime.state-query.unknown-container-errors")
def test_a_path_to_a_container_is_not_its_id(harness: Harness) -> None:
    with harness.bundle(harness.config()) as bundle:
        runtime, _ = _apart(harness.runtime, bundle)
        with harness.created(runtime=runtime) as container:
            answered = [way for way in _DETOURS if runtime.state(way.format(container.id)).ok]
    assert answered == []


@requirement("runtime.delete.not-stopped-errors", "runtime.errors.environment-restored")
def test_delete_of_a_path_removes_nothing(harness: Harness) -> None:
    wrong = []
    for identifier in (".", "..", "../precious", "./of-another", "../../outer"):
        with harness.bundle(harness.config()) as bundle:
            runtime, outer = _apart(harness.runtime, bundle)
            for folder in (outer / "precious" / "below", outer / "state" / "of-another"):
                folder.mkdir(parents=True)
            before = sorted(outer.rglob("*"))
            failed = runtime.delete(identifier).failed
            if not failed or sorted(outer.rglob("*")) != before:
                wrong.append(identifier)
    assert wrong == []
