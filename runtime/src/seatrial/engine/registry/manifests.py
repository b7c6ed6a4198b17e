"""Manifests: what an image consists of, and which of several images is for this machine."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from typing import Any, NamedTuple

from seatrial.engine import blobs
from seatrial.engine.errors import BadRequest, NotFound

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = frozenset({blobs.MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({blobs.INDEX, DOCKER_INDEX})
ACCEPTED = f"{DOCKER_MANIFEST}, {DOCKER_INDEX}, {blobs.MANIFEST}, {blobs.INDEX}"
LONGEST_BYTES = 4 << 20
#: In these formats alone a document need not say what it is.
_OCI = "application/vnd.oci."
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_BLOB = 1 << 40
MOST_LAYERS = 500
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Descriptor(NamedTuple):
    """What something is, which it is, and how long."""

    media_type: str
    digest: str
    size_bytes: int


class Platform(NamedTuple):
    """What an image runs on; a variant that is empty is any."""

    os: str = "linux"
    architecture: str = ARCHITECTURE
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    def is_met_by(self, document: dict[str, Any]) -> bool:
        """Whether a platform, or an image's config, is of this kind."""
        found = (document.get("os"), document.get("architecture"))
        variant = document.get("variant") or self.variant
        return found == self[:2] and self.variant in {"", variant}


class Manifest(NamedTuple):
    """One image: its config and its layers, from the lowest to the topmost."""

    config: Descriptor
    layers: list[Descriptor]


def platform_of(text: str) -> Platform | None:
    """Read OS/ARCHITECTURE[/VARIANT], as clients give it; nothing for an empty text."""
    if not text:
        return None
    if text.startswith("{"):
        try:
            found = json.loads(text)
            parts = [str(found.get(each) or "") for each in ("os", "architecture", "variant")]
        except (ValueError, AttributeError, RecursionError):
            raise BadRequest(f"invalid platform {text!r}") from None
    else:
        parts = text.lower().split("/")
    if len(parts) == 1:
        parts = [parts[0], ARCHITECTURE] if parts[0] == "linux" else ["linux", parts[0]]
    if len(parts) > 3 or not all(parts[:2]):  # noqa: PLR2004 - it has three parts
        raise BadRequest(
            f"invalid platform {text!r}: want os/architecture, or os/architecture/variant"
        )
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return Platform(parts[0], names.get(parts[1], parts[1]), *parts[2:])


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def document(data: bytes, media_type: str) -> dict[str, Any]:
    """Read a manifest or an index; raises BadRequest for what is neither, or could be both."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequest("invalid manifest: it is no JSON object")
    if found.get("schemaVersion") != 2:  # noqa: PLR2004 - the formats' own number
        raise BadRequest(f"invalid manifest: schemaVersion {found.get('schemaVersion')!r} is not 2")
    if media_type not in MANIFESTS | INDEXES:
        raise BadRequest(f"invalid manifest: unsupported media type {media_type!r}")
    said = found.get("mediaType")
    if said != media_type and (said is not None or not media_type.startswith(_OCI)):
        raise BadRequest(
            f"invalid manifest: it says to be {said!r}, and was sent as {media_type!r}"
        )
    # What could be read either way would be another image to another program (CVE-2021-41190).
    wrong = {"manifests"} if media_type in MANIFESTS else {"layers", "config"}
    if wrong & set(found):
        raise BadRequest(f"invalid manifest: {media_type} with {' and '.join(sorted(wrong))}")
    return found


def manifest(found: dict[str, Any]) -> Manifest:
    """Return what an image's manifest lists."""
    layers = found.get("layers")
    if not isinstance(layers, list):
        raise BadRequest("invalid manifest: it has no layers")
    if len(layers) > MOST_LAYERS:
        raise BadRequest(f"invalid manifest: it has more than {MOST_LAYERS} layers")
    return Manifest(descriptor(found.get("config")), [descriptor(each) for each in layers])


def chosen(index: dict[str, Any], wanted: Platform) -> Descriptor:
    """Return the manifest that an index has for a platform; raises NotFound if it has none."""
    listed = index.get("manifests")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("platform"), dict):
            found = descriptor(each)
            if wanted.is_met_by(each["platform"]) and found.media_type in MANIFESTS:
                return found
    raise NotFound(f"no matching manifest for {wanted} in the manifest list entries")


def descriptor(found: object) -> Descriptor:
    """Read a descriptor."""
    if not isinstance(found, dict):
        raise BadRequest("invalid manifest: a descriptor is no JSON object")
    kind, digest, size = (found.get(name) for name in ("mediaType", "digest", "size"))
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BadRequest(
            f"invalid manifest: digest {str(digest)[:200]!r} is not sha256 and 64 digits"
        )
    if not isinstance(size, int) or not 0 <= size <= _LONGEST_BLOB:
        raise BadRequest(f"invalid manifest: size {str(size)[:200]} of {digest}")
    if found.get("urls"):
        raise BadRequest(f"invalid manifest: {digest} is kept elsewhere, which is not supported")
    return Descriptor(str(kind), digest, size)
