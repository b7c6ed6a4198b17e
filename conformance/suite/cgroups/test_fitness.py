"""config-linux.md, "Control groups": a cgroup that is not fit for a container."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.conformance import placement
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import Hung
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


def placed(harness: Harness) -> tuple[Config, str]:
    """Return a config with a cgroup that is not there yet, and its path."""
    config = harness.config("report")
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    return config, path


def check(harness: Harness, container: Container, what: str) -> None:
    """Create and start it: an error, or a container that does its work."""
    if container.create().failed:
        harness.note(f"create in {what} cgroup is refused")
        return
    if container.start().failed:
        harness.note(f"start in {what} cgroup is refused")
        return
    harness.note(f"{what} cgroup is accepted")
    assert container.report()["pid"]
    assert container.delete().ok


@requirement("linux.cgroups.fitness.failed-check-errors")
def test_a_frozen_cgroup_is_an_error_or_works(harness: Harness) -> None:
    config, path = placed(harness)
    hierarchy = placement.hierarchy_of("freezer")
    file, word = {1: ("freezer.state", "FROZEN"), 2: ("cgroup.freeze", "1")}[hierarchy.version]
    try:
        # The check is optional, and a runtime without it waits until somebody thaws the cgroup:
        # not the whole time-out is waited for.
        hasty = replace(harness.runtime, timeout_s=min(5.0, harness.runtime.timeout_s))
        with (
            harness.container(config, runtime=hasty) as container,
            placement.existing(path),
        ):
            (placement.folder(hierarchy, path) / file).write_text(word)
            check(harness, container, "a frozen")
    except Hung:
        harness.note("in a frozen cgroup create or start waits for a thaw")


@requirement("linux.cgroups.fitness.failed-check-errors")
def test_a_cgroup_with_a_process_in_it_is_an_error_or_works(harness: Harness) -> None:
    config, path = placed(harness)
    command = [str(probe_binary()), "quiet", "+", "pause"]
    with (
        harness.container(config) as container,
        placement.existing(path) as folders,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as other,
    ):
        try:
            for folder in folders:
                (folder / "cgroup.procs").write_text(str(other.pid))
            check(harness, container, "a non-empty")
        finally:
            other.kill()
