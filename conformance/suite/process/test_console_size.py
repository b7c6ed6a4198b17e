"""config.md, "Process": consoleSize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance import consoles
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What struct winsize holds (ioctl_tty(2)).
sizes = st.integers(1, 2**16 - 1)
#: What the config may hold.
all_sizes = st.integers(0, 2**64 - 1)


def with_size(harness: Harness, **size: int) -> Config:
    """Return a config with a terminal and a ``consoleSize``."""
    config = harness.config()
    config["process"] |= {"terminal": True, "consoleSize": size}
    config["mounts"].append(consoles.DEVPTS)
    return config


def window(report: dict[str, Any]) -> tuple[int, int]:
    """Return the lines and columns that the program saw."""
    terminal = report["terminals"]["0"]
    return terminal["rows"], terminal["columns"]


@requirement("config.process.console-size-applied")
@given(height=sizes, width=sizes)
def test_the_terminal_has_the_size_of_console_size(
    harness: Harness, height: int, width: int
) -> None:
    report = consoles.run(harness, with_size(harness, height=height, width=width))
    assert window(report) == (height, width)


@requirement("config.process.console-size-applied", "config.valid-values.invalid-errors")
@pytest.mark.parametrize(("height", "width"), [(2**16 + 25, 80), (25, 2**16 + 80)])
def test_a_size_that_no_terminal_can_have_is_refused(
    harness: Harness, height: int, width: int
) -> None:
    config = with_size(harness, height=height, width=width)
    if consoles.attempt(harness, config).ok:
        lines, columns = window(consoles.run(harness, config))
        raise Ignored(f"height {height} and width {width} become {lines} and {columns}")


@requirement("config.process.console-size-applied")
@pytest.mark.parametrize(("height", "width"), [(0, 80), (25, 0)])
def test_a_size_of_zero_is_applied_or_left_out(harness: Harness, height: int, width: int) -> None:
    config = with_size(harness, height=height, width=width)
    with consoles.created(harness, config) as (container, console):
        assert container.start().ok
        seen = window(console.report())
    # A terminal can have it, yet 0 is how a terminal says that it does not know.
    if seen != (height, width):
        harness.note(f"height {height} and width {width} become {seen[0]} and {seen[1]}")


@requirement("config.process.console-size-ignored")
@pytest.mark.parametrize("terminal", [None, False], ids=["unset", "false"])
@given(height=all_sizes, width=all_sizes)
def test_console_size_counts_for_nothing_without_a_terminal(
    harness: Harness, height: int, width: int, *, terminal: bool | None
) -> None:
    config = harness.config()
    config["process"]["consoleSize"] = {"height": height, "width": width}
    if terminal is not None:
        config["process"]["terminal"] = terminal
    report = harness.run(config)
    assert [each["tty"] for each in report["terminals"].values()] == [False, False, False]


@requirement("config.process.console-size-height-present")
def test_a_console_size_without_height_is_refused_or_accepted(harness: Harness) -> None:
    refused = consoles.attempt(harness, with_size(harness, width=80)).failed
    harness.note(f"a consoleSize without height is {'refused' if refused else 'accepted'}")


@requirement("config.process.console-size-width-present")
def test_a_console_size_without_width_is_refused_or_accepted(harness: Harness) -> None:
    refused = consoles.attempt(harness, with_size(harness, height=25)).failed
    harness.note(f"a consoleSize without width is {'refused' if refused else 'accepted'}")
