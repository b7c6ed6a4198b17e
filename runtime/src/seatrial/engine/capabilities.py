"""Capabilities: what a container has unless told otherwise, what it gains and loses."""

from __future__ import annotations

from seatrial.engine.errors import BadRequest

DEFAULT = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"),
    *("SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
#: In the order of their numbers (capabilities(7)).
ALL = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE"),
    *("SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME"),
    *("SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
    *("PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)


def of_host() -> frozenset[str]:
    """Return what we have ourselves: nobody can give more, and runtimes refuse to try."""
    with open("/proc/self/status", encoding="ascii") as lines:
        held = next(int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:"))
    return frozenset(name for number, name in enumerate(ALL) if held >> number & 1)


def normal(name: str) -> str:
    """Return a name as we write it; ALL is one too."""
    short = name.upper().removeprefix("CAP_")
    if short not in {*ALL, "ALL"}:
        raise BadRequest(f'unknown capability: "CAP_{short}"')
    return short


def check(add: list[str] | None, drop: list[str] | None) -> None:
    """Refuse what is no capability."""
    for option, given in (("CapAdd", add), ("CapDrop", drop)):
        for each in given or ():
            try:
                normal(each)
            except BadRequest as error:
                raise BadRequest(f"invalid {option}: {error}") from None


def chosen(
    add: list[str] | None, drop: list[str] | None, *, privileged: bool, host: frozenset[str]
) -> list[str]:
    """Return what a container has, in the order of their numbers.

    What is added by name wins over ALL that is dropped, and the other way round.
    """
    added = {normal(name) for name in add or ()}
    dropped = {normal(name) for name in drop or ()}
    have = set(ALL) if privileged or "ALL" in added else set(DEFAULT)
    if "ALL" in dropped and not privileged:
        have = set(ALL) if "ALL" in added else set()
    if not privileged:
        have = (have | (added - {"ALL"})) - (dropped - {"ALL"})
    return [f"CAP_{name}" for name in ALL if name in have and name in host]
