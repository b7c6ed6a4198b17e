"""Whole configs for differential runs: edits of the minimal config, few at a time.

An edit is a list of assignments, each a path of members and a value; ``+`` at the end of a path
appends.  The simplest config is the minimal one, and each edit can be left out by itself, so what
Hypothesis shrinks to has just what it needs.
"""

from __future__ import annotations

import copy
import functools
import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from seatrial.conformance import config as configs
from seatrial.conformance.facts import held_capabilities
from seatrial.conformance.strategies.process import LIMITS
from seatrial.conformance.syscalls import NUMBERS

if TYPE_CHECKING:
    from seatrial.conformance.config import Config

Path = tuple[str | int, ...]
Edit = list[tuple[Path, Any]]
_SEA = "sea"
_MOST_EDITS = 2
#: One config in so many more is spoiled.
_SPOILED = 3

_CAPABILITIES = ("CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW", "CAP_SYS_TIME")
_SETS = ("bounding", "permitted", "effective", "inheritable", "ambient")

#: The strings of the table of mount options that say nothing about other mounts or mappings.
_FLAGS = (
    *("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync", "async", "dirsync"),
    *("noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime"),
    *("nostrictatime", "nosymfollow", "symfollow", "lazytime", "nolazytime", "iversion"),
    *("noiversion", "silent", "loud", "mand", "nomand", "defaults"),
    *("rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnoatime"),
    *("ratime", "rnodiratime", "rdiratime", "rrelatime", "rnorelatime", "rstrictatime"),
    *("rnostrictatime", "rnosymfollow", "rsymfollow", "remount"),
    *("private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"),
    *("tmpcopyup", "seaoption"),
)
_SYSCALLS = ("getcwd", "getppid", "mkdir", "personality", "sync", "umask", "uname")


def configs_to_compare(version: str) -> st.SearchStrategy[Config]:
    """Draw valid configs, and now and then one with a member that is wrong or not there."""
    return _configs(version)


@st.composite
def _configs(draw: st.DrawFn, version: str) -> Config:
    edits = draw(st.lists(_named_edits(), max_size=_MOST_EDITS, unique_by=lambda named: named[0]))
    config = base(version)
    for _, edit in edits:
        for path, value in edit:
            assign(config, path, copy.deepcopy(value))
    if draw(st.integers(0, _SPOILED)) == _SPOILED:
        spoil(config, draw(st.sampled_from(_places(config))), draw(st.sampled_from(_WRONG)))
    return config


def base(version: str) -> Config:
    """Return the config that every edit starts from."""
    config = configs.minimal()
    config["ociVersion"] = version
    return config


def assign(config: Config, path: Path, value: object) -> None:
    """Set one member, making those above it; ``+`` appends to a list."""
    inner: Any = config
    for name, after in itertools.pairwise(path):
        if isinstance(inner, dict):
            inner = inner.setdefault(name, [] if after == "+" else {})
        else:
            inner = inner[name]
    if path[-1] == "+":
        inner.append(value)
    else:
        inner[path[-1]] = value


# Edits


@functools.cache
def _named_edits() -> st.SearchStrategy[tuple[str, Edit]]:
    every = {
        "umask": _one(("process", "user", "umask"), st.integers(0, 0o777)),
        "hostname": _one(("hostname",), _names()),
        "domainname": _one(("domainname",), _names()),
        "readonly": _one(("root", "readonly"), st.booleans()),
        "cwd": _one(("process", "cwd"), st.sampled_from(["/tmp", "/sea/deep", "/proc/self", "/."])),  # noqa: S108
        "privileges": _one(("process", "noNewPrivileges"), st.booleans()),
        "oom": _one(("process", "oomScoreAdj"), st.integers(0, 1000)),
        "user": _users(),
        "groups": _one(("process", "user", "additionalGids"), _groups()),
        "env": _one(("process", "env"), _environments()),
        "rlimits": _one(("process", "rlimits"), _rlimits()),
        "capabilities": _capabilities(),
        "mount": _mounts(),
        "second mount": _mounts(),
        "masked": _one(("linux", "maskedPaths"), _paths("/proc/keys", "/probe", "/proc/scsi")),
        "read-only": _one(("linux", "readonlyPaths"), _paths("/proc/sys", "/dev", "/probe")),
        "namespaces": _namespaces(),
        "devices": _devices(),
        "sysctl": _sysctls(),
        "seccomp": _one(("linux", "seccomp"), _filters()),
        "annotations": _one(("annotations",), _annotations()),
        "propagation": _one(("linux", "rootfsPropagation"), _propagations()),
        "personality": _one(("linux", "personality", "domain"), st.sampled_from(_DOMAINS)),
        "io priority": _one(("process", "ioPriority"), _io_priorities()),
        "scheduler": _one(("process", "scheduler"), _schedulers()),
        "console": _one(("process", "consoleSize"), st.just({"height": 24, "width": 80})),
        "unknown": st.sampled_from(_UNKNOWN_PLACES).map(lambda path: [((*path, _SEA), 1)]),
    }
    return st.one_of(*(st.tuples(st.just(name), edit) for name, edit in every.items()))


_DOMAINS = ("LINUX", "LINUX32")
_UNKNOWN_PLACES: tuple[Path, ...] = (
    (),
    ("root",),
    ("process",),
    ("process", "user"),
    ("linux",),
    ("mounts", 0),
    ("linux", "namespaces", 0),
)


def _one(path: Path, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Edit]:
    return values.map(lambda value: [(path, value)])


def _names() -> st.SearchStrategy[str]:
    return st.sampled_from([_SEA, "sea.example", "", "s" * 64, "s" * 65, "sea trial", "m\u00e9r"])


@st.composite
def _users(draw: st.DrawFn) -> Edit:
    numbers = st.sampled_from([0, 1, 1000, 65534, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1])
    uid, gid = draw(numbers), draw(numbers)
    return [(("process", "user", "uid"), uid), (("process", "user", "gid"), gid)]


def _groups() -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([0, 1, 5, 1000, 2**31, 2**32 - 2]), max_size=3)


def _environments() -> st.SearchStrategy[list[str]]:
    entries = ["SEA=1", "SEA=2", "SEAS=", "PATH=/bin", "HOME=/sea", "SEANONE", "=sea", "HOME="]
    return st.lists(st.sampled_from(entries), max_size=3)


@st.composite
def _rlimits(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(st.lists(st.sampled_from(sorted(LIMITS)), max_size=2))
    found = []
    for kind in kinds:
        soft, hard = draw(LIMITS[kind].values())
        pair = [soft, hard] if draw(st.integers(0, 5)) else [hard, soft]
        found.append({"type": kind, "soft": pair[0], "hard": pair[1]})
    return found


@st.composite
def _capabilities(draw: st.DrawFn) -> Edit:
    held = held_capabilities()
    names = [name for name in _CAPABILITIES if name in held]
    names += ["CAP_SYS_RESOURCE", "CAP_SEA"]
    found = {}
    for kind in draw(st.lists(st.sampled_from(_SETS), max_size=len(_SETS))):
        found[kind] = draw(st.lists(st.sampled_from(names), max_size=2))
    return [(("process", "capabilities"), found)]


@st.composite
def _mounts(draw: st.DrawFn) -> Edit:
    place = draw(st.sampled_from(["/sea", "/sea/deep", "/sea/../sea", "sea"]))
    kind = draw(st.sampled_from(["tmpfs", "bind", "mqueue", "sysfs", "devpts", "ramfs"]))
    options = draw(st.lists(st.sampled_from(_FLAGS), max_size=3))
    if kind == "bind":
        options = [draw(st.sampled_from(["bind", "rbind"])), *options]
    elif kind in {"tmpfs", "ramfs"}:
        data = st.sampled_from(["mode=700", "size=64k", "uid=1000"][: 3 if kind == "tmpfs" else 1])
        options += draw(st.lists(data, max_size=1))
    source = "rootfs/tmp" if kind == "bind" else kind
    entry: Config = {"destination": place, "type": kind, "source": source}
    if options:
        entry["options"] = options
    return [(("mounts", "+"), entry)]


def _paths(*places: str) -> st.SearchStrategy[list[str]]:
    paths = [*places, "/tmp", "/nothing/here", "tmp"]  # noqa: S108 - of the container
    return st.lists(st.sampled_from(paths), max_size=2)


@st.composite
def _namespaces(draw: st.DrawFn) -> Edit:
    # Not unique: such lists of Hypothesis do not shrink by leaving out the first.
    names = ["network", "cgroup", "time", "user", "uts", "sea"]
    kinds = draw(st.lists(st.sampled_from(names), max_size=2))
    edit: Edit = [(("linux", "namespaces", "+"), {"type": kind}) for kind in kinds]
    if "user" in kinds:
        size = draw(st.sampled_from([65536, 1]))
        mapping = {"containerID": 0, "hostID": 100000, "size": size}
        edit.append((("linux", "uidMappings"), [mapping]))
        edit.append((("linux", "gidMappings"), [dict(mapping)]))
    if "time" in kinds:
        clock = draw(st.sampled_from(["monotonic", "boottime"]))
        edit.append((("linux", "timeOffsets"), {clock: {"secs": draw(st.integers(0, 1000))}}))
    return edit


@st.composite
def _devices(draw: st.DrawFn) -> Edit:
    kind, major, minor = draw(
        st.sampled_from([("c", 1, 3), ("p", 0, 0), ("u", 1, 5), ("b", 7, 0), ("c", 5, 1)])
    )
    entry: Config = {"path": draw(st.sampled_from(["/dev/sea", "/sea/device", "/dev/null"]))}
    entry["type"] = kind
    if kind != "p":
        entry |= {"major": major, "minor": minor}
    if draw(st.booleans()):
        entry["fileMode"] = draw(st.sampled_from([0o600, 0o666, 0o4755, 0, 0o20666]))
    if draw(st.booleans()):
        entry |= {"uid": draw(st.integers(0, 1000)), "gid": draw(st.integers(0, 1000))}
    return [(("linux", "devices"), [entry])]


@st.composite
def _sysctls(draw: st.DrawFn) -> Edit:
    key, value = draw(
        st.sampled_from(
            [
                ("kernel.msgmax", "8000"),
                ("kernel.shm_rmid_forced", "1"),
                ("kernel.domainname", _SEA),
                ("net.ipv4.ip_forward", "1"),
                ("kernel.msgmax", _SEA),
                ("kernel/msgmax", "8000"),
                ("net.sea", "1"),
            ]
        )
    )
    edit: Edit = [(("linux", "sysctl"), {key: value})]
    if key.startswith("net"):
        edit.append((("linux", "namespaces", "+"), {"type": "network"}))
    return edit


@st.composite
def _filters(draw: st.DrawFn) -> Config:
    action = draw(
        st.sampled_from(["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_SEA"])
    )
    names = [name for name in _SYSCALLS if name in NUMBERS]
    entry: Config = {"names": draw(st.lists(st.sampled_from([*names, "seacall"]), max_size=2))}
    entry["action"] = action
    if draw(st.booleans()):
        entry["errnoRet"] = draw(st.sampled_from([1, 0, 42, 4095, 4096]))
    found: Config = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]}
    if draw(st.booleans()):
        found["architectures"] = [draw(st.sampled_from(["SCMP_ARCH_X86_64", "SCMP_ARCH_SEA"]))]
    if draw(st.booleans()):
        flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SEA"]
        found["flags"] = draw(st.lists(st.sampled_from(flags), max_size=1))
    return found


def _annotations() -> st.SearchStrategy[dict[str, str]]:
    keys = st.sampled_from(["com.example.sea", "org.opencontainers.sea", ""])
    return st.dictionaries(keys, st.sampled_from([_SEA, ""]), max_size=2)


def _propagations() -> st.SearchStrategy[str]:
    return st.sampled_from(["private", "slave", "shared", "unbindable", "rprivate", "rslave", _SEA])


@st.composite
def _io_priorities(draw: st.DrawFn) -> Config:
    kinds = ["IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_SEA"]
    return {"class": draw(st.sampled_from(kinds)), "priority": draw(st.integers(0, 8))}


@st.composite
def _schedulers(draw: st.DrawFn) -> Config:
    found: Config = {"policy": draw(st.sampled_from(["SCHED_OTHER", "SCHED_BATCH", "SCHED_SEA"]))}
    if draw(st.booleans()):
        found["nice"] = draw(st.integers(0, 20))
    return found


# Members that are wrong

#: What decides where containers are, and what no container of ours is without.
_SPARED = (
    ("linux",),
    ("linux", "cgroupsPath"),
    ("linux", "namespaces"),
    ("process", "args"),
    ("process",),
    ("root", "path"),
)
_MISSING = "missing"
_WRONG: tuple[Any, ...] = (_MISSING, None, "", "sea", 0, -1, 2**33, 1.5, True, [], {})


def _places(config: Config) -> list[Path]:
    """Return the members that may be spoiled, at every depth: those that were drawn last."""
    return [path for path in _walk((), config) if path and not _is_spared(config, path)][::-1]


def _walk(path: Path, value: object) -> list[Path]:
    found = [path]
    if isinstance(value, dict):
        for name, each in value.items():
            found += _walk((*path, name), each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found += _walk((*path, number), each)
    return found


def _is_spared(config: Config, path: Path) -> bool:
    if path[:2] == ("process", "args") or path in _SPARED:
        return True
    if path[:2] == ("linux", "namespaces"):
        return bool(config["linux"]["namespaces"][path[2]] == {"type": "mount"})
    return False


def spoil(config: Config, path: Path, what: object) -> None:
    """Put a wrong value at ``path``, or take away what is there."""
    inner: Any = config
    for name in path[:-1]:
        inner = inner[name]
    if what == _MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = copy.deepcopy(what)
