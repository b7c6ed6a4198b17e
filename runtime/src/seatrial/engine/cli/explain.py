"""``seatriald explain CONTAINER``: asks the daemon, prints what it says."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def main(argv: Sequence[str], host: str) -> int:
    """Print the chain of a container; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="seatriald explain",
        description="Show a container's chain: payload, config.json, plan, kernel objects.",
    )
    parser.add_argument("--host", "-H", default=host, metavar="unix://PATH")
    parser.add_argument("container", metavar="CONTAINER")
    arguments = parser.parse_args(argv)
    path = arguments.host.removeprefix("unix://")
    connection = _Connection(path)
    try:
        connection.request("GET", f"/seatrial/explain/{quote(arguments.container, safe='')}")
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        print(f"seatriald explain: cannot ask {path}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if answer.status != _OK:
        print(f"seatriald explain: {json.loads(text)['message']}", file=sys.stderr)
        return 1
    print(text, end="")
    return 0
