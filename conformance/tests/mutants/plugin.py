"""A pytest plugin for trials of mutants.

A first failure is enough, and is not made smaller; a test of the rows has to find it, and not the
smoke test, which any runtime fails that can do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import Phase, is_hypothesis_test, settings

from seatrial.conformance import smoke, spec

if TYPE_CHECKING:
    import pytest

    from seatrial.conformance.session import Session

MOST_EXAMPLES = 12


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
