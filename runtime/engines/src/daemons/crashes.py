"""``kill -9`` of the daemon or of a supervisor while something is being done to a container.

What is killed, during what, and after how long is drawn from a seed. Afterwards the daemon is
started again; whatever a client was told has to be so, and ``seatriald check`` has to find nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from daemons import image
from daemons.room import TIMEOUT_S

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald

_CREATED, _DONE, _GONE = 201, 204, 404
#: What is done before the operation that is cut short.
_BEFORE = {"create": (), "start": ("create",), "stop": ("create", "start")}
_BEFORE["rm"] = _BEFORE["stop"]


class Api:
    """The daemon's interface, without a client program that would take most of the time."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, method: str, path: str, payload: object = None) -> tuple[int, Any]:
        """Return status and document; the status is 0 if the daemon is gone before it answers."""
        connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.sock.connect(self._path)
            body = None if payload is None else json.dumps(payload)
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if text and is_json else text.decode()

    def do(self, verb: str, name: str) -> int:
        """Do one operation to a container; return its status."""
        if verb == "create":
            host = {"NetworkMode": "none", "Tmpfs": {"/t": ""}}
            payload = {"Image": image.NAME, "Cmd": ["sleep", "1000"], "HostConfig": host}
            volumes: dict[str, object] = {"Volumes": {"/nameless": {}}}
            return self("POST", f"/containers/create?name={name}", {**payload, **volumes})[0]
        if verb == "rm":
            return self("DELETE", f"/containers/{name}?force=1&v=1")[0]
        return self("POST", f"/containers/{name}/{verb}?t=0")[0]


class Moment(NamedTuple):
    """When something is killed."""

    verb: str
    victims: tuple[str, ...]
    #: Of the time that the operation takes if nothing is killed.
    part: float


def moments(seed: int, count: int) -> list[Moment]:
    """Draw moments."""
    chance = random.Random(seed)  # noqa: S311 - to be drawn again
    victims = (("daemon",), ("supervisor",), ("daemon", "supervisor"))
    verbs = list(_BEFORE)
    return [
        Moment(verbs[number % len(verbs)], chance.choice(victims), chance.random())
        for number in range(count)
    ]


class Crashes:
    """An engine that is killed again and again."""

    def __init__(self, engine: Seatriald) -> None:
        self._engine, self._api = engine, Api(engine.socket)
        self._takes_s = {verb: self._time(verb) for verb in _BEFORE}
        self._names = 0
        self._others = self._volumes()

    def _time(self, verb: str) -> float:
        for before in _BEFORE[verb]:
            self._api.do(before, "timed")
        began = time.monotonic()
        self._api.do(verb, "timed")
        took_s = time.monotonic() - began
        self._api.do("rm", "timed")
        return took_s

    def at(self, moment: Moment) -> list[str]:
        """Kill at a moment, start again; return what is wrong then."""
        self._names += 1
        name = f"crash{self._names}"
        wrong = [
            f"{verb} failed before anything was killed"
            for verb in _BEFORE[moment.verb]
            if self._api.do(verb, name) not in {_CREATED, _DONE}
        ]
        daemon = daemon_of(self._engine.socket)
        nursery = next(pid for pid in _children(daemon) if _is_nursery(pid))
        told: list[int] = []
        acting = threading.Thread(target=lambda: told.append(self._api.do(moment.verb, name)))
        acting.start()
        acting.join(moment.part * self._takes_s[moment.verb])
        self._kill(moment.victims, daemon, nursery)
        acting.join(TIMEOUT_S)
        if "daemon" in moment.victims:
            self._engine.begin_again()
        wrong += self._seen(moment, name, told[0] if told else -1)
        if self._api.do("rm", name) not in {_DONE, _GONE}:
            wrong.append("what is left cannot be removed")
        return wrong + self._check()

    def _kill(self, victims: tuple[str, ...], daemon: int, nursery: int) -> None:
        found = _children(nursery) if "supervisor" in victims else []
        for pid in [*([daemon] if "daemon" in victims else []), *found]:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        if "daemon" in victims:
            self._engine.daemon.close()

    def _seen(self, moment: Moment, name: str, told: int) -> list[str]:
        """Return what is not as the client was told."""
        if told < 0:
            return [f"{moment.verb}: no answer in {TIMEOUT_S:g} s"]
        status, document = self._api("GET", f"/containers/{name}/json")
        there, done = status != _GONE, told in {_CREATED, _DONE}
        state = document["State"]["Status"] if there else "gone"
        expected = {
            "create": {"created"},
            # The end of a supervisor is that of its container.
            "start": {"running"} if "supervisor" not in moment.victims else {"running", "exited"},
            "stop": {"exited"},
            "rm": {"gone"},
        }[moment.verb]
        if done and state not in expected:
            return [f"{moment.verb}: the client was told {told}, and it is {state}"]
        if moment.verb not in {"create", "rm"} and not there:
            return [f"{moment.verb}: the container is lost"]
        return []

    def left(self) -> list[str]:
        """Return what is left in the room of supervisors, when there are no containers."""
        daemon = daemon_of(self._engine.socket)
        namespace = os.readlink(f"/proc/{daemon}/ns/pid")
        nurseries = [pid for pid in _processes_of(namespace) if _is_nursery(pid)]
        return [f"process {pid}" for pid in nurseries if pid not in _children(daemon)]

    def _volumes(self) -> set[str]:
        return {volume["Name"] for volume in self._api("GET", "/volumes")[1]["Volumes"]}

    def _check(self) -> list[str]:
        status, text = self._api("GET", "/seatrial/check")
        left = self._volumes() - self._others
        return [
            *([f"check: {status}"] if not status else []),
            *str(text).splitlines(),
            *(f"volume that nobody has: {each}" for each in left),
        ]


def daemon_of(path: str) -> int:
    """Return the process that listens at a socket (unix(7), SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(path)
        held = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", held)[0])


def _children(pid: int) -> list[int]:
    return [int(each) for each in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _is_nursery(pid: int) -> bool:
    """Whether it is what supervisors are forked from, or one of them: the command is the same."""
    return "supervisor.nursery" in _read(f"/proc/{pid}/cmdline")


def _processes_of(namespace: str) -> list[int]:
    found = []
    for each in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it has ended meanwhile
            if os.readlink(f"/proc/{each}/ns/pid") == namespace:
                found.append(int(each))
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:  # it has ended meanwhile
        return ""
