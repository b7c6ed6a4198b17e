"""Why a call that fails does not matter: each a case in which the runtime goes on by design."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from seatrial.oci.operations import Kind

if TYPE_CHECKING:
    from fault_trials import Trial


class Reason(NamedTuple):
    """Patterns of a kind of operation ("-" is none), a call and its argument, and the reason.

    ``says`` has to be found in what the operation says it does; ``program`` is whose call it is,
    and ``verb`` in the course of what.
    """

    kind: str
    call: str
    argument: str
    why: str
    says: str = ""
    program: str = ".*"
    verb: str = ".*"


CGROUP = r"/sys/fs/cgroup"
FOLDER = r"^/tmp/seatrial-faults-[^/]*/state/c$"
REASONS = (
    # The start of the command (csrc/launcher, and Python's own).
    Reason("-", "prlimit64", "", "the C library asks for the size of the stack, and takes another"),
    Reason("-", "readlink", "^/proc/self/exe$",
           "the C library asks where it is, for libraries that a static program has not",
           program="launcher"),
    Reason("-", "statfs", "^/proc/self/exe$",
           "where it is executed from is taken for what can be written to: so it is executed again",
           program="launcher"),
    Reason("-", "readlink|newfstatat|openat", r"^/$|python3|^/(?!sys|proc/|tmp)",
           "Python is executed from where it is, not from a mount that cannot be written to",
           program="python"),
    Reason("-", "fsopen|fsconfig|fsmount|open_tree|move_mount|mount_setattr|openat2|clone3|"
           "pidfd_open", "^$",
           "the runtime asks whether there is this call: all but ENOSYS says so"),
    Reason("-", "seccomp", "", "libseccomp asks what the kernel can do, and does without it",
           program="python"),
    Reason("-", "getsockname|getpeername|getsockopt", "", "Python asks what kind of socket it has",
           program="python"),
    Reason("-", "openat|read|fcntl|ioctl", "^/dev/null$|^/dev/pts|^pipe:|^socket:",
           "Python looks at what it was given as standard input and output", program="python"),
    Reason("-", "467", "", "its mount is made read-only in another way, as on older kernels",
           program="launcher", verb="create|run"),
    Reason("-", "execveat|fcntl", "", "the container process is cloned once more, and then put "
           "into its cgroup", program="launcher", verb="create|run"),
    # What the launcher sees, and goes on without.
    Reason("-", "rt_sigtimedwait", "", "it looks again whether the program has ended",
           program="launcher", verb="run"),
    Reason("-", "access", f"^{CGROUP}/.*/(container|cgroup.subtree_control)$",
           "that it is not there was the answer before, too", program="launcher",
           verb="create|run"),
    Reason("-", "openat", f"^{CGROUP}/(unified/)?seatrial-faults-[^/]*/container$",
           "the process is put into its cgroup after it was made", program="launcher",
           verb="create|run"),
    Reason("-", "openat|read", "/freezer.state$|/cgroup.freeze$",
           "it is taken not to be frozen, as it mostly is", program="launcher"),
    Reason("-", "faccessat2", "^start.sock$",
           "it is taken to be running, not created, which is the same for this verb",
           program="launcher", verb="delete --force|kill|state"),
    Reason("-", "getdents64", FOLDER,
           "the first names were read by then, and what is left is found by removing the folder",
           program="launcher"),
    Reason("-", "newfstatat|openat|read", f"^{CGROUP}/.*/container(/cgroup.procs)?$",
           "whether a cgroup is empty cannot be seen: Python ends all in it", program="launcher",
           verb="run"),
    Reason("-", "flock|faccessat2|openat|read|renameat|newfstatat",
           r"^(record|forgotten)$|" + FOLDER + "|/record$",
           "a run that cannot delete has Python do it", program="launcher", verb="run"),
    Reason("-", "read", "^/ptmx$", "by this a terminal says that nobody has its other end open",
           program="python", verb="run"),
    # What is kept for the next time.
    Reason("-", "openat|fcntl|getdents64|write|unlink|unlinkat|linkat|mkdir|read",
           r"state@plans|^[0-9a-f]{16}$|/random/boot_id$|^\.$",
           "a plan that cannot be kept is not",
           program="python", verb="create"),
    Reason("-", "getresuid|getresgid|capget", "", "a plan that cannot be kept is not",
           program="python", verb="create"),
    # What is done in another way where the launcher has started Python.
    Reason("-", "openat|read|flock|newfstatat|faccessat2|getdents64|pidfd_open|pidfd_send_signal",
           rf"^(record|plan|forgotten|start\.sock|/proc/\d+/stat)$|{FOLDER}",
           "it is looked at again", program="python"),
    Reason("ID_MAPPING", "read", "^pipe:",
           "who holds the namespace reads once more: it ends as the pipe does"),
    Reason("BOUNDING", "prctl", "",
           "what cannot be dropped was not there: so it is asked after"),
    # What is only looked at.
    Reason("-", "access|newfstatat|openat|read", f"^{CGROUP}",
           "a hierarchy, controller or file of one that cannot be seen is taken to be not there",
           program="python"),
    Reason("-", "getdents64", f"^{CGROUP}", "there are seldom cgroups below, and they are not asked"
           " for again only where the program has ended", program="python"),
    Reason("-", "write", "cgroup.kill", "the processes are killed one by one",
           program="python"),
    Reason("-", "getxattr", CGROUP, "the cgroup is taken for the container's own, as it mostly is",
           program="python"),
    Reason("-", "openat|read|newfstatat|access|readlink|statfs", "^/(sys|proc|dev)/",
           "a feature of the host that cannot be seen is taken to be not there",
           program="python"),
    Reason("-", "newfstatat|mkdir", "state$|^/tmp|rootfs",
           "it is there already, or whoever uses it says that it is not",
           program="python"),
    Reason("-", "mmap", "", "only a create that fails would need it, to take mount points away",
           program="python"),
    Reason("-", "clone3", "", "the process is put into its cgroup after it was made",
           program="python"),
    # Operations.
    Reason(".*", ".*", "", "it is done only where it is possible",
           "if that is possible|where possible"),
    Reason("WRITE", "openat|write", r"devices\.allow$", "a device that the config does not ask for",
           r"'([cb] \*:\* m|c (1:[35789]|5:[02]|136:\*) rwm)'$"),
    Reason("MAKE_DIRECTORIES", "setxattr", "", "the folder's mode says too that create made it"),
    Reason("REMOVE_CGROUP", "getxattr|removexattr", "", "the folder's mode says too whose it is"),
    Reason("HOOK", ".*", "", "a poststop hook that fails is warned of", "poststop"),
    Reason("HOOK", "read", "pipe:", "the hook's exit status says it too"),
    Reason("DEVICE|SYMLINK|MOUNT|BIND|MASK|READONLY|CONSOLE_MOUNT", "openat2", "",
           "what cannot be opened is made, and if it is there it is opened then"),
    Reason("DEVICE|NODE", "newfstatat", "", "it is made, unless it is there then"),
    Reason("MOUNT|BIND|DEVICE|CONSOLE_MOUNT", "mkdirat|mknodat|readlinkat", "",
           "it is tried once more, component by component"),
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
            and re.fullmatch(each.program, point.program)
            and re.fullmatch(each.verb, point.verb)
        ):
            return each.why
    return None
