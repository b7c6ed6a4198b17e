"""
usage: seatrial-oci create [--bundle DIR] [OPTION]... ID

Create a container from a bundle; its program runs when start is called.

  -b, --bundle DIR       the bundle (default: the working directory)
  --console-socket PATH  AF_UNIX socket that receives the terminal
  --pid-file FILE        write the container process's pid there
  --preserve-fds N       let the program have N descriptors after stderr
  --no-pivot             not supported: the root is always pivoted to
  --no-new-keyring       keep the caller's session keyring
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.oci import kept, runtime

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {
    "bundle": True,
    "console-socket": True,
    "pid-file": True,
    "pidfd-socket": True,
    "preserve-fds": True,
    "no-pivot": False,
    "no-new-keyring": False,
}
SHORT = {"b": "bundle"}


def run(call: Call) -> None:
    """Create it."""
    created = runtime.create(
        call.id(),
        bundle=call.value("bundle") or ".",
        root=call.root,
        console_socket=call.value("console-socket"),
        preserve_fds=call.descriptors(),
        systemd=call.systemd_cgroup,
        pid_file=call.value("pid-file"),
        new_keyring=call.value("no-new-keyring") is None,
    )
    os.close(created.pidfd)
    if created.source is not None and not kept.is_off():
        kept.keep(created.source)
