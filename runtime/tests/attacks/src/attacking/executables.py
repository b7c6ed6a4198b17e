"""Attacks on the runtime's own processes: what they execute, and what they have open."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from attacking.attack import OPEN, REFUSED, Finding, attack, judged, rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attacking.ground import Done, Ground

_FEW_FDS = 10
_MOST_FDS = 200


def private_copy(ground: Ground) -> tuple[list[str], list[Path]]:
    """Copy the runtime onto the ground; return its command, and the files that it is."""
    real = Path(shutil.which(ground.command[0]) or ground.command[0])
    folder = ground.folder / "victim"
    if not (real.parent / "python3").exists() or real.parent == Path("/usr/bin"):
        folder.mkdir(exist_ok=True)
        shutil.copy(real, folder / real.name)
        return [str(folder / real.name), *ground.command[1:]], [folder / real.name]
    # It starts the Python beside itself.
    if not folder.exists():
        venv.create(folder, symlinks=False)
    own = real.parent.parent / "src"
    lines = [str(own)] if (own / "seatrial" / "oci").is_dir() else []
    lines += [each for each in sys.path if each.startswith("/")]
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(site, "ours.pth").write_text("".join(f"{each}\n" for each in lines), "utf-8")
    launcher = folder / "bin" / real.name
    shutil.copy(real, launcher)
    return [str(launcher), *ground.command[1:]], [launcher, folder / "bin" / "python3"]


def _digests(files: list[Path]) -> list[str]:
    return [hashlib.sha256(each.read_bytes()).hexdigest() for each in files]


@attack("A01", "write to the runtime's program from inside", "CVE-2019-5736")
def overwritten(ground: Ground) -> Iterator[Finding]:
    """Open what the processes of ``exec`` execute, and what ``/proc/self/exe`` is there."""
    bundle = ground.bundle()
    entry = bundle.rootfs / "entry"
    entry.write_text("#!/proc/self/exe --version\n", "ascii")
    entry.chmod(0o755)
    for each in ("bounding", "effective", "permitted"):
        bundle.process["capabilities"][each].append("CAP_SYS_PTRACE")
    installed = ground.command
    ground.command, files = private_copy(ground)
    try:
        before = _digests(files)
        container = bundle.start("overwrite")
        answers = {}
        for number in rounds(ground):
            for args in (["/proc/self/exe"], ["/entry"], ["/attacker", "identity"]):
                answers[args[0]] = container.execute(*args)
                if _digests(files) != before:
                    yield Finding(OPEN, f"exec {number + 1}: the runtime's program was changed")
                    return
        said = container.ended(sent=signal.SIGUSR1)
        container.delete()
        harmed = _digests(files) != before or "WRITTEN" in said.said
        yield judged(harmed=harmed, seen=f"{said.step('tried') or said.said[-200:]}")
        for name in ("/proc/self/exe", "/entry"):
            # A runtime may run its own copy there: then it is the copy that was looked at above.
            if answers[name].failed:
                yield Finding(REFUSED, f"exec {name}: {answers[name].error}")
            else:
                yield judged(harmed=False, seen=f"exec {name}: {answers[name].error}")
        yield _as_first(ground, "/proc/self/exe", files, before)
        yield _as_first(ground, "/entry", files, before)
    finally:
        ground.command = installed


def _as_first(ground: Ground, program: str, files: list[Path], before: list[str]) -> Finding:
    bundle = ground.bundle()
    entry = bundle.rootfs / "entry"
    entry.write_text("#!/proc/self/exe --version\n", "ascii")
    entry.chmod(0o755)
    done = bundle.run_args(program, "--version")
    if _digests(files) != before:
        return Finding(OPEN, f"run {program}: the runtime's program was changed")
    if done.failed:
        return Finding(REFUSED, f"run {program}: {done.error}")
    # What ran was something of the runtime's: with the container's libraries, had it any.
    return judged(harmed=False, seen=f"run {program}: {done.error}")


@attack("A02", "look into the runtime's processes that enter", "CVE-2016-9962", "CVE-2024-21626")
def looked_into(ground: Ground) -> Iterator[Finding]:
    """Follow root, cwd and descriptors of every process that comes into the pid namespace."""
    bundle = ground.bundle()
    for name in ("bounding", "effective", "permitted"):
        bundle.process["capabilities"][name].append("CAP_SYS_PTRACE")
    for says, folders in (("", []), (", called with a folder of the host open", [ground.folder])):
        container = bundle.start("spy", str(ground.host / "marker"))
        inherited = tuple(os.open(each, os.O_RDONLY) for each in folders)
        count = 0
        try:
            for _ in rounds(ground):
                container.execute("/attacker", "identity", descriptors=inherited)
                count += 1
                if "REACHED" in container.output.read_text("utf-8"):
                    break
        finally:
            for each in inherited:
                os.close(each)
        said = container.ended(sent=signal.SIGUSR1)
        container.delete()
        reached = said.step("REACHED").partition(";")[0]
        seen = f"{count} execs{says}: {said.step('spied')}"
        yield judged(harmed=reached, seen=f"{seen}; {reached} led to the host" if reached else seen)


@attack("A03", "work in a folder of the host by a descriptor", "CVE-2024-21626")
def left_open(ground: Ground) -> Iterator[Finding]:
    """Take each descriptor that the runtime may have left open as working directory."""
    yield from _left_open(ground, [], "")
    # What a caller has left open is not the runtime's fault, but it may close the door.
    yield from _left_open(ground, [ground.folder], ", called with a folder of the host open")


def _left_open(ground: Ground, folders: list[Path], says: str) -> Iterator[Finding]:
    marker = str(ground.host / "marker")
    inherited = tuple(os.open(each, os.O_RDONLY) for each in folders)
    try:
        most = _FEW_FDS if ground.seconds <= 2 else _MOST_FDS
        numbers = [*inherited] if inherited else [*range(3, most)]
        yield _worked_in(ground, numbers, inherited, says)
        container = ground.bundle().start("pause")
        refused = 0
        for number in numbers:
            done = container.execute(
                "/attacker", f"where:{marker}", options=("--cwd", f"/proc/self/fd/{number}"),
                descriptors=inherited,
            )  # fmt: skip
            if _is_outside(done, marker):
                yield Finding(OPEN, f"exec --cwd /proc/self/fd/{number}{says}: {done.error}")
            refused += done.failed
        yield judged(harmed=False, seen=f"exec --cwd{says}: {refused} of {len(numbers)} refused")
        listed = container.execute("/attacker", "descriptors", descriptors=inherited)
        container.delete()
        yield _only_three("exec", listed, says)
        done = ground.bundle().run("descriptors", descriptors=inherited)
        yield _only_three("run", done, says)
    finally:
        for each in inherited:
            os.close(each)


def _is_outside(done: Done, marker: str) -> bool:
    where = done.step(f"where:{marker}").removeprefix("ok ")
    return "REACHED" in where or "(unreachable)" in where


def _worked_in(
    ground: Ground, numbers: list[int], inherited: tuple[int, ...], says: str
) -> Finding:
    marker = str(ground.host / "marker")
    refused, tries = 0, [(number, linked) for number in numbers for linked in (False, True)]
    done = None
    for number, linked in tries:
        bundle = ground.bundle()
        (bundle.rootfs / "link").symlink_to(f"/proc/self/fd/{number}")
        bundle.process["cwd"] = "/link" if linked else f"/proc/self/fd/{number}"
        done = bundle.run(f"where:{marker}", descriptors=inherited)
        if _is_outside(done, marker):
            return Finding(OPEN, f"cwd {bundle.process['cwd']}{says}: {done.error}")
        refused += done.failed
    seen = f"cwd{says}: {refused} of {len(tries)} refused: {done.error if done else ''}"
    return Finding(REFUSED, seen) if refused == len(tries) else judged(harmed=False, seen=seen)


def _only_three(verb: str, done: Done, says: str) -> Finding:
    words = done.step("descriptors").removeprefix("ok ").split()
    more = [each for each in words if int(each.partition("=")[0]) > 2]
    seen = f"{verb}{says}: open are {' '.join(words) or done.error}"
    return judged(harmed=bool(more) or not words, seen=seen)
