"""docker-py, another client of Docker's interface, as its users have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docker
import pytest
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
