"""Attacks by what a process of a container may do: capabilities, groups, devices, handles."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from attacking.attack import UNTRIED, Finding, attack, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attacking.ground import Done, Ground

_NONE = "0" * 16
_USER = {"uid": 1000, "gid": 2000}


def _status(done: Done) -> dict[str, str]:
    """Return what the attacker said of its status: capability sets and the like."""
    return dict(re.findall(r"(\w+): (\w+)", done.step("status")))


def _controllers() -> list[str]:
    """Return the controllers of v1 that are mounted, alone in their hierarchies."""
    with open("/proc/self/mounts", encoding="utf-8") as lines:
        words = [line.split() for line in lines]
    names = [Path(each[1]).name for each in words if each[2] == "cgroup" and "name=" not in each[3]]
    return [each for each in names if "," not in each]


@attack("A11", "have the host execute a release agent", "CVE-2022-0492")
def release_agent(ground: Ground) -> Iterator[Finding]:
    """Mount a hierarchy in namespaces of one's own, and open its release_agent; write nothing."""
    controllers = _controllers()
    if not controllers:
        yield Finding(UNTRIED, "no hierarchy of cgroup v1 is mounted here")
        return
    for controller in controllers[:3]:
        step = f"release-agent:{controller}"
        answer = ground.bundle().run(step).step(step)
        # One line per step: the mount has to fail, if the namespaces were to be had.
        yield judged(harmed="ok mount" in answer or not answer, seen=f"{controller}: {answer}")
    folder = f"/sys/fs/cgroup/{controllers[0]}"
    files = [f"{folder}/{name}" for name in ("cgroup.procs", "notify_on_release", "tasks")]
    done = ground.bundle().run(*(f"writable:{each}" for each in files), f"create:{folder}/x")
    answers = {each: done.step(f"writable:{each}") for each in files}
    wrong = [each for each, answer in answers.items() if not answer.startswith("errno")]
    yield judged(harmed=bool(wrong), seen=f"its own cgroup: {', '.join(wrong)} can be written to"
                 if wrong else f"its own cgroup: {answers[files[0]]} for writing")  # fmt: skip


@attack("A12", "inherit capabilities", "CVE-2022-29162", "CVE-2022-24769", "CVE-2022-27650")
def inheritable(ground: Ground) -> Iterator[Finding]:
    """Look at the sets of the first and of executed processes, as root and as another user."""
    for user in ({"uid": 0, "gid": 0}, _USER):
        bundle = ground.bundle()
        bundle.process["user"] = user
        yield _not_inherited(f"run as {user['uid']}", bundle.run("status"))
        container = bundle.start("pause")
        yield _not_inherited("exec", container.execute("/attacker", "status"))
        yield _not_inherited("exec --user", container.execute(
            "/attacker", "status", options=("--user", "1000:2000")))  # fmt: skip
        yield _not_inherited("exec --cap", container.execute(
            "/attacker", "status", options=("--cap", "CAP_CHOWN")))  # fmt: skip
        container.delete()


def _not_inherited(says: str, done: Done) -> Finding:
    found = _status(done)
    # `exec --cap` may be asked for ambient ones by a runtime's own rule; inheritable is what hurts.
    sets = ("CapInh", "CapAmb")
    harmed = any(found.get(each, _NONE) != _NONE for each in sets)
    if not found:
        return Finding(UNTRIED, f"{says}: {done.error}")
    return judged(harmed=harmed, seen=f"{says}: " + " ".join(f"{e} {found[e]}" for e in sets))


@attack("A13", "get into, or out of, supplementary groups", "CVE-2022-36109", "CVE-2023-25173")
def groups(ground: Ground) -> Iterator[Finding]:
    """Call the runtime with groups of ours; look at the container's, and at a file closed to it."""
    for wanted in ([], [2000]):
        bundle = ground.bundle()
        closed = bundle.rootfs / "etc" / "closed"
        closed.write_text("secret", "ascii")
        os.chown(closed, 0, 2000)
        closed.chmod(0o705)
        bundle.process["user"] = {**_USER, **({"additionalGids": wanted} if wanted else {})}
        for each in ("effective", "permitted"):
            bundle.process["capabilities"][each] = []
        bundle.process["args"] = ["/attacker", "identity", "readable:/etc/closed"]
        done = ground.call("run", "--bundle", str(bundle.write()), ground.new_id(),
                           wrapper=("setpriv", "--groups", "4444,4445"))  # fmt: skip
        found = done.step("identity").rpartition("groups=")[2]
        answer = done.step("readable:/etc/closed")
        harmed = found != ",".join(map(str, wanted)) or not answer.startswith("errno 13")
        seen = f"additionalGids {wanted}, called with 4444 and 4445: groups {found or 'none'}, "
        seen += f"a file 0705 of group 2000: {answer}{done.error if done.failed else ''}"
        yield judged(harmed=harmed, seen=seen)


@attack("A15", "open a file of the host by its handle", "CVE-2014-3519")
def handles(ground: Ground) -> Iterator[Finding]:
    """Take the handle of a file in a volume, and open it without a path."""
    volume = ground.volume()
    (volume / "file").touch()
    for filtered in (True, False):
        bundle = ground.bundle()
        bundle.bind(volume, "/vol")
        if not filtered:
            del bundle.linux["seccomp"]
        answer = bundle.run("handle:/vol/file").step("handle:/vol/file")
        yield judged(harmed=not answer.startswith("errno"),
                     seen=f"{'with' if filtered else 'without'} a filter: {answer}")  # fmt: skip


def _nodes(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield devices that no container has: the disks first, then some that are not dangerous."""
    for each in sorted(Path("/sys/dev/block").glob("*")):
        major, minor = map(int, each.name.split(":"))
        node = folder / each.name
        if not node.exists():
            os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(major, minor))
        yield f"b:{each.name}", node
    for each in (Path("/dev/kmsg"), Path("/dev/loop-control"), Path("/dev/fuse")):
        if each.exists():
            device = each.stat().st_rdev
            yield f"c:{os.major(device)}:{os.minor(device)}", each


@attack("A16", "read the host's devices by a node of one's own")
def devices(ground: Ground) -> Iterator[Finding]:
    """Make a node for a device that the host's root may open, and open it for reading."""
    folder = ground.volume()
    for name, node in _nodes(folder):
        try:
            os.close(os.open(node, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError:
            continue
        step = f"device:{name}"
        answer = ground.bundle().run(step).step(step)
        yield judged(harmed=not answer.startswith("errno"), seen=f"device {name}: {answer}")
        return
    yield Finding(UNTRIED, "this host's root can open no device that containers have not")


@attack("A18", "gain privileges by a set-user-ID program")
def set_user_id(ground: Ground) -> Iterator[Finding]:
    """Execute one with noNewPrivileges, as a user without capabilities."""
    bundle = ground.bundle()
    program = bundle.rootfs / "setuid"
    shutil.copy(ground.attacker, program)
    program.chmod(0o4755)
    bundle.process["user"] = _USER
    bundle.process["noNewPrivileges"] = True
    for each in ("effective", "permitted"):
        bundle.process["capabilities"][each] = []
    done = bundle.run("execute", "/setuid", "identity", "status")
    found = _status(done)
    identity = done.step("identity")
    harmed = "uid=1000,1000,1000" not in identity or found.get("CapEff", "") != _NONE
    seen = f"{identity or done.error}, CapEff {found.get('CapEff')}, NoNewPrivs "
    yield judged(harmed=harmed, seen=f"{seen}{found.get('NoNewPrivs')}")
