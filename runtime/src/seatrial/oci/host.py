"""What the compiler asks this host, and what it objects to.  It asks in no other way.

A plan is made of a config and of answers of the host: which cgroup hierarchies there are, whether
a folder is there, what we may.  Who wants to know whether a plan that was kept still holds asks
the same questions again; so each, with its answer, is noted within ``asking``.  It is answered in
C (runtime/csrc/facts), which the launcher has in it too.

A config can be wrong, on every host: that is a ``ConfigError`` where it is found.  Or it can be
right and ask for what this host has not: a security module, a controller, a program, a folder.
The compiler then calls ``refuse``.  For a container that is to be created this raises, before
anything is touched; for a reader, within ``objections``, it is noted, and compiling goes on with
what would be done on a host that has it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from contextvars import ContextVar
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from seatrial.oci import _core
from seatrial.oci.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Stands for the container's id while a plan is compiled that is good for others too.  It is in no
#: config and in no path: neither UTF-8 nor an undecodable byte is one of these.
ID = "\ud800"


class Ask(IntEnum):
    """The kinds of questions; the numbers are those of facts.h."""

    READ = 1
    ACCESS = 2
    STAT = 3
    MOUNTS = 4
    REAL = 5
    ENVIRON = 6
    RELEASE = 7
    ABOVE = 8


#: What a question of ``STAT`` is about: bits of its flags, and places in its answer.
TYPE, RDEV, DEV, INO, SIZE, MTIME, CTIME = (1 << n for n in range(7))
_FIELDS = struct.Struct("<7q")
YES = b"\1"
#: What is octal in /proc/self/mountinfo.
_ESCAPES = {" ": "\\040", "\t": "\\011", "\n": "\\012", "\\": "\\134"}


#: Questions, each with its answer: an errno, or 0 and what was said.
Answers: TypeAlias = dict[tuple[Ask, int, str], tuple[int, bytes]]


class Asked:
    """The questions that were asked, with their answers."""

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        self.answers: Answers = {}
        #: Why nobody but Python could ask all this again.
        self.beyond: list[str] = []


_noted: ContextVar[list[HostError] | None] = ContextVar("noted", default=None)
_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


@contextlib.contextmanager
def asking(identifier: str) -> Iterator[Asked]:
    """Note what is asked; in questions ``ID`` is the id of the container that this is for."""
    asked = Asked(identifier)
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


def beyond(why: str) -> None:
    """Note that something was asked in a way that only Python can repeat."""
    asked = _asked.get()
    if asked is not None:
        asked.beyond.append(why)


def named(text: str) -> str:
    """Return a text with the id in it that ``ID`` stands for."""
    asked = _asked.get()
    return text.replace(ID, asked.identifier) if asked is not None else text


def _ask(kind: Ask, flags: int, name: str) -> bytes:
    asked, key = _asked.get(), (kind, flags, name)
    if asked is None:
        return _core.ask(kind, flags, os.fsencode(name))
    if key not in asked.answers:
        try:
            answer = 0, _core.ask(kind, flags, os.fsencode(named(name)))
        except OSError as error:
            answer = error.errno or 0, b""
        asked.answers[key] = answer
    number, said = asked.answers[key]
    if number:
        raise OSError(number, os.strerror(number), named(name))
    return said


def read(path: str) -> bytes:
    """Return what a file says; raises ``OSError``."""
    return _ask(Ask.READ, 0, path)


def text(path: str) -> str:
    """Return what a file says; raises ``OSError``."""
    return read(path).decode("utf-8", "surrogateescape")


def lines(path: str) -> list[str]:
    """Return the lines of a file, each with its end; raises ``OSError``."""
    return [line + "\n" for line in text(path).split("\n") if line]


def may(path: str, mode: int) -> bool:
    """Whether access(2) grants this to our real ids: ``F_OK``, ``W_OK``, ``X_OK``."""
    return _ask(Ask.ACCESS, mode, path) == YES


def exists(path: str) -> bool:
    """Whether there is something at a path, which a link may lead to."""
    return "\0" not in path and may(path, os.F_OK)


def may_make_at(path: str) -> bool:
    """Whether the folder may be written to that is at a path, or else nearest above it."""
    return "\0" not in path and _ask(Ask.ABOVE, 0, path) == YES


def _look(path: str, fields: int) -> tuple[int, ...]:
    return _FIELDS.unpack(_ask(Ask.STAT, fields, path))


def type_of(path: str) -> int:
    """Return what a file is (``stat.S_IFMT``); raises ``OSError``."""
    return _look(path, TYPE)[0]


def is_folder(path: str) -> bool:
    """Whether there is a folder at a path."""
    try:
        return stat.S_ISDIR(type_of(path))
    except OSError:
        return False


def device_at(path: str) -> tuple[int, int]:
    """Return the type and the numbers of the device that a node is for; raises ``OSError``."""
    found = _look(path, TYPE | RDEV)
    return found[0], found[1]


def filesystem_of(path: str) -> int:
    """Return the number of the device that a file is on; raises ``OSError``."""
    return _look(path, DEV)[2]


def identity(path: str) -> tuple[int, int]:
    """Return what a file is and no other: device and inode; raises ``OSError``."""
    found = _look(path, DEV | INO)
    return found[2], found[3]


def depend_on(path: str) -> None:
    """Note that what is compiled depends on a file's content, by all that tells of a change."""
    with contextlib.suppress(OSError):
        _look(path, DEV | INO | SIZE | MTIME | CTIME)


def mounts(below: str) -> list[bytes]:
    """Return the lines of /proc/self/mountinfo for mounts at a path and below it (proc(5))."""
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in below)
    return _ask(Ask.MOUNTS, 0, escaped).split(b"\n")[:-1]


def target_of(line: bytes) -> str:
    """Return where the mount of a line of /proc/self/mountinfo is."""
    target = line.split(b" ", 5)[4]
    if b"\\" in target:
        target = target.decode("unicode_escape").encode("latin-1")
    return os.fsdecode(target)


def real(path: str) -> str:
    """Return a path without links in it; raises ``OSError``."""
    return os.fsdecode(_ask(Ask.REAL, 0, path))


def environ(name: str) -> str | None:
    """Return a variable of our environment."""
    found = _ask(Ask.ENVIRON, 0, name)
    return os.fsdecode(found[1:]) if found[:1] == YES else None


def release() -> str:
    """Return the kernel's release (uname(2))."""
    return _ask(Ask.RELEASE, 0, "").decode()


def folders(path: str) -> list[str]:
    """Return the folders in a folder."""
    beyond(f"which folders are in {named(path)}")
    with os.scandir(named(path)) as entries:
        return [each.path for each in entries if each.is_dir(follow_symlinks=False)]


def ids() -> tuple[int, int]:
    """Return our effective user and group.  Whose a kept plan is, is always looked at."""
    return os.geteuid(), os.getegid()


def permitted() -> int:
    """Return our permitted capabilities.  They too are always looked at."""
    words = struct.unpack("<12I", _core.caller())
    return int(words[7] | words[10] << 32)


def refuse(pointer: str, why: str) -> None:
    """Object to a member of the config: raises ``HostError``, or notes it for a reader."""
    error = HostError(pointer, named(why))
    noted = _noted.get()
    if noted is None:
        raise error
    if str(error) not in map(str, noted):
        noted.append(error)


@contextlib.contextmanager
def objections() -> Iterator[list[HostError]]:
    """Collect what would be refused, in the order in which create would come to it."""
    noted: list[HostError] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)
