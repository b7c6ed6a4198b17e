"""
usage: seatrial-oci plan [--bundle DIR] [--format text|json] [--explain] [ID]

Show what would be done to the kernel for a bundle, in order, and because of which line of its
config.json. Nothing is done. What this host has not, and create would therefore refuse, comes
first, and the operations that need it have an exclamation mark; the exit status is 0 all the same.

  -b, --bundle DIR   the bundle (default: the working directory)
  --format FORMAT    text (default) or json
  --explain          say first whether create and run would make use of a plan that is kept, and if
                     not, why not
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import compiler, config, holding, host, plan, sources
from seatrial.oci.command import Usage

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {"bundle": True, "format": True, "explain": False}
SHORT = {"b": "bundle"}


def run(call: Call) -> None:
    """Print it."""
    bundle = os.path.realpath(call.value("bundle") or ".")
    content = sources.read_config(bundle)
    spec = config.decode(content)
    identifier = call.arguments[0] if call.arguments else "ID"
    with host.objections() as refused:
        compiled = compiler.compile_plan(
            spec,
            bundle=bundle,
            identifier=identifier,
            place=f"{os.path.abspath(call.root)}/{identifier}@root",
            systemd=call.systemd_cgroup,
        )
    form = call.value("format") or "text"
    if form == "json":
        print(msgspec.json.format(msgspec.json.encode(plan.describe(compiled, refused))).decode())
    elif form == "text":
        if call.flag("explain"):
            why = holding.why_not(call.root, bundle, content, identifier)
            print("the plan that is kept would be used" if why is None
                  else f"no plan that is kept would be used: {why}")  # fmt: skip
        print(plan.explain(compiled, refused))
    else:
        raise Usage(f"--format takes text or json, not {form!r}")
