"""The images: configs, layers, and the names that mean them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.engine import blobs, payloads, references
from seatrial.engine.clock import NEVER
from seatrial.engine.compression import kind_of
from seatrial.engine.errors import BadRequest, Conflict, NotFound
from seatrial.engine.payloads import Config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.blobs import Blobs
    from seatrial.engine.database import Database
    from seatrial.engine.events import Events
    from seatrial.engine.layers import Layers
    from seatrial.engine.references import Reference

_LONGEST_CONFIG = 8 << 20
_SHORTEST_ID = 3
_MOST_LAYERS = 500


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

    def all(self) -> list[Image]:
        """Return every image."""
        return list(self._images.values())

    def names(self, image: Image) -> list[str]:
        """Return the references that mean an image, with tags, as people write them."""
        return [
            name for name, meant in self._names.items() if meant == image.id and "@" not in name
        ]

    def digests(self, image: Image) -> list[str]:
        """Return the references with digests that mean an image."""
        return [name for name, meant in self._names.items() if meant == image.id and "@" in name]

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

    # --- changes --------------------------------------------------------------------------------

    def add(self, config: bytes, layers: list[Layer]) -> Image:
        """Keep an image whose layers are kept already; it may be known."""
        document = checked_config(config)
        if document["rootfs"]["diff_ids"] != [layer.diff_id for layer in layers]:
            raise BadRequest("the image's config names other layers than there are")
        identifier = self.blobs.put(config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": blobs.MANIFEST,
            "config": self._descriptor(blobs.CONFIG, identifier),
            "layers": [self._descriptor(self._media_type(each.blob), each.blob) for each in layers],
        }
        digest = self.blobs.put(json.dumps(manifest).encode())
        image = Image(identifier, digest, layers)
        self._images[identifier] = image
        self._database.keep_image(identifier, msgspec.json.encode(image))
        return image

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
            self._events.tell("image", action, image.id, {"name": name})

    def untag(self, name: str) -> None:
        """Let a reference mean nothing."""
        identifier = self._names.pop(name)
        self._database.forget_names([name])
        self._events.tell("image", "untag", identifier, {"name": identifier})
        self._write_index()

    def remove(
        self, text: str, *, force: bool, users: dict[str, list[tuple[str, bool]]]
    ) -> list[dict[str, str]]:
        """Remove a name, and with an image's last name the image; return what was done.

        ``users`` has for each image the containers of it, and whether they run.
        """
        image = self.find(text)
        tags = [*self.names(image), *self.digests(image)]
        by_name = self._by_reference(text) is image
        named = str(references.parse(text)) if by_name else ""
        done: list[dict[str, str]] = []
        if by_name and len(self.names(image)) > 1:
            self.untag(named)
            return [{"Untagged": named}]
        if not by_name and len(self.names(image)) > 1 and not force:
            short = image.id[7:19]
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced) - image is referenced in "
                "multiple repositories"
            )
        self._refuse_if_used(image, users.get(image.id, []), named or image.id[7:19], force=force)
        for name in tags:
            self.untag(name)
            done.append({"Untagged": name})
        done.append({"Deleted": image.id})
        gone = [layer.diff_id for layer in image.layers if not self._shared(layer, image)]
        done.extend({"Deleted": each} for each in reversed(gone))
        del self._images[image.id]
        self._database.forget_image(image.id)
        self._events.tell("image", "delete", image.id, {"name": image.id})
        return done

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
        self.layers.keep_only({*(layer.diff_id for layer in every), *diff_ids_in_use})
        self.blobs.keep_only(
            {
                *(layer.blob for layer in every),
                *(image.id for image in self._images.values()),
                *(image.manifest for image in self._images.values()),
            }
        )
        self._write_index()

    def _write_index(self) -> None:
        manifests = []
        for name, identifier in self._names.items():
            digest = self._images[identifier].manifest
            descriptor = self._descriptor(blobs.MANIFEST, digest)
            names = {
                "io.containerd.image.name": references.parse(name).full_repository,
                "org.opencontainers.image.ref.name": name,
            }
            manifests.append({**descriptor, "annotations": names})
        self.blobs.write_index(manifests)


def checked_config(config: bytes) -> dict[str, Any]:
    """Read an image's config; raises BadRequest for what is none."""
    if len(config) > _LONGEST_CONFIG:
        raise BadRequest("the image's config is too long")
    try:
        document = json.loads(config)
        diff_ids = document["rootfs"]["diff_ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequest("the image's config is none: it has no rootfs.diff_ids") from None
    if not isinstance(diff_ids, list) or not all(isinstance(each, str) for each in diff_ids):
        raise BadRequest("the image's config is none: rootfs.diff_ids are no digests")
    if len(diff_ids) > _MOST_LAYERS:
        raise BadRequest(f"the image has more than {_MOST_LAYERS} layers")
    created = document.get("created")
    if created is not None and not isinstance(created, str):
        raise BadRequest("the image's config is none: created is no time")
    payloads.convert(Config, document.get("config") or {})
    return {**document, "created": created or NEVER}
