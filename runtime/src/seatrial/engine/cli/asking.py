"""A question to the daemon, from the command line."""

from __future__ import annotations

import http.client
import json
import socket
import sys

_OK = 200


class _Connection(http.client.HTTPConnection):
    """A connection to the daemon's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def ask(verb: str, host: str, path: str) -> str | None:
    """Return what the daemon answers; None if there is no answer, and then it was said why."""
    place = host.removeprefix("unix://")
    connection = _Connection(place)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        print(f"seatriald {verb}: cannot ask {place}: {error.strerror}", file=sys.stderr)
        return None
    finally:
        connection.close()
    if answer.status != _OK:
        print(f"seatriald {verb}: {json.loads(text)['message']}", file=sys.stderr)
        return None
    return text
