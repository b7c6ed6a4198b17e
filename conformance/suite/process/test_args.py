"""config.md, "Process": args, as the program's argument list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given

from seatrial.conformance.config import without
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import absolute_paths, arguments

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("config.process.args-applied")
@given(words=arguments())
@example(words=["x" * 100_000])
@example(words=["$HOME", "*", "`id`", "a b", "'", '"', "\\", "\n", ""])
def test_args_reach_the_program_byte_for_byte(harness: Harness, words: list[str]) -> None:
    config = harness.config("report", *words)
    report = harness.run(config)
    assert report.argv == [word.encode() for word in config["process"]["args"]]


@requirement("config.process.args-applied")
@given(path=absolute_paths(below="/w"))
def test_the_first_of_args_is_also_the_first_that_the_program_sees(
    harness: Harness, path: str
) -> None:
    config = harness.config()
    config["process"]["args"][0] = path
    with harness.bundle(config) as bundle:
        bundle.copy_probe(path)
        report = harness.run(config, bundle=bundle)
    assert report.argv == [path.encode(), b"report"]


@requirement("config.process.args-applied")
def test_an_argument_with_a_nul_is_not_cut_short(harness: Harness) -> None:
    config = harness.config("report", "before\0after")
    with harness.container(config) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        # No program can be given it (execve(2)), so that it must not run at all.
        if result.ok and container.output():
            raise Ignored(f"the program was run, with arguments {container.report().argv}")


@requirement("config.process.args-nonempty")
def test_an_empty_list_of_args_is_refused(harness: Harness) -> None:
    config = harness.config()
    config["process"]["args"] = []
    assert harness.attempt(config).failed


@requirement("config.process.args-nonempty", "config.process.args-present")
def test_a_process_without_args_is_refused(harness: Harness) -> None:
    assert harness.attempt(without(harness.config(), "process", "args")).failed


@requirement("config.process.optional-at-create")
def test_create_does_without_process(harness: Harness) -> None:
    with harness.container(without(harness.config(), "process")) as container:
        result = container.create()
        assert result.ok, result
        assert container.state()["status"] == "created"
