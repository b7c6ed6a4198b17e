"""The process: who it is, what it may, where it starts (config.md, "Process")."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from seatrial.oci import (
    affinity,
    capabilities,
    id_mappings,
    labels,
    memory_policy,
    personality,
    scheduling,
)
from seatrial.oci import config as configs
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, Process, Rlimit

RLIMITS = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
]
ONLY_RAISE_HARD = 1
AT_CREATE = 1
DEFAULT_PATH = "/bin:/usr/bin"


def check(process: Process) -> None:
    """Refuse what cannot be right whatever the kernel."""
    if not process.args:
        raise ConfigError("/process/args", "needs at least one entry")
    seen: set[str] = set()
    for number, limit in enumerate(process.rlimits):
        pointer = f"/process/rlimits/{number}"
        if limit.type.removeprefix("RLIMIT_") not in RLIMITS or "RLIMIT_" not in limit.type:
            raise ConfigError(f"{pointer}/type", f"unknown limit {limit.type!r}")
        if limit.type in seen:
            raise ConfigError(pointer, f"a second limit of type {limit.type}")
        seen.add(limit.type)
    scheduling.check(process)
    affinity.check(process)
    labels.check(process)


def check_unused(config: Config) -> None:
    """Refuse what is wrong in sections that would only be used by a process."""
    _filters(config)
    list(memory_policy.compile(config))
    list(personality.compile(config))


def _filters(config: Config) -> list[Op]:
    if config.linux.seccomp is None:
        return []
    from seatrial.oci import seccomp

    return list(seccomp.compile(config))


def console(process: Process) -> Iterator[Op]:
    """Yield the terminal, made at create time because its caller waits for it there."""
    if not process.terminal:
        return
    box = configs.Box()
    if bytes(process.console_size):
        box = configs.decode_box(process.console_size, "/process/consoleSize")
    yield Op(Kind.SESSION, Stage.ENTER, "become a session leader", "/process/terminal")
    yield Op(
        Kind.CONSOLE,
        Stage.ENTER,
        "make a terminal, send its other end to the console socket",
        "/process/terminal",
        numbers=(box.height, box.width, process.user.uid),
    )


def adopt(process: Process, config: Config) -> Iterator[Op]:
    """Yield what the runtime sets for the waiting process."""
    if process.oom_score_adj is not None:
        yield Op(
            Kind.PROCESS_FILE,
            Stage.ADOPT,
            f"set oom_score_adj to {process.oom_score_adj}",
            "/process/oomScoreAdj",
            path="oom_score_adj",
            text=str(process.oom_score_adj),
        )
    foreign = _in_user_namespace(config)
    if foreign:
        # In there it has no power to raise a limit; here, hard ones only, so as not to be hampered
        # by the soft ones while the container is set up.
        for number, limit in enumerate(process.rlimits):
            yield _limit(number, limit, raise_hard=True)
    yield from scheduling.compile(process, stage=Stage.ADOPT, foreign=foreign)


def compile(process: Process, config: Config, *, keyring: str | None) -> Iterator[Op]:  # noqa: A001
    """Yield what the process does to itself after start, the last of it being exec.

    ``keyring`` names a session keyring to be joined or made; with ``None`` the caller's stays.
    """
    filters = _filters(config)
    if not process.terminal:
        yield Op(Kind.SESSION, Stage.START, "become a session leader")
    if keyring is not None:
        yield Op(
            Kind.KEYRING,
            Stage.START,
            f"leave the caller's session keyring for {keyring}",
            "/process/selinuxLabel" if process.selinux_label else "",
            path=process.selinux_label,
            text=keyring,
        )
    yield from memory_policy.compile(config)
    yield from personality.compile(config)
    yield from scheduling.compile(process, stage=Stage.START, foreign=_in_user_namespace(config))
    yield from labels.compile(process)
    for number, limit in enumerate(process.rlimits):
        yield _limit(number, limit)
    yield from _credentials(process, config, with_filter=bool(filters))
    if process.no_new_privileges:
        yield Op(
            Kind.NO_NEW_PRIVILEGES,
            Stage.START,
            "give up gaining privileges by exec",
            "/process/noNewPrivileges",
        )
    yield Op(Kind.CHDIR, Stage.START, f"change to {process.cwd}", "/process/cwd", path=process.cwd)
    if filters:
        yield _program(process)
        yield from filters
    argv, environ = strings(process.args), strings(process.env)
    yield Op(
        Kind.EXEC,
        Stage.START,
        f"execute {process.args[0]}",
        "/process/args",
        path=process.args[0],
        blob=argv + environ,
        numbers=(len(argv),),
    )


def _in_user_namespace(config: Config) -> bool:
    return any(namespace.type == "user" for namespace in config.linux.namespaces)


def _limit(number: int, limit: Rlimit, *, raise_hard: bool = False) -> Op:
    return Op(
        Kind.RLIMIT,
        Stage.ADOPT if raise_hard else Stage.START,
        f"allow {limit.type} up to {limit.hard}"
        if raise_hard
        else f"set {limit.type} to {limit.soft}, at most {limit.hard}",
        f"/process/rlimits/{number}",
        flags=ONLY_RAISE_HARD if raise_hard else 0,
        numbers=(RLIMITS.index(limit.type[7:]), limit.soft, limit.hard),
    )


def look(process: Process, config: Config) -> Iterator[Op]:
    """Yield what finds at create time that there is no such program.

    It is there that engines expect to hear of it: ``podman run`` then ends with 127 or 126.
    """
    if config.hooks.start_container or ":" in process.cwd:
        return  # one of these hooks may bring it; a path with a colon cannot be in PATH
    program, path = process.args[0], _search_path(process)
    # A name without a slash is looked up in PATH, whose relative entries begin at cwd.
    yield Op(
        Kind.PROGRAM,
        Stage.ENTER,
        f"find {program}" if "/" in program else f"find {program} in PATH ({path})",
        "/process/args/0",
        flags=AT_CREATE,
        path=os.path.join(process.cwd, program) if "/" in program else program,
        text=":".join(os.path.join(process.cwd, each) for each in path.split(":")),
    )


def _program(process: Process) -> Op:
    return Op(
        Kind.PROGRAM,
        Stage.START,
        f"find {process.args[0]}, while a failure can still be told",
        "/process/args/0",
        path=process.args[0],
        text=_search_path(process),
    )


def _search_path(process: Process) -> str:
    for each in process.env:
        if each.startswith("PATH="):
            return each.removeprefix("PATH=")
    return DEFAULT_PATH


def _credentials(process: Process, config: Config, *, with_filter: bool) -> Iterator[Op]:
    user, wanted = process.user, process.capabilities
    granted = capabilities.every() if _in_user_namespace(config) else capabilities.held()
    sets = capabilities.sets(wanted, granted=granted)
    yield capabilities.bound(wanted, sets)
    if user.umask is not None:
        yield Op(
            Kind.UMASK,
            Stage.START,
            f"set the umask to {user.umask:04o}",
            "/process/user/umask",
            numbers=(user.umask,),
        )
    if not id_mappings.denies_setgroups(config):
        yield Op(
            Kind.GROUPS,
            Stage.START,
            f"set supplementary groups {user.additional_gids}",
            "/process/user/additionalGids",
            blob=struct.pack(f"<{len(user.additional_gids)}I", *user.additional_gids),
        )
    yield Op(Kind.GID, Stage.START, f"become group {user.gid}", "/process/user/gid",
             numbers=(user.gid,))  # fmt: skip
    yield Op(Kind.UID, Stage.START, f"become user {user.uid}", "/process/user/uid",
             numbers=(user.uid,))  # fmt: skip
    # Without no_new_privs a filter can be loaded only with CAP_SYS_ADMIN (seccomp(2)).
    yield from capabilities.grant(sets, for_filter=with_filter and not process.no_new_privileges)
