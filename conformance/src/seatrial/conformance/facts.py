"""Facts about this host, found by looking, and the needs of requirements judged by them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import (
    bundle,
    cgroups,
    kernel_audit,
    links,
    namespace_files,
    namespaces,
    scheduling,
    syscalls,
)
from seatrial.conformance.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.conformance.adapters import Adapter

CAPABILITIES = (  # noqa: SIM905 - a list would be 41 lines long
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID "
    "CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST "
    "CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO "
    "CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE "
    "CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE "
    "CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM "
    "CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE"
).split()
"""Names in the order of their numbers (linux/capability.h)."""

_ID_MAPPED_TMPFS = (6, 3)
#: linux/personality.h.
_PER_LINUX32 = 8
_V1_NAMES = {"io": "blkio"}
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Evidence:
    """Whether something is there, and what was looked at to say so."""

    met: bool
    text: str

    def __bool__(self) -> bool:
        """Whether it is there."""
        return self.met


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None


def _exists(path: str) -> Evidence:
    try:
        os.stat(path)
    except OSError as error:
        return Evidence(met=False, text=f"{path}: {errno.errorcode.get(error.errno or 0, '?')}")
    return Evidence(met=True, text=f"{path} exists")


def status_field(name: str) -> str:
    """Return one field of our own /proc/thread-self/status (proc(5)); empty when it lacks it."""
    for line in (_read("/proc/thread-self/status") or "").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def held_capabilities() -> frozenset[str]:
    """Return the names of the capabilities in our effective set."""
    mask = int(status_field("CapEff") or "0", 16)
    return frozenset(name for number, name in enumerate(CAPABILITIES) if mask >> number & 1)


def withheld_capabilities() -> list[str]:
    """Return the capabilities that the kernel has and we do not, in their order."""
    last = int(_read("/proc/sys/kernel/cap_last_cap") or "40")
    held = held_capabilities()
    return [name for name in CAPABILITIES[: last + 1] if name not in held]


def kernel_release() -> tuple[int, int]:
    """Return the running kernel's major and minor number."""
    match = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(match[1]), int(match[2])) if match else (0, 0)


def security_modules() -> list[str]:
    """Return the active security modules (/sys/kernel/security/lsm); empty when not shown."""
    return [name for name in (_read("/sys/kernel/security/lsm") or "").split(",") if name]


def filesystems() -> list[str]:
    """Return the file systems that the kernel knows now (/proc/filesystems)."""
    return [line.split()[-1] for line in (_read("/proc/filesystems") or "").splitlines() if line]


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def describe(guest: str | None = None) -> dict[str, object]:
    """Return the facts for the header of a results file, from a machine called ``guest``."""
    found = cgroups.hierarchies()
    return {
        **({} if guest is None else {"guest": guest}),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "distribution": _distribution(),
        "processors": os.cpu_count() or 0,
        "cgroups": {
            "mode": cgroups.mode(found),
            "controllers": sorted({name for each in found for name in each.controllers}),
        },
        "capabilities_withheld": withheld_capabilities(),
        "security_modules": security_modules(),
        "filesystems": sorted(filesystems()),
        "uid": os.geteuid(),
        "clone_newuser": bool(_read("/proc/sys/user/max_user_namespaces") not in {None, "0"}),
    }


def need(name: str, adapter: Adapter | None = None) -> Evidence:
    """Judge one need of the registry's vocabulary on this host, with evidence either way."""
    if adapter is not None and name in _OF_RUNTIMES:
        return _of_runtime(name, adapter)
    if adapter is not None and name == "host-kernel":
        says = "says" if adapter.own_kernel else "does not say"
        text = f"the adapter of {adapter.name} {says} that containers have a kernel of their own"
        return Evidence(not adapter.own_kernel, text)
    if adapter is not None and name == "vm":
        says = "says" if adapter.virtual_machines else "does not say"
        text = f"the adapter of {adapter.name} {says} that it boots virtual machines"
        return Evidence(adapter.virtual_machines, text)
    return _need(name)


_OF_RUNTIMES = {
    "run": ("run", None),
    "exec": ("exec", None),
    "update": ("update", None),
    "features": ("features", None),
    "pty": ("create", "console_socket"),
    "log": ("create", "log"),
}


def _of_runtime(name: str, adapter: Adapter) -> Evidence:
    verb, value = _OF_RUNTIMES[name]
    met = adapter.has(verb, value)
    what = f"{verb} with {value}" if value else verb
    return Evidence(met, f"the adapter of {adapter.name} has {'' if met else 'no '}{what}")


def _need(name: str) -> Evidence:
    kind, _, value = name.partition(":")
    if kind == "cap":
        capability = f"CAP_{value.upper()}"
        met = capability in held_capabilities()
        return Evidence(met, f"{capability} is {'held' if met else 'withheld from the harness'}")
    if kind == "controller":
        return _controller(value)
    if name.startswith("kernel>="):
        wanted = tuple(int(part) for part in name.removeprefix("kernel>=").split("."))
        return Evidence(kernel_release() >= wanted, f"kernel {platform.release()}")
    if name in _NEEDS:
        return _NEEDS[name]()
    return Evidence(met=False, text=f"nothing here knows how to look for {name!r}")


def _controller(name: str) -> Evidence:
    names = {name, _V1_NAMES.get(name, name)}
    found = _hierarchies_in_use()
    for each in found:
        if names & each.controllers:
            return Evidence(met=True, text=f"controller {name} at {each.path}")
        if each.version == cgroups.V2 and name in {"devices", "freezer"}:
            return Evidence(met=True, text=f"{name} is part of the unified hierarchy")
    paths = ", ".join(str(each.path) for each in found) or "none"
    return Evidence(met=False, text=f"controller {name} at none of the hierarchies: {paths}")


def _hierarchies_in_use() -> list[cgroups.Hierarchy]:
    """Where both versions have controllers, runtimes work with version 1."""
    found = cgroups.hierarchies()
    version = cgroups.V2 if cgroups.mode(found) == "v2" else 1
    return [each for each in found if each.version == version]


def _namespace(kind: str) -> Callable[[], Evidence]:
    return lambda: _exists(f"/proc/self/ns/{kind}")


def _root() -> Evidence:
    mapping = " ".join((_read("/proc/self/uid_map") or "").split())
    met = os.geteuid() == 0 and mapping == "0 0 4294967295"
    return Evidence(met, f"effective uid {os.geteuid()}, uid_map {mapping}")


def _seccomp() -> Evidence:
    actions = _read("/proc/sys/kernel/seccomp/actions_avail")
    return Evidence(actions is not None, f"seccomp actions_avail: {actions or 'not there'}")


def _seccomp_notify() -> Evidence:
    actions = _read("/proc/sys/kernel/seccomp/actions_avail") or ""
    return Evidence("user_notif" in actions.split(), f"seccomp actions_avail: {actions}")


def _module(name: str) -> Callable[[], Evidence]:
    def look() -> Evidence:
        modules = security_modules()
        if not modules and name == "apparmor":
            return _exists("/sys/kernel/security/apparmor")
        if not modules and name == "selinux":
            return _exists("/sys/fs/selinux/enforce")
        return Evidence(name in modules, f"security modules: {', '.join(modules)}")

    return look


def _cgroup_version(version: int) -> Callable[[], Evidence]:
    def look() -> Evidence:
        mode = cgroups.mode(cgroups.hierarchies())
        modes = {"v2"} if version == cgroups.V2 else {"v1", "hybrid"}
        return Evidence(mode in modes, f"cgroup mode {mode}")

    return look


def _file_of(controller: str, v1: str, v2: str) -> Callable[[], Evidence]:
    """Look for a file that the cgroups of a controller have, other than the root."""

    def look() -> Evidence:
        held = _controller(controller)
        if not held:
            return held
        names = {controller, _V1_NAMES.get(controller, controller)}
        each = next(each for each in _hierarchies_in_use() if names & each.controllers)
        name = v2 if each.version == cgroups.V2 else v1
        # The root lacks some of the files; a cgroup of the harness has them all.
        found = any((folder / name).exists() for folder in (each.path, *cgroups.below(each.path)))
        return Evidence(found, f"{name} {'exists' if found else 'does not exist'} at {each.path}")

    return look


def _bfq() -> Evidence:
    for file in sorted(Path("/sys/block").glob("*/queue/scheduler")):
        if "bfq" in file.read_text().replace("[", " ").replace("]", " ").split():
            return Evidence(met=True, text=f"{file} knows bfq")
    return Evidence(met=False, text="no /sys/block/*/queue/scheduler knows bfq")


def _id_mapped_mounts() -> Evidence:
    # The bundles are on a tmpfs, which takes id mappings since that release.
    allowed = _read("/proc/sys/user/max_user_namespaces") not in {None, "0"}
    met = allowed and kernel_release() >= _ID_MAPPED_TMPFS
    spaces = "there may be" if allowed else "there may be no"
    return Evidence(met, f"kernel {platform.release()}, {spaces} user namespaces")


def _policy(name: str, refusal: Callable[[], str]) -> Callable[[], Evidence]:
    def look() -> Evidence:
        reason = refusal()
        return Evidence(not reason, f"{name} on a child of ours: {reason or 'granted'}")

    return look


def _kernel_audit() -> Evidence:
    reason = kernel_audit.refusal()
    return Evidence(not reason, f"the kernel's audit log: {reason or 'readable'}")


def _entry32() -> Evidence:
    said = subprocess.run(
        [bundle.probe_binary(), "int80", str(syscalls.I386["getuid32"])],
        check=False,
        stdout=subprocess.PIPE,
    ).stdout
    met = b'"ok":true' in said
    return Evidence(met, f"a call by int 0x80 {'works' if met else 'does not work'} here")


def _no_resctrl() -> Evidence:
    mounted = [each.target for each in namespaces.mounts() if each.fstype == "resctrl"]
    where = ", ".join(mounted) or "nowhere"
    return Evidence(not mounted, f"resctrl is mounted {where}")


def _network_device() -> Evidence:
    try:
        with (
            namespace_files.prepared("network") as paths,
            namespaces.entered(paths["network"], "net"),
            links.pair("needed0"),
        ):
            return Evidence(met=True, text="a veth pair in a network namespace of ours: granted")
    except (OSError, HarnessError) as error:
        return Evidence(met=False, text=f"a veth pair in a network namespace of ours: {error}")


def _compat32() -> Evidence:
    native, compat = platform.machine(), compat_machine()
    met = compat not in {None, native}
    return Evidence(met, f"machine under LINUX32: {compat or 'none'}, otherwise {native}")


def compat_machine() -> str | None:
    """Return what uname(2) calls the machine in the domain LINUX32 (personality(2))."""
    before = _libc.personality(0xFFFFFFFF)
    if before < 0 or _libc.personality(_PER_LINUX32) < 0:
        return None
    try:
        return os.uname().machine
    finally:
        _libc.personality(before)


_NEEDS: dict[str, Callable[[], Evidence]] = {
    "apparmor": _module("apparmor"),
    "selinux": _module("selinux"),
    "cgroup-v1": _cgroup_version(1),
    "cgroup-v2": _cgroup_version(2),
    "cgroupns": _namespace("cgroup"),
    "entry32": _entry32,
    "kernel-audit": _kernel_audit,
    "ipcns": _namespace("ipc"),
    "mntns": _namespace("mnt"),
    "netns": _namespace("net"),
    "pidns": _namespace("pid"),
    "timens": _namespace("time"),
    "userns": _namespace("user"),
    "utsns": _namespace("uts"),
    "root": _root,
    "seccomp": _seccomp,
    "seccomp-notify": _seccomp_notify,
    "hook": lambda: Evidence(met=True, text="the probe is the hook"),
    "idmap": _id_mapped_mounts,
    "mount-propagation": lambda: Evidence(met=True, text="the harness makes shared mounts itself"),
    "pty": lambda: _exists("/dev/ptmx"),
    "bfq": _bfq,
    "blockdev": lambda: _exists("/dev/loop-control"),
    "rdma": lambda: _exists("/sys/class/infiniband"),
    "rt-group-sched": _file_of("cpu", "cpu.rt_runtime_us", "cpu.rt.runtime_us"),
    "swap": _file_of("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
    "resctrl": lambda: _exists("/sys/fs/resctrl/schemata"),
    "resctrl-mon": lambda: _exists("/sys/fs/resctrl/mon_groups"),
    "no-resctrl": _no_resctrl,
    "netdev-dummy": _network_device,
    "numa": lambda: _exists("/sys/devices/system/node/has_memory"),
    "compat32": _compat32,
    "hugetlb": lambda: _exists("/sys/kernel/mm/hugepages"),
    "deadline-policy": _policy("SCHED_DEADLINE", scheduling.refusal_of_deadline),
    "real-time-policies": _policy("SCHED_FIFO in a cgroup", scheduling.refusal_of_real_time),
    "uclamp": lambda: _exists("/proc/sys/kernel/sched_util_clamp_max"),
}
