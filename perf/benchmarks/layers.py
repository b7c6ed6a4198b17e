"""What it costs to lay a layer out, beside GNU tar and Python's tarfile: ``make bench-layers``.

The archive is of this host's own folders, as a distribution's root filesystem has them. CPU time of
the child that does it, user and system, in pairs one after the other; targets are on a tmpfs: no
disk is measured. "layer" is what the engine does with one: gzip, two digests, and the files.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.engine.extraction import Extractor, remove_tree
from seatrial.engine.layers import Layers

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDERS = ("etc", "usr/include", "usr/lib/python3", "usr/lib/python3.11", "usr/share/doc",
            "usr/share/perl", "usr/share/zoneinfo")  # fmt: skip
_PAIRS = 7
_STORE = "/dev/shm"  # noqa: S108 - folders of our own are made there


def _cpu_s(work: Callable[[], None]) -> float:
    """Run something in a child; return the CPU time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"it failed: {os.waitstatus_to_exitcode(status)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _extractor(archive: str, target: str) -> None:
    with open(archive, "rb") as file, Extractor(target) as extractor:
        extractor.apply(file)


def _layer(archive: str, target: str) -> None:
    with open(archive, "rb") as file:
        Layers(target).add(file)


def _gnu_tar(archive: str, target: str) -> None:
    os.execvp("tar", ["tar", "-C", target, "-xpf", archive])  # noqa: S606 - in the child


def _tarfile(archive: str, target: str) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(target, numeric_owner=True)  # noqa: S202 - it is our own


def _timed(work: Callable[[str, str], None], archive: str) -> float:
    target = tempfile.mkdtemp(prefix="seatrial-layers-", dir=_STORE)
    try:
        return _cpu_s(lambda: work(archive, target))
    finally:
        remove_tree(None, target)


def _compare(name: str, ours: Callable[[str, str], None], archive: str) -> None:
    ratios, times = [], []
    for _ in range(_PAIRS):
        mine, theirs = _timed(ours, archive), _timed(_gnu_tar, archive)
        ratios.append(mine / theirs)
        times.append((mine, theirs))
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    slower = _timed(_tarfile, archive)
    ratio = statistics.median(ratios)
    print(  # noqa: T201 - a command's output
        f"{name:8} ours {mine:.2f} s, GNU tar {theirs:.2f} s, ratio {ratio:.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}); tarfile.extractall {slower / theirs:.2f}"
    )


def main() -> int:
    """Print the figures."""
    folders = [each for each in _FOLDERS if Path("/", each).is_dir()]
    with tempfile.TemporaryDirectory(prefix="seatrial-layers-") as folder:
        plain, compressed = f"{folder}/plain.tar", f"{folder}/layer.tar.gz"
        subprocess.run(["tar", "-C", "/", "-cf", plain, *folders], check=True)
        with open(compressed, "wb") as target:
            subprocess.run(["gzip", "-6c", plain], check=True, stdout=target)
        with tarfile.open(plain) as opened:
            count = sum(1 for _ in opened)
        megabytes = os.path.getsize(plain) / 1e6
        print(f"{megabytes:.0f} MB in {count} entries; CPU time, {_PAIRS} pairs")  # noqa: T201
        _compare("archive", _extractor, plain)
        _compare("layer", _layer, compressed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
