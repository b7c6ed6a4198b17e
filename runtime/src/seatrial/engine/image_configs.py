"""Images' configs: what is in a layer stack, and what its containers run by default."""

from __future__ import annotations

import json
from typing import Any

from seatrial.engine import payloads
from seatrial.engine.clock import NEVER
from seatrial.engine.errors import BadRequest
from seatrial.engine.payloads import Config
from seatrial.engine.registry.manifests import MOST_LAYERS

LONGEST = 8 << 20


def checked_config(config: bytes) -> dict[str, Any]:
    """Read an image's config; raises BadRequest for what is none."""
    if len(config) > LONGEST:
        raise BadRequest("the image's config is too long")
    try:
        document = json.loads(config)
        diff_ids = document["rootfs"]["diff_ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequest("the image's config is none: it has no rootfs.diff_ids") from None
    if not isinstance(diff_ids, list) or not all(isinstance(each, str) for each in diff_ids):
        raise BadRequest("the image's config is none: rootfs.diff_ids are no digests")
    if len(diff_ids) > MOST_LAYERS:
        raise BadRequest(f"the image has more than {MOST_LAYERS} layers")
    created = document.get("created")
    if created is not None and not isinstance(created, str):
        raise BadRequest("the image's config is none: created is no time")
    payloads.convert(Config, document.get("config") or {})
    return {**document, "created": created or NEVER}
