"""Builds and runs the fuzzer of what reads a kept plan (``make fuzz``)."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from seatrial.oci import kept, sources

RUNTIME = Path(__file__).resolve().parents[2]
FLAGS = (
    "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fno-omit-frame-pointer", "-U_FORTIFY_SOURCE",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
)  # fmt: skip
SOURCES = (
    "fuzz/slots/slots.c", "launcher/kept.c", "facts/checksum.c", "facts/hold.c", "facts/real.c",
    "template.c", "plan.c",
)  # fmt: skip


def build(folder: Path, csrc: Path) -> Path:
    """Compile the fuzzer."""
    program = folder / "slots"
    sources = [csrc / name for name in SOURCES]
    subprocess.run(["gcc", *FLAGS, "-o", program, *sources], check=True)
    return program


def slots(folder: Path) -> list[Path]:
    """Return slots that differ, to start from."""
    found = []
    differing: tuple[dict[str, Any], ...] = (
        {"linux": {"namespaces": [{"type": "mount"}]}},
        {"linux": {"cgroupsPath": "/seatrial-fuzz/one", "namespaces": [{"type": "pid"}],
                   "resources": {"memory": {"limit": 1 << 28}}},
         "annotations": {"a": "b"}, "root": {"path": "rootfs", "readonly": True}},
        {"process": {"cwd": "/", "args": ["/x"], "capabilities": {"bounding": ["CAP_NONE"]}},
         "linux": {"namespaces": [{"type": each} for each in ("mount", "pid", "ipc")]}},
    )  # fmt: skip
    for number, members in enumerate(differing):
        bundle = folder / f"bundle{number}"
        (bundle / "rootfs").mkdir(parents=True)
        config = {"ociVersion": "1.3.0", "root": {"path": "rootfs"}, **members}
        (bundle / "config.json").write_text(json.dumps(config), "utf-8")
        source = sources.prepare("fuzz", bundle=str(bundle), root=str(folder / "state"))
        path = folder / f"slot{number}"
        path.write_bytes(kept.slot(source))
        found.append(path)
    return found


def main() -> int:
    """Fuzz; return the fuzzer's exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", type=Path, default=RUNTIME / "csrc")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder, options.sources)
        command = [str(program), str(options.iterations), str(options.seed)]
        command += map(str, slots(folder))
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
