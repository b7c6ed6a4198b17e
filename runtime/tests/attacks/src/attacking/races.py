"""Attacks by who shares a volume with the container that is made: names change meanwhile."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from attacking.attack import CONTAINED, OPEN, REFUSED, Finding, attack, judged, rounds
from attacking.ground import READ_ONLY, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attacking.ground import Bundle, Ground, Running

_AT_ONCE = 16


def swapping(ground: Ground, volume: Path, *pairs: tuple[str, str]) -> list[Running]:
    """Start containers that exchange names of a volume, without end."""
    found = []
    for one, other in pairs:
        bundle = ground.bundle()
        bundle.bind(volume, "/vol")
        found.append(bundle.start("swap", f"/vol/{one}", f"/vol/{other}"))
        _hurry(found[-1])
    return found


def _hurry(container: Running) -> None:
    """Let who changes names have a processor: else a host with much to do decides the race."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, container.pid, -15)


def watched(ground: Ground, bundle: Bundle) -> Path:
    """Have the mounts written down, as they are before the container's root is its root."""
    path = bundle.folder / "mountinfo"
    args = ["attacker", f"copy:/proc/self/mountinfo,{path}"]
    hook = {"path": str(ground.attacker), "args": args}
    bundle.config["hooks"] = {"createContainer": [hook]}
    return path


def mounted_outside(ground: Ground, written: Path) -> str:
    """Return what is mounted in the "host", by such a file; it is not there where none was run."""
    if not written.exists():
        return ""
    targets = [line.split(" ")[4] for line in written.read_text("utf-8").splitlines()]
    return " ".join(each for each in targets if each.startswith(f"{ground.host}"))


@attack("A04", "exchange a mount's target for a link to the host", "CVE-2021-30465")
def mounts_elsewhere(ground: Ground) -> Iterator[Finding]:
    """Mount in a volume on a folder that is a link half of the time."""
    yield from _raced(ground, "/vol/sub")


@attack("A05", "exchange a folder of a missing target for a link to the host", "CVE-2024-45310")
def made_elsewhere(ground: Ground) -> Iterator[Finding]:
    """Mount in a volume where the target has to be made first."""
    yield from _raced(ground, "/vol/sub/new{}/deep")


def _raced(ground: Ground, target: str) -> Iterator[Finding]:
    volume = ground.volume("sub")
    (volume / "link").symlink_to(ground.host / "inner")
    swapper = swapping(ground, volume, ("sub", "link"))
    starts = refused = 0
    for number in rounds(ground):
        bundle = ground.bundle()
        bundle.bind(volume, "/vol")
        for each in range(_AT_ONCE):
            bundle.mounts.append(
                {"destination": target.format(number * _AT_ONCE + each), "type": "tmpfs",
                 "source": "tmpfs", "options": ["size=4k"]}
            )  # fmt: skip
        written = watched(ground, bundle)
        starts += 1
        try:
            bundle.create("identity").delete()
        except Refused:
            refused += 1
        harm, outside = ground.harm(), mounted_outside(ground, written)
        if harm or outside:
            yield Finding(OPEN, f"start {starts}: made {harm or 'nothing'}, mounted on "
                                f"{outside[:200] or 'nothing'}")  # fmt: skip
            return
    for container in swapper:
        container.delete()
    yield judged(harmed=False, seen=f"{starts} starts of {_AT_ONCE} mounts each, {refused} refused")


def _null(volume: Path) -> None:
    os.mknod(volume / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))


def _masking(ground: Ground, volume: Path, count: int) -> Bundle:
    bundle = ground.bundle()
    bundle.without_mount("/dev")
    bundle.bind(volume, "/dev")
    for number in range(count):
        (bundle.rootfs / f"masked{number}").write_text("hidden", "ascii")
    (bundle.rootfs / "decoy").write_text("of the image", "ascii")
    bundle.linux["maskedPaths"] = [f"/masked{number}" for number in range(count)]
    return bundle


def _unmasked(bundle: Bundle, count: int) -> tuple[str, str]:
    """Return what is not masked, and why the container was refused, if it was."""
    done = bundle.run(*(f"stat:/masked{number}" for number in range(count)))
    if not done.step("stat:/masked0"):
        return "", done.error
    for number in range(count):
        seen = done.step(f"stat:/masked{number}")
        if " 1:3 " not in seen:
            return f"/masked{number}: {seen}", ""
    return "", ""


@attack("A06", "let masked paths be masked by what is not /dev/null", "CVE-2025-31133")
def masked_by_another(ground: Ground) -> Iterator[Finding]:
    """Have /dev/null be a link, be exchanged for one, and be missing from time to time."""
    volume = ground.volume()
    (volume / "null").symlink_to("/decoy")
    bad, why = _unmasked(_masking(ground, volume, 1), 1)
    if why:
        yield Finding(REFUSED, f"/dev/null is a link: {why}")
    else:
        yield judged(harmed=bad, seen=f"/dev/null is a link: {bad or 'masked by 1:3'}")
    volume = ground.volume()
    _null(volume)
    (volume / "link").symlink_to("/decoy")
    swapper = swapping(ground, volume, ("null", "link"))
    yield _race_of_masks(ground, volume, "exchanged for a link")
    for each in swapper:
        each.delete()
    volume = ground.volume()
    _null(volume)
    bundle = ground.bundle()
    bundle.bind(volume, "/vol")
    swapper = [bundle.start("flicker", "/vol/null")]
    _hurry(swapper[0])
    yield _race_of_masks(ground, volume, "renamed and back")
    for each in swapper:
        each.delete()


def _race_of_masks(ground: Ground, volume: Path, says: str) -> Finding:
    starts = refused = 0
    for _ in rounds(ground):
        bad, why = _unmasked(_masking(ground, volume, _AT_ONCE), _AT_ONCE)
        starts += 1
        refused += bool(why)
        if bad:
            return Finding(OPEN, f"/dev/null {says}, start {starts}: {bad}")
    return Finding(CONTAINED, f"/dev/null {says}: {starts} starts of {_AT_ONCE} masks each, "
                              f"{refused} refused")  # fmt: skip


@attack("A07", "let the console be a file of /proc", "CVE-2025-52565")
def console_elsewhere(ground: Ground) -> Iterator[Finding]:
    """Exchange /dev/pts, and /dev/console, for what leads to a file of procfs."""
    for pair in (("pts", "evil"), ("console", "console-link")):
        volume = ground.volume("pts", "evil")
        _null(volume)
        # Of the container's own UTS namespace: nothing of the host's, should it be had.
        aim = "/proc/sys/kernel/domainname"
        (volume / "evil" / "0").symlink_to(aim)
        (volume / "console").touch()
        (volume / "console-link").symlink_to(aim)
        (volume / "ptmx").symlink_to("pts/ptmx")
        swapper = swapping(ground, volume, pair)
        yield _race_of_consoles(ground, volume, f"/dev/{pair[0]} exchanged")
        for each in swapper:
            each.delete()


def _race_of_consoles(ground: Ground, volume: Path, says: str) -> Finding:
    starts = refused = 0
    why = ""
    for _ in rounds(ground, least=8):
        bundle = ground.bundle()
        bundle.without_mount("/dev")
        bundle.bind(volume, "/dev")
        bundle.mounts.append(
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}
        )  # fmt: skip
        # It takes a moment, in which the names may change.
        watched(ground, bundle)
        starts += 1
        try:
            container = with_terminal(bundle, "pause")
        except Refused as error:
            refused += 1
            why = str(error)
            continue
        wrong = _procfs_files(container)
        container.delete()
        if wrong or ground.harm():
            return Finding(OPEN, f"{says}, start {starts}: {wrong or ground.harm()}")
    return Finding(CONTAINED, f"{says}: {starts} starts, {refused} refused ({why[-150:]})")


def with_terminal(bundle: Bundle, *steps: str) -> Running:
    """Create a container with a terminal, whose other end is received and let go."""
    bundle.process["terminal"] = True
    path = bundle.folder / "console.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        container = bundle.create(*steps, options=("--console-socket", str(path)))
        connection, _ = listener.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 100, 4)
            for each in descriptors:
                os.close(each)
    return container


def _procfs_files(container: Running) -> str:
    """Return what is bound from procfs into the container beside what its config asks for."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{container.pid}/mountinfo").read_text("utf-8").splitlines():
            left, _, right = line.partition(" - ")
            root, target = left.split(" ")[3:5]
            if right.startswith("proc ") and root != "/" and target not in READ_ONLY:
                return f"{root} of procfs is mounted at {target}"
            # The console's terminal, on top of what is only to be read.
            if right.startswith("devpts ") and target.startswith("/proc"):
                return ""
    return ""
