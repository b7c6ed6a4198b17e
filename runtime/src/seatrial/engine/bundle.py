"""A container's record as an OCI config: what Docker's words mean in the runtime-spec's."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.engine import capabilities, limits, mountpoints, payloads, security
from seatrial.engine.network import files

if TYPE_CHECKING:
    from seatrial.engine.payloads import HostConfig
    from seatrial.engine.records import Record
    from seatrial.engine.users import User

#: The first program of containers that asked for one: in this package, and in the container.
INIT = f"{os.path.dirname(__file__)}/bin/init"
_INIT_INSIDE = "/sbin/docker-init"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_BYTES = 64 << 20
_PROC = {
    "destination": "/proc",
    "type": "proc",
    "source": "proc",
    "options": ["nosuid", "noexec", "nodev"],
}
_DEV = {
    "destination": "/dev",
    "type": "tmpfs",
    "source": "tmpfs",
    "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
}
_PTS = {
    "destination": "/dev/pts",
    "type": "devpts",
    "source": "devpts",
    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
}
_MQUEUE = {
    "destination": "/dev/mqueue",
    "type": "mqueue",
    "source": "mqueue",
    "options": ["nosuid", "noexec", "nodev"],
}


class Place(NamedTuple):
    """What of the host a container's config has to name."""

    root: str
    #: Where its /etc/hosts and the like are.
    files: str
    cgroup: str
    user: User
    #: Of namespaces that are there already, the paths: by kind.
    namespaces: dict[str, str]
    host_capabilities: frozenset[str]


def config(record: Record, place: Place) -> dict[str, Any]:
    """Return config.json."""
    held = record.config
    made: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": _process(record, place),
        "root": {"path": place.root, "readonly": record.host.readonly_rootfs},
        "mounts": _mounts(record, place),
        "linux": _linux(record, place),
    }
    if record.host.uts_mode != "host":
        made["hostname"] = held.hostname
        if held.domainname:
            made["domainname"] = held.domainname
    if record.host.annotations:
        made["annotations"] = record.host.annotations
    return made


def environment(given: list[str] | None, *, hostname: str, tty: bool, home: str) -> list[str]:
    """Return the variables: ours, replaced by what was given; a name alone removes one."""
    made = {"PATH": _PATH, "HOSTNAME": f"HOSTNAME={hostname}"}
    if tty:
        made["TERM"] = "TERM=xterm"
    for each in given or ():
        name, equals, _ = each.partition("=")
        made.pop(name, None) if not equals else made.update({name: each})
    made.setdefault("HOME", f"HOME={home}")
    return list(made.values())


def capability_sets(names: list[str], user: User) -> dict[str, list[str]]:
    """Return the sets; whoever is not root has them only in reserve, for programs with rights."""
    used = names if user.uid == 0 else []
    return {"bounding": names, "effective": used, "permitted": used}


def has_init(host: HostConfig) -> bool:
    """Whether a container's first process is ours; one in others' PID namespace is no init."""
    return bool(host.init) and not host.pid_mode


def held_capabilities(record: Record, place: Place) -> list[str]:
    """Return the capabilities of a container."""
    host = record.host
    return capabilities.chosen(
        host.cap_add, host.cap_drop, privileged=host.privileged, host=place.host_capabilities
    )


def _process(record: Record, place: Place) -> dict[str, Any]:
    held, host, user = record.config, record.host, place.user
    names = held_capabilities(record, place)
    made: dict[str, Any] = {
        "terminal": held.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": [*([_INIT_INSIDE, "--"] if has_init(host) else []), record.path, *record.args],
        "env": environment(held.env, hostname=held.hostname, tty=held.tty, home=user.home),
        "cwd": held.working_dir or "/",
        "capabilities": capability_sets(names, user),
        "noNewPrivileges": security.read(host.security_opt).no_new_privileges,
        "oomScoreAdj": host.oom_score_adj,
    }
    if held.tty and all(host.console_size):
        made["consoleSize"] = {"height": host.console_size[0], "width": host.console_size[1]}
    rlimits = limits.rlimits(host)
    if rlimits:
        made["rlimits"] = rlimits
    return made


def _mounts(record: Record, place: Place) -> list[dict[str, Any]]:
    host = record.host
    access = "rw" if host.privileged else "ro"
    quiet = ["nosuid", "noexec", "nodev"]
    made: list[dict[str, Any]] = [
        _PROC,
        _DEV,
        _PTS,
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, access]},
        {
            "destination": "/sys/fs/cgroup",
            "type": "cgroup",
            "source": "cgroup",
            "options": [*quiet, access],
        },
        _MQUEUE,
    ]
    if host.ipc_mode == "host":
        made.append(_bind("/dev/shm", "/dev/shm"))  # noqa: S108 - the host's own was asked for
    elif host.ipc_mode != "none":
        options = [*quiet, "mode=1777", f"size={host.shm_size or SHM_BYTES}"]
        shm = {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": options}  # noqa: S108
        made.append(shm)
    if has_init(host):
        init = {"destination": _INIT_INSIDE, "type": "bind", "source": INIT}
        made.append({**init, "options": ["bind", "ro"]})
    own = [
        *(_bind(f"{place.files}/{name}", f"/etc/{name}") for name in files.NAMES),
        *map(mountpoints.oci, record.mounts),
        *(
            {
                "destination": destination,
                "type": "tmpfs",
                "source": "tmpfs",
                "options": mountpoints.tmpfs_options(options),
            }
            for destination, options in (host.tmpfs or {}).items()
        ),
    ]
    own = list({each["destination"]: each for each in own}.values())  # one's own comes later
    covered = {each["destination"] for each in own}
    made = [each for each in made if each["destination"] not in covered]
    # What is above another has to be mounted before it.
    return [*made, *sorted(own, key=lambda each: str(each["destination"]).count("/"))]


def _bind(source: str, destination: str) -> dict[str, Any]:
    options = ["rbind", "rprivate"]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


def _namespaces(record: Record, place: Place) -> list[dict[str, str]]:
    host = record.host
    modes = {
        "pid": host.pid_mode,
        "network": host.network_mode,
        "ipc": host.ipc_mode,
        "uts": host.uts_mode,
        "cgroup": host.cgroupns_mode,
    }
    made = [{"type": "mount"}]
    for kind, mode in modes.items():
        if kind in place.namespaces:
            made.append({"type": kind, "path": place.namespaces[kind]})
        elif mode != "host":
            made.append({"type": kind})
    return made


def _linux(record: Record, place: Place) -> dict[str, Any]:
    host = record.host
    resources = limits.resources(host)
    resources["devices"] = limits.device_rules(
        host.devices, host.device_cgroup_rules, privileged=host.privileged
    )
    masked = host.masked_paths if host.masked_paths is not None else list(security.MASKED)
    readonly = host.readonly_paths if host.readonly_paths is not None else list(security.READONLY)
    made: dict[str, Any] = {
        "namespaces": _namespaces(record, place),
        "cgroupsPath": place.cgroup,
        "resources": resources,
        "maskedPaths": [] if host.privileged else masked,
        "readonlyPaths": [] if host.privileged else readonly,
        "rootfsPropagation": mountpoints.root_propagation(record.mounts),
    }
    devices = [node for device in host.devices or () for node in limits.nodes(device)]
    if host.privileged:
        devices = [*_host_devices(), *devices]
    if devices:
        made["devices"] = list({each["path"]: each for each in devices}.values())
    if host.sysctls:
        made["sysctl"] = host.sysctls
    filtering = security.filtering(host, held_capabilities(record, place))
    if filtering is not None:
        made["seccomp"] = filtering
    return made


def _host_devices() -> list[dict[str, Any]]:
    """Return the nodes of the host's /dev, without those that every container gets of its own."""
    own = {"pts", "shm", "mqueue", "fd", "console", "ptmx", "tty", "full", "null", "random"}
    own |= {"urandom", "zero", ".lxc", ".lxd-mounts", ".udev", "stdin", "stdout", "stderr"}
    found: list[dict[str, Any]] = []
    for where, folders, names in os.walk("/dev"):
        skipped = own if where == "/dev" else set()
        folders[:] = [each for each in folders if each not in skipped]
        for name in set(names) - skipped:
            path = os.path.join(where, name)
            mode = os.stat(path, follow_symlinks=False).st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                found.extend(limits.nodes(payloads.Device(path, path, "rwm")))
    return found
