"""The application: the engine behind Docker's paths."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http import HttpProcessingError

from seatrial.engine.api import (
    containers,
    disk,
    execs,
    files,
    http,
    images,
    networks,
    streams,
    system,
    volumes,
)

if TYPE_CHECKING:
    from seatrial.engine.engine import Engine

#: What Docker's interface has and this engine does not, with what to say of it.
_MISSING = (
    *(("*", f"/{noun}{{rest:.*}}", "this engine has no swarm") for noun in (
        "swarm", "nodes", "services", "tasks", "secrets", "configs",
    )),
    *(("*", path, "this engine has no plugins") for path in ("/plugins", "/plugins/{rest:.*}")),
    ("POST", "/session", "this engine has no BuildKit (hint: build elsewhere, then docker load)"),
    ("POST", "/build", "this engine builds no images (hint: build elsewhere, then docker load)"),
    ("GET", "/images/search", "this engine does not search registries"),
    ("GET", "/containers/{id}/attach/ws", "this engine attaches by Upgrade: tcp only"),
    ("GET", "/containers/{id}/checkpoints", "this engine makes no checkpoints"),
    ("POST", "/containers/{id}/checkpoints", "this engine makes no checkpoints"),
)  # fmt: skip


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's log is of a defect, and no client's mistake.

    Who sends what is no HTTP hears of it; the log would have it with all that was sent, credentials
    too, and as much of it as anybody likes.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def application(engine: Engine) -> web.Application:
    """Return the application."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    made = web.Application(middlewares=[http.errors_told], client_max_size=http.LONGEST_BODY)
    routes = http.Routes(made)
    for handlers in (
        system.System(engine),
        containers.Containers(engine),
        streams.Streams(engine),
        execs.Execs(engine),
        images.Images(engine),
        files.Files(engine),
        disk.Disk(engine),
        volumes.Volumes(engine),
        networks.Networks(engine),
    ):
        handlers.join(routes)
    for method, path, why in _MISSING:
        routes.refuse(method, path, why)
    return made
