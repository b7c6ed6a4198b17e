"""What states of containers have to be like (runtime.md, "State")."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, NoReturn

import jsonschema

from seatrial.conformance.data import schema_file
from seatrial.conformance.errors import Malformed

#: The values of ``status`` that the spec defines.
STATUSES = ("creating", "created", "running", "stopped")

_NUMBER = r"(?:0|[1-9]\d*)"
_PRERELEASE = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD = r"[0-9A-Za-z-]+"
#: A version by Semantic Versioning 2.0.0, which is how the spec numbers its releases.
SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRERELEASE}(?:\.{_PRERELEASE})*)?"
    rf"(?:\+{_BUILD}(?:\.{_BUILD})*)?",
    re.ASCII,
)


class State(dict[str, Any]):
    """A state as it was read; to ask it for a member that it lacks raises ``Malformed``."""

    def __missing__(self, key: str) -> NoReturn:
        """Say which member is missing: a verdict, where a ``KeyError`` would be our own failure."""
        raise Malformed(f"the state has no {key}: {dict(self)!r}")


def breaches(state: dict[str, Any]) -> list[str]:
    """Return what its schema holds against a state, a line each; empty when it is valid."""
    found = _validator().iter_errors(state)
    return sorted(f"{error.json_path}: {error.message}" for error in found)


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_file("state.json").read_text()))
