"""Why a call that fails does not matter: each a case in which the runtime goes on by design."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from seatrial.oci.operations import Kind

if TYPE_CHECKING:
    from fault_trials import Trial


class Reason(NamedTuple):
    """Patterns of a kind of operation ("-" is none), a call and its argument, and the reason.

    ``says`` has to be found in what the operation says it does.
    """

    kind: str
    call: str
    argument: str
    why: str
    says: str = ""


CGROUP = r"/sys/fs/cgroup"
RUNTIME = "seatrial-faults-.*/state"
REASONS = (
    # The start of the command (csrc/launcher, and Python's own).
    Reason("-", "prlimit64", "", "the C library asks for the size of the stack, and takes another"),
    Reason("-", "readlink|newfstatat|openat", r"^/$|python3|^/(?!sys|proc/|tmp)|/proc/self/exe",
           "Python is executed from where it is, not from a mount that cannot be written to"),
    Reason("-", "open_tree|mount_setattr|execveat", "",
           "Python is executed from where it is, not from a mount that cannot be written to"),
    Reason("-", "fsopen|fsconfig|fsmount|open_tree|move_mount|mount_setattr|openat2|clone3|"
           "pidfd_open", "", "the runtime asks whether there is this call: all but ENOSYS says so"),
    Reason("-", "seccomp", "", "libseccomp asks what the kernel can do, and does without it"),
    Reason("-", "getsockname|getpeername|getsockopt", "", "Python asks what kind of socket it has"),
    Reason("-", "openat|read|fcntl|ioctl", "^/dev/null$|^/dev/pts|^pipe:|^socket:",
           "Python looks at what it was given as standard input and output"),
    # What the launcher cannot do Python does.
    Reason("-", "openat|read|flock|newfstatat|faccessat2|getdents64|pidfd_open|pidfd_send_signal|"
           "renameat|fcntl|dup",
           rf"^(record|plan|forgotten|start\.sock|/proc/\d+/stat|)$|{RUNTIME}",
           "the launcher hands over to Python, which does it"),
    Reason("-", "openat|read|newfstatat", f"{CGROUP}.*(cgroup.procs|container)$",
           "that a cgroup is empty cannot be seen: all in it are killed once more"),
    # What is only looked at.
    Reason("-", "access|newfstatat|openat|read", f"^{CGROUP}",
           "a hierarchy, controller or file of one that cannot be seen is taken to be not there"),
    Reason("-", "getdents64", f"^{CGROUP}", "there are seldom cgroups below, and they are not asked"
           " for again only where the program has ended"),
    Reason("-", "write", "cgroup.kill", "the processes are killed one by one"),
    Reason("-", "getxattr", CGROUP, "the cgroup is taken for the container's own, as it mostly is"),
    Reason("-", "openat|read|newfstatat|access|readlink|statfs", "^/(sys|proc|dev)/",
           "a feature of the host that cannot be seen is taken to be not there"),
    Reason("-", "newfstatat|mkdir", "state$|^/tmp|rootfs",
           "it is there already, or whoever uses it says that it is not"),
    Reason("-", "mmap", "", "only a create that fails would need it, to take mount points away"),
    Reason("-", "clone3", "", "the process is put into its cgroup after it was made"),
    # Operations.
    Reason(".*", ".*", "", "it is done only where it is possible",
           "if that is possible|where possible"),
    Reason("WRITE", ".*", r"devices\.allow", "a device that the config does not ask for"),
    Reason("MAKE_DIRECTORIES", "setxattr", "", "the folder's mode says too that create made it"),
    Reason("REMOVE_CGROUP", "getxattr|removexattr", "", "the folder's mode says too whose it is"),
    Reason("HOOK", ".*", "", "a poststop hook that fails is warned of", "poststop"),
    Reason("HOOK", "read", "pipe:", "the hook's exit status says it too"),
    Reason("DEVICE|SYMLINK|MOUNT|BIND|MASK|READONLY|CONSOLE_MOUNT", "openat2", "",
           "what cannot be opened is made, and if it is there it is opened then"),
    Reason(".*", "statx", "^$", "it is not noted for a create that fails to take away"),
    Reason("ROOT", "fsopen|fsconfig|fsmount", "", "the /proc that is there does as well"),
    Reason("ROOT", "openat", "^/dev/null$", "only what masks a file needs it, and says so"),
    Reason("MASK|READONLY", "467", "",
           "it is done in another way, as on kernels that have no such call"),
    Reason("PROGRAM|EXEC|HOOK", "openat|read", "",
           "what cannot be read is no script, and whether it can be executed the kernel says"),
    Reason("PROGRAM", "statx|faccessat2|execveat", "",
           "only what is certain not to be executed is refused so early, the rest by exec"),
    Reason("OPEN_NAMESPACE", "newfstatat|stat", "/proc/self/ns",
           "that the namespace is the runtime's own is seen as it is entered"),
)  # fmt: skip


def of(trial: Trial) -> str | None:
    """Return the reason, or ``None``."""
    point = trial.point
    kind = Kind(point.kind).name if point.kind else "-"
    for each in REASONS:
        if (
            re.fullmatch(each.kind, kind)
            and re.fullmatch(each.call, point.name)
            and re.search(each.argument, point.argument)
            and re.search(each.says, point.says)
        ):
            return each.why
    return None
