"""Which guest is looked into."""

from __future__ import annotations

import pytest

from seatrial.vm import guests


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the guest's name."""
    parser.addoption("--guest", required=True, help="the guest that --hosts reaches")


@pytest.fixture(scope="module")
def guest(pytestconfig: pytest.Config) -> guests.Guest:
    """Return what the guest is said to be."""
    (found,) = guests.named(guests.checkout(pytestconfig.rootpath), [pytestconfig.option.guest])
    return found
