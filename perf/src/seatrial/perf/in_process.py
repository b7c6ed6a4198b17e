"""A runtime's Python API, called in a process that stays: the driver's side."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from seatrial.perf import api_worker
from seatrial.perf.stopwatch import ENVIRON

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.perf.contenders import Contender

#: The module that has the API.
MODULE = "seatrial.oci"


def why_not(python: str) -> str | None:
    """Return why this Python has no API, if it has none."""
    if not os.access(python, os.X_OK):
        return "there is no python3 beside the runtime"
    words = [python, "-I", "-c", f"from {MODULE} import Container"]
    done = subprocess.run(words, capture_output=True, env=ENVIRON, check=False)
    return None if done.returncode == 0 else f"the python3 beside the runtime has no {MODULE}"


class InProcess:
    """The process of one contender; it is started anew when it has failed."""

    def __init__(self, contender: Contender, tracepoint: int, adopt: Callable[[int], None]) -> None:
        """Prepare it; ``adopt`` puts a process where the run finds it again."""
        mode = contender.mode
        self._words = [
            *(contender.python, "-I", api_worker.__file__, MODULE),
            *(str(mode.heap_megabytes if mode else 0), str(tracepoint)),
        ]
        self._environment = ENVIRON | dict(
            variable.split("=", 1) for variable in contender.environment
        )
        self._adopt = adopt
        self._process: subprocess.Popen[bytes] | None = None

    def sample(
        self, identifier: str, bundle: str, root: str, *, timeout_s: float, count: bool
    ) -> dict[str, Any]:
        """Take one sample: a container from its creation to its removal."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
            self._adopt(self._process.pid)
        process = self._process
        assert process.stdin is not None  # noqa: S101 - a pipe, as asked for
        assert process.stdout is not None  # noqa: S101
        order = {"id": identifier, "bundle": bundle, "root": root, "count": count}
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], timeout_s)[0]:
                self.close()
                return {"error": "run: not done within the timeout", "stderr": ""}
            answer = process.stdout.readline()
        if not answer:
            self.close()
            return {"error": "run: the process with the API ended", "stderr": ""}
        result: dict[str, Any] = json.loads(answer)
        return result

    @property
    def pid(self) -> int | None:
        """Its process, if it runs."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
