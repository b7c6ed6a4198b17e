"""``docker pull``: a manifest, a config and layers become an image, if they are what was said.

Blobs and layers get their names when their digests are right. What an interrupted pull leaves is
removed with the next image that is removed, or when the daemon starts again.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from seatrial.engine.errors import BadRequest, EngineError, NotFound, Unauthorized
from seatrial.engine.image_configs import LONGEST, checked_config
from seatrial.engine.images import Layer
from seatrial.engine.registry import manifests
from seatrial.engine.registry.client import Client
from seatrial.engine.registry.repository import Repository

if TYPE_CHECKING:
    from seatrial.engine.images import Image, Images
    from seatrial.engine.progress import Progress
    from seatrial.engine.references import Reference
    from seatrial.engine.registry.credentials import Credentials
    from seatrial.engine.registry.manifests import Descriptor, Manifest, Platform
    from seatrial.engine.registry.repository import Document
    from seatrial.engine.registry.trust import Trust

#: Layers that are on their way at once, as Docker has it.
_AT_ONCE = 3


class Source(NamedTuple):
    """Where to pull from, as whom."""

    trust: Trust
    credentials: Credentials


async def pull(
    images: Images,
    reference: Reference,
    source: Source,
    told: Progress,
    *,
    platform: Platform | None = None,
) -> None:
    """Pull one image; a reference without tag and digest means all of a repository's tags."""
    async with Client(reference.registry, *source) as client:
        repository = Repository(client, reference.path)
        wanted = [reference]
        if not reference.tag and not reference.digest:
            wanted = [reference._replace(tag=tag) for tag in await repository.tags()]
        new = False
        for each in wanted:
            new |= await _Pull(images, repository, each, told).run(platform)
        shown = reference if len(wanted) == 1 else reference.repository
        word = "Downloaded newer image" if new else "Image is up to date"
        await told.tell(f"Status: {word} for {shown}")


class _Pull:
    """One image on its way."""

    def __init__(
        self, images: Images, repository: Repository, reference: Reference, told: Progress
    ) -> None:
        self._images, self._repository = images, repository
        self._reference, self._told = reference, told
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self, platform: Platform | None) -> bool:
        """Pull it; return whether its name means another image than before."""
        which = self._reference.digest or self._reference.tag
        top = await self._manifest(which)
        await self._told.tell(f"Pulling from {self._repository.path}", which)
        chosen, found = top, manifests.document(top.data, top.descriptor.media_type)
        if top.descriptor.media_type in manifests.INDEXES:
            one = manifests.chosen(found, platform or manifests.Platform())
            chosen = await self._repository.manifest(one.digest)
            if chosen.descriptor != one:
                raise BadRequest(f"invalid manifest: {one.digest} is another thing than was said")
            found = manifests.document(chosen.data, chosen.descriptor.media_type)
        async with AsyncExitStack() as stack:
            held = stack.enter_context(self._images.held())
            image = await self._fetch(stack, held, chosen, manifests.manifest(found), platform)
        return await self._name(image, top.descriptor.digest)

    async def _manifest(self, which: str) -> Document:
        try:
            return await self._repository.manifest(which)
        except NotFound as error:
            raise NotFound(f"manifest for {self._reference} not found: {error}") from None
        except Unauthorized as error:
            raise NotFound(
                f"pull access denied for {self._reference.repository}, repository does not exist "
                f"or may require 'docker login': {error}"
            ) from None

    async def _fetch(
        self,
        stack: AsyncExitStack,
        held: set[str],
        chosen: Document,
        manifest: Manifest,
        platform: Platform | None,
    ) -> Image:
        config = await self._config(manifest.config)
        diff_ids = self._diff_ids(checked_config(config), manifest, platform)
        async with self._images.lock:  # no sweep from now on takes what is found here
            held.update({manifest.config.digest, chosen.descriptor.digest, *diff_ids})
            held.update(each.digest for each in manifest.layers)
        layers = await self._layers(stack, manifest, diff_ids)
        async with self._images.lock:
            return self._images.add(config, layers, chosen.data)

    async def _config(self, wanted: Descriptor) -> bytes:
        if wanted.size_bytes > LONGEST:
            raise BadRequest("the image's config is too long")
        with self._images.blobs.adding() as file:
            await self._repository.blob(wanted, file, _nobody)
            file.seek(0)
            return file.read()

    def _diff_ids(
        self, config: dict[str, Any], manifest: Manifest, platform: Platform | None
    ) -> list[str]:
        if platform is not None and not platform.is_met_by(config):
            found = (str(config.get(each) or "") for each in ("os", "architecture", "variant"))
            raise NotFound(
                f"image with reference {self._reference} was found but does not match the "
                f"specified platform: wanted {platform}, actual: {manifests.Platform(*found)}"
            )
        diff_ids: list[str] = config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(manifest.layers):
            raise BadRequest(
                f"invalid manifest: {len(manifest.layers)} layers, "
                f"and {len(diff_ids)} in the config"
            )
        return diff_ids

    async def _layers(
        self, stack: AsyncExitStack, manifest: Manifest, diff_ids: list[str]
    ) -> list[Layer]:
        pairs = list(zip(manifest.layers, diff_ids, strict=True))
        is_new = self._images.with_id(manifest.config.digest) is None
        found: dict[tuple[str, str], Layer] = {}
        coming: dict[tuple[str, str], tuple[Descriptor, IO[bytes]]] = {}
        for wanted, diff_id in pairs:
            known = self._images.layer(wanted.digest, diff_id)
            if known is not None:
                found[wanted.digest, diff_id] = known
                if is_new:
                    await self._told.part(wanted.digest, "Already exists")
            elif (wanted.digest, diff_id) not in coming:
                file = stack.enter_context(self._images.blobs.adding())
                coming[wanted.digest, diff_id] = wanted, file
                await self._told.part(wanted.digest, "Pulling fs layer")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    key: group.create_task(self._layer(wanted, key[1], file))
                    for key, (wanted, file) in coming.items()
                }
        except BaseExceptionGroup as several:
            raise _first(several) from None
        found.update({key: task.result() for key, task in tasks.items()})
        return [found[wanted.digest, diff_id] for wanted, diff_id in pairs]

    async def _layer(self, wanted: Descriptor, diff_id: str, file: IO[bytes]) -> Layer:
        """Get a layer, lay it out, and only then give its blob its name."""
        digest, total = wanted.digest, wanted.size_bytes

        async def downloading(current: int) -> None:
            await self._told.bar(digest, "Downloading", current, total)

        async with self._slots:
            await self._repository.blob(wanted, file, downloading)
            await self._told.part(digest, "Download complete")
            await self._told.bar(digest, "Extracting", total, total)
            size_bytes = await asyncio.to_thread(self._lay_out, file, diff_id)
            await asyncio.to_thread(self._images.blobs.keep, file, digest)
        await self._told.part(digest, "Pull complete")
        return Layer(diff_id, digest, size_bytes)

    def _lay_out(self, file: IO[bytes], diff_id: str) -> int:
        file.flush()
        with open(file.name, "rb") as again:
            return self._images.layers.add(again, diff_id)[1]

    async def _name(self, image: Image, digest: str) -> bool:
        images, reference = self._images, self._reference
        await self._told.tell(f"Digest: {digest}")
        async with images.lock:
            by_digest = reference._replace(tag="", digest=digest)
            before = images.meaning(reference)
            images.tag(image, by_digest, action="")
            if not reference.digest:
                images.tag(image, reference, action="")
            images.tell("pull", str(reference), {"name": reference.repository})
        return before is None or before.id != image.id


async def _nobody(current: int) -> None:
    del current


def _first(error: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what is to be told of several errors: one that the client can understand."""
    inner = [each for each in error.exceptions if not isinstance(each, asyncio.CancelledError)]
    ours = [each for each in inner if isinstance(each, EngineError)]
    return (ours or inner or list(error.exceptions))[0]
