"""The operations of a spawn plan: what each does, and how it reads (runtime/csrc/plan.h)."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Stage(IntEnum):
    """Where and when operations are done, in the order of a container's life."""

    BEFORE = 0
    JOIN = 1
    ADOPT = 2
    MOUNT = 3
    CREATING = 4
    ENTER = 5
    START = 6
    STARTED = 7
    DELETED = 8


STAGES = {
    Stage.BEFORE: "the runtime, before the container process exists",
    Stage.JOIN: "a helper process, entering namespaces that exist",
    Stage.ADOPT: "the runtime, the container process exists and waits",
    Stage.MOUNT: "the container process, its mounts",
    Stage.CREATING: "the runtime, while create is under way",
    Stage.ENTER: "the container process, entering its root",
    Stage.START: "the container process, when start is called",
    Stage.STARTED: "the runtime, once the program is executed",
    Stage.DELETED: "the runtime, once the container is deleted",
}


class Kind(IntEnum):
    """What an operation does; the numbers are those of plan.h."""

    SETNS = 1
    WRITE = 2
    MAKE_DIRECTORIES = 3
    REMOVE_CGROUP = 4
    ATTACH = 5
    ID_MAP = 6
    PROCESS_FILE = 7
    BECOME_ROOT = 8
    PROPAGATION = 9
    ROOT = 10
    MOUNT = 11
    BIND = 12
    MOUNT_PROPAGATION = 13
    DEVICE = 14
    SYMLINK = 15
    HOOK = 16
    PIVOT = 17
    MASK = 18
    READONLY = 19
    ROOT_READONLY = 20
    SYSCTL = 21
    HOSTNAME = 22
    DOMAINNAME = 23
    CONSOLE = 24
    SESSION = 25
    UMASK = 26
    RLIMIT = 27
    SCHEDULER = 28
    IO_PRIORITY = 29
    AFFINITY = 30
    PERSONALITY = 31
    MEMORY_POLICY = 32
    NO_NEW_PRIVILEGES = 33
    BOUNDING = 34
    GROUPS = 35
    GID = 36
    UID = 37
    CAPABILITIES = 38
    AMBIENT = 39
    SECCOMP = 40
    ATTRIBUTE = 41
    CHDIR = 42
    EXEC = 43
    OPEN_NAMESPACE = 44
    TIME_NAMESPACE = 45
    LOOPBACK = 46
    NET_DEVICE = 47
    KEYRING = 48
    PROGRAM = 49
    ATTACH_TASK = 50
    ROOT_TREE = 51
    TREE = 52
    ID_MAPPING = 53
    REMOUNT = 54
    MOUNT_ATTRIBUTES = 55
    NODE_STORE = 56
    NODE = 57
    CONSOLE_MOUNT = 58
    ENABLE_CONTROLLERS = 59
    OWNER = 60
    DEVICE_FILTER = 61
    SYSTEMD = 62
    CGROUP_NAMESPACE = 63
    CHROOT = 64
    UNMOUNT = 65


class Op(msgspec.Struct, frozen=True):
    """One operation; ``says`` tells a reader what the kernel is asked for, ``pointer`` why."""

    kind: Kind
    stage: Stage
    says: str
    pointer: str = ""
    flags: int = 0
    path: str = ""
    text: str = ""
    extra: str = ""
    blob: bytes = b""
    numbers: tuple[int, ...] = ()
