"""Many containers of the engine: ``make engine-load``.

So many at once, all of which have to run and to be gone afterwards; then as many, one after the
other, as ``docker run --rm`` does it, while the daemon's memory and descriptors have to stay what
they are. Prints figures; exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from daemons import image
from daemons.crashes import Api, daemon_of
from daemons.seatriald import Seatriald

_PARALLEL, _SAMPLES = 8, 10
#: What the daemon may grow by between a tenth of the runs and all of them; a connection is one of
#: its descriptors as long as it does not know that we have left.
_GROWTH_KIB, _CONNECTIONS = 4096, 4
_CREATED, _DONE = 201, 204


def say(text: str) -> None:
    """Tell how it goes, as it goes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Load:
    """An engine, and what is wrong with it."""

    def __init__(self, engine: Seatriald) -> None:
        self._engine, self._api = engine, Api(engine.socket)
        self._daemon = daemon_of(engine.socket)
        self.wrong: list[str] = []

    def _must(self, what: str, status: int, expected: int) -> None:
        if status != expected:
            self.wrong.append(f"{what}: status {status}")

    def _create(self, *program: str, remove: bool) -> str:
        host = {"NetworkMode": "none", "AutoRemove": remove}
        payload = {"Image": image.NAME, "Cmd": program, "HostConfig": host}
        status, made = self._api("POST", "/containers/create", payload)
        self._must("create", status, _CREATED)
        return str(made["Id"])

    def at_once(self, count: int) -> None:
        """Let so many run at once."""
        began = time.monotonic()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            made = list(pool.map(lambda _: self._begin(), range(count)))
        took_s = time.monotonic() - began
        running = len(self._api("GET", "/containers/json")[1])
        if running != count:
            self.wrong.append(f"{running} of {count} containers run")
        say(f"{running} containers run, started {_PARALLEL} at a time in {took_s:.1f} s")
        nursery = _children(self._daemon)
        supervisors = [each for pid in nursery for each in _children(pid)]
        held = sum(_proportional_kib(each) for each in supervisors) // max(len(supervisors), 1)
        say(f"daemon {_resident_kib(self._daemon)} KiB, supervisors {held} KiB each")
        began = time.monotonic()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for status in pool.map(self._remove, made):
                self._must("remove", status, _DONE)
        say(f"removed in {time.monotonic() - began:.1f} s")
        self._check()

    def _begin(self) -> str:
        made = self._create("sleep", "1000", remove=False)
        self._must("start", self._api("POST", f"/containers/{made}/start")[0], _DONE)
        return made

    def _remove(self, made: str) -> int:
        return self._api("DELETE", f"/containers/{made}?force=1&v=1")[0]

    def in_a_row(self, count: int) -> None:
        """Run and remove so many, one after the other."""
        began, first = time.monotonic(), (0, 0)
        for number in range(1, count + 1):
            self._run()
            if number % max(count // _SAMPLES, 1) == 0:
                held = self._held()
                first = first if first[0] else held
                say(f"{number:5} runs: daemon {held[0]} KiB, {held[1]} descriptors")
        took_s = time.monotonic() - began
        say(f"{count} runs in a row in {took_s:.1f} s, {1000 * took_s / count:.1f} ms each")
        last = self._held()
        if last[0] > first[0] + _GROWTH_KIB or last[1] > first[1] + _CONNECTIONS:
            self.wrong.append(f"the daemon grew from {first} to {last} (KiB, descriptors)")
        self._check()

    def _run(self) -> None:
        made = self._create("true", remove=True)
        self._must("start", self._api("POST", f"/containers/{made}/start")[0], _DONE)
        # Gone already, or waited for.
        self._api("POST", f"/containers/{made}/wait?condition=removed")

    def _held(self) -> tuple[int, int]:
        return _resident_kib(self._daemon), len(list(Path(f"/proc/{self._daemon}/fd").iterdir()))

    def _check(self) -> None:
        self.wrong += str(self._api("GET", "/seatrial/check")[1]).splitlines()
        left = [each["Id"] for each in self._api("GET", "/containers/json?all=1")[1]]
        self.wrong += [f"container that is left: {each}" for each in left]


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8")
    return [int(each) for each in text.split()]


def _kib(path: str, name: str) -> int:
    lines = Path(path).read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _resident_kib(pid: int) -> int:
    return _kib(f"/proc/{pid}/status", "VmRSS")


def _proportional_kib(pid: int) -> int:
    """Return a process's memory; what several share counts for each by its part (smaps_rollup)."""
    return _kib(f"/proc/{pid}/smaps_rollup", "Pss")


def main() -> int:
    """Load an engine; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--in-a-row", type=int, default=1000)
    parser.add_argument("--runtime", default=str(Path(sys.executable).parent / "seatrial-oci"))
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        Seatriald.in_a_room(Path(name), arguments.runtime) as engine,
    ):
        load = Load(engine)
        load.at_once(arguments.at_once)
        load.in_a_row(arguments.in_a_row)
    for each in load.wrong:
        say(f"wrong: {each}")
    return 1 if load.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
