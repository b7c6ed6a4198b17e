"""config.md, "Process": env."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import environments, texts

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


def assert_environ(environ: list[bytes], entries: list[str]) -> None:
    """Assert that the program has ``entries``, in whatever order, and at most a HOME besides."""
    seen, wanted = Counter(environ), Counter(entry.encode() for entry in entries)
    assert wanted <= seen, f"{sorted(wanted - seen)} did not reach the program"
    extra = [entry for entry in (seen - wanted).elements() if not entry.startswith(b"HOME=")]
    assert not extra, "the program has variables that are not in the config"


@requirement("config.process.env-applied")
@given(entries=environments())
@example(
    entries=["A=", "B==", "C=a=b", "D=\n", "lower=1", "a b=c d", "É=é", "LONG=" + "x" * 100_000]
)
def test_env_reaches_the_program_byte_for_byte(harness: Harness, entries: list[str]) -> None:
    config = harness.config()
    config["process"]["env"] = entries
    assert_environ(harness.run(config).environ, entries)


@requirement("config.process.env-applied")
@pytest.mark.parametrize("name", ["HOME", "PATH"])
@given(value=texts(min_size=1))
def test_variables_that_a_runtime_looks_at_are_left_as_they_are(
    harness: Harness, name: str, value: str
) -> None:
    config = harness.config()
    config["process"]["env"] = [f"{name}={value}"]
    report = harness.run(config)
    assert [each for each in report.environ if each.startswith(name.encode() + b"=")] == [
        f"{name}={value}".encode()
    ]


@requirement("config.process.env-applied")
def test_an_empty_path_stays_empty(harness: Harness) -> None:
    config = harness.config()
    config["process"]["env"] = ["PATH="]
    assert_environ(harness.run(config).environ, ["PATH="])


@requirement("config.process.env-applied")
def test_an_empty_home_stays_empty_or_counts_as_none(harness: Harness) -> None:
    config = harness.config()
    config["process"]["env"] = ["HOME="]
    homes = [entry for entry in harness.run(config).environ if entry.startswith(b"HOME=")]
    assert len(homes) == 1
    # A HOME that runtimes add is tolerated; that it may take the place of an empty one is open.
    if homes != [b"HOME="]:
        harness.note("an empty HOME is replaced")


@requirement("config.process.env-applied")
def test_a_value_with_a_nul_is_not_cut_short(harness: Harness) -> None:
    config = harness.config()
    config["process"]["env"] = ["NAME=before\0after"]
    with harness.container(config) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        # No program can be given it (execve(2)), so that it must not run at all.
        if result.ok and container.output():
            raise Ignored(f"the program was run, with environment {container.report().environ}")


@requirement("config.process.env-applied")
def test_nothing_of_the_runtimes_own_environment_gets_in_when_env_is_empty(
    harness: Harness,
) -> None:
    config = harness.config()
    config["process"]["env"] = []
    assert_environ(harness.run(config).environ, [])


@requirement("config.process.env-applied")
def test_a_process_without_env_has_its_environment_from_nowhere(harness: Harness) -> None:
    report = harness.run(harness.config())
    names = sorted(entry.partition(b"=")[0].decode() for entry in report.environ)
    if names not in ([], ["HOME"]):
        harness.note(f"without env the program has {', '.join(names)}")
