"""Which containers a list's filters choose: ``docker ps --filter``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.engine.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from seatrial.engine.containers import Container, Containers
    from seatrial.engine.engine import Engine
    from seatrial.engine.events import Filters
    from seatrial.engine.records import Record

KNOWN = {
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label"),
    *("name", "network", "publish", "since", "status", "volume"),
}
_HEALTH = {"none", "starting", "healthy", "unhealthy"}
_STATES = {"created", "running", "paused", "restarting", "removing", "exited", "dead"}


def containers(engine: Engine, filters: Filters, *, every: bool, limit: int | None) -> list[Record]:
    """Return the records that the filters choose, the newest first."""
    for value in filters.get("status", ()):
        if value not in _STATES:
            raise BadRequest(f"invalid filter 'status={value}'")
    for value in filters.get("health", ()):
        if value not in _HEALTH:
            raise BadRequest(f"Unrecognised filter value for health: {value}")
    for value in filters.get("exited", ()):
        if not value.lstrip("-").isdecimal():
            raise BadRequest(f"invalid filter 'exited={value}'")
    every = every or bool(limit) or bool({"status", "exited", "before", "since"} & set(filters))
    found = [each for each in engine.containers.all() if every or each.record.state.running]
    found = _around(engine.containers, found, filters)
    chosen = [each.record for each in found if _matches(engine, each.record, filters)]
    return chosen[:limit] if limit else chosen


def _around(held: Containers, found: list[Container], filters: Filters) -> list[Container]:
    for value in filters.get("before", ()):
        edge = held.find(value).record.created
        found = [each for each in found if each.record.created < edge]
    for value in filters.get("since", ()):
        edge = held.find(value).record.created
        found = [each for each in found if each.record.created > edge]
    return found


def _matches(engine: Engine, record: Record, filters: Filters) -> bool:
    return all(_matches_one(engine, record, kind, values) for kind, values in filters.items())


def _matches_one(engine: Engine, record: Record, kind: str, values: list[str]) -> bool:  # noqa: PLR0911 - a case each
    if kind == "id":
        return any(record.id.startswith(value) for value in values)
    if kind == "name":
        return any(_searched(value, record.name) for value in values)
    if kind == "label":
        return all(has_label(record.config.labels, value) for value in values)
    if kind == "status":
        return record.state.status in values
    if kind == "exited":
        exited = record.state.status == "exited"
        return exited and any(record.state.exit_code == int(value) for value in values)
    if kind == "ancestor":
        return any(_descends(engine, record, value) for value in values)
    if kind == "volume":
        return any(
            value in {point.name, point.source, point.destination}
            for point in record.mounts
            for value in values
        )
    if kind == "network":
        held = {record.host.network_mode, *record.endpoints}
        held |= {each.network for each in record.endpoints.values()}
        return any(value in held for value in values)
    if kind == "health":
        health = record.state.health
        return (health.status if health is not None else "none") in values
    return kind in {"before", "since", "isolation"} or (kind == "is-task" and "false" in values)


def _searched(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, f"/{name}") is not None or re.search(pattern, name) is not None
    except re.error:
        return False  # as Docker has it


def has_label(labels: dict[str, str] | None, wanted: str) -> bool:
    """Whether there is a label, with the value if one is wanted."""
    name, equals, value = wanted.partition("=")
    held = labels or {}
    return name in held and (not equals or held[name] == value)


def _descends(engine: Engine, record: Record, wanted: str) -> bool:
    try:
        image = engine.images.find(wanted)
    except NotFound:
        return record.image == wanted
    return record.layers[: len(image.layers)] == [layer.diff_id for layer in image.layers]
