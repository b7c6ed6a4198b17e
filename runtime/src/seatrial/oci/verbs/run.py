"""
usage: seatrial-oci run [--bundle DIR] [OPTION]... ID

Create and start a container, wait for its program, delete it; the exit status is the program's.

  -b, --bundle DIR       the bundle (default: the working directory)
  -d, --detach           return once the program runs
  --console-socket PATH  AF_UNIX socket that receives the terminal
  --pid-file FILE        write the container process's pid there
  --preserve-fds N       let the program have N descriptors after stderr
  --keep                 do not delete the container afterwards
  --no-subreaper         accepted: only its child is waited for
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from seatrial.oci import config, foreground, kept, runtime, sources

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {
    "bundle": True,
    "detach": False,
    "console-socket": True,
    "pid-file": True,
    "pidfd-socket": True,
    "preserve-fds": True,
    "keep": False,
    "no-subreaper": False,
    "no-pivot": False,
    "no-new-keyring": False,
}
SHORT = {"b": "bundle", "d": "detach"}


def run(call: Call) -> int:
    """Run it."""
    identifier, bundle = call.id(), call.value("bundle") or "."
    console: str | socket.socket | None = call.value("console-socket")
    ours: socket.socket | None = None
    if console is None and not call.flag("detach"):
        spec = config.decode(sources.read_config(os.path.realpath(bundle)))
        if spec.process is not None and spec.process.terminal:
            ours, console = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    created = runtime.create(
        identifier,
        bundle=bundle,
        root=call.root,
        console_socket=console,
        preserve_fds=call.descriptors(),
        systemd=call.systemd_cgroup,
        pid_file=call.value("pid-file"),
        new_keyring=call.value("no-new-keyring") is None,
    )
    try:
        runtime.start(identifier, root=call.root)
    except BaseException:
        runtime.delete(identifier, root=call.root, force=True)
        raise
    if created.source is not None and not kept.is_off():
        kept.keep(created.source)
    if call.flag("detach"):
        os.close(created.pidfd)
        return 0
    controller = foreground.receive(ours) if ours is not None else None
    status = foreground.wait(created.pid, created.pidfd, controller)
    if not call.flag("keep"):
        runtime.delete(identifier, root=call.root, force=True)
    return status
