"""The daemon's process: from the lock on its folder to the socket, and back."""

from __future__ import annotations

import asyncio
import fcntl
import grp
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from seatrial.engine import cgroups, recovery
from seatrial.engine.api.server import application
from seatrial.engine.engine import Engine

if TYPE_CHECKING:
    from seatrial.engine.settings import Settings

READY = "seatriald: listening on"
#: A name of unix(7) that only one process of a network namespace can have, for as long as it lives.
_CLAIM = "\0seatriald"
_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serve until a signal says otherwise; containers go on. Returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="seatriald: %(levelname)s: %(message)s")
    os.umask(0o022)
    os.makedirs(settings.root, mode=0o700, exist_ok=True)
    lock = os.open(f"{settings.root}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"seatriald: another daemon uses {settings.root}", file=sys.stderr)
        return 1
    with open(f"{settings.root}/pid", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(_CLAIM)
        except OSError:
            print(
                "seatriald: another daemon has this network namespace, with its bridges and rules"
                " (hint: unshare --net)",
                file=sys.stderr,
            )
            return 1
        asyncio.run(_serve(settings))
    os.close(lock)
    return 0


async def _serve(settings: Settings) -> None:
    engine = Engine(settings)
    engine.nursery.begin()
    for runtime in engine.runtimes.values():
        await runtime.begin()
    await engine.networking.begin()
    await recovery.recover(engine)
    runner = web.AppRunner(
        application(engine),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    site = web.SockSite(runner, _listen(settings))
    await site.start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"{READY} {settings.socket}", file=sys.stderr, flush=True)
    _notify()
    await stopped.wait()
    await runner.cleanup()
    with suppress(FileNotFoundError):
        os.unlink(settings.socket)
    for runtime in engine.runtimes.values():
        await runtime.end()
    engine.close()
    cgroups.remove_parent(settings.cgroup_parent)


def _listen(settings: Settings) -> socket.socket:
    """Make the socket; only root and its group may connect."""
    with suppress(FileNotFoundError):
        os.unlink(settings.socket)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(settings.socket)
    finally:
        os.umask(before)
    try:
        group = grp.getgrnam(settings.group).gr_gid
    except KeyError:
        group = 0
    os.chown(settings.socket, 0, group)
    os.chmod(settings.socket, 0o660)
    return made


def _notify() -> None:
    """Say to who has started us that we are ready, as sd_notify(3) has it, if that was asked."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notices:
        try:
            notices.sendto(
                b"READY=1", address.replace("@", "\0", 1) if address[0] == "@" else address
            )
        except OSError as error:
            _log.warning("cannot tell %s that it is ready: %s", address, error.strerror)
