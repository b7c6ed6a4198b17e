"""Root filesystems of several layers, as engines make them of images: an overlay."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from seatrial.perf import kernel

if TYPE_CHECKING:
    from pathlib import Path


def options(bundle: Path, count: int) -> str:
    """Return the overlay's options for so many layers, with paths from the root filesystem on.

    It is the lowest layer; those above have a file each.  From there on because the options of a
    mount have a page of memory, which fifty whole paths may not fit into (mount(2)).
    """
    above = []
    for number in range(count - 1):
        layer = bundle / "layers" / str(number)
        layer.mkdir(parents=True, exist_ok=True)
        (layer / f"file-{number}").touch()
        above.append(f"../layers/{number}")
    for name in ("upper", "work"):
        (bundle / name).mkdir(exist_ok=True)
    return f"lowerdir={':'.join([*above, '.'])},upperdir=../upper,workdir=../work"


def mount(bundle: Path, count: int) -> Path:
    """Put an overlay of so many layers over a bundle's root filesystem; return where it is."""
    rootfs = bundle / "rootfs"
    data = options(bundle, count)
    with contextlib.chdir(rootfs):
        kernel.mount("overlay", str(rootfs), "overlay", data=data)
    return rootfs
