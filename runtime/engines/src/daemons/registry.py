"""docker-registry, the distribution project's own, on a loopback address of a room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from daemons.room import Daemon

if TYPE_CHECKING:
    from daemons.room import Room

#: The hash that goes with it was made by htpasswd -B.
USER, PASSWORD = "sailor", "ahoy"
_HTPASSWD = "sailor:$2y$05$gvpPtTRrQBok0.P.EN1tjuE5lkxHFwuBraDqV2eGf9knGN4W1lYsy\n"


class Registry:
    """A registry with nothing in it; one that knows who may come wants a name and a password."""

    def __init__(self, room: Room, port: int, *, closed: bool = False) -> None:
        self.address = f"127.0.0.1:{port}"
        folder = room.folder / f"registry-{port}"
        folder.mkdir()
        configuration: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{room.store}/registry-{port}"}},
            "http": {"addr": self.address, "secret": "for one room"},
        }
        if closed:
            (folder / "htpasswd").write_text(_HTPASSWD, "utf-8")
            configuration["auth"] = {
                "htpasswd": {"realm": "harbour", "path": str(folder / "htpasswd")}
            }
        path = folder / "config.json"  # YAML has JSON in it
        path.write_text(json.dumps(configuration), "utf-8")
        self.daemon = Daemon(room, "docker-registry", "serve", str(path), ready="listening on")

    def named(self, path: str) -> str:
        """Return what an image of this registry is called."""
        return f"{self.address}/{path}"
