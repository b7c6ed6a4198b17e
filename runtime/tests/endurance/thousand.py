"""Many containers, several at a time, and nothing left of them: ``thousand.py --count 1000``.

By the command line and by the Python API, in turn; with hooks, network namespaces, user namespaces;
creates that fail, programs that are not there, runtimes that are killed amid a create.  What the
host had before and what it has afterwards is compared: mounts, cgroups, processes, namespaces,
shared memory, files, the descriptors of the processes that use the API.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from place import Outcome, Place, attempt

from seatrial.oci import Container
from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
SIZE = 65536
EXIT = 7

#: What a container has besides the least; how its life ends.
KINDS = ("plain", "hooks", "network", "user", "fails", "no folder", "killed")


def host_id(number: int) -> int:
    """Return the first of the ids that a container has outside of its user namespace."""
    return SIZE * (3 + number % 60000)


def config_of(kind: str, cgroup: str, number: int) -> dict[str, Any]:
    """Return the config of a container of a kind."""
    more = {"network": ["network"], "user": ["user", "network"]}
    kinds = ["mount", "pid", "ipc", "uts", *more.get(kind, [])]
    hook = {"path": "/usr/bin/true"}
    linux: dict[str, Any] = {
        "cgroupsPath": f"{cgroup}/{kind.replace(' ', '-')}/{number}",
        "namespaces": [{"type": each} for each in kinds],
        "resources": {"pids": {"limit": 100}},
        "maskedPaths": ["/proc/kcore"],
    }
    if kind == "user":
        # Each has ids of its own: the kernel forgets keyrings minutes after their processes are
        # gone, and lets a user have 200 (keyrings(7), gc_delay and maxkeys).
        mapping = [{"containerID": 0, "hostID": host_id(number), "size": SIZE}]
        linux |= {"uidMappings": mapping, "gidMappings": mapping}
    hooks: dict[str, list[dict[str, Any]]] = {}
    if kind == "hooks":
        hooks = {name: [hook] for name in ("prestart", "createRuntime", "createContainer",
                                           "poststart", "poststop")}  # fmt: skip
    if kind == "fails":
        hooks = {"createContainer": [{"path": "/usr/bin/false"}]}
    if kind == "killed":
        # The hook's parent is the runtime, or, in the container, the container process.
        place = ("prestart", "createRuntime", "createContainer")[number % 3]
        kill = "kill -KILL $PPID" if place != "createContainer" else "kill -KILL $RUNTIME"
        hooks = {place: [{"path": "/bin/sh", "args": ["sh", "-c", kill]}]}
    return {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/none" if kind == "no folder" else "/", "args": ["/program"]},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm"},  # noqa: S108 - a mount point
        ],
        "linux": linux,
        **({"hooks": hooks} if hooks else {}),
    }


def bundle_of(place: Place, kind: str, number: int) -> Path:
    """Make a bundle."""
    bundle = place.folder / f"bundle-{number}"
    rootfs = bundle / "rootfs"
    rootfs.mkdir(parents=True)
    if kind == "user":
        os.chown(rootfs, host_id(number), host_id(number))
    os.link(place.folder / "program", rootfs / "program")
    content = config_of(kind, place.cgroup, number)
    (bundle / "config.json").write_text(json.dumps(content), "utf-8")
    return bundle


class Failure(Exception):  # noqa: N818 - an outcome
    """A container did not live as it should."""


def call(place: Place, *words: str, status: int = 0) -> None:
    """Call the runtime; raises ``Failure`` for another exit status."""
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [COMMAND, "--root", str(place.root), *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=said, check=False,
        )  # fmt: skip
        said.seek(0)
        if done.returncode != status:
            raise Failure(f"{' '.join(words)}: exit status {done.returncode}: {said.read()}")


def by_commands(place: Place, kind: str, number: int, bundle: Path) -> None:
    """Let a container live by single commands."""
    name = place.name(number)
    if kind == "killed":
        kill_amid_create(place, number, bundle)
        return
    call(place, "create", "--bundle", str(bundle), name, status=int(kind == "fails"))
    if kind == "fails":
        return
    call(place, "start", name, status=int(kind == "no folder"))
    call(place, "delete", "--force", name)


def kill_amid_create(place: Place, number: int, bundle: Path) -> None:
    """Kill a runtime: at a hook, or wherever it may be; then a delete by force has to do."""
    name = place.name(number)
    # What is killed is the runtime's process, whose pid the hook is told.
    script = 'RUNTIME=$$ exec "$@"'
    command = ["sh", "-c", script, "sh", COMMAND, "--root", str(place.root)]
    runtime = subprocess.Popen(
        [*command, "create", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if number % 2:
        time.sleep(random.Random(number).uniform(0.02, 0.3))  # noqa: S311 - when is not a secret
        runtime.kill()
    if runtime.wait() not in {-signal.SIGKILL, 0, 1}:
        raise Failure(f"{name}: exit status {runtime.returncode} of a runtime that was killed")
    call(place, "delete", "--force", name)


def by_run(place: Place, kind: str, number: int, bundle: Path) -> None:
    """Let a container live by one command."""
    if kind == "killed":
        kill_amid_create(place, number, bundle)
        return
    fails = kind in {"fails", "no folder"}
    call(place, "run", "--bundle", str(bundle), place.name(number), status=1 if fails else EXIT)


def by_api(place: Place, kind: str, number: int, bundle: Path) -> None:
    """Let a container live in this process."""
    if kind == "killed":  # it would be this process
        kill_amid_create(place, number, bundle)
        return
    container = Container(place.name(number), bundle=str(bundle), root=str(place.root))
    try:
        container.create().start()
        if container.wait(60) != EXIT:
            raise Failure(f"{place.name(number)} ended with another exit status")
    except OCIError as error:
        if kind not in {"fails", "no folder"}:
            raise Failure(f"{place.name(number)} ({kind}): {error}") from None
    finally:
        container.delete(force=True)


def live(place: Place, numbers: Iterator[int], parallel: int) -> list[str]:
    """Let containers live, each thread in its own way; return what went wrong."""
    wrong: list[str] = []
    lock = threading.Lock()

    def work(act: Callable[[Place, str, int, Path], None]) -> None:
        while True:
            with lock:
                number = next(numbers, -1)
            if number < 0:
                return
            kind = KINDS[number % len(KINDS)]
            bundle = bundle_of(place, kind, number)
            try:
                act(place, kind, number, bundle)
            except Exception as failure:  # noqa: BLE001 - each is a complaint, and the others go on
                wrong.append(f"{kind} {number}: {type(failure).__name__}: {failure}")
            shutil.rmtree(bundle)

    ways = (by_commands, by_api, by_run, by_api)
    workers = [
        threading.Thread(target=work, args=(ways[each % len(ways)],)) for each in range(parallel)
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Let them live, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--parallel", type=int, default=8)
    wanted = parser.parse_args(arguments)

    def act(place: Place) -> Outcome:
        wrong = live(place, iter(range(wanted.count)), wanted.parallel)
        return Outcome(f"{wanted.count} containers, {wanted.parallel} at a time", wrong)

    return attempt(__file__, act)


if __name__ == "__main__":
    sys.exit(main())
