"""The page: one self-contained HTML file, tables and plots of a run, that opens from disk."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from seatrial.perf import machine
from seatrial.perf.plots.plot import slug
from seatrial.perf.visible import visible

if TYPE_CHECKING:
    from seatrial.perf.report import Report

_TEMPLATES = Path(__file__).parent / "templates"


def document(report: Report) -> str:
    """Return the page. All that comes from the results is text in it, never markup or code."""
    style = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("plot.css", "page.css"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Nothing is loaded from anywhere, and no code runs: the page has none.
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_finalize,
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"slug": slug}
    return environment.get_template("page.html.jinja").render(
        report=report,
        summary=report.summary,
        results=report.summary.results,
        # A drawing escapes its own text.
        drawings={
            plot.drawing.name: Markup(plot.drawing.inline())  # noqa: S704 - made by us
            for plots in report.plots.values()
            for plot in plots
        },
        machine=machine.facts(report.summary.results.environment),
        load=machine.load(report.summary.results.environment),
        policy=policy,
        style=Markup(style),  # noqa: S704 - files of ours
    )


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
