"""Which failures in the conformance suite concern what is timed here.

A runtime that leaves out work which the bundle asks for is faster for it, known failure or not.
So a failure concerns the bundle if it is of a requirement that the bundle rests on, and the config
of the container that failed asks for nothing that the bundle does not ask for: a time namespace,
or a hook, is none of its business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.perf import configs

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How the ids of the requirements begin that the bundles of the benchmarks rest on.
ROWS = (
    "config.root.",
    "config.hostname.",
    "config.mounts.destination-",
    "config.mounts.listed-order",
    "config.mounts.option.",
    "config.process.capabilities.",
    "config.process.no-new-privileges.",
    "config.process.rlimits.hard-applied",
    "config.process.rlimits.soft-applied",
    "linux.cgroups.path.absolute-under-mount",
    "linux.cgroups.path.consistent",
    "linux.default-devices.",
    "linux.masked-paths.",
    "linux.namespaces.new-without-path",
    "linux.namespaces.omitted-inherited",
    "linux.readonly-paths.",
    "linux.seccomp.",
    "runtime.create.all-properties-applied",
    "runtime.create.makes-container",
    "runtime.delete.removes-created-resources",
    "runtime.start.runs-program",
)
#: Members whose values differ from bundle to bundle and change no work.
_FREE = (
    *("/ociVersion", "/hostname", "/root/path", "/annotations", "/linux/cgroupsPath"),
    *("/process/args", "/process/env", "/process/cwd", "/mounts/-/destination"),
    *("/mounts/-/source", "/linux/seccomp/syscalls/-/names"),
)


def concerns(verdict: dict[str, Any]) -> bool:
    """Whether a verdict that is no pass is about what the benchmarks' bundles ask for."""
    if not any(row.startswith(ROWS) for row in verdict["requirements"]):
        return False
    config = verdict.get("config")
    # Without a config nothing says that it is about anything else.
    return not isinstance(config, dict) or ("process" in config and _asked(config) <= _known())


def _known() -> set[str]:
    bundles = (
        configs.plain(),
        configs.with_network(),
        configs.with_user_namespace(),
        configs.with_filter(["read"], ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
    )
    return set().union(*map(_asked, bundles))


def _asked(config: dict[str, Any]) -> set[str]:
    return {each for each in _flat(config, "") if not each.startswith(_FREE)}


def _flat(value: object, path: str) -> Iterator[str]:
    """Yield what a config asks for, as paths with values; numbers and sizes do not count."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(each, f"{path}/{name}")
    elif isinstance(value, list):
        for each in value:
            yield from _flat(each, f"{path}/-")
    elif isinstance(value, str):
        yield f"{path}={value.partition('=')[0]}"
    else:
        yield f"{path}={value if isinstance(value, bool) else ''}"
