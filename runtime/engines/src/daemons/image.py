"""An image made of one static busybox: no registry is needed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
NAME = "localhost/seatrial"
FOLDERS = ("bin", "data", "dev", "etc", "proc", "root", "sys", "tmp")
#: Of busybox, by links to it.
PROGRAMS = (
    *("cat", "dd", "echo", "env", "false", "grep", "head", "id", "ip", "kill", "ls", "mkfifo"),
    *(
        "pwd",
        "readlink",
        "rm",
        "sh",
        "sha256sum",
        "sleep",
        "stat",
        "stty",
        "test",
        "touch",
        "true",
        "tty",
    ),
)
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsailor:x:1000:1000::/:/bin/sh\n",
    "etc/group": "root:x:0:\nsailor:x:1000:\ncrew:x:2000:sailor\n",
    # There, and no program.
    "etc/plain": "text\n",
}
_OCI = "application/vnd.oci.image"


def write_layer(path: Path) -> None:
    """Write the root filesystem as a tar archive, for ``docker import`` and ``podman import``."""
    with tarfile.open(path, "w") as archive:
        for name in FOLDERS:
            _add(archive, name, kind=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        _add(archive, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for name in PROGRAMS:
            _add(archive, f"bin/{name}", kind=tarfile.SYMTYPE, link="busybox")
        for name, text in FILES.items():
            _add(archive, name, text.encode(), mode=0o644)


def write_archive(path: Path, layer: Path) -> None:
    """Write an OCI archive of the one layer, for ``ctr image import`` (image-layout.md)."""
    blobs: dict[str, bytes] = {}

    def stored(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    content = layer.read_bytes()
    layers = [stored(content, f"{_OCI}.layer.v1.tar")]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layers[0]["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": stored(json.dumps(config).encode(), f"{_OCI}.config.v1+json"),
        "layers": layers,
    }
    entry = stored(json.dumps(manifest).encode(), f"{_OCI}.manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": f"{NAME}:latest"}
    with tarfile.open(path, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for name, blob in blobs.items():
            _add(archive, name, blob)


def _add(
    archive: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o777,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(content)
    archive.addfile(entry, io.BytesIO(content))
