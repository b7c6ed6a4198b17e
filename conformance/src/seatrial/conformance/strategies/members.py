"""Every member of a config that the spec gives a type, and configs that have just one of them.

Members are named by JSON pointers (RFC 6901); ``-`` is one more element of an array.  Left out is
what the spec itself has ignored in such configs: ``consoleSize`` without a terminal, the seccomp
listener without SCMP_ACT_NOTIFY; what is for other platforms; and ``cgroupsPath``, without
which a container would be in a cgroup that is not the run's.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.spec import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config

#: Least and greatest value of each type of integers, where the type or the kernel has one.
BOUNDS: dict[str, tuple[int | None, int | None]] = {
    "int": (None, None),
    "uint": (0, None),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "oom": (-1000, 1000),
}

_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_THROTTLES = (
    *("throttleReadBpsDevice", "throttleWriteBpsDevice"),
    *("throttleReadIOPSDevice", "throttleWriteIOPSDevice"),
)

#: By object: its members and their types. ``word`` is a string out of a list of the spec,
#: ``strings`` and the like are arrays; after ``@`` stands the release that brought the member.
_OBJECTS = {
    "": "ociVersion:string root:object process:object hostname:string domainname:string@1.1.0"
    " mounts:objects hooks:object annotations:object linux:object",
    "/root": "path:string readonly:bool",
    "/annotations": "org.example.seatrial:string",
    "/mounts/-": "destination:string type:string source:string options:strings"
    " uidMappings:objects@1.1.0 gidMappings:objects@1.1.0",
    "/mounts/-/uidMappings/-": "containerID:uint32@1.1.0 hostID:uint32@1.1.0 size:uint32@1.1.0",
    "/process": "terminal:bool cwd:string env:strings args:strings user:object rlimits:objects"
    " apparmorProfile:string capabilities:object noNewPrivileges:bool oomScoreAdj:oom"
    " scheduler:object@1.1.0 selinuxLabel:string ioPriority:object@1.1.0"
    " execCPUAffinity:object@1.2.1",
    "/process/user": "uid:uint32 gid:uint32 umask:uint32@1.0.2 additionalGids:uint32s",
    "/process/rlimits/-": "type:word soft:uint64 hard:uint64",
    # Of their elements, those that cannot be granted are no error.
    "/process/capabilities": "effective:array bounding:array inheritable:array permitted:array"
    " ambient:array",
    "/process/scheduler": "policy:word@1.1.0 nice:int32@1.1.0 priority:int32@1.1.0"
    " flags:words@1.1.0 runtime:uint64@1.1.0 deadline:uint64@1.1.0 period:uint64@1.1.0",
    "/process/ioPriority": "class:word@1.1.0 priority:int@1.1.0",
    "/process/execCPUAffinity": "initial:string@1.2.1 final:string@1.2.1",
    "/hooks": " ".join(f"{kind}:objects" for kind in _HOOKS),
    **{f"/hooks/{kind}/-": "path:string args:strings env:strings timeout:int" for kind in _HOOKS},
    "/linux": "namespaces:objects uidMappings:objects gidMappings:objects"
    " timeOffsets:object@1.1.0 devices:objects netDevices:object@1.3.0"
    " resources:object intelRdt:object memoryPolicy:object@1.3.0 sysctl:object seccomp:object"
    " rootfsPropagation:word maskedPaths:strings readonlyPaths:strings mountLabel:string"
    " personality:object@1.0.2",
    "/linux/namespaces/-": "type:word path:string",
    "/linux/uidMappings/-": "containerID:uint32 hostID:uint32 size:uint32",
    "/linux/gidMappings/-": "containerID:uint32 hostID:uint32 size:uint32",
    "/linux/timeOffsets": "monotonic:object@1.1.0",
    "/linux/timeOffsets/monotonic": "secs:int64@1.1.0 nanosecs:uint32@1.1.0",
    "/linux/devices/-": "type:word path:string major:int64 minor:int64 fileMode:uint32 uid:uint32"
    " gid:uint32",
    "/linux/netDevices": "seatrial0:object@1.3.0",
    "/linux/netDevices/seatrial0": "name:string@1.3.0",
    "/linux/resources": "unified:object@1.1.0 devices:objects memory:object cpu:object"
    " blockIO:object hugepageLimits:objects network:object pids:object rdma:object",
    "/linux/resources/unified": "pids.max:string@1.1.0",
    "/linux/resources/devices/-": "allow:bool type:word major:int64 minor:int64 access:word",
    "/linux/resources/memory": "limit:int64 reservation:int64 swap:int64 kernel:int64"
    " kernelTCP:int64 swappiness:uint64 disableOOMKiller:bool useHierarchy:bool@1.0.2"
    " checkBeforeUpdate:bool@1.1.0",
    "/linux/resources/cpu": "shares:uint64 quota:int64 burst:uint64@1.1.0 period:uint64"
    " realtimeRuntime:int64 realtimePeriod:uint64 cpus:string mems:string idle:int64@1.1.0",
    "/linux/resources/blockIO": "weight:uint16 leafWeight:uint16 weightDevice:objects "
    + " ".join(f"{name}:objects" for name in _THROTTLES),
    "/linux/resources/blockIO/weightDevice/-": "major:int64 minor:int64 weight:uint16"
    " leafWeight:uint16",
    **{
        f"/linux/resources/blockIO/{name}/-": "major:int64 minor:int64 rate:uint64"
        for name in _THROTTLES
    },
    "/linux/resources/hugepageLimits/-": "pageSize:word limit:uint64",
    "/linux/resources/network": "classID:uint32 priorities:objects",
    "/linux/resources/network/priorities/-": "name:string priority:uint32",
    "/linux/resources/pids": "limit:int64",
    "/linux/resources/rdma": "mlx5_1:object@1.0.2",
    "/linux/resources/rdma/mlx5_1": "hcaHandles:uint32@1.0.2 hcaObjects:uint32@1.0.2",
    "/linux/intelRdt": "closID:string@1.0.2 l3CacheSchema:string memBwSchema:string@1.0.2"
    " schemata:strings@1.3.0 enableMonitoring:bool@1.3.0",
    "/linux/memoryPolicy": "mode:word@1.3.0 nodes:string@1.3.0 flags:words@1.3.0",
    "/linux/sysctl": "kernel.shmmni:string",
    "/linux/seccomp": "defaultAction:word defaultErrnoRet:uint@1.1.0 architectures:words"
    " flags:words@1.0.2 syscalls:objects",
    "/linux/seccomp/syscalls/-": "names:strings action:word errnoRet:uint@1.1.0 args:objects",
    "/linux/seccomp/syscalls/-/args/-": "index:uint value:uint64 valueTwo:uint64 op:word",
    "/linux/personality": "domain:word@1.0.2 flags:strings@1.0.2",
}

#: What the spec requires.
REQUIRED = frozenset(
    f"{pointer}/{name}"
    for pointer, names in {
        "": "ociVersion root process",
        "/root": "path",
        "/mounts/-": "destination",
        "/mounts/-/uidMappings/-": "containerID hostID size",
        "/process": "cwd args user",
        "/process/user": "uid gid",
        "/process/rlimits/-": "type soft hard",
        "/process/scheduler": "policy",
        "/process/ioPriority": "class priority",
        **{f"/hooks/{kind}/-": "path" for kind in _HOOKS},
        "/linux/namespaces/-": "type",
        "/linux/uidMappings/-": "containerID hostID size",
        "/linux/gidMappings/-": "containerID hostID size",
        "/linux/devices/-": "type path major minor",
        "/linux/resources/devices/-": "allow",
        "/linux/resources/blockIO/weightDevice/-": "major minor",
        **{f"/linux/resources/blockIO/{name}/-": "major minor rate" for name in _THROTTLES},
        "/linux/resources/hugepageLimits/-": "pageSize limit",
        "/linux/resources/network/priorities/-": "name priority",
        "/linux/memoryPolicy": "mode",
        "/linux/seccomp": "defaultAction",
        "/linux/seccomp/syscalls/-": "names action",
        "/linux/seccomp/syscalls/-/args/-": "index value op",
        "/linux/personality": "domain",
    }.items()
    for name in names.split()
)

_IDS = {"containerID": 0, "hostID": 0, "size": 65536}
_DEVICE = {"major": 1, "minor": 3}
#: What an object has beside the one member: at least what is required of it.
_BESIDE: dict[str, Config] = {
    "/mounts/-": {"destination": "/m", "type": "tmpfs", "source": "tmpfs"},
    "/mounts/-/uidMappings/-": _IDS,
    "/process/rlimits/-": {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    "/process/scheduler": {"policy": "SCHED_OTHER"},
    "/process/ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "/linux/namespaces/-": {"type": "cgroup"},
    "/linux/uidMappings/-": _IDS,
    "/linux/gidMappings/-": _IDS,
    "/linux/devices/-": {"type": "c", "path": "/dev/seatrial", **_DEVICE},
    "/linux/resources/devices/-": {"allow": True, "type": "c", **_DEVICE, "access": "r"},
    "/linux/resources/blockIO/weightDevice/-": {**_DEVICE, "weight": 100},
    **{f"/linux/resources/blockIO/{name}/-": {**_DEVICE, "rate": 2**20} for name in _THROTTLES},
    "/linux/resources/hugepageLimits/-": {"pageSize": "2MB", "limit": 0},
    "/linux/resources/network/priorities/-": {"name": "lo", "priority": 1},
    "/linux/memoryPolicy": {"mode": "MPOL_DEFAULT"},
    "/linux/seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
    "/linux/seccomp/syscalls/-": {"names": ["swapoff"], "action": "SCMP_ACT_ERRNO"},
    "/linux/seccomp/syscalls/-/args/-": {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
    "/linux/personality": {"domain": "LINUX"},
}
#: Namespaces without which a member has no meaning.
_NAMESPACES = {
    "/linux/uidMappings": "user",
    "/linux/gidMappings": "user",
    "/linux/timeOffsets": "time",
}


@dataclass(frozen=True)
class Member:
    """A member or an element of an array, its type, and the release that brought it."""

    pointer: str
    kind: str
    since: str = RELEASES[0]

    def within(self, config: Config, value: object) -> Config:
        """Return a copy of ``config`` in which this one has ``value``."""
        edited, inner, name = self._place(config)
        if name == "-":
            inner.append(value)
        else:
            inner[name] = value
        return edited

    def missing(self, config: Config) -> Config:
        """Return a copy of ``config`` with all that this one would stand in, and without it."""
        edited, inner, name = self._place(config)
        inner.pop(name, None)
        return edited

    def _place(self, config: Config) -> tuple[Config, Any, str]:
        """Return a copy of ``config`` with what the member is in, that itself, and its name."""
        edited = copy.deepcopy(config)
        self._give_meaning(edited)
        inner: Any = edited
        path, names = "", self.pointer.split("/")[1:]
        for name, below in itertools.pairwise(names):
            path += f"/{name}"
            empty: Any = [] if below == "-" else copy.deepcopy(_beside(path))
            if name == "-":
                inner.append(empty)
                inner = empty
            else:
                inner = inner.setdefault(name, empty)
        return edited, inner, names[-1]

    def _give_meaning(self, config: Config) -> None:
        for beginning, kind in _NAMESPACES.items():
            if self.pointer.startswith(beginning):
                config["linux"]["namespaces"].append({"type": kind})
                if kind == "user":
                    mappings = {"uidMappings": [{**_IDS}], "gidMappings": [{**_IDS}]}
                    config["linux"] |= mappings


def _beside(path: str) -> Config:
    if path.startswith("/hooks/") and path.endswith("/-"):
        return {"path": str(probe_binary()), "args": ["probe", "quiet", "+", "wait", "/dev/stdin"]}
    return _BESIDE.get(path, {})


@dataclass(frozen=True)
class Section:
    """The members of one object that came with one release."""

    name: str
    members: tuple[Member, ...]

    def __repr__(self) -> str:
        return f"<members of {self.name}>"


def sections(release: str) -> list[Section]:
    """Return all members that a release of the spec has, by object and by the release they are of.

    A section is called like its object; behind an ``@`` stands the release, where it is not the
    first.
    """
    newest = RELEASES.index(release)
    found: dict[str, list[Member]] = {}
    for pointer, text in _OBJECTS.items():
        for member in _members(pointer, text):
            if RELEASES.index(member.since) <= newest:
                later = f"@{member.since}" if member.since != RELEASES[0] else ""
                found.setdefault(f"{pointer.lstrip('/') or 'config'}{later}", []).append(member)
    return [Section(name, tuple(each)) for name, each in found.items()]


def members(release: str) -> list[Member]:
    """Return all members that a release of the spec has."""
    return [member for section in sections(release) for member in section.members]


def _members(pointer: str, text: str) -> Iterator[Member]:
    for entry in text.split():
        told, _, since = entry.partition("@")
        name, _, kind = told.partition(":")
        member = Member(f"{pointer}/{name}", kind, since or RELEASES[0])
        if kind.endswith("s"):
            yield Member(member.pointer, "array", member.since)
            yield Member(f"{member.pointer}/-", kind.removesuffix("s"), member.since)
        else:
            yield member
