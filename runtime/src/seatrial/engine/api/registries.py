"""Registries: pull, push, log in, look a manifest up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from seatrial.engine import pulling, pushing, references
from seatrial.engine.api import http
from seatrial.engine.errors import EngineError
from seatrial.engine.progress import Progress
from seatrial.engine.registry import credentials, manifests
from seatrial.engine.registry.client import Client
from seatrial.engine.registry.repository import Repository

if TYPE_CHECKING:
    from aiohttp import web

    from seatrial.engine.engine import Engine

#: What clients call Docker's own registry when they log in.
_HUB = "https://index.docker.io/v1/"


class ClientGone(Exception):
    """Nobody listens any more."""


class _Telling:
    """An answer that begins with the first thing that there is to tell: until then it can fail."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._stream: http.Stream | None = None

    async def say(self, document: dict[str, Any]) -> None:
        """Tell something; raises ClientGone when nobody hears it."""
        try:
            if self._stream is None:
                self._stream = http.Stream(self._request)
                await self._stream.begin()
            await self._stream.say(document)
        except (ConnectionError, aiohttp.ClientError):
            raise ClientGone from None

    async def end(self, error: EngineError | None = None) -> web.StreamResponse:
        """End, well or with an error; raises that error if nothing was told yet."""
        if self._stream is None:
            if error is not None:
                raise error
            return http.done(200)
        if error is not None:
            await self._stream.fail(error)
        return await self._stream.end()


class Registries:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("POST", "/images/{name:.+}/push", self._push)
        routes.add("GET", "/distribution/{name:.+}/json", self._look_up)
        routes.add("POST", "/auth", self._log_in)

    def _source(self, request: web.Request) -> pulling.Source:
        given = credentials.of_header(request.headers.get("X-Registry-Auth", ""))
        return pulling.Source(self._engine.settings.trust, given)

    async def pull(self, request: web.Request) -> web.StreamResponse:
        """Pull what a request to create an image names."""
        reference = references.with_tag(
            request.query["fromImage"], request.query.get("tag", ""), latest=False
        )
        platform = manifests.platform_of(request.query.get("platform", ""))
        source, telling = self._source(request), _Telling(request)
        try:
            await pulling.pull(
                self._engine.images, reference, source, Progress(telling.say), platform=platform
            )
        except EngineError as error:
            return await telling.end(error)
        return await telling.end()

    async def _push(self, request: web.Request) -> web.StreamResponse:
        name, tag = request.match_info["name"], request.query.get("tag", "")
        reference = references.with_tag(name, tag, latest=False)
        source, telling = self._source(request), _Telling(request)
        try:
            await pushing.push(self._engine.images, reference, source, Progress(telling.say))
        except EngineError as error:
            return await telling.end(error)
        return await telling.end()

    async def _look_up(self, request: web.Request) -> web.StreamResponse:
        reference = references.parse(request.match_info["name"])
        async with Client(reference.registry, *self._source(request)) as client:
            repository = Repository(client, reference.path)
            found = await repository.manifest(reference.digest or reference.tag)
        kind, digest, size = found.descriptor
        document = manifests.document(found.data, kind)
        platforms = [each.get("platform") for each in document.get("manifests") or ()]
        described = {"mediaType": kind, "digest": digest, "size": size}
        return http.reply({"Descriptor": described, "Platforms": platforms})

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        given = await http.body(request, credentials.Credentials)
        address = given.serveraddress or _HUB
        if address == _HUB:
            name = references.REGISTRY
        else:
            name = address.partition("://")[2] or address
            name = name.partition("/")[0]
        async with Client(name, self._engine.settings.trust, given) as client:
            await client.check()
        return http.reply({"Status": "Login Succeeded", "IdentityToken": ""})
