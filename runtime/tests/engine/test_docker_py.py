"""docker-py and testinfra, other clients of Docker's interface, as their users have them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import docker
import pytest
import testinfra
from daemons import image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.seatriald import Seatriald


@pytest.fixture
def client(engine: Seatriald) -> Iterator[docker.DockerClient]:
    """Return a client; the socket crosses the room's walls."""
    made = docker.DockerClient(base_url=f"unix://{engine.socket}")
    yield made
    made.close()


def test_a_container_is_run_and_its_output_returned(client: docker.DockerClient) -> None:
    assert client.containers.run(image.NAME, ["echo", "hi"], remove=True) == b"hi\n"


def test_a_failing_container_raises(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run(image.NAME, ["false"], remove=True)
    assert caught.value.exit_status == 1


def test_a_container_lives_from_create_to_remove(client: docker.DockerClient) -> None:
    container = client.containers.create(image.NAME, ["sleep", "1000"], labels={"crew": "8"})
    assert container.status == "created"
    container.start()
    container.reload()
    assert container.status == "running"
    assert container in client.containers.list(filters={"label": "crew=8"})
    assert container.exec_run(["sh", "-c", "echo in; exit 4"]) == (4, b"in\n")
    demuxed = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert demuxed.output == (b"out\n", b"err\n")
    container.pause()
    container.unpause()
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(container.id)


def test_logs_and_events_are_streams(client: docker.DockerClient) -> None:
    container = client.containers.run(image.NAME, ["sh", "-c", "echo a; echo b"], detach=True)
    assert b"".join(container.logs(stream=True, follow=True)) == b"a\nb\n"
    container.remove()
    told = client.events(since=1, decode=True, filters={"container": container.id})
    assert [next(told)["Action"] for _ in range(4)] == ["create", "start", "die", "destroy"]
    told.close()


def test_images_and_volumes_are_listed(client: docker.DockerClient) -> None:
    found = client.images.get(image.NAME)
    assert found in client.images.list()
    volume = client.volumes.create("py")
    assert volume in client.volumes.list()
    volume.remove()


def test_what_is_missing_is_an_error_of_its_kind(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ImageNotFound):
        client.containers.create("nosuch")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nosuch")


def test_streams_go_both_ways_over_an_attached_socket(client: docker.DockerClient) -> None:
    container = client.containers.create(image.NAME, ["cat"], stdin_open=True, network_mode="none")
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    # docker-py gives the socket's file; what is behind it can be closed in one direction alone.
    raw = attached._sock  # noqa: SLF001 - as docker-py's own documentation has it
    raw.sendall(b"there and back")
    raw.shutdown(socket.SHUT_WR)
    held = b""
    while data := raw.recv(4096):
        held += data
    assert held[8:] == b"there and back"
    assert container.wait()["StatusCode"] == 0
    attached.close()
    raw.close()
    container.remove()


def test_an_exec_streams_and_has_a_terminal_of_the_size_asked_for(
    client: docker.DockerClient,
) -> None:
    container = client.containers.run(image.NAME, ["sleep", "1000"], detach=True)
    made = client.api.exec_create(
        container.id, ["sh", "-c", "read x; stty size"], stdin=True, tty=True
    )
    stream = client.api.exec_start(made["Id"], tty=True, socket=True)
    raw = stream._sock  # noqa: SLF001 - see above
    client.api.exec_resize(made["Id"], height=33, width=77)
    raw.sendall(b"go\n")
    held = b""
    while b"33 77" not in held and (data := raw.recv(4096)):
        held += data
    assert b"33 77" in held
    stream.close()
    raw.close()
    lines = container.exec_run(["sh", "-c", "echo a; echo b"], stream=True).output
    assert b"".join(lines) == b"a\nb\n"
    container.remove(force=True)


def test_a_container_is_described_by_all_that_it_was_given(client: docker.DockerClient) -> None:
    container = client.containers.create(
        image.NAME,
        ["sleep", "1000"],
        name="described",
        environment={"A": "1"},
        healthcheck={"test": ["CMD", "true"], "interval": 1_000_000_000},
        init=True,
        mem_limit="64m",
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
        tmpfs={"/t": "size=1m"},
        volumes={"stores": {"bind": "/data", "mode": "ro"}},
        ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
    )
    container.reload()
    told = container.attrs
    assert told["Config"]["Healthcheck"]["Interval"] == 1_000_000_000
    assert told["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert (told["HostConfig"]["Init"], told["HostConfig"]["Memory"]) == (True, 64 << 20)
    assert [each["Destination"] for each in told["Mounts"]] == ["/data"]
    container.start()
    assert "sleep" in str(container.top()["Processes"])
    assert container.stats(stream=False)["memory_stats"]["limit"] == 64 << 20
    container.update(mem_limit="32m", memswap_limit="64m")
    container.rename("described-again")
    container.restart(timeout=0)
    container.reload()
    assert (container.name, container.status) == ("described-again", "running")
    container.remove(force=True)
    client.volumes.get("stores").remove()


def test_the_daemon_is_described(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.info()["Driver"] == "overlay2"
    assert client.version()["ApiVersion"] == "1.50"
    assert client.df()["Images"]


def test_a_prune_takes_what_has_ended(client: docker.DockerClient) -> None:
    container = client.containers.run(image.NAME, ["true"], detach=True, labels=["prune"])
    container.wait()
    removed = client.containers.prune(filters={"label": "prune"})
    assert removed["ContainersDeleted"] == [container.id]


def test_testinfra_looks_into_a_container(
    engine: Seatriald, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its backend calls the docker command, from outside of the room as docker-py does.
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
    name = engine.begin_container("sleep", "1000", options=("--user=sailor",))
    host = testinfra.get_host(f"docker://{name}")
    assert host.file("/etc/plain").content_string == "text\n"
    assert host.file("/etc/passwd").exists
    assert not host.file("/nosuch").exists
    assert host.check_output("id -u") == "1000"
    assert host.run("exit 3").rc == 3
    root = testinfra.get_host(f"docker://root@{name}")
    assert root.check_output("id -u") == "0"
    assert engine("rm", "--force", name).status == 0
