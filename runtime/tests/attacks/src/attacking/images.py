"""Attacks by what an image or a volume has in the place of /proc, /dev and links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacking.attack import OPEN, REFUSED, UNTRIED, Finding, attack, judged
from attacking.ground import MASKED, READ_ONLY, Refused
from attacking.races import mounted_outside, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attacking.ground import Bundle, Ground

_SCORE = 321
#: What runtimes write to in a container's /proc: kernel parameters, the OOM score, labels.
_FAKES = (
    "sys/net/ipv4/ip_forward", "self/oom_score_adj", "1/oom_score_adj", "self/attr/exec",
    "self/attr/apparmor/exec", "self/attr/current", "self/attr/keycreate", "1/attr/exec",
    "thread-self/attr/exec", "thread-self/attr/apparmor/exec",
)  # fmt: skip


def _fake(folder: Path) -> None:
    for name in _FAKES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("fake", "ascii")


def _written(folder: Path) -> str:
    return " ".join(name for name in _FAKES if (folder / name).read_text("utf-8") != "fake")


def _forwards(ground: Ground, pid: int) -> str:
    """Return the kernel parameter in a process's network namespace."""
    done = ground.call("", wrapper=("nsenter", "-n", "-t", str(pid), "sh", "-c",
                                    "cat /proc/sys/net/ipv4/ip_forward"))  # fmt: skip
    return done.said.strip()


def _on_a_fake(ground: Ground, bundle: Bundle, fake: Path, says: str) -> Finding:
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.process["oomScoreAdj"] = _SCORE
    try:
        container = bundle.start("pause")
    except Refused as refused:
        written = _written(fake)
        if not written:
            return Finding(REFUSED, f"{says}: {refused}")
        return Finding(OPEN, f"{says}: wrote to {written} of the image, and then refused")
    written = _written(fake)
    score = Path(f"/proc/{container.pid}/oom_score_adj").read_text("ascii").strip()
    forwards = _forwards(ground, container.pid)
    container.delete()
    harmed = written or forwards != "1" or score != str(_SCORE)
    seen = f"{says}: wrote to {written or 'nothing'} of the image; ip_forward is {forwards}, "
    return judged(harmed=bool(harmed), seen=f"{seen}the OOM score {score}")


@attack("A08", "take writes to /proc by what only looks like it", "CVE-2025-52881",
        "CVE-2019-19921", "CVE-2023-27561", "CVE-2023-28642")  # fmt: skip
def fake_procfs(ground: Ground) -> Iterator[Finding]:
    """Have /proc be a link, and a volume, with files that kernel parameters are written to."""
    bundle = ground.bundle()
    fake = bundle.rootfs / "fake"
    _fake(fake)
    (bundle.rootfs / "proc").rmdir()
    (bundle.rootfs / "proc").symlink_to("fake")
    yield _on_a_fake(ground, bundle, fake, "/proc is a link")
    volume = ground.volume()
    _fake(volume)
    bundle = ground.bundle()
    bundle.mounts[:] = bundle.mounts[1:]
    bundle.bind(volume, "/proc")
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    yield _on_a_fake(ground, bundle, volume, "/proc is a volume")


@attack("A09", "make devices where a link of the image leads", "CVE-2026-41579")
def linked_dev(ground: Ground) -> Iterator[Finding]:
    """Have /dev, and a device in it, be a link to a folder of the host."""
    for mounted in (True, False):
        bundle = ground.bundle()
        (bundle.rootfs / "dev").rmdir()
        (bundle.rootfs / "dev").symlink_to(ground.host / "inner")
        if not mounted:
            bundle.without_mount("/dev")
        yield _harmless(ground, bundle, f"/dev is a link, a tmpfs on it: {mounted}")
    bundle = ground.bundle()
    bundle.without_mount("/dev")
    for name in ("null", "console", "ptmx", "fd"):
        (bundle.rootfs / "dev" / name).symlink_to(ground.host / "inner" / "null")
    yield _harmless(ground, bundle, "/dev/null, console, ptmx and fd are links")


def _harmless(ground: Ground, bundle: Bundle, says: str) -> Finding:
    written = watched(ground, bundle)
    done = bundle.run("identity")
    harm, outside = ground.harm(), mounted_outside(ground, written)
    if harm or outside:
        seen = f"{says}: made {harm or 'nothing'}, mounted on {outside[:200] or 'nothing'}"
        return judged(harmed=True, seen=seen)
    if done.failed:
        return Finding(REFUSED, f"{says}: {done.error}")
    return judged(harmed=False, seen=f"{says}: the host's files are as they were")


@attack("A10", "have labels written to a volume on /proc", "CVE-2019-16884")
def labels_elsewhere(ground: Ground) -> Iterator[Finding]:
    """Ask for a label, with a volume in the place of /proc."""
    for name, member in (("AppArmor", "apparmorProfile"), ("SELinux", "selinuxLabel")):
        volume = ground.volume()
        _fake(volume)
        bundle = ground.bundle()
        bundle.mounts[:] = bundle.mounts[1:]
        bundle.bind(volume, "/proc")
        bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
        bundle.process[member] = "system_u:system_r:container_t:s0"
        done = bundle.run("identity")
        if _written(volume):
            yield judged(harmed=True, seen=f"{name}: {_written(volume)} of the volume was written")
        elif done.failed:
            yield Finding(REFUSED, f"{name}: {done.error}")
        else:
            yield judged(harmed=False, seen=f"{name}: nothing was written to the volume; none here")


def _hidden(answer: str) -> bool:
    """Whether what is masked shows nothing: an error, an empty file, an empty folder."""
    return answer == "ok" or answer.startswith("errno")


@attack("A19", "write to what is read-only, read what is masked")
def protected_paths(ground: Ground) -> Iterator[Finding]:
    """Open the files of /proc and /sys for writing; list and read all masked paths."""
    files = [name for name in (
        "/proc/sys/kernel/domainname", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
        "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state",
    ) if Path(name).exists()]  # fmt: skip
    there = [name for name in MASKED if Path(name).exists()]
    done = ground.bundle().run(
        *(f"writable:{name}" for name in files), "create:/sys/new",
        *(f"{'list' if Path(name).is_dir() else 'read'}:{name}" for name in there),
    )  # fmt: skip
    wrong = [f"{name} can be opened for writing" for name in files
             if not done.step(f"writable:{name}").startswith("errno 30")]  # fmt: skip
    shown = {name: done.step(f"list:{name}") or done.step(f"read:{name}") for name in there}
    wrong += [f"{name} shows {text[:40]!r}" for name, text in shown.items() if not _hidden(text)]
    seen = f"{len(files)} files of {', '.join(READ_ONLY[3:])} and /sys answer EROFS, {len(there)} "
    seen += "masked paths show nothing"
    yield judged(harmed=bool(wrong) or done.failed, seen="; ".join(wrong) or done.error[:100]
                 if wrong or done.failed else seen)  # fmt: skip


def _magic(ground: Ground) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield changes of a config, each with a path that a link of procfs leads to the host by."""
    for link in ("/proc/self/root", "/proc/1/root", "/proc/self/cwd", "/proc/thread-self/root"):
        host = f"{link}{ground.host}/inner"
        for target in (f"{host}/new", host):
            mount = {"destination": target, "type": "tmpfs", "source": "tmpfs"}
            yield f"a mount at {link}", {"mounts": [mount]}
        bind = {"destination": f"{host}/null", "type": "bind", "source": str(ground.attacker),
                "options": ["bind"]}  # fmt: skip
        yield f"a bind mount at {link}", {"mounts": [bind]}
        device = {"path": f"{host}/device", "type": "c", "major": 1, "minor": 3}
        yield f"a device at {link}", {"linux": {"devices": [device]}}
        yield f"a masked path at {link}", {"linux": {"maskedPaths": [f"{host}/null"]}}
        yield f"a read-only path at {link}", {"linux": {"readonlyPaths": [f"{host}/null"]}}
        yield f"a cwd at {link}", {"process": {"cwd": host}}


@attack("A22", "lead the config's paths to the host by links of procfs")
def magic_links(ground: Ground) -> Iterator[Finding]:
    """Have mounts, devices, masks and the working directory at /proc/self/root and the like."""
    refused = count = 0
    why = ""
    for says, changes in _magic(ground):
        bundle = ground.bundle()
        bundle.mounts += changes.get("mounts", [])
        bundle.linux |= changes.get("linux", {})
        bundle.process |= changes.get("process", {})
        found = _harmless(ground, bundle, says)
        count += 1
        if found.outcome == REFUSED:
            refused, why = refused + 1, found.seen
        elif found.outcome != "contained":
            yield found
            return
    seen = f"{count} paths, {refused} refused ({why[-200:]})"
    yield Finding(REFUSED, seen) if refused == count else judged(harmed=False, seen=seen)


@attack("A23", "change what the host executes, and who is killed for lack of memory")
def of_the_host(ground: Ground) -> Iterator[Finding]:
    """Open core_pattern and the like for writing; lower the OOM score."""
    files = [each for each in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                               "/proc/sys/kernel/hotplug", "/sys/kernel/uevent_helper")
             if Path(each).exists()]  # fmt: skip
    before = [Path(each).read_bytes() for each in files]
    bundle = ground.bundle()
    done = bundle.run(*(f"writable:{each}" for each in files))
    wrong = [each for each in files if not done.step(f"writable:{each}").startswith("errno")]
    wrong += [f"{each} was changed" for each, content in zip(files, before, strict=True)
              if Path(each).read_bytes() != content]  # fmt: skip
    seen = f"{', '.join(wrong) or done.error} can be written to"
    if not wrong and not done.failed:
        seen = f"{', '.join(files)} cannot be written to"
    yield judged(harmed=bool(wrong) or done.failed, seen=seen)
    own = int(Path("/proc/self/oom_score_adj").read_text("ascii"))
    if own + _SCORE > 1000:
        yield Finding(UNTRIED, f"this process has the OOM score {own} already")
        return
    for wanted in (None, _SCORE):
        bundle = ground.bundle()
        if wanted is not None:
            bundle.process["oomScoreAdj"] = wanted
        container = bundle.start("pause")
        found = int(Path(f"/proc/{container.pid}/oom_score_adj").read_text("ascii"))
        container.delete()
        yield judged(
            harmed=found < own or found != (own if wanted is None else wanted),
            seen=f"asked for the OOM score {wanted}, it is {found}, ours {own}",
        )
