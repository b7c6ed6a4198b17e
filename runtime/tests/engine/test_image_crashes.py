"""Killed during a pull, a load or a removal of images, the engine loses nothing and leaves nothing.

``make engine-crashes`` has more of these for containers; ``SEATRIAL_CRASHES`` here for images.
"""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING

import pytest
from daemons import image
from daemons.registry import Registry
from daemons.seatriald import COMMAND, Seatriald

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEED = 8
_COUNT = int(os.environ.get("SEATRIAL_CRASHES", "6"))
_VERBS = ("pull", "load", "rmi")


class _Crashes:
    """Commands on one image of a registry, cut short."""

    def __init__(self, engine: Seatriald) -> None:
        self.engine = engine
        self.name = Registry(engine.room, 5000).named("boat:1")
        self.archive = f"{engine.room.folder}/boat.tar"
        for words in (
            ("tag", image.NAME, self.name),
            ("push", self.name),
            ("save", "--output", self.archive, self.name),
            ("rmi", self.name),
            # Nothing of it may be there before a pull: the image of its own layer goes.
            ("rmi", image.NAME),
        ):
            engine.room.must(*engine.command(*words))
        self.takes_s = {verb: self._time(verb) for verb in _VERBS}

    def _command(self, verb: str) -> list[str]:
        words = ("--input", self.archive) if verb == "load" else (self.name,)
        return self.engine.command(verb, *words)

    def _is_there(self) -> bool:
        return bool(self.engine("images", "--quiet", self.name).text)

    def _before(self, verb: str) -> None:
        if verb == "rmi" and not self._is_there():
            self.engine.room.must(*self._command("load"))
        elif verb != "rmi" and self._is_there():
            self.engine.room.must(*self._command("rmi"))

    def _time(self, verb: str) -> float:
        self._before(verb)
        began = time.monotonic()
        self.engine.room.must(*self._command(verb))
        return time.monotonic() - began

    def at(self, verb: str, part: float) -> list[str]:
        """Kill the daemon during a command, start it again; return what is wrong then."""
        self._before(verb)
        told: list[int] = []
        acting = threading.Thread(
            target=lambda: told.append(self.engine.room.run(*self._command(verb)).status)
        )
        acting.start()
        acting.join(part * self.takes_s[verb])
        self.engine.kill_daemon()
        acting.join()
        self.engine.begin_again()
        wrong = []
        if told == [0] and self._is_there() != (verb != "rmi"):
            wrong.append(f"{verb} was told to be done, and is not")
        if self._is_there():
            program = ("run", "--rm", "--network=none", self.name, "echo", "hi")
            if self.engine(*program).stdout != "hi\n":
                wrong.append("what is left does not run")
        checked = self.engine.room.run(COMMAND, "check", f"--host=unix://{self.engine.socket}")
        return wrong + checked.stdout.replace("clean\n", "").splitlines()


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory, engine: Seatriald) -> Iterator[_Crashes]:
    """Return an engine of our own: what is damaged is nobody else's."""
    with Seatriald.in_a_room(tmp_path_factory.mktemp("crashes"), engine.runtime) as begun:
        yield _Crashes(begun)


def test_images_are_whole_or_not_there_whenever_the_daemon_is_killed(crashes: _Crashes) -> None:
    chance = random.Random(_SEED)  # noqa: S311 - to be drawn again
    moments = [(_VERBS[number % len(_VERBS)], chance.random()) for number in range(_COUNT)]
    found = {each: wrong for each in moments if (wrong := crashes.at(*each))}
    assert found == {}


def test_a_check_finds_what_images_lack(crashes: _Crashes) -> None:
    engine = crashes.engine
    check = [COMMAND, "check", f"--host=unix://{engine.socket}"]
    engine.room.must(*engine.command("pull", crashes.name))
    assert engine.room.run(*check).stdout == "clean\n"
    root = f"{engine.room.store}/seatriald"
    blobs = f"{root}/image/blobs/sha256"
    identifier = engine("images", "--quiet", "--no-trunc", crashes.name).text[7:]
    for command, told in (
        (f"touch {blobs}/{'0' * 64}", f"blob of no image: sha256:{'0' * 64}"),
        (f"mkdir {root}/layers/{'1' * 64}", f"layer of no image: sha256:{'1' * 64}"),
        (f"mv {blobs}/{'0' * 64} {blobs}/{identifier}", "has a blob of another digest"),
        (f"rm {blobs}/{identifier}", f"lacks a blob: sha256:{identifier}"),
    ):
        engine.room.must("/bin/busybox", *command.split())
        done = engine.room.run(*check)
        assert (done.status, told in done.stdout) == (1, True), (command, done.stdout)
