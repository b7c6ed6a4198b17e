"""One row of the registry: a statement of the runtime-spec, and the words it is told in."""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from seatrial.conformance.errors import UsageError
from seatrial.conformance.spec import NEWEST, RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Level = Literal["MUST", "MUST-NOT", "REQUIRED", "SHOULD", "SHOULD-NOT", "MAY", "IMPLIED"]
Binds = Literal["runtime", "config", "caller", "hook", "report"]
Testable = Literal["yes", "partly", "no"]

LEVELS: tuple[Level, ...] = get_args(Level)
BINDS: tuple[Binds, ...] = get_args(Binds)
TESTABLE: tuple[Testable, ...] = get_args(Testable)

SPEC_REPOSITORY = "https://github.com/opencontainers/runtime-spec"

DOCUMENTS = (  # in the order of the spec's table of contents, which is the order of the registry
    "spec.md",
    "principles.md",
    "bundle.md",
    "runtime.md",
    "runtime-linux.md",
    "config.md",
    "config-linux.md",
    "config-vm.md",
    "features.md",
    "features-linux.md",
    "glossary.md",
)

REASONS: Mapping[str, str] = {
    "author-side": "a rule for writers of configs or of specifications",
    "consumer-side": "a rule for readers of what a runtime prints",
    "old-host": "shows only on a kernel that is no longer in use",
    "out-of-reach": "can be seen in principle, but not by what the harness has",
    "permission": "nothing can fail",
    "superseded": "a wording that a later release replaced",
    "umbrella": "a roll-up of other rows",
    "vacuous": "cannot be violated",
}

NEEDS: Mapping[str, str] = {
    "apparmor": "AppArmor enabled",
    "bfq": "the BFQ scheduler",
    "blockdev": "a spare block device (loop)",
    "cgroup-v1": "a host on cgroup v1",
    "cgroup-v2": "a host on the unified hierarchy",
    "cgroupns": "a private cgroup namespace",
    "compat32": "an architecture with a 32-bit personality",
    "deadline-policy": "SCHED_DEADLINE for a process of the harness",
    "entry32": "a kernel that takes calls by the entry point of 32-bit programs",
    "exec": "a runtime with an exec operation",
    "features": "a runtime that prints a features document",
    "fs-iversion": "a filesystem that shows i_version",
    "host-kernel": "containers that run on the host's kernel, which shows them",
    "hook": "a runtime that runs hooks; a helper program",
    "hugetlb": "huge pages",
    "idmap": "idmapped mounts on the test filesystem",
    "ipcns": "a private IPC namespace",
    "kernel-audit": "the kernel's audit log, readable",
    "log": "a runtime that writes a log the test can read",
    "mntns": "a private mount namespace",
    "mount-propagation": "a shared mount on the host",
    "netdev-dummy": "dummy or veth interfaces",
    "netns": "a private network namespace",
    "no-resctrl": "a host without mounted resctrl",
    "numa": "NUMA policy support, two nodes for some values",
    "pidns": "a private pid namespace",
    "pty": "a pseudoterminal and a console socket",
    "rdma": "an RDMA device (soft RoCE will do)",
    "real-time-policies": "SCHED_FIFO and SCHED_RR for a process in a cgroup of the harness",
    "resctrl": "mounted resctrl",
    "resctrl-mon": "resctrl with monitoring groups",
    "root": "effective uid 0 in the initial user namespace",
    "rt-group-sched": "realtime group scheduling",
    "run": "a runtime with a run operation, which creates, starts and deletes",
    "seccomp": "kernel and runtime with seccomp",
    "seccomp-notify": "seccomp user notification",
    "selinux": "SELinux enabled",
    "swap": "swap accounting",
    "timens": "time namespaces",
    "uclamp": "a kernel with utilization clamping",
    "update": "a runtime with an update operation",
    "userns": "user namespaces",
    "utsns": "a private UTS namespace",
    "vm": "a runtime that boots virtual machines",
}

CONTROLLERS = (  # cgroup v2 names; the v1 counterpart counts
    *("cpu", "cpuset", "devices", "freezer", "hugetlb", "io", "memory", "net_cls", "net_prio"),
    *("pids", "rdma"),
)
CAPABILITIES = (  # capabilities(7)
    *("audit_control", "audit_read", "audit_write", "block_suspend", "bpf", "checkpoint_restore"),
    *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "ipc_lock", "ipc_owner"),
    *("kill", "lease", "linux_immutable", "mac_admin", "mac_override", "mknod", "net_admin"),
    *("net_bind_service", "net_broadcast", "net_raw", "perfmon", "setfcap", "setgid", "setpcap"),
    *("setuid", "sys_admin", "sys_boot", "sys_chroot", "sys_module", "sys_nice", "sys_pacct"),
    *("sys_ptrace", "sys_rawio", "sys_resource", "sys_time", "sys_tty_config", "syslog"),
    "wake_alarm",
)

_KERNEL = re.compile(r"kernel>=(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)


class RegistryError(UsageError):
    """The registry cannot be used as it stands; the message names the file and the row."""


class UnknownRequirement(RegistryError):  # noqa: N818 - reads as what it is
    """No row has this id, and none is below it; the hint names ids that look like it."""


def release_for(version: str) -> str | None:
    """Return the newest release that is not newer than ``version``; None before 1.0.0.

    Each statement holds from one release to the next, so ``1.2.2`` is judged as 1.2.1, and so is
    ``1.3.0-rc.1``, which precedes 1.3.0 (semver.org, precedence). Raises RegistryError.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise RegistryError(
            f"spec version {version!r} is not of the form major.minor.patch",
            hint=f"releases: {', '.join(RELEASES)}",
        )
    number = (int(match[1]), int(match[2]), int(match[3]))
    is_final = match[4] is None
    not_newer = None
    for release in RELEASES:
        major, minor, patch = map(int, release.split("."))
        if (major, minor, patch) < number or ((major, minor, patch) == number and is_final):
            not_newer = release
    return not_newer


def meaning_of_need(need: str) -> str | None:
    """Say in one line what a word of ``needs`` asks of the host or the runtime; None if unknown."""
    kind, _, name = need.partition(":")
    if kind == "controller" and name in CONTROLLERS:
        return f"the {name} controller"
    if kind == "cap" and name in CAPABILITIES:
        return f"CAP_{name.upper()} for the runtime"
    if _KERNEL.fullmatch(need) is not None:
        return f"Linux {need.removeprefix('kernel>=')} or newer"
    return NEEDS.get(need)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One normative statement, as one row of the registry has it."""

    id: str
    document: str
    level: Level
    anchor: str
    also: tuple[str, ...] = ()
    paraphrase: str
    binds: Binds
    since: str
    until: str | None = None
    testable: Testable
    needs: tuple[str, ...] = ()
    method: str
    note: str | None = None
    untested: str | None = None

    @property
    def place(self) -> str:
        """The section it stands in: ``runtime.md#kill``."""
        return f"{self.document}#{self.anchor}"

    @property
    def url(self) -> str:
        """The section on the web, in the release that this registry is made from."""
        return self.url_at(NEWEST)

    def url_at(self, *versions: str) -> str:
        """The section in the newest of ``versions`` (by ``release_for``) that states it."""
        releases = [release_for(each) for each in versions if self.in_force(each)]
        release = max((each for each in releases if each), key=RELEASES.index, default=NEWEST)
        return f"{SPEC_REPOSITORY}/blob/v{release}/{self.place}"

    def in_force(self, version: str) -> bool:
        """Tell whether the statement stands in ``version`` of the spec; see ``release_for``."""
        release = release_for(version)
        if release is None:
            return False
        since = RELEASES.index(self.since)
        until = len(RELEASES) if self.until is None else RELEASES.index(self.until)
        return since <= RELEASES.index(release) <= until

    def as_dict(self) -> dict[str, object]:
        """Return every field, and the url, in the shape that JSON has."""
        return {**asdict(self), "url": self.url}


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known words most like ``word``, if any are."""
    close = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(close)}?" if close else None
