"""
usage: seatrial-oci exec [OPTION]... ID COMMAND [ARGUMENT]...
       seatrial-oci exec [OPTION]... --process FILE ID

Execute a further process in a running container; the exit status is the process's.

  -p, --process FILE        the process as JSON, like config.json's; the options below then change nothing
  -t, --tty                 give it a terminal
  -d, --detach              return once it is executed
  --console-socket PATH     AF_UNIX socket that receives the terminal
  --pid-file FILE           write its pid there
  -u, --user UID[:GID]      who it is
  -g, --additional-gids N   a supplementary group; repeatable
  --cwd DIR                 where it starts
  -e, --env NAME=VALUE      one more environment variable; repeatable
  -c, --cap CAP_NAME        one more capability; repeatable
  --no-new-privs            set no_new_privs
  --apparmor PROFILE        its AppArmor profile
  --process-label LABEL     its SELinux label
  --preserve-fds N          let it have N descriptors after stderr
  --cgroup [CONTROLLER,...:]PATH
                            a cgroup of the container's own, below its cgroup; repeatable by
                            controller
  --ignore-paused           wait until a paused container is resumed
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import config, creation, execution, foreground
from seatrial.oci.command import Usage
from seatrial.oci.errors import OCIError, reason
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    from seatrial.oci.command import Call
    from seatrial.oci.config import Process

OPTIONS = {
    "process": True,
    "tty": False,
    "detach": False,
    "console-socket": True,
    "pid-file": True,
    "pidfd-socket": True,
    "user": True,
    "additional-gids": True,
    "cwd": True,
    "env": True,
    "cap": True,
    "no-new-privs": False,
    "apparmor": True,
    "process-label": True,
    "preserve-fds": True,
    "ignore-paused": False,
    "cgroup": True,
}
SHORT = {
    "p": "process",
    "t": "tty",
    "d": "detach",
    "u": "user",
    "g": "additional-gids",
    "e": "env",
    "c": "cap",
}


def run(call: Call) -> int:
    """Execute it."""
    if not call.arguments:
        raise Usage("a container id is needed")
    identifier, *args = call.arguments
    wanted = _process(call, identifier, args)
    ours: socket.socket | None = None
    console: socket.socket | None = None
    path = call.value("console-socket")
    if path is not None:
        console = creation.connect_console(path)
    elif wanted.terminal and not call.flag("detach"):
        ours, console = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    started = execution.execute(
        identifier,
        wanted,
        root=call.root,
        console=console,
        preserve_fds=call.descriptors(),
        cgroup=cgroups_of(call.values("cgroup")),
        ignore_paused=call.flag("ignore-paused"),
    )
    if console is not None:
        console.close()
    pid_file = call.value("pid-file")
    if pid_file is not None:
        creation.write_pid_file(pid_file, started.pid)
    if call.flag("detach"):
        os.close(started.pidfd)
        return 0
    controller = foreground.receive(ours) if ours is not None else None
    return foreground.wait(started.pid, started.pidfd, controller)


def cgroups_of(words: list[str]) -> dict[str, str]:
    """Return paths by controller; one without controllers is for all, and stands alone."""
    found: dict[str, str] = {}
    for word in words:
        controllers, colon, path = word.rpartition(":")
        if not path or ":" in controllers or (colon and not controllers):
            raise Usage(f"--cgroup takes [CONTROLLER,...:]PATH, not {word!r}")
        if not colon and len(words) > 1:
            raise Usage(f"--cgroup {word} has no controller, so it cannot be one of several")
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _process(call: Call, identifier: str, args: list[str]) -> Process:
    file = call.value("process")
    if file is not None:
        try:
            with open(file, "rb") as content:
                return execution.read_process(content.read())
        except OSError as error:
            raise OCIError(f"cannot read {file}: {reason(error.errno)}") from None
    if not args:
        raise Usage("a command, or --process FILE, is needed")
    spec = config.decode(Folder(call.root, identifier).read("config.json"))
    base = execution.derived(spec, args, _changes(call))
    user, capabilities = base.user, base.capabilities
    if call.value("user") is not None:
        uid, _, gid = str(call.value("user")).partition(":")
        user = msgspec.structs.replace(user, uid=_id(uid), gid=_id(gid) if gid else user.gid)
    if call.values("additional-gids"):
        user = msgspec.structs.replace(
            user, additional_gids=[_id(each) for each in call.values("additional-gids")]
        )
    if call.values("cap"):
        more = call.values("cap")
        capabilities = config.Capabilities(
            bounding=[*capabilities.bounding, *more],
            effective=[*capabilities.effective, *more],
            inheritable=capabilities.inheritable,
            permitted=[*capabilities.permitted, *more],
            ambient=capabilities.ambient,
        )
    return msgspec.structs.replace(
        base, user=user, capabilities=capabilities, env=[*base.env, *call.values("env")]
    )


def _changes(call: Call) -> dict[str, object]:
    changes: dict[str, object] = {"terminal": call.flag("tty")}
    for option, member in (
        ("cwd", "cwd"),
        ("apparmor", "apparmor_profile"),
        ("process-label", "selinux_label"),
    ):
        if call.value(option) is not None:
            changes[member] = call.value(option)
    if call.flag("no-new-privs"):
        changes["no_new_privileges"] = True
    return changes


def _id(text: str) -> int:
    if not text.isdigit():
        raise Usage(f"{text!r} is no numeric id")
    return int(text)
