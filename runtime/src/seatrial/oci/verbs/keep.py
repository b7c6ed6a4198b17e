"""
usage: seatrial-oci keep [--bundle DIR] [--no-new-keyring]
       seatrial-oci keep --serve | --list | --forget

Compile a bundle's config and keep the plan: create and run then make containers of it without
starting Python, as long as all that it depends on is as it was. They keep plans by themselves too.
With SEATRIAL_OCI_CACHE=off in the environment they do neither.

  -b, --bundle DIR    the bundle (default: the working directory)
  --no-new-keyring    for create and run with this option
  --serve             keep the plan of each bundle whose path comes in a line from standard input,
                      and say "kept", or why not, in a line; for an engine, which asks for it before
                      it calls create
  --list              show the bundles whose plans are kept
  --forget            remove all plans that are kept
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from seatrial.oci import kept, sources
from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {
    "bundle": True,
    "no-new-keyring": False,
    "serve": False,
    "list": False,
    "forget": False,
}
SHORT = {"b": "bundle"}
#: An id like any other, for what the compiler asks about the container.
FOR = "seatrial-oci-keep"


def run(call: Call) -> None:
    """Keep it, or say what is kept."""
    if call.flag("list") or call.flag("forget"):
        for bundle, path in kept.stored(call.root):
            if call.flag("forget"):
                os.unlink(path)
            else:
                print(bundle)
        return
    if call.flag("serve"):
        _serve(call)
        return
    why = _keep(call, call.value("bundle") or ".")
    if why is not None:
        raise OCIError(f"the plan is not kept: {why}")


def _keep(call: Call, bundle: str) -> str | None:
    source = sources.prepare(
        FOR,
        bundle=bundle,
        root=call.root,
        systemd=call.systemd_cgroup,
        new_keyring=call.value("no-new-keyring") is None,
    )
    return kept.keep(source)


def _serve(call: Call) -> None:
    """Answer until there are no more questions; a config that is wrong is no end of it."""
    gc.enable()  # a command does without; this one goes on
    for line in sys.stdin:
        try:
            why = _keep(call, line.rstrip("\n"))
        except (OCIError, OSError) as error:
            why = str(error).replace("\n", " ")
        print(why or "kept", flush=True)
