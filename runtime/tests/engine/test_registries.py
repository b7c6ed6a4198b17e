"""Images go to a real registry and come back: docker's client, our daemon, Debian's registry."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest
from daemons import image
from daemons.registry import PASSWORD, USER, Registry

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def registry(engine: Seatriald) -> Registry:
    return Registry(engine.room, 5000)


@pytest.fixture(scope="module")
def closed(engine: Seatriald) -> Registry:
    return Registry(engine.room, 5001, closed=True)


def _pushed(engine: Seatriald, registry: Registry) -> str:
    """Return a name at a registry that an image of its own was pushed to."""
    name = registry.named(f"fleet/boat{next(_numbers)}:1")
    engine.room.must(*engine.command("tag", image.NAME, name))
    engine.room.must(*engine.command("push", name))
    return name


def _forget(engine: Seatriald, name: str) -> None:
    engine.room.must(*engine.command("rmi", name))


def test_an_image_that_was_pushed_is_pulled_and_runs(engine: Seatriald, registry: Registry) -> None:
    name = _pushed(engine, registry)
    identifier = engine("images", "--quiet", "--no-trunc", name).text
    _forget(engine, name)
    done = engine("pull", name)
    assert done.status == 0, done
    assert f"Status: Downloaded newer image for {name}" in done.lines
    assert engine("images", "--quiet", "--no-trunc", name).text == identifier
    assert engine("run", "--rm", "--network=none", name, "echo", "hi").stdout == "hi\n"
    assert f"Status: Image is up to date for {name}" in engine("pull", name).lines
    _forget(engine, name)


def test_a_layer_that_another_repository_has_is_lent(engine: Seatriald, registry: Registry) -> None:
    name, other = _pushed(engine, registry), registry.named(f"lent/boat{next(_numbers)}:1")
    engine.room.must(*engine.command("tag", name, other))
    assert "Mounted from fleet/boat" in engine("push", other).stdout
    assert "Layer already exists" in engine("push", other).stdout
    for each in (name, other):
        _forget(engine, each)


def test_all_tags_are_pushed_and_pulled_at_once(engine: Seatriald, registry: Registry) -> None:
    name = registry.named("many/boat")
    for tag in ("1", "2"):
        engine.room.must(*engine.command("tag", image.NAME, f"{name}:{tag}"))
    assert engine("push", "--all-tags", name).status == 0
    for tag in ("1", "2"):
        _forget(engine, f"{name}:{tag}")
    assert engine("pull", "--all-tags", name).status == 0
    told = engine("images", "--format={{.Tag}}", name).lines
    assert sorted(told) == ["1", "2"]
    for tag in ("1", "2"):
        _forget(engine, f"{name}:{tag}")


def test_an_image_is_pulled_by_its_digest(engine: Seatriald, registry: Registry) -> None:
    name = _pushed(engine, registry)
    (digest,) = json.loads(engine("inspect", "--format={{json .RepoDigests}}", name).stdout)
    _forget(engine, name)
    assert engine("pull", digest).status == 0
    assert engine("images", "--digests", "--format={{.Repository}}@{{.Digest}}", "--all").lines
    assert engine("run", "--rm", "--network=none", digest, "echo", "hi").stdout == "hi\n"
    _forget(engine, digest)


def test_what_a_registry_has_not_is_said(engine: Seatriald, registry: Registry) -> None:
    name = registry.named("nosuch:1")
    done = engine("pull", name)
    assert (done.status, f"manifest for {name} not found: manifest unknown" in done.stderr) == (
        1,
        True,
    )
    done = engine("push", name)
    assert (done.status, "An image does not exist locally with the tag" in done.stderr) == (1, True)


def test_who_logs_in_may_come(engine: Seatriald, closed: Registry) -> None:
    name = closed.named("boat:1")
    engine.room.must(*engine.command("tag", image.NAME, name))
    assert "no basic auth credentials" in engine("push", name).stderr
    login = ("login", f"--username={USER}", "--password-stdin", closed.address)
    wrong = engine(*login, stdin=b"wrong")
    assert (wrong.status, "unauthorized: authentication required" in wrong.stderr) == (1, True)
    assert engine(*login, stdin=PASSWORD.encode()).lines[-1] == "Login Succeeded"
    assert engine("push", name).status == 0
    _forget(engine, name)
    assert engine("pull", name).status == 0
    engine.room.must(*engine.command("logout", closed.address))
    assert "pull access denied" in engine("pull", name).stderr
    assert not any(PASSWORD in line for line in engine.daemon.log)
    _forget(engine, name)
