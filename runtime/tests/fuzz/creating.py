"""Gives mutated configs to the real create: each makes a whole container, or leaves nothing.

What a config could do to the host is kept out of it: it has all namespaces, no hook, cgroups of its
own, and all is done in a mount and a network namespace of this test's.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import decoding
from attacking import ground as places

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(sys.executable).with_name("seatrial-oci")
#: These are as they were, whatever is mutated.
FIXED = ("namespaces", "cgroupsPath", "netDevices", "sysctl", "intelRdt", "uidMappings",
         "gidMappings")  # fmt: skip
MORE: dict[str, Any] = {
    "rootfsPropagation": "slave",
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
    "personality": {"domain": "LINUX"},
}


def configs(seed: int) -> Iterator[dict[str, Any]]:
    """Yield mutated configs that can harm nobody, without end."""
    mutator = decoding.Mutator(seed)
    whole = places.config()
    whole["process"]["args"] = ["/attacker", "pause"]
    whole["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512}]
    whole["linux"] |= MORE
    while True:
        document = mutator.document(whole, [whole])
        if not isinstance(document, dict):
            continue
        document.pop("hooks", None)
        # Its own root and namespaces, else it would be this host's.
        document["root"] = {"path": "rootfs", "readonly": mutator.random.random() < 0.5}
        linux = document.get("linux")
        document["linux"] = linux = linux if isinstance(linux, dict) else {}
        for name in FIXED:
            linux.pop(name, None)
        linux["namespaces"] = copy.deepcopy(whole["linux"]["namespaces"])
        resources = linux.get("resources")
        if isinstance(resources, dict):
            resources.pop("unified", None)
        yield document


def sampled(count: int, seed: int) -> str:
    """Create so many; return what came of them.  Raises ``SystemExit`` for a half-made one."""
    made = refused = 0
    with places.Ground([str(COMMAND)]) as ground:
        for _, document in zip(range(count), configs(seed), strict=False):
            bundle = ground.bundle()
            bundle.config = document
            before = _around(ground, bundle)
            identifier = ground.new_id()
            done = ground.call("create", "--bundle", str(bundle.write()), identifier)
            wrong = _refused(ground, identifier, done)
            if not done.failed:
                made += 1
                wrong = _whole(ground, identifier)
            else:
                refused += 1
                if _around(ground, bundle)[1] != before[1]:
                    wrong = "files are left in the root filesystem"
            if not wrong and _around(ground, bundle)[0] != before[0]:
                wrong = "mounts are left"
            if wrong:
                decoding.BUILD.mkdir(parents=True, exist_ok=True)
                kept = decoding.BUILD / "half-made.json"
                kept.write_text(json.dumps(document), "utf-8")
                raise SystemExit(f"{wrong} ({kept}): {done.said[-1000:]}")
    return (
        f"seed {seed}: {count} configs given to create: {made} whole containers, {refused} refused"
    )


def _around(ground: places.Ground, bundle: places.Bundle) -> tuple[list[str], list[str]]:
    """Return what is mounted here, and what is in the root filesystem."""
    lines = Path("/proc/thread-self/mountinfo").read_text("utf-8").splitlines()
    files = sorted(str(each) for each in bundle.rootfs.rglob("*"))
    del ground
    return lines, files


def _left(ground: places.Ground, identifier: str) -> str:
    if (ground.state / identifier).exists():
        return "a state folder is left"
    left = [each for each in ground.cgroups_of(identifier) if each.exists()]
    return f"cgroups are left: {left[0]}" if left else ""


def _refused(ground: places.Ground, identifier: str, done: places.Done) -> str:
    """Return what is wrong with a refusal; empty where it leaves nothing, and says why."""
    if done.status < 0:
        return "create hangs, or was killed"
    if "Traceback" in done.said or (done.failed and not done.said.strip()):
        return "create does not say in a sentence what is wrong"
    return _left(ground, identifier) if done.failed else ""


def _whole(ground: places.Ground, identifier: str) -> str:
    """Return what is wrong with a container that was created, until nothing is left of it."""
    state = ground.call("state", identifier)
    if state.failed or json.loads(state.said)["status"] != "created":
        return f"create succeeds, and the state is {state.said}"
    started = ground.call("start", identifier)
    if "Traceback" in started.said or started.status < 0:
        return f"start fails badly: {started.said}"
    deleted = ground.call("delete", "--force", identifier)
    return f"delete fails: {deleted.said}" if deleted.failed else _left(ground, identifier)
