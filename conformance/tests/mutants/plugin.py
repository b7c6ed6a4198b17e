"""A pytest plugin for trials of mutants.

A first failure of a row is enough: it is not made smaller, and the row's other tests are left out.
A test of the rows has to find it, and not the smoke test, which any runtime fails that can do
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, is_hypothesis_test, settings

from seatrial.conformance import judgement, smoke, spec
from seatrial.conformance.errors import Hung
from seatrial.conformance.plan import KEY

if TYPE_CHECKING:
    from seatrial.conformance.session import Session

MOST_EXAMPLES = 12

#: The rows of which a test has failed, and not only because something took too long.
caught: set[str] = set()


def pytest_configure() -> None:
    """Leave out the smoke test, and take what it finds in the reference runtime."""

    def take(session: Session) -> None:
        session.config_version = next(iter(spec.up_to(session.spec)))

    smoke.check = take


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every property draw a few examples only."""
    for item in items:
        test: Any = getattr(item, "obj", None)
        if test is None or not is_hypothesis_test(test):
            continue
        # Where Hypothesis's own pytest plugin reads them.
        own: settings = test._hypothesis_internal_use_settings  # noqa: SLF001
        test._hypothesis_internal_use_settings = settings(  # noqa: SLF001
            own,
            max_examples=min(own.max_examples, MOST_EXAMPLES),
            phases=(Phase.explicit, Phase.generate),
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Leave a test out that is only about rows of which one has failed."""
    rows = item.config.stash[KEY].selected.intersection(judgement.marked(item))
    return True if rows and rows <= caught else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Know the rows of which a test has failed."""
    verdict = judgement.verdict_of(report)
    if verdict is not None and verdict.status == "fail" and verdict.kind != Hung.kind:
        caught.update(verdict.requirements)
