"""The page: one self-contained HTML file, requirements against runtimes, that opens from disk."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from seatrial.conformance import config as configs
from seatrial.conformance.formats.matrix import MARKS
from seatrial.conformance.formats.visible import visible
from seatrial.conformance.registry.requirement import LEVELS, SPEC_REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.conformance.formats.matrix import Matrix
    from seatrial.conformance.formats.mutations import Mutation

_TEMPLATES = Path(__file__).parent / "templates"


def document(matrix: Matrix, mutations: Mapping[str, Sequence[Mutation]] | None = None) -> str:
    """Return the page, with the mutants of each requirement if they are given.

    All that comes from the results is text in it, never markup or code.
    """
    style, script = (_read(name) for name in ("page.css", "page.js"))
    # Nothing is loaded from anywhere, and no code runs but ours, whatever the results contain.
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{_digest(style)}'",
            f"script-src 'sha256-{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    levels = {line.requirement.level for line in matrix.lines}
    template = _environment().get_template("page.html.jinja")
    return template.render(
        matrix=matrix,
        mutations=mutations or {},
        marks=MARKS,
        levels=[level for level in LEVELS if level in levels],
        present={cell.status for line in matrix.lines for cell in line.cells},
        made=dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        spec_repository=SPEC_REPOSITORY,
        policy=policy,
        style=Markup(style),  # noqa: S704 - a file of ours
        script=Markup(script),  # noqa: S704 - a file of ours
    )


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_finalize,
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"config": _config, "difference": _difference, "environment": _facts}
    return environment


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _config(config: Any) -> str:  # noqa: ANN401 - what JSON holds
    return config if isinstance(config, str) else json.dumps(config, indent=1, ensure_ascii=False)


def _difference(config: Any) -> str:  # noqa: ANN401 - what JSON holds
    """Return what is special in a config, in one line; empty if it is not a JSON object."""
    if not isinstance(config, dict):
        return ""
    return json.dumps(configs.difference(config), ensure_ascii=False)


def _facts(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the environment of a run as names and texts, in its own order."""
    found: list[tuple[str, str]] = []
    for name, value in environment.items():
        if isinstance(value, dict):
            found += [(f"{name}: {inner}", _text(each)) for inner, each in value.items()]
        else:
            found.append((name.replace("_", " "), _text(value)))
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
