"""Images as one tar archive: ``docker save``, ``docker load``, ``docker import``."""

from __future__ import annotations

import io
import json
import tarfile
from typing import IO, TYPE_CHECKING, Any

from seatrial.engine import blobs, clock, references
from seatrial.engine.compression import Hashing, plain
from seatrial.engine.errors import BadRequest, NotFound
from seatrial.engine.image_configs import checked_config
from seatrial.engine.images import Image, Layer
from seatrial.engine.registry.manifests import ARCHITECTURE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.images import Images

_LONGEST_DOCUMENT = 16 << 20


def load(images: Images, archive: IO[bytes]) -> list[tuple[Image, list[str]]]:
    """Keep the images of an archive; return them with the names that they got there."""
    try:
        with tarfile.open(fileobj=plain(archive), mode="r:") as opened:
            members = {_name(member.name): member for member in opened if member.isfile()}
            if "manifest.json" in members:
                wanted = _of_docker(opened, members)
            elif "index.json" in members:
                wanted = _of_layout(opened, members)
            else:
                raise BadRequest("the archive holds no image: neither manifest.json nor index.json")
            return [_load_one(images, opened, members, *each) for each in wanted]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadRequest(f"invalid tar archive: {error}") from None


def _name(path: str) -> str:
    return path.removeprefix("./").lstrip("/")


def _document(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(_bytes(archive, members, name))
    except (ValueError, RecursionError):
        raise BadRequest(f"invalid archive: {name} is no JSON") from None


def _member(members: dict[str, tarfile.TarInfo], name: object) -> tarfile.TarInfo:
    found = members.get(_name(name)) if isinstance(name, str) else None
    if found is None:
        raise BadRequest(f"invalid archive: it lacks {name!r}")
    return found


def _bytes(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: object) -> bytes:
    member = _member(members, name)
    if member.size > _LONGEST_DOCUMENT:
        raise BadRequest(f"invalid archive: {member.name} is too long")
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


_Wanted = tuple[str, list[str], list[str]]


def _of_docker(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> list[_Wanted]:
    """Return for each image its config, its layers, and its names: Docker's own format."""
    manifest = _document(archive, members, "manifest.json")
    try:
        return [
            (each["Config"], list(each.get("Layers") or ()), list(each.get("RepoTags") or ()))
            for each in manifest
        ]
    except (KeyError, TypeError, AttributeError):
        raise BadRequest("invalid archive: manifest.json lists no images") from None


def _of_layout(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> list[_Wanted]:
    """The same of an OCI image layout."""
    index = _document(archive, members, "index.json")
    found: list[_Wanted] = []
    try:
        for descriptor in index["manifests"]:
            manifest = _document(archive, members, _blob(descriptor))
            if "manifests" in manifest:
                raise BadRequest("invalid archive: an index within the index is not read")
            name = (descriptor.get("annotations") or {}).get("org.opencontainers.image.ref.name")
            layers = [_blob(each) for each in manifest["layers"]]
            found.append((_blob(manifest["config"]), layers, [name] if name else []))
    except (KeyError, TypeError, AttributeError):
        raise BadRequest("invalid archive: index.json lists no images") from None
    return found


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/", 1)


def _load_one(  # noqa: PLR0917 - an image has these parts
    images: Images,
    archive: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    config_name: str,
    layer_names: list[str],
    tags: list[str],
) -> tuple[Image, list[str]]:
    config = _bytes(archive, members, config_name)
    diff_ids = checked_config(config)["rootfs"]["diff_ids"]
    if len(diff_ids) != len(layer_names):
        raise BadRequest(
            f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, "
            f"got {len(layer_names)}"
        )
    named = [references.parse(tag) for tag in tags]
    layers = []
    for diff_id, name in zip(diff_ids, layer_names, strict=True):
        file = archive.extractfile(_member(members, name))
        assert file is not None  # noqa: S101 - it is a regular file
        layers.append(add_layer(images, file, diff_id))
    image = images.add(config, layers)
    for reference in named:
        images.tag(image, reference, action="")
    return image, [str(reference) for reference in named]


def add_layer(images: Images, archive: IO[bytes], expected: str | None = None) -> Layer:
    """Keep a layer's archive as it is, and lay it out."""
    known = next(
        (layer for image in images.all() for layer in image.layers if layer.diff_id == expected),
        None,
    )
    if known is not None and images.layers.has(known.diff_id) and images.blobs.has(known.blob):
        return known
    with images.blobs.adding() as file:
        keeper = Hashing(archive, file.write)
        while keeper.read(1 << 18):
            pass
        file.flush()
        with open(file.name, "rb") as again:
            diff_id, size = images.layers.add(again, expected)
        images.blobs.keep(file, keeper.digest)
    return Layer(diff_id, keeper.digest, size)


def import_layer(
    images: Images, archive: IO[bytes], *, message: str, changes: dict[str, Any]
) -> Image:
    """Make an image of one layer from an archive of a root filesystem."""
    layer = add_layer(images, archive)
    created = clock.now()
    document = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": created,
        "config": changes,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": created, "comment": message}],
    }
    return images.add(json.dumps(document).encode(), [layer])


def save(images: Images, names: Iterable[str], target: IO[bytes]) -> None:
    """Write images as an archive that ``docker load`` reads, and programs that read OCI layouts."""
    chosen: dict[str, tuple[Image, list[str]]] = {}
    for name in names:
        image = images.find(name)
        _, tags = chosen.setdefault(image.id, (image, []))
        if image.id.removeprefix("sha256:").startswith(name.removeprefix("sha256:")):
            continue  # by its id it has no name
        tags.append(str(references.parse(name)))
    if not chosen:
        raise NotFound("no image to save")
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        listed: list[dict[str, Any]] = []
        described: list[dict[str, Any]] = []
        written: set[str] = set()
        for image, tags in chosen.values():
            for digest in (image.id, image.manifest, *(layer.blob for layer in image.layers)):
                if digest not in written:
                    written.add(digest)
                    _write_blob(archive, images, digest)
            layers = [_blob({"digest": layer.blob}) for layer in image.layers]
            config = _blob({"digest": image.id})
            listed.append({"Config": config, "RepoTags": tags or None, "Layers": layers})
            entry = images.descriptor(image)
            described.extend(
                {**entry, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in tags
            )
            if not tags:
                described.append(entry)
        index = {"schemaVersion": 2, "mediaType": blobs.INDEX, "manifests": described}
        _write(archive, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        _write(archive, "index.json", index)
        _write(archive, "manifest.json", listed)


def _write_blob(archive: tarfile.TarFile, images: Images, digest: str) -> None:
    with images.blobs.open(digest) as file:
        member = tarfile.TarInfo(_blob({"digest": digest}))
        member.size, member.mode = images.blobs.size_bytes(digest), 0o644
        archive.addfile(member, file)


def _write(archive: tarfile.TarFile, name: str, document: object) -> None:
    data = json.dumps(document).encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))
