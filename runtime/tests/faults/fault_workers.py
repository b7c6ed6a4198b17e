"""Who lets faults happen: processes in namespaces of their own, each asked by a line of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import fault_cases
import fault_places
import fault_trials
from fault_trials import Point, Trial


def work(binaries: Path, folder: Path) -> int:
    """Be a worker: a line of JSON for each that is read."""
    names = {int(number): name for number, name in json.loads(sys.stdin.readline()).items()}
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # What others do in the host's is not to be taken for ours.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)  # noqa: S108
    place = fault_places.Place(folder, binaries)
    place.prepare()
    cases = {each.name: each for each in fault_cases.CASES}
    try:
        for line in sys.stdin:
            wanted = json.loads(line)
            answer: Any
            try:
                if "trial" in wanted:
                    point, *rest = wanted["trial"]
                    trial = Trial(Point(*point), *rest)
                    answer = fault_trials.attempt(place, cases[trial.point.case], trial, names)
                else:
                    name, verb = wanted["list"]
                    answer = fault_trials.points(place, cases[name], verb, names)
            except (RuntimeError, OSError, ValueError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        place.close()
    return 0


class Worker:
    """One such process, as it is seen from outside."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        return json.loads(line) if line else {"error": "the worker has died"}

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="seatrial-faults-")
        command = [*fault_places.NAMESPACES, sys.executable, sys.argv[0], "--worker"]
        self._process = subprocess.Popen(
            [*command, self._folder.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._names) + "\n")

    def close(self) -> None:
        """End it, and what it may have left."""
        process, folder = self._process, self._folder
        self._process = self._folder = None
        if process is None or folder is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        name = Path(folder.name).name
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            for where, _, _ in os.walk(hierarchy / name, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(where)
        with contextlib.suppress(OSError):
            folder.cleanup()
