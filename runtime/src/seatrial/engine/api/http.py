"""What all of the interface has in common: versions, parameters, bodies, answers, errors."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec
from aiohttp import web

from seatrial.engine import payloads
from seatrial.engine.errors import BadRequest, EngineError, NotModified, Unsupported

if TYPE_CHECKING:
    from seatrial.engine.events import Filters

VERSION, OLDEST_VERSION = "1.50", "1.24"
#: What a payload may be; archives are not payloads.
LONGEST_BODY = 8 << 20
_CHUNK = 1 << 18
_VERSIONED = re.compile(r"/v(\d{1,3})\.(\d{1,3})(?=/)")
_FALSE = {"", "0", "no", "false", "none"}
_changes: set[asyncio.Future[web.StreamResponse]] = set()
_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def headers() -> dict[str, str]:
    """Return what every answer has."""
    return {
        "Api-Version": VERSION,
        "Docker-Experimental": "false",
        "Ostype": "linux",
        "Server": "Seatrial (linux)",
    }


def reply(document: object, status: int = 200) -> web.Response:
    """Answer with a document."""
    return web.Response(
        body=msgspec.json.encode(document) + b"\n",
        status=status,
        content_type="application/json",
        headers=headers(),
    )


def done(status: int = 204) -> web.Response:
    """Answer that it is done, with nothing more to say."""
    return web.Response(status=status, headers=headers())


def refuse(error: EngineError) -> web.Response:
    """Answer with an error as clients know it; one of status 304 has no body."""
    if isinstance(error, NotModified):
        return done(304)
    return reply({"message": str(error)}, error.status)


def _refuse_http(error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return refuse(BadRequest(f"the request's body is longer than {LONGEST_BODY} bytes"))
    if error.status in {404, 405}:
        return reply({"message": "page not found"}, 404)
    return reply({"message": error.reason}, error.status)


def version(request: web.Request) -> tuple[int, int]:
    """Return the version of the interface that a client speaks."""
    return request.get("version", (1, 50))  # type: ignore[no-any-return]


@web.middleware
async def errors_told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Make every error an answer: a client never sees a traceback."""
    try:
        _check_version(request)
        return await handler(request)
    except EngineError as error:
        return refuse(error)
    except web.HTTPException as error:
        return _refuse_http(error)
    except ConnectionError:
        return done()  # the client is gone: nobody gets this
    except Exception as error:  # noqa: BLE001 - a defect of ours is for the log
        _log.exception("%s %s", request.method, request.path)
        return reply({"message": f"{type(error).__name__}: {error}"}, 500)


def _to_the_end(handler: Handler) -> Handler:
    """Let a handler do all that it does, though its client goes away meanwhile."""

    async def handled(request: web.Request) -> web.StreamResponse:
        task = asyncio.ensure_future(handler(request))
        _changes.add(task)
        task.add_done_callback(_done)
        return await asyncio.shield(task)

    return handled


def _done(task: asyncio.Future[web.StreamResponse]) -> None:
    """Let an error go that nobody is there to hear; somebody who is has heard of it."""
    _changes.discard(task)
    if not task.cancelled():
        task.exception()


def _check_version(request: web.Request) -> None:
    match = _VERSIONED.match(request.path)
    if match is None:
        return
    asked = int(match[1]), int(match[2])
    oldest, newest = (tuple(map(int, each.split("."))) for each in (OLDEST_VERSION, VERSION))
    text = f"{asked[0]}.{asked[1]}"
    if asked < oldest:
        raise BadRequest(
            f"client version {text} is too old. Minimum supported API version is {OLDEST_VERSION}, "
            "please upgrade your client to a newer version"
        )
    if asked > newest:
        raise BadRequest(
            f"client version {text} is too new. Maximum supported API version is {VERSION}"
        )
    request["version"] = asked


class Routes:
    """Paths, each with and without a version before it."""

    def __init__(self, application: web.Application) -> None:
        self._router = application.router

    def add(self, method: str, path: str, handler: Handler, *, changes: bool = True) -> None:
        """Let a handler answer at a path.

        A client that goes away ends what it only reads; what it changes is done to the end.
        """
        if changes and method != "GET":
            handler = _to_the_end(handler)
        for before in ("", r"/v{version:\d+\.\d+}"):
            if method == "GET":
                self._router.add_get(before + path, handler)
            else:
                self._router.add_route(method, before + path, handler)

    def refuse(self, method: str, path: str, why: str) -> None:
        """Answer 501 at a path."""

        async def handler(_: web.Request) -> web.StreamResponse:
            raise Unsupported(why)

        self.add(method, path, handler)


def flag(request: web.Request, name: str, *, otherwise: bool = False) -> bool:
    """Read a parameter that is true or false."""
    value = request.query.get(name)
    return otherwise if value is None else value.strip().lower() not in _FALSE


def number(request: web.Request, name: str) -> int | None:
    """Read a parameter that is a number."""
    value = request.query.get(name, "")
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise BadRequest(f"invalid value for {name}: {value!r} is no number") from None


def filters(request: web.Request, known: set[str]) -> Filters:
    """Read the parameter filters: by kind a list of values, or as newer clients send it a map."""
    text = request.query.get("filters", "")
    if not text:
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise BadRequest("invalid filter: it is no JSON object")
    made: Filters = {}
    for kind, values in given.items():
        if kind not in known:
            raise BadRequest(f"invalid filter '{kind}'")
        chosen = [name for name, on in values.items() if on] if isinstance(values, dict) else values
        if not isinstance(chosen, list) or not all(isinstance(each, str) for each in chosen):
            raise BadRequest(f"invalid filter '{kind}'")
        made[kind] = chosen
    return made


async def body(request: web.Request, kind: type[_Struct]) -> _Struct:
    """Read the payload, which has to be there and to be JSON."""
    data = await request.read()
    if not data:
        raise BadRequest("invalid JSON: got EOF while reading request body")
    if request.content_type != "application/json":
        raise BadRequest(
            f"unsupported Content-Type header ({request.content_type}): must be 'application/json'"
        )
    return payloads.read(kind, data)


async def optional_body(request: web.Request, kind: type[_Struct]) -> _Struct:
    """Read the payload if there is one."""
    if not await request.read():
        return payloads.convert(kind, {})
    return await body(request, kind)


@asynccontextmanager
async def received(request: web.Request, folder: str) -> AsyncIterator[IO[bytes]]:
    """Give the request's body, however long, as a file that is gone afterwards."""
    with tempfile.TemporaryFile(dir=folder) as file:
        async for chunk in request.content.iter_chunked(_CHUNK):
            await asyncio.to_thread(file.write, chunk)
        file.seek(0)
        yield file


class Stream:
    """An answer that goes on: its head is sent at once, then pieces as they come."""

    def __init__(self, request: web.Request, content_type: str = "application/json") -> None:
        self._request = request
        self.response = web.StreamResponse(headers={**headers(), "Content-Type": content_type})

    async def begin(self) -> None:
        """Send the head; some clients go on only then."""
        await self.response.prepare(self._request)

    async def say(self, document: object) -> None:
        """Send a document, on a line of its own."""
        await self.response.write(msgspec.json.encode(document) + b"\n")

    async def fail(self, error: EngineError) -> None:
        """Tell of an error when it is too late for a status."""
        text = str(error)
        await self.say({"errorDetail": {"message": text}, "error": text})

    async def end(self) -> web.StreamResponse:
        """Send the end."""
        await self.response.write_eof()
        return self.response
