"""A page that containers serve, and who can fetch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemons.engine import Engine

#: It says when it serves; nothing else tells.
SERVES = (
    "mkdir -p /www; echo hello >/www/index.html; busybox httpd -p 80 -h /www; "
    "echo ready; exec sleep 1000"
)


def serving(engine: Engine, *options: str) -> str:
    """Begin a container that serves a page at port 80; return its name."""
    return engine.begin_ready("sh", "-c", SERVES, options=options)


def fetch(engine: Engine, where: str) -> str:
    """Fetch the page from within the room, outside of all containers."""
    command = ("busybox", "timeout", "3", "busybox", "wget", "-q", "-O", "-", f"http://{where}/")
    return engine.room.run(*command).text


def fetch_within(engine: Engine, network: str, where: str) -> str:
    """Fetch the page from a container of a network; its shell is what a signal may not end."""
    command = f"busybox timeout 3 busybox wget -q -O - http://{where}/; exit $?"
    return engine.run("sh", "-c", command, options=(f"--network={network}",)).text


def address(engine: Engine, name: str, network: str) -> str:
    """Return a container's address in a network."""
    told: str = engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return told
