"""Mutants for config.md: version, root, process, names, annotations."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from conformance.tests.mutants.mutation import (
    COMPILING,
    altered,
    around,
    edited,
    everywhere,
    ignoring,
    objects,
    of,
    plan,
    verb,
    without,
)

from seatrial.oci import config, runtime, sources
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind

MOST = 20


@verb(
    "leaves-out-what-is-wrong",
    "does without every member of the config that it finds wrong",
    "config.root.present",
    "config.root.path-present",
    "config.root.path-is-directory",
    "config.process.cwd-absolute",
    "config.process.args-nonempty",
    "config.process.rlimits.type-present",
    "config.process.rlimits.unknown-type-errors",
    "config.process.rlimits.soft-present",
    "config.process.rlimits.hard-present",
    "config.process.rlimits.duplicate-type-errors",
    "config.process.scheduler.policy-present",
    "config.process.io-priority.class-present",
    "config.process.io-priority.level-present",
    "config.hooks.path-present",
    "config.hooks.path-absolute",
    "config.hooks.timeout-positive",
    "config.annotations.map",
    "config.annotations.values-strings",
    "config.valid-values.invalid-errors",
    "runtime.create.unappliable-property-errors",
    "runtime.create.unappliable-property-creates-nothing",
    verbs=COMPILING,
)
def _() -> None:
    read = sources.read_config

    def create(right: Any, identifier: str, **options: Any) -> Any:
        document: Any = None
        for _ in range(MOST):
            try:
                return right(identifier, **options)
            except ConfigError as error:
                document = document or json.loads(read(options["bundle"]))
                if not isinstance(document, dict):
                    raise
                _repair(document, error.pointer)
                content = json.dumps(document).encode()
                everywhere(sources.read_config, lambda _, content=content: content)
        return right(identifier, **options)

    around(runtime, "create", create)


#: What stands in for what cannot be left out.
DEFAULTS = {
    "/ociVersion": "1.3.0",
    "/root": {"path": "rootfs"},
    "/root/path": "rootfs",
    "/process/cwd": "/",
    "/process/args": ["/probe"],
}


def _repair(document: Any, pointer: str) -> None:
    *above, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")][1:]
    path, at = "", document
    for part in above:
        if not isinstance(at, dict | list) or (isinstance(at, dict) and part not in at):
            break
        path += f"/{part}"
        at = at[int(part)] if isinstance(at, list) else at[part]
    if pointer in DEFAULTS and isinstance(at, dict):
        at[last] = DEFAULTS[pointer]
    elif isinstance(at, list):
        del at[int(last)]
    elif isinstance(at, dict) and last in at:
        del at[last]
    elif path:
        _repair(document, path)


@verb(
    "supplies-what-is-missing",
    "puts a value in the place of each that is required and missing",
    "config.process.rlimits.soft-present",
    "config.root.path-present",
    "config.process.cwd-present",
    verbs=COMPILING,
)
def _() -> None:
    around(config, "decode", lambda right, content: right(_filled(content)))


def _filled(content: bytes) -> bytes:
    try:
        document = json.loads(content)
        document.setdefault("root", {}).setdefault("path", "rootfs")
        process = document.get("process", {"cwd": "/"})
        process.setdefault("cwd", "/")
        for limit in process.get("rlimits", []):
            for name, value in (
                ("type", "RLIMIT_CORE"),
                ("soft", 0),
                ("hard", limit.get("soft", 0)),
            ):
                limit.setdefault(name, value)
        return json.dumps(document).encode()
    except (ValueError, AttributeError, TypeError):
        return content


# Version and unknown members


@verb(
    "takes-any-version-of-1",
    "takes whatever begins like a version",
    "config.version.semver",
    verbs=COMPILING,
)
def _() -> None:
    config.SEMVER = re.compile(r"1\..*", re.DOTALL)


KNOWN = {each.encode_name for each in msgspec.structs.fields(config.Config)}
#: Members of the spec that are for other platforms.
OTHERS = {"solaris", "windows", "vm", "zos", "freebsd"}


@verb(
    "refuses-unknown-members",
    "takes no member of the config that it does not know",
    "config.extensibility.unknown-no-error",
    verbs=COMPILING,
)
def _() -> None:
    def decode(right: Any, content: bytes) -> Any:
        found = right(content)
        for name in json.loads(content).keys() - KNOWN - OTHERS:
            raise ConfigError(f"/{name}", "unknown")
        return found

    around(config, "decode", decode)


def _to_environ(document: Any) -> None:
    unknown = sorted(document.keys() - KNOWN) if isinstance(document, dict) else []
    for process in objects(document, "/process") if unknown else ():
        process.setdefault("env", []).append(f"UNKNOWN={len(unknown)}")


edited(
    "does-something-with-unknown-members",
    "tells the program of members that it does not know",
    "config.extensibility.unknown-ignored",
    edit=_to_environ,
)


@verb(
    "refuses-older-versions",
    "takes configs of the newest version only",
    "config.version.older-minor-accepted",
    verbs=COMPILING,
)
def _() -> None:
    config.SEMVER = re.compile(r"1\.3\..*|[^1].*", re.DOTALL)


# root

ignoring("ignores-root-readonly", "/root/readonly", "config.root.readonly-true")


# process

ignoring("ignores-rlimits", "/process/rlimits",
         "config.process.rlimits.soft-applied", "config.process.rlimits.hard-applied")  # fmt: skip


def _deny_limits(document: Any) -> None:
    if isinstance(document.get("linux"), dict):
        denied = {"names": ["prlimit64", "getrlimit"], "action": "SCMP_ACT_ERRNO"}
        document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denied]}


edited(
    "keeps-the-program-from-asking-for-its-limits",
    "filters getrlimit",
    "config.process.rlimits.getrlimit-succeeds",
    edit=_deny_limits,
)
plan(
    "sets-soft-limits-only",
    "sets soft limits and leaves the hard ones",
    "config.process.rlimits.hard-applied",
    change=altered(
        of(Kind.RLIMIT), numbers=lambda op: (op.numbers[0], op.numbers[1], op.numbers[1])
    ),
)
plan(
    "sets-no-oom-score",
    "leaves oom_score_adj as it is",
    "config.process.oom-score-adj.set",
    change=without(of(at="/process/oomScoreAdj")),
)


def _score(document: Any) -> None:
    if isinstance(document.get("process"), dict):
        document["process"].setdefault("oomScoreAdj", 42)


edited(
    "always-sets-an-oom-score",
    "sets oom_score_adj to 42 where nothing is said of it",
    "config.process.oom-score-adj.unset-unchanged",
    edit=_score,
)


def _sized(document: Any) -> None:
    process = document.get("process")
    if isinstance(process, dict) and "consoleSize" in process and not process.get("terminal"):
        process["hostname-of-nobody"] = process["args"] = ["/none"]


edited(
    "minds-a-console-size-without-a-terminal",
    "does not take consoleSize where there is no terminal",
    "config.process.console-size-ignored",
    edit=_sized,
)


def _unknown(document: Any) -> None:
    process = document.get("process")
    capabilities = process.get("capabilities") if isinstance(process, dict) else None
    for names in capabilities.values() if isinstance(capabilities, dict) else ():
        if isinstance(names, list):
            names[:] = [each for each in names if isinstance(each, str) and each in _KNOWN]


_KNOWN = {f"CAP_{name}" for name in (
    "CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_RAW", "SYS_CHROOT",
)}  # fmt: skip
edited(
    "drops-capabilities-that-it-does-not-know-and-says-nothing",
    "ignores names of capabilities that no kernel has",
    "config.process.capabilities.unmappable-warns",
    edit=_unknown,
)


@verb(
    "needs-a-process",
    "creates nothing without a process",
    "config.process.optional-at-create",
    verbs=COMPILING,
)
def _() -> None:
    def decode(right: Any, content: bytes) -> Any:
        found = right(content)
        if found.process is None:
            raise ConfigError("/process", "is missing")
        return found

    around(config, "decode", decode)


@verb(
    "refuses-unknown-annotations",
    "takes no annotation that it does not know",
    "config.annotations.unknown-keys-ignored",
    "config.annotations.unknown-keys-no-error",
    "config.annotations.image-keys-usable",
    "config.annotations.values-may-be-empty",
    verbs=COMPILING,
)
def _() -> None:
    def decode(right: Any, content: bytes) -> Any:
        found = right(content)
        if found.annotations:
            raise ConfigError("/annotations", "unknown")
        return found

    around(config, "decode", decode)
