"""Mutants for runtime.md, bundle.md: state, lifecycle, operations, errors."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from conformance.tests.mutants.mutation import (
    ALL,
    COMPILING,
    around,
    everywhere,
    of,
    plan,
    verb,
    without,
)

from seatrial.oci import cgroup_processes, command, deletion, log, runtime, sources, store
from seatrial.oci.errors import NoSuchContainer, OCIError, WrongStatus
from seatrial.oci.operations import Kind
from seatrial.oci.store import Folder

STATE = ("state",)

# The state


def _without(member: str, *rows: str) -> None:
    @verb(
        f"state-without-{member}".lower(),
        f"prints a state that has no {member}",
        *rows,
        verbs=STATE,
    )
    def _() -> None:
        around(runtime, "state", lambda right, *a, **k: _less(right(*a, **k), member))


def _less(document: dict[str, Any], member: str) -> dict[str, Any]:
    document.pop(member, None)
    return document


_without("ociVersion", "runtime.state.oci-version-present", "runtime.state.schema-valid")
_without("id", "runtime.state.id-present")
_without("status", "runtime.state.status-present")
_without("pid", "runtime.state.pid-when-created", "runtime.state.pid-when-running")
_without("bundle", "runtime.state.bundle-present")
_without("annotations", "runtime.state.annotations-from-config")


def _with(name: str, says: str, *rows: str, **members: Any) -> None:
    @verb(name, says, *rows, verbs=STATE)
    def _() -> None:
        around(runtime, "state", lambda right, *a, **k: {**right(*a, **k), **members})


_with(
    "state-of-a-word-for-a-version",
    "prints a version that is none by Semantic Versioning",
    "runtime.state.oci-version-present",
    "runtime.state.oci-version-of-create",
    ociVersion="v1",
)
_with(
    "state-with-a-status-of-its-own",
    "calls every status by a word of its own",
    "runtime.state.status-extra-only-new-states",
    "runtime.state.status-created",
    "runtime.state.status-running",
    "runtime.state.status-stopped",
    "runtime.state-query.returns-state",
    status="fine",
)
_with(
    "state-with-a-relative-bundle",
    "prints a bundle that is no absolute path",
    "runtime.state.bundle-absolute",
    bundle="bundle",
)
_with(
    "state-with-a-number-as-id",
    "prints an id that is a number",
    "runtime.state.schema-valid",
    "runtime.state.json-pattern",
    id=5,
)


@verb(
    "state-of-nothing",
    "prints a state for a container that does not exist",
    "runtime.state-query.unknown-container-errors",
    verbs=STATE,
)
def _() -> None:
    def state(right: Any, identifier: str, *, root: str) -> Any:
        try:
            return right(identifier, root=root)
        except OCIError:
            return {"ociVersion": "1.3.0", "id": identifier, "status": "stopped", "bundle": "/"}

    around(runtime, "state", state)


# Ids


@verb(
    "takes-any-number-of-ids",
    "needs no id",
    "runtime.state-query.missing-id-errors",
    "runtime.create.missing-id-errors",
    "runtime.start.missing-id-errors",
    "runtime.delete.missing-id-errors",
)
def _() -> None:
    run = command._run  # noqa: SLF001 - the room where all verbs pass

    def lenient(general: Any, name: str, *words: str) -> int:
        try:
            return run(general, name, *words)
        except command.Usage:
            return 0

    command._run = lenient  # noqa: SLF001


@verb(
    "replaces-a-container-of-the-same-id",
    "deletes a container when another of its id is created",
    "runtime.create.duplicate-id-errors",
    "runtime.create.duplicate-id-creates-nothing",
    "runtime.state.id-host-unique",
    verbs=COMPILING,
)
def _() -> None:
    def create(right: Any, identifier: str, **options: Any) -> Any:
        with contextlib.suppress(OCIError):
            runtime.delete(identifier, root=options["root"], force=True)
        return right(identifier, **options)

    around(runtime, "create", create)


@verb(
    "takes-ids-as-paths",
    "does not look at what an id is made of",
    "runtime.create.invalid-id-errors",
    "runtime.create.invalid-id-creates-nothing",
)
def _() -> None:
    store.check_id = lambda identifier: None


@verb(
    "has-a-name-for-what-has-none",
    "takes another id in the place of an empty one",
    "runtime.create.missing-id-errors",
)
def _() -> None:
    right = command.Call.id
    setattr(command.Call, "id", lambda call: right(call) or "unnamed")  # noqa: B010 - a method


# Create and start


@verb(
    "create-starts",
    "runs the program at create",
    "runtime.lifecycle.program-not-run-by-create",
    "runtime.create.args-not-applied",
    verbs=COMPILING,
)
def _() -> None:
    def create(right: Any, identifier: str, **options: Any) -> Any:
        made = right(identifier, **options)
        runtime.start(identifier, root=options["root"])
        return made

    around(runtime, "create", create)


@verb(
    "start-reads-the-config-again",
    "starts what config.json says by then",
    "runtime.lifecycle.config-edits-ignored",
    verbs=("start",),
)
def _() -> None:
    def start(right: Any, identifier: str, *, root: str) -> None:
        record = Folder(root, identifier).record()
        kept = (Path(root) / identifier / "config.json").read_bytes()
        if (Path(record.bundle) / "config.json").read_bytes() != kept:
            runtime.delete(identifier, root=root, force=True)
            os.close(runtime.create(identifier, bundle=record.bundle, root=root).pidfd)
        right(identifier, root=root)

    around(runtime, "start", start)


plan(
    "makes-no-namespaces",
    "makes none of the namespaces but that for mounts",
    "runtime.lifecycle.resources-exist-after-create",
    "runtime.create.all-properties-applied",
    change=list,
    namespaces=0x00020000,
)
plan(
    "does-not-set-the-hostname",
    "leaves the host name as it is",
    "config.hostname.applied",
    "runtime.create.all-properties-applied",
    change=without(of(Kind.HOSTNAME)),
)


@verb(
    "create-makes-nothing",
    "remembers a container and does not make it",
    "runtime.create.makes-container",
    "runtime.lifecycle.resources-exist-after-create",
    verbs=COMPILING,
)
def _() -> None:
    def create(right: Any, identifier: str, **options: Any) -> Any:
        made = right(identifier, **options)
        os.kill(made.pid, signal.SIGKILL)
        return made

    around(runtime, "create", create)


def _start(name: str, says: str, *rows: str, wrong: Any) -> None:
    @verb(name, says, *rows, verbs=("start",))
    def _() -> None:
        around(runtime, "start", wrong)


def _start_quietly(right: Any, identifier: str, *, root: str) -> None:
    with contextlib.suppress(OCIError):
        right(identifier, root=root)


def _start_kills(right: Any, identifier: str, *, root: str) -> None:
    try:
        right(identifier, root=root)
    except WrongStatus:
        runtime.kill(identifier, signal.SIGKILL, root=root)
        raise


_start(
    "start-never-errs",
    "says of every start that it went well",
    "runtime.start.not-created-errors",
    "runtime.start.no-process-errors",
    wrong=_start_quietly,
)
_start(
    "start-kills-what-runs",
    "kills a container that is started again",
    "runtime.start.not-created-no-effect",
    wrong=_start_kills,
)
_start(
    "start-does-nothing",
    "does not start the program",
    "runtime.start.runs-program",
    wrong=lambda right, *a, **k: None,
)


# Kill


def _kill(name: str, says: str, *rows: str, wrong: Any) -> None:
    @verb(name, says, *rows, verbs=("kill",))
    def _() -> None:
        around(runtime, "kill", wrong)


def _kill_quietly(right: Any, *arguments: Any, **options: Any) -> None:
    with contextlib.suppress(OCIError):
        right(*arguments, **options)


def _kill_deletes(right: Any, identifier: str, *arguments: Any, root: str, **options: Any) -> None:
    try:
        right(identifier, *arguments, root=root, **options)
    except WrongStatus:
        runtime.delete(identifier, root=root)
        raise


_kill(
    "kill-never-errs",
    "says of every signal that it was sent",
    "runtime.kill.not-alive-errors",
    "runtime.kill.missing-id-errors",
    wrong=_kill_quietly,
)
_kill(
    "kill-deletes-what-is-stopped",
    "deletes a stopped container that is to be killed",
    "runtime.kill.not-alive-no-effect",
    wrong=_kill_deletes,
)


def _kill_what_runs(right: Any, identifier: str, sent: int, *, root: str, **options: Any) -> None:
    if runtime.state(identifier, root=root)["status"] == "created":
        raise WrongStatus(f"container {identifier} is created")
    right(identifier, sent, root=root, **options)


_kill(
    "kill-refuses-what-is-created",
    "sends no signal before start",
    "runtime.kill.accepts-created",
    wrong=_kill_what_runs,
)
_kill(
    "kill-always-kills",
    "sends KILL, whichever signal is asked for",
    "runtime.kill.delivers-signal",
    wrong=lambda right, identifier, sent, **k: right(identifier, signal.SIGKILL, **k),
)


# Delete


def _delete(name: str, says: str, *rows: str, wrong: Any) -> None:
    @verb(name, says, *rows, verbs=("delete",))
    def _() -> None:
        around(runtime, "delete", wrong)


def _delete_only_if_forced(right: Any, identifier: str, *, root: str, force: bool = False) -> None:
    try:
        right(identifier, root=root, force=force)
    except NoSuchContainer:
        raise
    except WrongStatus:
        return


def _delete_kills(right: Any, identifier: str, *, root: str, force: bool = False) -> None:
    try:
        right(identifier, root=root, force=force)
    except WrongStatus:
        runtime.kill(identifier, signal.SIGKILL, root=root)
        raise


def _delete_the_bundle_too(right: Any, identifier: str, *, root: str, force: bool = False) -> None:
    record = Folder(root, identifier).record()
    for each in cgroup_processes.pids(Folder(root, identifier).plan()):
        os.kill(each, signal.SIGKILL)
    right(identifier, root=root, force=force)
    shutil.rmtree(record.bundle, ignore_errors=True)


_delete(
    "delete-never-errs",
    "says of every container that it was deleted",
    "runtime.delete.not-stopped-errors",
    wrong=_delete_only_if_forced,
)
_delete(
    "delete-kills",
    "kills a container that it refuses to delete",
    "runtime.delete.not-stopped-no-effect",
    wrong=_delete_kills,
)
_delete(
    "delete-takes-the-bundle",
    "removes the bundle with the container",
    "runtime.delete.spares-foreign-resources",
    wrong=_delete_the_bundle_too,
)
plan(
    "delete-leaves-the-cgroups",
    "does not remove the container's cgroups",
    "runtime.delete.removes-created-resources",
    change=without(of(Kind.REMOVE_CGROUP)),
)


# All of them


@verb(
    "knows-no-kill",
    "has no kill",
    "runtime.operations.all-supported",
    "runtime.scope.creator-can-operate",
    verbs=("kill",),
)
def _() -> None:
    def kill(*_: Any, **__: Any) -> None:
        raise OCIError("there is no kill")

    runtime.kill = kill


@verb(
    "an-error-leaves-the-cgroups",
    "removes nothing when create fails",
    "runtime.errors.environment-restored",
    verbs=COMPILING,
)
def _() -> None:
    everywhere(deletion.undo, lambda *_, **__: None)


@verb(
    "a-warning-is-an-error",
    "refuses what it should only warn of",
    "config.process.capabilities.unmappable-warns",
    "config.process.capabilities.ungrantable-no-failure",
    verbs=ALL,
)
def _() -> None:
    def warn(message: str) -> None:
        raise OCIError(message)

    everywhere(log.warn, warn)


# The bundle


@verb(
    "makes-a-config-where-there-is-none",
    "creates a container without a bundle",
    "runtime.create.missing-bundle-errors",
    "bundle.config.in-bundle-root",
    "bundle.config.exact-name",
    verbs=COMPILING,
)
def _() -> None:
    def read(right: Any, bundle: str) -> bytes:
        try:
            found: bytes = right(bundle)
        except OCIError:
            Path(bundle).mkdir(parents=True, exist_ok=True)
            for each in sorted(Path(bundle).rglob("*.[jJ][sS][oO][nN]*")):
                return each.read_bytes()
            return b'{"ociVersion":"1.0.2","root":{"path":"/usr"}}'
        return found

    around(sources, "read_config", read)
