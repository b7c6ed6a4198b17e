"""Who a container's process is: names looked up in the container's own /etc/passwd and /etc/group.

The files are opened with the container's root as the root of all paths: links in the image that
lead out of it lead nowhere.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from seatrial.engine import kernel
from seatrial.engine.errors import BadRequest

_LONGEST_FILE = 1 << 20
_HIGHEST = (1 << 31) - 1


class User(NamedTuple):
    """Ids, further groups, and the home for the variable HOME."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find(root: str, wanted: str, additional: list[str] | None) -> User:
    """Return who ``USER[:GROUP]`` is in a root filesystem."""
    name, _, group = wanted.partition(":")
    accounts = _records(root, "etc/passwd", 7)
    groups = _records(root, "etc/group", 3)
    uid, gid, home, login = 0, 0, "/", ""
    if not name or name.isdecimal():
        uid = _number(name or "0")
    account = next(
        (
            each
            for each in accounts
            if (each[2] == str(uid) if name.isdecimal() or not name else each[0] == name)
        ),
        None,
    )
    if account is not None:
        login, uid, gid, home = account[0], _number(account[2]), _number(account[3]), account[5]
    elif name and not name.isdecimal():
        raise BadRequest(f"unable to find user {name}: no matching entries in passwd file")
    further: list[int] = []
    if group:
        gid = _group(groups, group)
    elif login:
        further = [
            _number(each[2])
            for each in groups
            if login in ",".join(each[3:]).split(",") and each[2].isdecimal()
        ]
    further += [_group(groups, each) for each in additional or ()]
    # The kernel's check of a file's group looks at these only if the first is not it.
    return User(uid, gid, tuple(dict.fromkeys((gid, *further))), home or "/")


def _group(groups: list[list[str]], wanted: str) -> int:
    for each in groups:
        if each[0] == wanted and each[2].isdecimal():
            return int(each[2])
    if wanted.isdecimal():
        return _number(wanted)
    raise BadRequest(f"Unable to find group {wanted}: no matching entries in group file")


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST:
        raise BadRequest("uids and gids must be in range 0-2147483647")
    return int(text)


def _records(root: str, path: str, least: int) -> list[list[str]]:
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = kernel.openat2(folder, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    finally:
        os.close(folder)
    with os.fdopen(file, "rb") as lines:
        try:
            text = lines.read(_LONGEST_FILE).decode(errors="replace")
        except OSError:  # what is there is no file
            return []
    split = (line.strip().split(":") for line in text.splitlines() if not line.startswith("#"))
    return [record for record in split if len(record) >= least]
