"""Load: eight lives at once, races for one id, state roots that are full, read-only, or go away.

``load.py --seconds 600`` (``make load``).  Whatever happens to the runtime, it says so in one
sentence, ends, and leaves nothing that a delete by force does not remove.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

import thousand
from place import Outcome, Place, attempt, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: No command takes longer, even with eight others; what does not die is waited for ten seconds.
HANG_S = 60.0
#: Who runs for one id.
RUNNERS = 8
PAGE_BYTES = 4096
#: In the place, what is not of the many containers.
STUNTS_FOLDER = "stunts"
PROGRAM = """
int pause(void);
int main(int argc, char **argv) { (void)argv; return argc > 1 ? pause() : 7; }
"""


class Wrong(Exception):  # noqa: N818 - an outcome
    """Something is not as it should be."""


class Done(NamedTuple):
    """What came of a command."""

    words: tuple[str, ...]
    status: int
    said: str

    def check(self, *statuses: int) -> Done:
        """Refuse another exit status, and an error that is not one sentence."""
        if self.status not in statuses:
            raise Wrong(f"{' '.join(self.words)}: exit status {self.status}: {self.said}")
        lines = [each for each in self.said.splitlines() if "warning" not in each]
        # 1 is the runtime's, others are of the program.
        good = len(lines) == (self.status == 1)
        if not good or any(not each.startswith("seatrial-oci: ") for each in lines):
            raise Wrong(f"{' '.join(self.words)}: not one sentence: {self.said}")
        return self


class Root:
    """A state root, and a bundle whose containers are in it."""

    def __init__(self, folder: Path, program: Path, cgroup: str) -> None:
        self.folder, self.state = folder, folder / "state"
        self.cgroup = cgroup
        self.bundle = folder / "bundle"
        self._numbers = itertools.count()
        (self.bundle / "rootfs").mkdir(parents=True)
        self.state.mkdir()
        os.link(program, self.bundle / "rootfs" / "program")
        self.write()

    def write(self, *words: str, **members: Any) -> None:
        """Write a config whose program has these arguments, in a cgroup that no other has."""
        document = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["/program", *words]},
            "linux": {
                "cgroupsPath": f"{self.cgroup}/{next(self._numbers)}",
                "namespaces": [{"type": each} for each in ("mount", "pid", "ipc", "network")],
            },
            **members,
        }
        (self.bundle / "config.json").write_text(json.dumps(document), "utf-8")

    def begin(self, *words: str) -> Call:
        """Begin a command."""
        if words[0] in {"create", "run"}:
            words = (words[0], "--bundle", str(self.bundle), *words[1:])
        return Call(self, words)

    def call(self, *words: str) -> Done:
        """Do a command."""
        return self.begin(*words).end()

    def check_empty(self) -> None:
        """Refuse what a container would have left: state, cgroups."""
        left = [str(each) for each in self.state.iterdir() if each.name != "filler"]
        groups = [f"{each}{self.cgroup}" for each in Path("/sys/fs/cgroup").iterdir()]
        left += filter(os.path.exists, groups)
        if left:
            raise Wrong(f"left behind: {left}")


class Call:
    """A command under way."""

    def __init__(self, root: Root, words: tuple[str, ...]) -> None:
        self._words = words
        # A file: a container holds it open, and a pipe would be read until it ends.
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed below
        self._process = subprocess.Popen(
            [thousand.COMMAND, "--root", str(root.state), *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self._said,
        )  # fmt: skip

    def end(self) -> Done:
        """Wait for it; one that hangs is killed, and that is wrong."""
        try:
            status = self._process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise Wrong(f"{' '.join(self._words)}: it hangs") from None
        finally:
            self._said.seek(0)
            said = self._said.read()
            self._said.close()
        return Done(self._words, status, said)


def race(root: Root, *commands: tuple[str, ...]) -> list[Done]:
    """Do these at once."""
    calls = [root.begin(*each) for each in commands]
    return [each.end() for each in calls]


def winners(done: list[Done], losing: str) -> int:
    """Return how many succeeded; the others have to say that they lost."""
    for each in done:
        each.check(0, 1)
        if each.status and not re.search(losing, each.said):
            raise Wrong(f"{' '.join(each.words)}: another error than of who lost: {each.said}")
    return sum(each.status == 0 for each in done)


def race_for_one_id(root: Root, number: int) -> None:
    """One create wins, one start, one delete; a kill reaches what is there."""
    name = f"r{number}"
    root.write("wait")
    if (won := winners(race(root, *[("create", name)] * RUNNERS), "exists already|in use")) != 1:
        raise Wrong(f"{won} of {RUNNERS} creates have won")
    if (won := winners(race(root, *[("start", name)] * RUNNERS), "is running|not waiting")) != 1:
        raise Wrong(f"{won} of {RUNNERS} starts have won")
    pid = json.loads(state_of(root, name))["pid"]
    if not winners(race(root, *[("kill", name, "KILL")] * RUNNERS), "not running"):
        raise Wrong("no kill has reached the container")
    with contextlib.suppress(ProcessLookupError):
        if not wait_for_end(pid, HANG_S):
            raise Wrong("it has not ended after a kill")
    if (won := winners(race(root, *[("delete", name)] * RUNNERS), "does not exist|has left")) != 1:
        raise Wrong(f"{won} of {RUNNERS} deletes have won")
    root.check_empty()


def state_of(root: Root, name: str) -> bytes:
    """Return what ``state`` prints."""
    command = [thousand.COMMAND, "--root", str(root.state), "state", name]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout


def race_of_all(root: Root, number: int) -> None:
    """Everything at once on one id: whoever wins, no two states of it, and nothing is left."""
    name = f"a{number}"
    root.write("wait")
    words = [("create", name), ("start", name), ("state", name), ("kill", name, "KILL"),
             ("delete", "--force", name), ("create", name), ("exec", name, "/program"),
             ("delete", name)]  # fmt: skip
    turn = number % len(words)
    for each in race(root, *words[turn:], *words[:turn]):
        each.check(0, 1, *((7, 137, 255) if each.words[0] == "exec" else ()))
    root.call("delete", "--force", name).check(0)
    root.check_empty()


@contextlib.contextmanager
def mounted(root: Root, pages: int) -> Iterator[None]:
    """Let the state root be a small tmpfs meanwhile."""
    options = f"size={pages * PAGE_BYTES},mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root.state)]
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(root.state)], check=True)


def fill(root: Root, *, but: int) -> None:
    """Fill the state root, up to some pages."""
    filler = root.state / "filler"
    filler.unlink(missing_ok=True)
    state = os.statvfs(root.state)
    filler.write_bytes(bytes(max(0, state.f_bfree - but) * PAGE_BYTES))


def full_disk(root: Root, number: int) -> None:
    """On a full disk a create fails, or it is whole; what is there can be deleted."""
    del number
    root.write("wait")
    with mounted(root, 32):
        for free in range(8):
            root.call("create", "before").check(0)
            root.write("wait")
            fill(root, but=free)
            done = root.call("create", "full").check(0, 1)
            if done.status == 0:
                root.call("start", "full").check(0)
                root.call("delete", "--force", "full").check(0)
            elif "no space left" not in done.said:
                raise Wrong(f"a create on a full disk says: {done.said}")
            root.call("start", "before").check(0)
            root.call("kill", "before", "KILL").check(0)
            root.call("delete", "--force", "before").check(0)
            root.check_empty()


def read_only_disk(root: Root, number: int) -> None:
    """On a read-only disk nothing can be made or deleted; once it can, it is."""
    del number
    root.write("wait")
    with mounted(root, 64):
        root.call("create", "before").check(0)
        root.write("wait")
        remount = ["mount", "-o", "remount,{}", str(root.state)]
        subprocess.run([each.format("ro") for each in remount], check=True)
        for words in (("create", "other"), ("run", "other"), ("start", "before"),
                      ("delete", "--force", "before")):  # fmt: skip
            done = root.call(*words).check(1)
            if "read-only" not in done.said:
                raise Wrong(f"{' '.join(words)} on a read-only disk says: {done.said}")
        root.call("state", "before").check(0)
        subprocess.run([each.format("rw") for each in remount], check=True)
        root.call("delete", "--force", "before").check(0)
        root.check_empty()


def deleted_meanwhile(root: Root, number: int) -> None:
    """A state root that goes away amid a create or a run: an error, and what it has made goes."""
    where = ("prestart", "createRuntime", "createContainer")[number % 3]
    hook = {"path": "/bin/rm", "args": ["rm", "-r", str(root.state)]}
    root.write(hooks={where: [hook]})
    for verb in ("create", "run"):
        root.call(verb, "gone").check(1)
        root.state.mkdir(exist_ok=True)
        root.check_empty()
    # Amid the life of a container whose program ends by itself: run is done, or says what is gone.
    root.write(hooks={"poststart": [hook]})
    root.call("run", "gone").check(1, 7)
    root.state.mkdir(exist_ok=True)
    for words in (
        ("state", "gone"),
        ("start", "gone"),
        ("kill", "gone", "KILL"),
        ("delete", "gone"),
    ):
        if "does not exist" not in root.call(*words).check(1).said:
            raise Wrong(f"{' '.join(words)} of a container that is gone")
    root.call("delete", "--force", "gone").check(0)
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for path, _, _ in os.walk(f"{hierarchy}{root.cgroup}", topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
    root.check_empty()


STUNTS: tuple[Callable[[Root, int], None], ...] = (
    race_for_one_id, race_of_all, full_disk, read_only_disk, deleted_meanwhile,
)  # fmt: skip


def perform(place: Place, until: float, wrong: list[str]) -> collections.Counter[str]:
    """Do all of them in turn until then, each at least once; return how often each was done."""
    done: collections.Counter[str] = collections.Counter()
    others = place.folder / STUNTS_FOLDER
    others.mkdir()
    program = others / "waits"
    command = ["cc", "-static", "-x", "c", "-", "-o", str(program)]
    subprocess.run(command, input=PROGRAM, text=True, check=True)
    for number in itertools.count():
        if number >= len(STUNTS) and time.monotonic() > until:
            return done
        stunt = STUNTS[number % len(STUNTS)]
        folder = others / f"s{number}"
        folder.mkdir()
        try:
            stunt(Root(folder, program, f"{place.cgroup}-{number}"), number)
        except (Wrong, OSError, subprocess.SubprocessError, ValueError) as error:
            wrong.append(f"{stunt.__name__}: {type(error).__name__}: {error}")
        shutil.rmtree(folder, ignore_errors=True)
        done[stunt.__name__.replace("_", " ")] += 1
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the machine, and say how much was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--parallel", type=int, default=8)
    wanted = parser.parse_args(arguments)

    def act(place: Place) -> Outcome:
        until = time.monotonic() + wanted.seconds
        lives = 0

        def numbers() -> Iterator[int]:
            nonlocal lives
            while time.monotonic() < until:
                yield lives
                lives += 1

        wrong: list[str] = []
        others = threading.Thread(
            target=lambda: wrong.extend(thousand.live(place, numbers(), wanted.parallel))
        )
        others.start()
        done = perform(place, until, wrong)
        others.join()
        shutil.rmtree(place.folder / STUNTS_FOLDER)
        more = ", ".join(f"{count} times {name}" for name, count in done.items())
        said = f"{lives} containers, {wanted.parallel} at a time, beside {more}"
        return Outcome(said, wrong)

    return attempt(__file__, act)


if __name__ == "__main__":
    sys.exit(main())
