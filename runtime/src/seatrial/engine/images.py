"""The images: configs, layers, and the names that mean them."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.engine import blobs, payloads, references
from seatrial.engine.compression import kind_of
from seatrial.engine.errors import BadRequest, Conflict, NotFound
from seatrial.engine.image_configs import checked_config
from seatrial.engine.payloads import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.engine.blobs import Blobs
    from seatrial.engine.database import Database
    from seatrial.engine.events import Events
    from seatrial.engine.layers import Layers
    from seatrial.engine.references import Reference

_SHORTEST_ID = 3


class Layer(msgspec.Struct, frozen=True):
    """One layer: the digest of its plain archive, its blob, and how much its files are."""

    diff_id: str
    blob: str
    size_bytes: int


class Image(msgspec.Struct, frozen=True):
    """An image; its id is the digest of its config."""

    id: str
    manifest: str
    layers: list[Layer]

    @property
    def size_bytes(self) -> int:
        """How much all its files are."""
        return sum(layer.size_bytes for layer in self.layers)


class Images:
    """All images, in memory as in the database."""

    def __init__(self, database: Database, store: Blobs, layers: Layers, events: Events) -> None:
        self._database, self.blobs, self.layers, self._events = database, store, layers, events
        self._images = {
            image.id: image
            for image in (msgspec.json.decode(each, type=Image) for each in database.images())
        }
        self._names = dict(database.names())
        #: Held by whoever adds or removes images: a sweep must not meet half of one.
        self.lock = asyncio.Lock()
        self._held: list[set[str]] = []

    def all(self) -> list[Image]:
        """Return every image."""
        return list(self._images.values())

    def names(self, image: Image) -> list[str]:
        """Return the references that mean an image, with tags, as people write them."""
        return sorted(self._meaning(image, digest=False))

    def digests(self, image: Image) -> list[str]:
        """Return the references with digests that mean an image."""
        return sorted(self._meaning(image, digest=True))

    def _meaning(self, image: Image, *, digest: bool) -> list[str]:
        return [
            name
            for name, meant in self._names.items()
            if meant == image.id and ("@" in name) == digest
        ]

    def document(self, image: Image) -> dict[str, Any]:
        """Return an image's config, as it was made."""
        found: dict[str, Any] = json.loads(self.blobs.read(image.id))
        return found

    def config(self, image: Image) -> Config:
        """Return what an image's containers run by default."""
        return payloads.convert(Config, self.document(image).get("config") or {})

    def find(self, text: str) -> Image:
        """Return the image that a reference, or an id or its beginning, means."""
        found = self._by_reference(text) or self._by_id(text)
        if found is None:
            try:
                raise NotFound(f"No such image: {references.parse(text)}")
            except BadRequest:
                raise NotFound(f"No such image: {text}") from None
        return found

    def _by_reference(self, text: str) -> Image | None:
        try:
            reference = references.parse(text)
        except BadRequest:
            return None
        name = str(reference if not reference.digest else reference._replace(tag=""))
        meant = self._names.get(name)
        return self._images[meant] if meant is not None else None

    def _by_id(self, text: str) -> Image | None:
        beginning = text.removeprefix("sha256:")
        if len(beginning) < _SHORTEST_ID:
            return None
        found = [each for each in self._images.values() if each.id[7:].startswith(beginning)]
        if len(found) > 1:
            raise BadRequest(f"ambiguous image id {text}")
        return found[0] if found else None

    def meaning(self, reference: Reference) -> Image | None:
        """Return the image that a reference means, and nothing else does."""
        meant = self._names.get(str(reference))
        return self._images[meant] if meant is not None else None

    def with_id(self, identifier: str) -> Image | None:
        """Return the image of an id, if there is one."""
        return self._images.get(identifier)

    def layer(self, blob: str, diff_id: str) -> Layer | None:
        """Return a layer that some image has, if all of it is there."""
        if not self.layers.has(diff_id) or not self.blobs.has(blob):
            return None
        every = (layer for image in self._images.values() for layer in image.layers)
        return next((each for each in every if (each.blob, each.diff_id) == (blob, diff_id)), None)

    def tell(self, action: str, identifier: str, attributes: dict[str, str]) -> None:
        """Tell of something that happened to an image."""
        self._events.tell("image", action, identifier, attributes)

    # --- changes --------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether images are being added or removed."""
        return self.lock.locked() or bool(self._held)

    @contextmanager
    def held(self) -> Iterator[set[str]]:
        """Give a set: what is in it, by digest, no sweep removes before the end of this."""
        mine: set[str] = set()
        self._held.append(mine)
        try:
            yield mine
        finally:
            self._held[:] = [each for each in self._held if each is not mine]

    def add(self, config: bytes, layers: list[Layer], manifest: bytes | None = None) -> Image:
        """Keep an image whose layers are kept already; it may be known.

        ``manifest`` is the one that it came with; there is one of our own otherwise.
        """
        document = checked_config(config)
        if document["rootfs"]["diff_ids"] != [layer.diff_id for layer in layers]:
            raise BadRequest("the image's config names other layers than there are")
        identifier = self.blobs.put(config)
        image = Image(
            identifier, self.blobs.put(manifest or self._manifest(identifier, layers)), layers
        )
        self._images[identifier] = image
        self._database.keep_image(identifier, msgspec.json.encode(image))
        return image

    def _manifest(self, config: str, layers: list[Layer]) -> bytes:
        made = {
            "schemaVersion": 2,
            "mediaType": blobs.MANIFEST,
            "config": self._descriptor(blobs.CONFIG, config),
            "layers": [self._descriptor(self._media_type(each.blob), each.blob) for each in layers],
        }
        return json.dumps(made).encode()

    def descriptor(self, image: Image) -> dict[str, Any]:
        """Return what an index says of an image: its manifest's type, digest and size."""
        found = json.loads(self.blobs.read(image.manifest))
        return self._descriptor(found.get("mediaType", blobs.MANIFEST), image.manifest)

    def _descriptor(self, kind: str, digest: str) -> dict[str, Any]:
        return {"mediaType": kind, "digest": digest, "size": self.blobs.size_bytes(digest)}

    def _media_type(self, digest: str) -> str:
        with self.blobs.open(digest) as file:
            kind = kind_of(file.read(8))
        return f"{blobs.LAYER}+{kind}" if kind else blobs.LAYER

    def tag(self, image: Image, reference: Reference, *, action: str = "tag") -> None:
        """Let a reference mean an image, whatever it meant before."""
        name = str(reference)
        self._names.pop(name, None)
        self._names[name] = image.id
        self._database.keep_name(name, image.id)
        self._write_index()
        if action:
            self.tell(action, image.id, {"name": name})

    def untag(self, name: str) -> None:
        """Let a reference mean nothing."""
        identifier = self._names.pop(name)
        self._database.forget_names([name])
        self.tell("untag", identifier, {"name": identifier})
        self._write_index()

    def remove(
        self, text: str, *, force: bool, users: dict[str, list[tuple[str, bool]]]
    ) -> list[dict[str, str]]:
        """Remove a name, and with an image's last name the image; return what was done.

        ``users`` has for each image the containers of it, and whether they run.
        """
        image = self.find(text)
        if (named := self._name_of(text, image)) is None:
            if len(self.names(image)) > 1 and not force:
                raise Conflict(
                    f"conflict: unable to delete {image.id[7:19]} (must be forced) - image is "
                    "referenced in multiple repositories"
                )
            gone = [*self.names(image), *self.digests(image)]
        else:
            gone = self._untagged_with(named, image)
        last = len(gone) == len(self.names(image)) + len(self.digests(image))
        if last:
            what = str(named) if named is not None else image.id[7:19]
            self._refuse_if_used(image, users.get(image.id, []), what, force=force)
        for name in gone:
            self.untag(name)
        done = [{"Untagged": name} for name in gone]
        return [*done, *self._delete(image)] if last else done

    def _name_of(self, text: str, image: Image) -> Reference | None:
        """Return the reference that somebody has given, if it was one."""
        if self._by_reference(text) is not image:
            return None
        reference = references.parse(text)
        return reference._replace(tag="") if reference.digest else reference

    def _untagged_with(self, named: Reference, image: Image) -> list[str]:
        """Return a name, and with a repository's last tag the digests from there."""
        every = [references.parse(each) for each in (*self.names(image), *self.digests(image))]
        others = [
            each
            for each in every
            if each.full_repository == named.full_repository and each != named
        ]
        if named.digest or any(each.tag for each in others):
            return [str(named)]
        return [str(named), *map(str, others)]

    def _delete(self, image: Image) -> list[dict[str, str]]:
        gone = [layer.diff_id for layer in image.layers if not self._shared(layer, image)]
        del self._images[image.id]
        self._database.forget_image(image.id)
        self.tell("delete", image.id, {"name": image.id})
        return [{"Deleted": image.id}, *({"Deleted": each} for each in reversed(gone))]

    def _refuse_if_used(
        self, image: Image, users: list[tuple[str, bool]], what: str, *, force: bool
    ) -> None:
        for container, running in users:
            user = f"container {container[:12]}"
            if what != image.id[7:19]:
                if not force:
                    raise Conflict(
                        f'conflict: unable to remove repository reference "{what}" (must force) - '
                        f"{user} is using its referenced image {image.id[7:19]}"
                    )
            elif running:
                raise Conflict(
                    f"conflict: unable to delete {what} (cannot be forced) - image is being used "
                    f"by running {user}"
                )
            elif not force:
                raise Conflict(
                    f"conflict: unable to delete {what} (must be forced) - image is being used by "
                    f"stopped {user}"
                )

    def _shared(self, layer: Layer, image: Image) -> bool:
        return any(
            layer.diff_id == other.diff_id
            for each in self._images.values()
            if each.id != image.id
            for other in each.layers
        )

    def sweep(self, diff_ids_in_use: Iterable[str]) -> None:
        """Remove the layers and blobs that no image has, and no container is made of."""
        every = [layer for image in self._images.values() for layer in image.layers]
        held = {digest for each in self._held for digest in each}
        self.layers.keep_only({*(layer.diff_id for layer in every), *diff_ids_in_use, *held})
        self.blobs.keep_only(
            {
                *held,
                *(layer.blob for layer in every),
                *(image.id for image in self._images.values()),
                *(image.manifest for image in self._images.values()),
            }
        )
        self._write_index()

    def _write_index(self) -> None:
        manifests = []
        for name, identifier in self._names.items():
            descriptor = self.descriptor(self._images[identifier])
            names = {
                "io.containerd.image.name": references.parse(name).full_repository,
                "org.opencontainers.image.ref.name": name,
            }
            manifests.append({**descriptor, "annotations": names})
        self.blobs.write_index(manifests)
