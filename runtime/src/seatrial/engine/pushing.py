"""``docker push``: what a registry does not have yet, then the manifest that names it all."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import shutil
from typing import IO, TYPE_CHECKING

from seatrial.engine import references
from seatrial.engine.compression import kind_of
from seatrial.engine.errors import NotFound
from seatrial.engine.images import Layer
from seatrial.engine.registry.client import Client
from seatrial.engine.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from seatrial.engine.images import Image, Images
    from seatrial.engine.progress import Progress
    from seatrial.engine.pulling import Source
    from seatrial.engine.references import Reference

_CHUNK = 1 << 18
#: As fast as it gets: a push waits for it.
_LEVEL = 1
#: Repositories that are asked to lend a layer.
_MOST_SOURCES = 4


async def push(images: Images, reference: Reference, source: Source, told: Progress) -> None:
    """Push what a name means; without a tag all that this engine has of the repository."""
    await told.tell(f"The push refers to repository [{reference.full_repository}]")
    wanted = [reference] if reference.tag else _tagged(images, reference)
    if not wanted or any(images.meaning(each) is None for each in wanted):
        raise NotFound(f"An image does not exist locally with the tag: {reference.repository}")
    async with Client(reference.registry, *source) as client:
        repository = Repository(client, reference.path, "pull,push")
        for each in wanted:
            image = images.meaning(each)
            if image is not None:  # it may have been removed meanwhile
                await _Push(images, repository, told, each).run(image)


def _tagged(images: Images, wanted: Reference) -> list[Reference]:
    every = [references.parse(name) for image in images.all() for name in images.names(image)]
    return [each for each in every if each.full_repository == wanted.full_repository]


class _Push:
    """One image on its way."""

    def __init__(
        self, images: Images, repository: Repository, told: Progress, reference: Reference
    ) -> None:
        self._images, self._repository = images, repository
        self._told, self._reference = told, reference

    async def run(self, image: Image) -> None:
        """Push the layers, the config, the manifest: nothing names what is not there yet."""
        images = self._images
        for layer in reversed(image.layers):
            await self._told.part(layer.diff_id, "Preparing")
        with images.held() as held:
            async with images.lock:
                image = await asyncio.to_thread(compressed, images, image)
                held.update({image.id, image.manifest, *(each.blob for each in image.layers)})
            done: set[str] = set()
            for layer in reversed(image.layers):
                if layer.blob not in done:
                    await self._layer(layer)
                done.add(layer.blob)
            if not await self._repository.has(image.id):
                await self._upload(image.id)
            found, data = images.descriptor(image), images.blobs.read(image.manifest)
            await self._repository.put_manifest(self._reference.tag, found["mediaType"], data)
        size, tag = len(data), self._reference.tag
        async with images.lock:
            meant = images.meaning(self._reference)
            if meant is not None and meant.id == image.id:
                by_digest = self._reference._replace(tag="", digest=image.manifest)
                images.tag(image, by_digest, action="")
        name = str(self._reference)
        images.tell("push", name, {"name": self._reference.repository})
        await self._told.tell(f"{tag}: digest: {image.manifest} size: {size}")
        await self._told.aux({"Tag": tag, "Digest": image.manifest, "Size": size})

    async def _layer(self, layer: Layer) -> None:
        if await self._repository.has(layer.blob):
            await self._told.part(layer.diff_id, "Layer already exists")
            return
        for path in self._elsewhere(layer.blob):
            target = await self._repository.begin(layer.blob, path)
            if target is None:
                await self._told.part(layer.diff_id, f"Mounted from {path}")
                return
        await self._upload(layer.blob, layer.diff_id)
        await self._told.part(layer.diff_id, "Pushed")

    def _elsewhere(self, blob: str) -> list[str]:
        """Return other repositories of the registry that have a blob, as far as we know."""
        names = [
            references.parse(name)
            for image in self._images.all()
            if any(layer.blob == blob for layer in image.layers)
            for name in self._images.digests(image)  # it was pulled from there, or pushed there
        ]
        ours = self._reference
        paths = {each.path for each in names if each.registry == ours.registry}
        return sorted(paths - {ours.path})[:_MOST_SOURCES]

    async def _upload(self, digest: str, shown: str = "") -> None:
        total = self._images.blobs.size_bytes(digest)
        target = await self._repository.begin(digest)
        assert target is not None  # noqa: S101 - nobody was asked to lend it

        async def body() -> AsyncIterator[bytes]:
            with self._images.blobs.open(digest) as file:
                while data := await asyncio.to_thread(file.read, _CHUNK):
                    yield data
                    if shown:
                        await self._told.bar(shown, "Pushing", file.tell(), total)

        await self._repository.upload(target, digest, total, body)


def compressed(images: Images, image: Image) -> Image:
    """Return an image whose layers are all compressed: the same one, and kept so from now on."""
    layers = [_compressed(images, layer) for layer in image.layers]
    if layers == image.layers:
        return image
    return images.add(images.blobs.read(image.id), layers)


def _compressed(images: Images, layer: Layer) -> Layer:
    with images.blobs.open(layer.blob) as source:
        if kind_of(source.read(8)):
            return layer
        source.seek(0)
        with images.blobs.adding() as target:
            _gzip(source, target)
            target.seek(0)
            with open(target.name, "rb") as again:
                digest = f"sha256:{hashlib.file_digest(again, 'sha256').hexdigest()}"
            images.blobs.keep(target, digest)
    return Layer(layer.diff_id, digest, layer.size_bytes)


def _gzip(source: IO[bytes], target: IO[bytes]) -> None:
    """Compress so that the same always becomes the same: without name and time."""
    with gzip.GzipFile("", "wb", _LEVEL, target, mtime=0) as file:
        shutil.copyfileobj(source, file, _CHUNK)
