"""``docker commit``: what a container has changed becomes a layer on its image's."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from seatrial.engine import clock, differences, image_archives, payloads
from seatrial.engine.errors import NotFound

if TYPE_CHECKING:
    from seatrial.engine.engine import Engine
    from seatrial.engine.images import Image, Layer
    from seatrial.engine.payloads import Config
    from seatrial.engine.records import Record


class Wanted(NamedTuple):
    """What is said of the new image."""

    author: str
    comment: str
    config: dict[str, Any]


def changes(engine: Engine, record: Record) -> list[differences.Change]:
    """Return what a container has changed."""
    layers = [engine.images.layers.path(each) for each in record.layers]
    return differences.changes(f"{engine.folder(record)}/upper", layers)


def commit(engine: Engine, record: Record, wanted: Wanted) -> Image:
    """Make an image; its layers are those of the container's image, and one of its changes."""
    base = engine.images.with_id(record.image_id)
    if base is None:
        raise NotFound(f"No such image: {record.image_id}: it was removed by force")
    layer = _layer(engine, record)
    layers = [*base.layers, *([layer] if layer is not None else [])]
    before, created = engine.images.document(base), clock.now()
    entry = {
        "created": created,
        "created_by": " ".join(payloads.words(record.config.cmd)),
        **({"author": wanted.author} if wanted.author else {}),
        **({"comment": wanted.comment} if wanted.comment else {}),
        **({"empty_layer": True} if layer is None else {}),
    }
    document = {
        **before,
        "created": created,
        "author": wanted.author,
        "config": wanted.config,
        "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
        "history": [*(before.get("history") or []), entry],
    }
    return engine.images.add(json.dumps(document).encode(), layers)


def _layer(engine: Engine, record: Record) -> Layer | None:
    found = changes(engine, record)
    if not found:
        return None
    with tempfile.TemporaryFile(dir=engine.settings.scratch) as file:
        differences.write_layer(f"{engine.folder(record)}/upper", found, file)
        file.seek(0)
        return image_archives.add_layer(engine.images, file)


def members(config: Config) -> dict[str, Any]:
    """Return what is set in a config."""
    made: dict[str, Any] = msgspec.to_builtins(config)
    return {name: value for name, value in made.items() if value not in (None, False, "", [], {})}
