"""The command ``seatriald``: the engine's daemon."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from seatrial.engine.registry.trust import Trust
from seatrial.engine.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "unix:///run/seatriald.sock"
#: What only the daemon needs: by module the distribution.
_EXTRAS = {"aiohttp": "aiohttp", "dns": "dnspython"}


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="seatriald",
        description="An engine that the docker command can talk to.",
        epilog="seatriald explain CONTAINER shows how one of its containers came to be; seatriald "
        "check, whether all that the daemon has agrees.",
    )
    made.add_argument(
        "--version", action="version", version=f"seatriald version {metadata.version('seatrial')}"
    )
    made.add_argument(
        "--host",
        "-H",
        default=HOST,
        metavar="unix://PATH",
        help="where to listen (default: %(default)s)",
    )
    made.add_argument(
        "--group", default="docker", help="whose the socket is (default: %(default)s)"
    )
    made.add_argument("--data-root", default="/var/lib/seatriald", metavar="DIR")
    made.add_argument("--exec-root", default="/run/seatriald", metavar="DIR")
    made.add_argument(
        "--runtime",
        action="append",
        default=[],
        metavar="[NAME=]COMMAND",
        help="an OCI runtime; repeatable, the first is the default (default: seatrial-oci)",
    )
    made.add_argument(
        "--cgroup-parent",
        default="/seatriald",
        metavar="PATH",
        help="above the cgroups of all containers (default: %(default)s)",
    )
    made.add_argument(
        "--insecure-registry",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="a registry that needs no TLS, as those on loopback addresses; repeatable",
    )
    made.add_argument(
        "--token-host",
        action="append",
        default=[],
        metavar="REGISTRY=HOST",
        help="a host that may hear a registry's credentials, to give tokens for them; repeatable",
    )
    made.add_argument(
        "--bridge",
        default="seatrial0",
        metavar="NAME",
        help="the bridge of the default network (default: %(default)s)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["explain"]:
        from seatrial.engine.cli import explain

        return explain.main(words[1:], HOST)
    if words[:1] == ["check"]:
        from seatrial.engine.cli import check

        return check.main(words[1:], HOST)
    arguments = parser().parse_args(words)
    try:
        from seatrial.engine.daemon import run
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        missing = _EXTRAS[error.name]
        print(
            f'seatriald: {missing} is missing (hint: pip install "seatrial[engine]")',
            file=sys.stderr,
        )
        return 2
    if os.geteuid() != 0:
        print("seatriald: containers are made by root", file=sys.stderr)
        return 2
    try:
        settings = _settings(arguments)
    except ValueError as error:
        print(f"seatriald: {error}", file=sys.stderr)
        return 2
    return run(settings)


def _settings(arguments: argparse.Namespace) -> Settings:
    socket = arguments.host.removeprefix("unix://")
    if not socket.startswith("/"):
        raise ValueError(f"--host {arguments.host}: want unix:// and an absolute path")
    runtimes: dict[str, list[str]] = {}
    for given in arguments.runtime or ["seatrial-oci"]:
        name, equals, command = given.partition("=")
        command = command if equals else given
        beside = os.path.join(os.path.dirname(sys.executable), command)
        found = shutil.which(command) or (shutil.which(beside) if "/" not in command else None)
        if found is None:
            raise ValueError(f"--runtime {given}: there is no such command")
        runtimes[name if equals else os.path.basename(command)] = [os.path.abspath(found)]
    return Settings(
        trust=_trust(arguments),
        root=os.path.abspath(arguments.data_root),
        exec_root=os.path.abspath(arguments.exec_root),
        socket=socket,
        group=arguments.group,
        runtimes=runtimes,
        default_runtime=next(iter(runtimes)),
        cgroup_parent=arguments.cgroup_parent,
        bridge=arguments.bridge,
    )


def _trust(arguments: argparse.Namespace) -> Trust:
    pairs = [(given, *given.partition("=")) for given in arguments.token_host]
    for given, registry, _, host in pairs:
        if not registry or not host:
            raise ValueError(f"--token-host {given}: want REGISTRY=HOST")
    known = Trust()
    return Trust(
        known.insecure | set(arguments.insecure_registry),
        known.token_hosts | {(registry, host) for _, registry, _, host in pairs},
    )
