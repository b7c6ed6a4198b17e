"""Which tests judge which requirement: found by collecting the suite without running it."""

from __future__ import annotations

import contextlib
import io

import pytest

from seatrial.conformance.data import data_directory
from seatrial.conformance.errors import UsageError

#: Options for pytest inside a process that has imported the harness already: its assertions are
#: then not rewritten, which costs nothing as they bring their own messages.
IN_PROCESS = (
    *("-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
    # As in pyproject.toml, which an installed suite is without: chapters have files of one name.
    "--import-mode=importlib",
)


class _Collector:
    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the requirements of every test, each once whatever the runtimes.

        Before those are dropped that no present release has: older wordings have tests too.
        """
        for item in items:
            test = item.nodeid.partition("[")[0]
            for mark in item.iter_markers("requirement"):
                for name in mark.args:
                    found = self.tests.setdefault(str(name), [])
                    if test not in found:
                        found.append(test)


def collect_tests() -> dict[str, list[str]]:
    """Return the node ids of the suite's tests by requirement id.

    Raises ``UsageError`` with pytest's words when the suite cannot be collected.
    """
    collector = _Collector()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main(
            [str(data_directory("suite")), "--collect-only", "-q", *IN_PROCESS],
            plugins=[collector],
        )
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise UsageError(f"the suite cannot be collected:\n{said.getvalue().strip()}")
    return collector.tests
