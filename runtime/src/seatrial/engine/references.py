"""Names of images, as people type them and as Docker understands them.

    busybox             docker.io/library/busybox:latest
    example/tool:1      docker.io/example/tool:1
    localhost:5000/a@sha256:…   a digest instead of a tag

A first part with a dot, a colon, an upper-case letter, or the word localhost is a registry.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from seatrial.engine.errors import BadRequest

REGISTRY = "docker.io"
_LIBRARY = "library/"
_LONGEST = 255
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_TAG = r"[\w][\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_TAG_ALONE = re.compile(_TAG, re.ASCII)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")


class Reference(NamedTuple):
    """An image's name: where it is from, what it is called there, which one of that name."""

    registry: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """The name without tag and digest, as short as people write it."""
        if self.registry != REGISTRY:
            return f"{self.registry}/{self.path}"
        return self.path.removeprefix(_LIBRARY)

    @property
    def full_repository(self) -> str:
        """The name without tag and digest, and with all that people leave out."""
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse(text: str, *, latest: bool = True) -> Reference:
    """Read a name; without a tag and a digest it is the one tagged latest, if that is wanted."""
    if _IDENTIFIER.fullmatch(text):
        raise BadRequest(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    match = _REFERENCE.fullmatch(text)
    if match is None:
        if _REFERENCE.fullmatch(text.lower()):
            raise BadRequest(
                f"invalid reference format: repository name ({text}) must be lowercase"
            )
        raise BadRequest("invalid reference format")
    name, tag, digest = match["name"], match["tag"] or "", match["digest"] or ""
    if digest and not _SHA256.fullmatch(digest):
        raise BadRequest(f"invalid reference format: unsupported digest {digest}")
    first, slash, rest = name.partition("/")
    if slash and (set(first) & set(".:[") or first == "localhost" or first != first.lower()):
        registry, path = first, rest
    else:
        registry, path = REGISTRY, name
    if registry == f"index.{REGISTRY}":
        registry = REGISTRY
    if registry == REGISTRY and "/" not in path:
        path = _LIBRARY + path
    if len(path) > _LONGEST:
        raise BadRequest(f"repository name must not be more than {_LONGEST} characters")
    if latest and not tag and not digest:
        tag = "latest"
    return Reference(registry, path, tag, digest)


def with_tag(repository: str, tag: str, *, latest: bool = True) -> Reference:
    """Read a name whose tag, or digest, was given apart from it."""
    if not tag:
        return parse(repository, latest=latest)
    if ":" in tag:
        return parse(f"{repository}@{tag}")
    if not _TAG_ALONE.fullmatch(tag):
        raise BadRequest(f"invalid tag format: {tag!r}")
    return parse(repository, latest=False)._replace(tag=tag)
