"""A registry that tests make lie: one image of one layer, and handlers in the place of any path."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
USER, PASSWORD = "sailor", "ahoy"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer_of(text: str, size: int = 0) -> bytes:
    """Return an archive of one file, of a text that is repeated up to a size."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = size or len(text)
        archive.addfile(member, io.BytesIO((text * (member.size // len(text) + 1)).encode()))
    return file.getvalue()


class Hostile:
    """A registry with one image of one layer; tests change what it says before it is asked."""

    def __init__(self, plain: bytes = b"") -> None:
        plain = plain or layer_of("text")
        self.layer = gzip.compress(plain, mtime=0)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(plain)]},
        }
        self.config = json.dumps(config).encode()
        self.manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "c",
                "digest": digest_of(self.config),
                "size": len(self.config),
            },
            "layers": [
                {"mediaType": "l", "digest": digest_of(self.layer), "size": len(self.layer)}
            ],
        }
        self.kind = MANIFEST
        self.handlers: dict[str, Handler] = {}
        #: Path and Authorization of each request.
        self.heard: list[tuple[str, str]] = []

    @property
    def paths(self) -> dict[str, bytes]:
        """What it has, by path."""
        data = json.dumps(self.manifest).encode()
        return {
            "/v2/": b"{}",
            "/v2/boat/manifests/1": data,
            f"/v2/boat/manifests/{digest_of(data)}": data,
            f"/v2/boat/blobs/{digest_of(self.config)}": self.config,
            f"/v2/boat/blobs/{digest_of(self.layer)}": self.layer,
        }

    @property
    def layer_path(self) -> str:
        """Where its layer is."""
        return f"/v2/boat/blobs/{digest_of(self.layer)}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.heard.append((request.path, request.headers.get("Authorization", "")))
        if request.path in self.handlers:
            return await self.handlers[request.path](request)
        found = self.paths.get(request.path)
        if found is None:
            return web.json_response({"errors": [{"code": "X", "message": "none"}]}, status=404)
        kind = self.kind if "/manifests/" in request.path else "application/octet-stream"
        return web.Response(body=found, content_type=kind)

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Serve for a while; give the address."""
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, host, 0)
        await site.start()
        try:
            yield f"{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def answering(data: bytes, kind: str = "application/octet-stream") -> Handler:
    """Answer with some bytes."""

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=data, content_type=kind)

    return handle


def redirecting(target: str) -> Handler:
    """Lead elsewhere."""

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(status=307, headers={"Location": target})

    return handle


def basic(data: bytes, *, right: str = BASIC, status: int = 200) -> Handler:
    """Answer to who says the right name and password."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != right:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        return web.Response(body=data, content_type=MANIFEST, status=status)

    return handle


def wanting(realm: str, token: str = "t") -> Handler:  # noqa: S107 - a made-up token
    """Answer to who has a token, and say where that is to be had."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == f"Bearer {token}":
            return web.Response(body=b"{}")
        challenge = f'Bearer realm="{realm}",service="s",scope="repository:boat:pull"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    return handle
