"""Files of containers, by docker's client: cp in both directions, diff, commit, export, df."""

from __future__ import annotations

import http.client
import io
import json
import socket
import tarfile
from typing import TYPE_CHECKING

import pytest
from daemons import image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.seatriald import Seatriald


def _archive(name: str, text: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(text), 0o640
        archive.addfile(member, io.BytesIO(text.encode()))
    return file.getvalue()


@pytest.fixture(params=["running", "stopped"])
def name(engine: Seatriald, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a container with a volume at /data, running or not."""
    options = ("--volume=/data", "--label=files")
    made = engine.begin_container("sleep", "1000", options=options)
    if request.param == "stopped":
        engine.room.must(*engine.command("kill", made))
        engine.room.must(*engine.command("wait", made))
    yield made
    engine.room.must(*engine.command("rm", "--force", "--volumes", made))


def _content(engine: Seatriald, name: str, path: str) -> str:
    target = engine.room.folder / "copied"
    assert engine("cp", f"{name}:{path}", str(target)).status == 0
    text = target.read_text()
    target.unlink()
    return text


@pytest.mark.parametrize("folder", ["/root", "/data", "/new"])
def test_what_is_copied_in_comes_out_again(engine: Seatriald, name: str, folder: str) -> None:
    source = engine.room.folder / "source"
    source.mkdir()
    (source / "file").write_text("text\n")
    target = f"{folder}/sub" if folder != "/new" else folder
    assert engine("cp", str(source), f"{name}:{target}").status == 0
    (source / "file").unlink()
    source.rmdir()
    assert _content(engine, name, f"{target}/file") == "text\n"


def test_a_link_is_copied_or_followed(engine: Seatriald, name: str) -> None:
    done = engine("cp", f"{name}:/bin/sh", "-")
    with tarfile.open(fileobj=io.BytesIO(done.stdout.encode())) as archive:
        assert archive.getmember("sh").linkname == "busybox"
    target = engine.room.folder / "sh"
    assert engine("cp", "--follow-link", f"{name}:/bin/sh", str(target)).status == 0
    assert target.read_bytes() == image.BUSYBOX.read_bytes()
    target.unlink()


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("/nosuch", _archive("x", "x"), "Could not find the file /nosuch"),
        ("/etc/passwd", _archive("x", "x"), "extraction point is not a directory"),
        ("/root", _archive("../x", "x"), "leads out of it"),
        ("/root", b"nonsense", "invalid tar archive"),
    ],
)
def test_what_cannot_be_copied_in_is_said(
    engine: Seatriald, name: str, path: str, data: bytes, told: str
) -> None:
    # Docker's command looks first, and says some of it by itself.
    done = _put(engine, f"/containers/{name}/archive?path={path}", data)
    assert told in done["message"]


def _put(engine: Seatriald, path: str, data: bytes) -> dict[str, str]:
    connection = http.client.HTTPConnection("engine")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(engine.socket)
    try:
        connection.request("PUT", path, data)
        answer: dict[str, str] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


def test_what_is_not_there_is_not_copied_out(engine: Seatriald, name: str) -> None:
    done = engine("cp", f"{name}:/nosuch", "-")
    assert (done.status, "No such container:path" in done.stderr) == (1, True)
    assert engine("cp", f"{name}:/etc/passwd/", "-").status == 1


def test_nothing_is_copied_into_what_is_read_only(engine: Seatriald) -> None:
    options = ("--read-only", "--volume=hold:/data:ro")
    name = engine.begin_container("sleep", "1000", options=options)
    for path in ("/root", "/data"):
        done = engine("cp", "-", f"{name}:{path}", stdin=_archive("x", "x"))
        assert (done.status, "marked read-only" in done.stderr) == (1, True)
    engine.room.must(*engine.command("kill", name))
    for path in ("/root", "/data"):
        assert engine("cp", "-", f"{name}:{path}", stdin=_archive("x", "x")).status == 1
    engine.room.must(*engine.command("rm", name))
    assert engine("volume", "rm", "hold").status == 0


def test_changes_become_a_layer(engine: Seatriald) -> None:
    program = (
        "echo x > /added; ln /added /linked; rm /etc/plain; rm -r /data; mkdir /data; "
        "echo y > /data/new; echo more >> /etc/group"
    )
    name = engine.begin_container("sh", "-c", program)
    assert engine("wait", name).text == "0"
    expected = ["A /added", "A /linked", "C /data", "A /data/new", "C /etc", "C /etc/group"]
    assert sorted(engine("diff", name).lines) == sorted([*expected, "D /etc/plain"])
    told = engine("commit", "--change=CMD ls /", "--message=why", name, "committed:1")
    assert told.text.startswith("sha256:")
    assert "added" in engine.room.must(*_run(engine, "committed:1")).lines
    found = engine.room.must(*_run(engine, "committed:1", "ls", "/etc", "/data")).lines
    assert ("plain" in found, "new" in found) == (False, True)
    linked = engine.room.must(*_run(engine, "committed:1", "stat", "-c%h", "/linked"))
    assert linked.text == "2"
    history = engine("history", "--format={{.Comment}}", "committed:1").lines
    assert history[0] == "why"
    engine.room.must(*engine.command("rm", name))
    assert engine("rmi", "committed:1").status == 0


def _run(engine: Seatriald, reference: str, *program: str) -> list[str]:
    return engine.command("run", "--rm", "--network=none", reference, *program)


def test_a_container_without_changes_makes_an_image_without_a_layer(engine: Seatriald) -> None:
    name = engine.begin_container("true")
    assert engine("wait", name).text == "0"
    assert engine("diff", name).lines == []
    assert engine("commit", name, "same:1").status == 0
    counts = [
        engine("inspect", "--type=image", "--format={{len .RootFS.Layers}}", each).text
        for each in ("same:1", image.NAME)
    ]
    assert counts[0] == counts[1]
    engine.room.must(*engine.command("rm", name))
    assert engine("rmi", "same:1").status == 0


def test_an_exported_container_is_imported(engine: Seatriald, name: str) -> None:
    archive = str(engine.room.folder / "exported.tar")
    assert engine("export", f"--output={archive}", name).status == 0
    with tarfile.open(archive) as opened:
        names = set(opened.getnames())
    assert {"bin/busybox", "etc/passwd"} <= names
    assert not any(each.startswith(("proc/", "sys/")) for each in names)
    engine.room.must(*engine.command("import", archive, "imported"))
    done = engine.room.must(*_run(engine, "imported", "/bin/sh", "-c", "echo hi"))
    assert done.stdout == "hi\n"
    assert engine("rmi", "imported").status == 0


def test_what_the_disk_holds_is_told(engine: Seatriald, name: str) -> None:
    rows = [json.loads(line) for line in engine("system", "df", "--format={{json .}}").lines]
    told = {row["Type"]: row for row in rows}
    assert int(told["Images"]["Active"]) >= 1
    assert int(told["Local Volumes"]["TotalCount"]) >= 1
    assert name in engine("system", "df", "--verbose").stdout
