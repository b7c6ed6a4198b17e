"""A sitting with docker's own client, as a person would have it.

What other engines do too is tried on this one by `make engines`.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from daemons import image

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald


def test_the_daemon_tells_of_itself(engine: Seatriald) -> None:
    assert engine("version", "--format={{.Server.APIVersion}}").text == "1.50"
    told = json.loads(engine("info", "--format={{json .}}").stdout)
    assert (told["Driver"], told["DefaultRuntime"]) == ("overlay2", "under-test")


@pytest.mark.parametrize("version", ["1.41", "1.44", "1.50"])
def test_clients_of_older_versions_are_served(engine: Seatriald, version: str) -> None:
    older = ["env", f"DOCKER_API_VERSION={version}"]
    command = engine.new("--rm", program=("echo", "hi"))
    assert engine.room.run(*older, *command).stdout == "hi\n"
    assert engine.room.run(*older, *engine.command("images", "-q")).lines


def test_output_errors_and_exit_status_come_back(engine: Seatriald) -> None:
    done = engine.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.status) == ("out\n", "err\n", 7)


def test_megabytes_go_in_and_come_back(engine: Seatriald) -> None:
    data = bytes(range(256)) * 8192
    program = engine.new("--rm", "--interactive", program=("sha256sum",))
    told = engine.room.run(*program, stdin=data).text
    assert told == f"{hashlib.sha256(data).hexdigest()}  -"
    back = engine.new("--rm", "--interactive", program=("cat",))
    assert engine.room.run(*back, stdin=b"x" * 100_000).stdout == "x" * 100_000


def test_an_image_is_tagged_saved_removed_and_loaded(engine: Seatriald) -> None:
    assert engine("tag", image.NAME, "example/boat:1").status == 0
    identifier = engine("images", "-q", "--no-trunc", "example/boat:1").text
    archive = str(engine.room.folder / "boat.tar")
    assert engine("save", "-o", archive, "example/boat:1").status == 0
    with tarfile.open(archive) as opened:
        assert {"manifest.json", "index.json", "oci-layout"} <= set(opened.getnames())
    assert engine("rmi", "example/boat:1").stdout == "Untagged: example/boat:1\n"
    assert engine("inspect", "--type=image", "example/boat:1").status == 1
    assert engine("load", "-i", archive).stdout == "Loaded image: example/boat:1\n"
    assert engine("images", "-q", "--no-trunc", "example/boat:1").text == identifier
    assert len(engine("history", "-q", "example/boat:1").lines) == 1
    assert engine("rmi", "example/boat:1").status == 0


def test_an_image_in_use_is_not_removed(engine: Seatriald) -> None:
    name = engine.begin_container("sleep", "1000")
    done = engine("rmi", image.NAME)
    assert (done.status, "is using its referenced image" in done.stderr) == (1, True)
    assert engine("rm", "--force", name).status == 0


def test_containers_are_listed_by_filters(engine: Seatriald) -> None:
    name = engine.begin_container("sleep", "1000", options=("--label=crew=7",))
    ended = engine.begin_container("true")
    assert engine("wait", ended).text == "0"
    listed = [
        engine("ps", "--all", "--format={{.Names}}", f"--filter={each}").lines
        for each in ("label=crew=7", f"name=^/{name}$", "status=exited", "exited=0", "label=crew=8")
    ]
    assert listed[:2] == [[name], [name]]
    assert ended in listed[2]
    assert ended in listed[3]
    assert listed[4] == []
    assert ended not in engine("ps", "--format={{.Names}}").lines
    assert engine("rm", "--force", name, ended).status == 0


def test_a_name_can_be_changed_and_is_nobody_elses(engine: Seatriald) -> None:
    name = engine.begin_container("sleep", "1000")
    assert engine("rename", name, f"{name}-again").status == 0
    taken = engine.room.run(*engine.new(f"--name={name}-again", program=("true",), verb="create"))
    assert (taken.status, "is already in use by container" in taken.stderr) == (1, True)
    assert engine("rm", "--force", f"{name}-again").status == 0


def test_what_happens_is_told_in_order(engine: Seatriald) -> None:
    name = engine.begin_container("sh", "-c", "trap exit TERM; while :; do sleep 0.1; done")
    assert engine("stop", name).status == 0
    assert engine("rm", name).status == 0
    with engine.follow(
        "events", "--since=1", f"--filter=container={name}", "--format={{.Action}}"
    ) as told:
        for action in ("create", "start", "kill", "die", "stop", "destroy"):
            told.expect(f"{action}\n")


def test_a_volume_takes_what_the_image_has_there(engine: Seatriald) -> None:
    done = engine.run("ls", "/etc", options=("--volume=stores:/etc",))
    assert "passwd" in done.lines
    assert "stores" in engine("volume", "ls", "-q").lines
    assert engine.run("touch", "/etc/new", options=("--volume=stores:/etc",)).status == 0
    assert "new" in engine.run("ls", "/etc", options=("--volume=stores:/etc",)).lines
    assert engine("volume", "rm", "stores").text == "stores"


def test_a_nameless_volume_ends_with_its_container(engine: Seatriald) -> None:
    before = engine("volume", "ls", "-q").lines
    assert engine.run("touch", "/data/x", options=("--volume=/data",)).status == 0
    assert engine("volume", "ls", "-q").lines == before


def test_logs_are_rotated(engine: Seatriald) -> None:
    program = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done"
    options = ("--log-opt=max-size=1k", "--log-opt=max-file=3")
    name = engine.begin_container("sh", "-c", program, options=options)
    assert engine("wait", name).text == "0"
    lines = engine("logs", name).lines
    assert lines[-1] == "199"
    assert len(lines) < 100
    assert engine("logs", "--tail=2", name).lines == ["198", "199"]
    assert engine("rm", name).status == 0


def test_a_failed_container_is_restarted_as_often_as_asked_for(engine: Seatriald) -> None:
    name = engine.begin_container("false", options=("--restart=on-failure:2",))
    assert engine("wait", name).text == "1"
    assert engine.inspect(name)["RestartCount"] == 2
    assert engine("rm", name).status == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("search", "boat"), "does not search registries"),
        (("plugin", "ls"), "has no plugins"),
        (("node", "ls"), "has no swarm"),
    ],
)
def test_what_is_not_done_is_said(engine: Seatriald, command: tuple[str, ...], told: str) -> None:
    done = engine(*command)
    assert (done.status, told in done.stderr) == (1, True)


def test_an_archive_that_is_none_is_refused(engine: Seatriald) -> None:
    assert engine("load", stdin=b"nothing of the kind").status == 1
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    assert "holds no image" in engine("load", stdin=empty.getvalue()).stderr


def test_a_containers_chain_is_explained(engine: Seatriald) -> None:
    name = engine.begin_container("sleep", "1000")
    told = engine.room.must(*engine.explaining(name)).stdout
    state = engine.inspect(name)["State"]
    for part in (f"container  {name}", "payload", "config.json", "plan", "kernel"):
        assert part in told
    assert f"pid {state['Pid']}" in told
    assert engine("rm", "--force", name).status == 0
