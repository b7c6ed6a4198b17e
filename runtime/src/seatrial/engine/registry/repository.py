"""One repository of a registry: its manifests, blobs and tags (distribution-spec, "Endpoints")."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, NamedTuple

from yarl import URL

from seatrial.engine.errors import BadRequest
from seatrial.engine.registry import manifests
from seatrial.engine.registry.client import RegistryError, document, error_of, limited
from seatrial.engine.registry.downloads import Download
from seatrial.engine.registry.manifests import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.registry.client import Client
    from seatrial.engine.registry.downloads import Told

_MOST_PAGES = 100
_MOST_TAGS = 10_000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_OK, _CREATED, _ACCEPTED, _MISSING = 200, 201, 202, 404


class Document(NamedTuple):
    """A manifest or an index as it was sent, and what it is."""

    descriptor: Descriptor
    data: bytes


class Repository:
    """A repository by its path, through a connection to its registry."""

    def __init__(self, client: Client, path: str, actions: str = "pull") -> None:
        self._client, self.path = client, path
        client.want(path, actions)

    def _url(self, what: str, which: str) -> URL:
        return self._client.url / "v2" / self.path / what / which

    # --- reading --------------------------------------------------------------------------------

    async def manifest(self, reference: str) -> Document:
        """Get a manifest or an index by tag or by digest; what comes by digest has that digest."""
        async with self._client.request(
            "GET", self._url("manifests", reference), headers={"Accept": manifests.ACCEPTED}
        ) as response:
            if response.status != _OK:
                raise await error_of(response)
            data = await limited(response, manifests.LONGEST_BYTES)
            kind = response.content_type
        digest = manifests.digest_of(data)
        if ":" in reference and digest != reference:
            raise BadRequest(f"manifest verification failed for digest {reference}: it is {digest}")
        return Document(Descriptor(kind, digest, len(data)), data)

    async def blob(self, wanted: Descriptor, file: IO[bytes], told: Told) -> None:
        """Write a blob into a file; raises BadRequest for what is not the one described."""
        await Download(self._client, self._url("blobs", wanted.digest), wanted, file).run(told)

    async def tags(self) -> list[str]:
        """Return all tags, page after page."""
        found: list[str] = []
        url = self._url("tags", "list")
        for _ in range(_MOST_PAGES):
            async with self._client.request("GET", url) as response:
                if response.status != _OK:
                    raise await error_of(response)
                listed = (await document(response)).get("tags")
                link = _NEXT.search(response.headers.get("Link", ""))
            if listed is not None and not isinstance(listed, list):
                raise RegistryError(f"{self._client.registry}: the tags are no list")
            found.extend(str(each) for each in listed or ())
            if len(found) > _MOST_TAGS:
                break
            if link is None:
                return found
            url = self._client.follow(url, link[1])
        raise RegistryError(f"{self._client.registry} lists tags without end")

    # --- writing --------------------------------------------------------------------------------

    async def has(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        async with self._client.request("HEAD", self._url("blobs", digest)) as response:
            if response.status == _OK:
                return True
            if response.status == _MISSING:
                return False
            raise await error_of(response)

    async def begin(self, digest: str, source: str = "") -> URL | None:
        """Begin an upload; return where it goes, or nothing if another repository lent the blob."""
        url = self._client.url / "v2" / self.path / "blobs" / "uploads" / ""
        if source:
            self._client.want(source, "pull")
            url = url.with_query({"mount": digest, "from": source})
        async with self._client.request("POST", url) as response:
            if response.status == _CREATED and source:
                return None
            if response.status != _ACCEPTED:
                raise await error_of(response)
            return self._client.follow(url, response.headers.get("Location", ""))

    async def upload(
        self, target: URL, digest: str, size_bytes: int, body: Callable[[], object]
    ) -> None:
        """Send a blob as one."""
        query = f"{target.raw_query_string}&" if target.raw_query_string else ""
        whole = URL(
            f"{target.with_query(None)}?{query}digest={digest.replace(':', '%3A')}", encoded=True
        )
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        async with self._client.request("PUT", whole, headers=headers, body=body) as response:
            if response.status != _CREATED:
                raise await error_of(response)

    async def put_manifest(self, reference: str, media_type: str, data: bytes) -> None:
        """Give a tag, or a digest, a manifest."""
        async with self._client.request(
            "PUT",
            self._url("manifests", reference),
            headers={"Content-Type": media_type},
            body=lambda: data,
        ) as response:
            if response.status != _CREATED:
                raise await error_of(response)
