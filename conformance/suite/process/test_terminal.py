"""config.md, "Process": terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import consoles
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def with_terminal(harness: Harness, *act: str) -> Config:
    """Return a config with a terminal, and with what a bundle mounts for it."""
    config = harness.config(*act)
    config["process"]["terminal"] = True
    config["mounts"].append(consoles.DEVPTS)
    return config


@requirement("config.process.terminal-true")
@pytest.mark.parametrize("uid", [0, 1000])
def test_a_pseudoterminal_is_on_the_three_standard_streams(harness: Harness, uid: int) -> None:
    config = with_terminal(harness)
    config["process"]["user"] = {"uid": uid, "gid": uid}
    # That there is a report to read here shows that the caller has the other end.
    terminals = consoles.run(harness, config)["terminals"]
    assert [terminal["tty"] for terminal in terminals.values()] == [True, True, True]
    assert len({terminal["device"] for terminal in terminals.values()}) == 1


@requirement("config.process.terminal-true")
def test_the_program_reads_what_is_typed(harness: Harness) -> None:
    config = with_terminal(harness, "say", "ready", "+", "read", "/proc/self/fd/0")
    with consoles.created(harness, config) as (container, console):
        assert container.start().ok
        assert console.read_line()["text"] == "ready"
        # One line, then the character that ends the input (termios(3), VEOF).
        console.write(b"typed\n\x04")
        assert b'"content":"typed\\u000a"' in console.output()


@requirement("config.process.terminal-default-false")
@pytest.mark.parametrize("terminal", [None, False], ids=["unset", "false"])
def test_no_terminal_is_attached_unless_asked_for(
    harness: Harness, *, terminal: bool | None
) -> None:
    config = harness.config()
    if terminal is not None:
        config["process"]["terminal"] = terminal
    report = harness.run(config)
    assert [each["tty"] for each in report["terminals"].values()] == [False, False, False]
    assert not report["controlling_terminal"]
