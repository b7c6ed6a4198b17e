"""``--security-opt``: what it can turn on and off."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.engine import seccomp
from seatrial.engine.errors import BadRequest, Unsupported

if TYPE_CHECKING:
    from seatrial.engine.payloads import HostConfig

MASKED = (
    *("/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
    *("/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug"),
    *("/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"),
)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Security(NamedTuple):
    """The options, read."""

    no_new_privileges: bool
    #: None for the profile that everybody gets; an empty one for none at all.
    profile: dict[str, Any] | None


def read(options: list[str] | None) -> Security:
    """Read ``--security-opt``; raises Unsupported for what this engine cannot enforce."""
    no_new_privileges, profile = False, None
    for option in options or ():
        name, found, value = option.partition("=")
        if not found:
            name, _, value = option.partition(":")
        if name == "no-new-privileges":
            if value not in {"", "true", "false"}:
                raise BadRequest(f'invalid --security-opt 2: "{option}"')
            no_new_privileges = value != "false"
        elif name == "seccomp":
            profile = (
                None if value == "builtin" else {} if value == "unconfined" else _profile(value)
            )
        elif option in {
            "apparmor=unconfined",
            "label=disable",
            "label:disable",
            "apparmor:unconfined",
        }:
            continue  # there is no such confinement to turn off
        elif name in {"apparmor", "label", "writable-cgroups"}:
            raise Unsupported(f"--security-opt {name} is not supported")
        else:
            raise BadRequest(f'invalid --security-opt 2: "{option}"')
    return Security(no_new_privileges, profile)


def _profile(text: str) -> dict[str, Any]:
    try:
        profile = json.loads(text)
    except (ValueError, RecursionError):
        profile = None
    if not isinstance(profile, dict):
        raise BadRequest("Decoding seccomp profile failed: it is no JSON object")
    return profile


def filtering(host: HostConfig, capabilities: list[str]) -> dict[str, Any] | None:
    """Return ``linux.seccomp``, or None for no filter at all."""
    profile = read(host.security_opt).profile
    if profile == {} or (host.privileged and profile is None):
        return None
    return seccomp.profile(capabilities) if profile is None else _of_docker(profile, capabilities)


def _of_docker(profile: dict[str, Any], capabilities: list[str]) -> dict[str, Any]:
    """Return a profile in Docker's form, whose rules depend on the container, in OCI's form."""
    made = {
        name: profile[name]
        for name in ("defaultAction", "defaultErrnoRet", "architectures", "flags")
        if profile.get(name) is not None
    }
    if not made.get("architectures"):
        for each in profile.get("archMap") or ():
            subs = each.get("subArchitectures") or []
            if each.get("architecture") == f"SCMP_ARCH_{platform.machine().upper()}":
                made["architectures"] = [each["architecture"], *subs]
    rules = []
    for rule in profile.get("syscalls") or ():
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        unmet = set(includes.get("caps") or ()) - set(capabilities)
        elsewhere = includes.get("arches") and _ARCHITECTURE not in includes["arches"]
        met = set(excludes.get("caps") or ()) & set(capabilities)
        if unmet or elsewhere or met or _ARCHITECTURE in (excludes.get("arches") or ()):
            continue
        names = rule.get("names") or ([rule["name"]] if rule.get("name") else [])
        kept = {"names": names, "action": rule.get("action")}
        for name in ("args", "errnoRet"):
            if rule.get(name):
                kept[name] = rule[name]
        rules.append(kept)
    return {**made, "syscalls": rules}
