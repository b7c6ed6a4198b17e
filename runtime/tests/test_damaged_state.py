"""What is written down of a container is damaged: that is told, and it is removed by force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attacking.ground import Ground
from mounting import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = {
    "empty": b"",
    "no fields": b"\0\0\0",
    "a field without value": b"id\0",
    "cut": b'id=a\0bundle="/b"\0pid=1',
    "a pid that is none": b'id=a\0bundle="/b"\0pid=-1\0born=1\0created=\0process=\0annotations=\0'
    b"listener=\0freezer=\0",
}
REST = b"pid=1\0born=1\0created=\0process=\0listener=\0freezer=\0"
#: The launcher prints these as they are.
NO_JSON = {
    "annotations": b'id=a\0bundle="/b"\0annotations={\0' + REST,
    "a bundle": b"id=a\0bundle=[\\\0annotations=\0" + REST,
}
PLANS = {"empty": b"", "short": b"PLAN", "zeros": bytes(500)}


@pytest.fixture
def ground() -> Iterator[Ground]:
    with Ground([COMMAND]) as made:
        yield made


@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_record_is_told_and_its_container_removed_by_force(
    ground: Ground, name: str
) -> None:
    container, other = ground.bundle().create("pause"), ground.bundle().create("pause")
    (ground.state / container.id / "record").write_bytes(RECORDS[name])
    told = f"container {container.id}: its record in {ground.state} is damaged"
    for words in (("state",), ("kill",), ("start",), ("delete",), ("exec",), ("update",)):
        more = {"kill": ["KILL"], "exec": ["/attacker"]}.get(words[0], [])
        done = ground.call(*words, container.id, *more)
        assert done.failed
        assert told in done.said
        assert "Traceback" not in done.said
    done = ground.call("list", "--quiet")
    assert not done.failed
    assert told in done.said
    assert other.id in done.said
    assert ground.call("delete", "--force", container.id).said == ""
    assert "does not exist" in ground.call("state", container.id).said
    assert not container.alive()
    assert ground.processes(container.id) == []


@pytest.mark.parametrize("name", NO_JSON)
def test_a_record_with_what_is_no_json_is_told_where_that_is_read(
    ground: Ground, name: str
) -> None:
    container = ground.bundle().create("pause")
    (ground.state / container.id / "record").write_bytes(NO_JSON[name])
    done = ground.call("exec", container.id, "/attacker")
    assert f"its record in {ground.state} is damaged" in done.said
    assert not ground.call("delete", "--force", container.id).failed
    assert ground.processes(container.id) == []


@pytest.mark.parametrize("name", PLANS)
def test_a_damaged_plan_is_told_and_its_container_removed_by_force(
    ground: Ground, name: str
) -> None:
    container = ground.bundle().create("pause")
    (ground.state / container.id / "plan").write_bytes(PLANS[name])
    told = f"container {container.id}: its plan in {ground.state} is damaged"
    assert told in ground.call("start", container.id).said
    assert ground.call("kill", container.id, "KILL").said == ""
    assert container.ended().status == 0
    done = ground.call("delete", container.id)
    assert done.failed
    assert told in done.said
    assert "Traceback" not in done.said
    done = ground.call("delete", "--force", container.id)
    assert not done.failed
    assert "what create made elsewhere is left" in done.said
    assert "does not exist" in ground.call("state", container.id).said
