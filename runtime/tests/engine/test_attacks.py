"""Attacks on the daemon, its volumes and its names, as they are known from other engines."""

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from daemons import image
from daemons.crashes import Api

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald


def _inside(engine: Seatriald, path: str) -> Path:
    """Return a path of the room, from outside of it."""
    return Path(f"/proc/{engine.room.pid}/root{path}")


def _build(engine: Seatriald, name: str, *changes: str, **files: str) -> None:
    """Make an image of busybox's with more in it: programs, or links (``->`` and the target)."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as made:
        busybox = tarfile.TarInfo("bin/busybox")
        content = image.BUSYBOX.read_bytes()
        busybox.size, busybox.mode = len(content), 0o755
        made.addfile(busybox, io.BytesIO(content))
        for path, text in files.items():
            entry = tarfile.TarInfo(path.replace("__", "/"))
            entry.mode = 0o755
            if text.startswith("->"):
                entry.type, entry.linkname = tarfile.SYMTYPE, text[2:]
            entry.size = 0 if entry.issym() else len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
    options = [f"--change={change}" for change in changes]
    assert engine("import", *options, "-", name, stdin=archive.getvalue()).status == 0


def test_a28_nothing_of_a_container_is_run_to_list_its_processes(engine: Seatriald) -> None:
    marker = f"{engine.room.folder}/ran"
    evil = f"#!/bin/busybox sh\necho x >{marker}; echo x >/ran\n"
    _build(engine, "evil/ps", bin__ps=evil, usr__bin__ps=evil, bin__sh="->/bin/busybox")
    run = ("run", "--detach", "--network=none", "--name=evil", "evil/ps")
    assert engine(*run, "/bin/busybox", "sleep", "1000").status == 0
    assert "sleep 1000" in engine("top", "evil").stdout
    assert engine("diff", "evil").stdout.find("/ran") < 0
    assert not os.path.exists(marker)
    assert engine("rm", "--force", "evil").status == 0
    assert engine("rmi", "evil/ps").status == 0


@pytest.mark.parametrize("place", ["/../../secret", "/link", "/far/secret"])
def test_a32_a_volume_is_filled_from_the_image_alone(engine: Seatriald, place: str) -> None:
    secret = _inside(engine, f"{engine.room.store}/secret")
    secret.mkdir(exist_ok=True)
    (secret / "key").write_text("the host's", "utf-8")
    far = str(engine.room.store)
    _build(engine, "evil/volume", f'VOLUME ["{place}"]', link=f"->{far}/secret", far=f"->{far}")
    command = ("run", "--rm", "--network=none", "--volume=filled:" + os.path.normpath(place))
    engine(*command, "evil/volume", "/bin/busybox", "true")
    engine("run", "--rm", "--network=none", "evil/volume", "/bin/busybox", "true")
    volumes = _inside(engine, f"{engine.room.store}/seatriald/volumes")
    assert [str(each) for each in volumes.rglob("key")] == []
    assert (secret / "key").read_text("utf-8") == "the host's"
    engine("volume", "rm", "--force", "filled")
    assert engine("rmi", "evil/volume").status == 0


_NAMES = ("../x", "..", "a/b", "a\0b", "a\nb", "%2e%2e%2fx", "", ".hidden", "-x", "é", "x" * 300)


@pytest.mark.parametrize("name", [each for each in _NAMES if each])
def test_a46_a_volumes_name_is_a_folder_in_its_place(engine: Seatriald, name: str) -> None:
    api = Api(engine.socket)
    status, told = api("POST", "/volumes/create", {"Name": name})
    assert (status, list(told)) == (400, ["message"])
    payload = {"Image": image.NAME, "Cmd": ["true"]}
    binds = {**payload, "HostConfig": {"Binds": [f"{name}:/x"], "NetworkMode": "none"}}
    assert api("POST", "/containers/create", binds)[0] == 400
    volumes = _inside(engine, f"{engine.room.store}/seatriald/volumes")
    assert {each.name for each in volumes.iterdir()} == set(engine("volume", "ls", "-q").lines)


@pytest.mark.parametrize("name", [*_NAMES[1:6], "../x", "a b", "-x"])
def test_a46_a_containers_name_is_one(engine: Seatriald, name: str) -> None:
    payload = {"Image": image.NAME, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    path = f"/containers/create?name={quote(name, safe='')}"
    status, told = Api(engine.socket)("POST", path, payload)
    assert (status, list(told)) == (400, ["message"])


def test_a46_a_label_is_text_and_nothing_else(engine: Seatriald) -> None:
    label = "../a\n=b\0c"
    payload = {"Image": image.NAME, "Cmd": ["true"], "Labels": {label: label}}
    api = Api(engine.socket)
    status, made = api("POST", "/containers/create", {**payload, "HostConfig": {}})
    assert status == 201
    told = api("GET", f"/containers/{made['Id']}/json")[1]
    assert told["Config"]["Labels"] == {label: label}
    assert api("DELETE", f"/containers/{made['Id']}")[0] == 204


def test_a47_nobody_else_can_read_what_the_engine_keeps(engine: Seatriald) -> None:
    name = engine.begin_container("sleep", "1000", options=("--env=PASSWORD=secret",))
    identifier = engine.inspect(name)["Id"]
    root = _inside(engine, f"{engine.room.store}/seatriald")
    assert stat.S_IMODE(os.stat(engine.socket).st_mode) == 0o660
    for path, mode in (
        (root, 0o700),
        (_inside(engine, "/run/seatriald"), 0o700),
        (_inside(engine, f"/run/seatriald/{identifier}"), 0o700),
        (root / "containers", 0o700),
        (root / "containers" / identifier / f"{identifier}-json.log", 0o640),
        (root / "containers" / identifier / "payload.json", 0o600),
    ):
        assert oct(stat.S_IMODE(path.stat().st_mode)) == oct(mode), path
    assert engine("rm", "--force", name).status == 0


@pytest.mark.parametrize("end", ["", "\0"])
def test_a47_credentials_are_in_no_log(engine: Seatriald, end: str) -> None:
    head = "POST /images/create?fromImage=127.0.0.1:1/x HTTP/1.1\r\nHost: x\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(engine.socket)
        asking.sendall(f"{head}X-Registry-Auth: c2VjcmV0LXNlY3JldA==={end}\r\n\r\n".encode())
        assert asking.recv(100)
    assert not [line for line in engine.daemon.log if "c2VjcmV0" in line or "secret" in line]
