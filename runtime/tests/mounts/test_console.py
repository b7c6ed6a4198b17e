"""config-linux.md, "Default Devices": /dev/console is the container's terminal."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from mounting import Create, entry

if TYPE_CHECKING:
    from pathlib import Path

USER: dict[str, Any] = {
    name: [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for name in ("uidMappings", "gidMappings")
}


@pytest.mark.parametrize("namespaces", [(), ("user",)])
@pytest.mark.parametrize("readonly", [False, True])
def test_the_terminal_is_bound_at_dev_console(
    create: Create,
    rootfs: Path,
    namespaces: tuple[str, ...],
    readonly: bool,  # noqa: FBT001
) -> None:
    rootfs.chmod(0o777)
    place = rootfs.parent / "console"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        container = create(
            entry("/dev", "tmpfs", "mode=755", *(["ro"] if readonly else [])),
            {"destination": "/dev/pts", "type": "devpts", "options": ["ptmxmode=0666"]},
            console=place,
            namespaces=namespaces,
            root={"readonly": readonly},
            **(USER if namespaces else {}),
        )
        found = container.mount("/dev/console")
        assert (found.type, found.root) == ("devpts", "/0")
        stdin = os.stat(f"/proc/{container.pid}/fd/0")
        assert container.path("/dev/console").stat().st_rdev == stdin.st_rdev
