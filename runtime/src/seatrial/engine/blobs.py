"""Images' blobs in an OCI image layout: a file each, named by its digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from typing import IO, TYPE_CHECKING, Any

from seatrial.engine.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_CHUNK = 1 << 18
_NEW = "new-"


class Blobs:
    """The layout's folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._blobs = f"{folder}/blobs/sha256"
        os.makedirs(self._blobs, mode=0o700, exist_ok=True)
        with open(f"{folder}/oci-layout", "w", encoding="utf-8") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)
        for name in os.listdir(folder):
            if name.startswith(_NEW):  # of a daemon that was killed
                os.unlink(f"{folder}/{name}")

    def path(self, digest: str) -> str:
        """Return a blob's path; there may be no such blob."""
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise BadRequest(f"invalid digest {digest!r}: want sha256 and 64 hexadecimal digits")
        return f"{self._blobs}/{match[1]}"

    def has(self, digest: str) -> bool:
        """Whether there is such a blob."""
        return os.path.exists(self.path(digest))

    def size_bytes(self, digest: str) -> int:
        """Return a blob's size."""
        return os.stat(self.path(digest)).st_size

    def open(self, digest: str) -> IO[bytes]:
        """Open a blob for reading."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise NotFound(f"no such blob: {digest}") from None

    def read(self, digest: str) -> bytes:
        """Read a blob, one of the small ones."""
        with self.open(digest) as file:
            return file.read()

    def put(self, data: bytes) -> str:
        """Keep some bytes; return their digest."""
        with self.adding() as file:
            file.write(data)
            return self.keep(file, f"sha256:{hashlib.sha256(data).hexdigest()}")

    @contextlib.contextmanager
    def adding(self) -> Iterator[IO[bytes]]:
        """Give a file for a blob to come; it is gone afterwards unless it was kept."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=_NEW, delete=False) as file:
            try:
                yield file
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name)

    def keep(self, file: IO[bytes], digest: str) -> str:
        """Give a file that was added the name that its digest is."""
        file.flush()
        os.fsync(file.fileno())
        os.rename(file.name, self.path(digest))
        return digest

    def add(self, source: IO[bytes]) -> tuple[str, int]:
        """Keep all that can be read from a file; return its digest and size."""
        found, size = hashlib.sha256(), 0
        with self.adding() as file:
            while data := source.read(_CHUNK):
                found.update(data)
                size += len(data)
                file.write(data)
            return self.keep(file, f"sha256:{found.hexdigest()}"), size

    def digests(self) -> set[str]:
        """Return what there is."""
        return {f"sha256:{name}" for name in os.listdir(self._blobs)}

    def keep_only(self, digests: Iterable[str]) -> None:
        """Remove every blob but these."""
        wanted = {digest.removeprefix("sha256:") for digest in digests}
        for name in os.listdir(self._blobs):
            if name not in wanted:
                os.unlink(f"{self._blobs}/{name}")

    def write_index(self, manifests: list[dict[str, Any]]) -> None:
        """Say in the layout's index what images there are, for other programs to read."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=_NEW, delete=False) as file:
            json.dump(index, file)
        os.rename(file.name, f"{self.folder}/index.json")
