"""The marks by which a test says which requirements it judges and what else it needs."""

from __future__ import annotations

import pytest


def requirement(*identifiers: str) -> pytest.MarkDecorator:
    """Mark a test as judging the registry's rows ``identifiers``; unknown ones are refused."""
    return pytest.mark.requirement(*identifiers)


def needs(*names: str) -> pytest.MarkDecorator:
    """Mark a test as needing more than its requirements do, in the registry's vocabulary."""
    return pytest.mark.needs(*names)
