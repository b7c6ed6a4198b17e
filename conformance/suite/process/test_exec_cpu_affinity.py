"""config.md, "Linux Process": ``execCPUAffinity``, of processes that join a container."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import report
from seatrial.conformance.config import PROBE
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.scheduling import (
    absent_cpu,
    cpu_lists,
    cpu_sets,
    wrong_cpu_lists,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.spawn import Result

Affinity = dict[str, str]


def bound(harness: Harness, affinity: Affinity, *act: str) -> Config:
    """Return a config with ``execCPUAffinity``."""
    config = harness.config(*act)
    config["process"]["execCPUAffinity"] = affinity
    return config


def execute(container: Container, affinity: Affinity) -> Result:
    """Let the probe join the container as a process with ``execCPUAffinity``, and report."""
    process: dict[str, Any] = {
        "user": {"uid": 0, "gid": 0},
        "args": [PROBE, "report"],
        "cwd": "/",
        "execCPUAffinity": affinity,
    }
    file = container.bundle.path / "process.json"
    file.write_text(json.dumps(process), encoding="utf-8")
    return container.runtime.invoke("exec", id=container.id, process=str(file))


def affinity_of(joined: Result) -> set[int]:
    """Return the CPUs of the process that joined."""
    assert joined.ok, joined
    return set(report.parse(joined.stdout.splitlines()[-1])["affinity"])


def attempt(harness: Harness, affinity: Affinity) -> Result:
    """Join a container, unless already create or start refuse ``execCPUAffinity``."""
    with harness.container(bound(harness, affinity, "pause")) as container:
        result = container.create()
        result = container.start() if result.ok else result
        return execute(container, affinity) if result.ok else result


def check_refused(result: Result, what: str) -> None:
    """Judge the attempt to use a value that cannot be applied."""
    if result.ok:
        raise Ignored(f"{what} is accepted: {result!r}")


@requirement("config.process.exec-cpu-affinity.init-untouched")
@given(cpus=cpu_sets(), data=st.data())
@settings(max_examples=5)
def test_the_affinity_of_init_is_what_it_is_without(
    harness: Harness, cpus: set[int], data: st.DataObject
) -> None:
    text = data.draw(cpu_lists(cpus))
    before = harness.run(harness.config())["affinity"]
    assert harness.run(bound(harness, {"initial": text, "final": text}))["affinity"] == before


@requirement(
    "config.process.exec-cpu-affinity.final", "config.process.exec-cpu-affinity.list-format"
)
@given(data=st.data())
@settings(max_examples=15)
def test_final_is_the_affinity_of_a_process_that_joins(
    harness: Harness, data: st.DataObject
) -> None:
    cpus = data.draw(cpu_sets())
    affinity = {"final": data.draw(cpu_lists(cpus))}
    if data.draw(st.booleans()):
        affinity["initial"] = data.draw(cpu_sets().flatmap(cpu_lists))
    with harness.running(bound(harness, affinity, "pause")) as container:
        seen = affinity_of(execute(container, affinity))
        if seen != cpus and seen == os.sched_getaffinity(container.pid or 0):
            raise Ignored(f"execCPUAffinity is accepted and changes nothing: {seen}, not {cpus}")
        assert seen == cpus


@requirement("config.process.exec-cpu-affinity.final")
def test_a_final_that_cannot_be_had_generates_an_error(harness: Harness) -> None:
    result = attempt(harness, {"final": str(absent_cpu())})
    check_refused(result, "a final CPU that is not there")


@requirement("config.process.exec-cpu-affinity.initial")
def test_an_initial_that_cannot_be_had_generates_an_error(harness: Harness) -> None:
    result = attempt(harness, {"initial": str(absent_cpu())})
    check_refused(result, "an initial CPU that is not there")


@requirement("config.process.exec-cpu-affinity.initial")
@given(cpus=cpu_sets(), data=st.data())
@settings(max_examples=5)
def test_what_initial_alone_leads_to_is_recorded(
    harness: Harness, cpus: set[int], data: st.DataObject
) -> None:
    affinity = {"initial": data.draw(cpu_lists(cpus))}
    with harness.running(bound(harness, affinity, "pause")) as container:
        seen = affinity_of(execute(container, affinity))
        everywhere = os.sched_getaffinity(container.pid or 0)
        assert seen in (cpus, everywhere)
        if cpus != everywhere:
            kept = "keeps its CPUs" if seen == cpus else "has the container's CPUs"
            harness.note(f"after initial alone the process {kept}")


@requirement("config.process.exec-cpu-affinity.final-empty-unchanged")
@given(affinity=st.sampled_from([{}, {"final": ""}, {"initial": "", "final": ""}]))
@settings(max_examples=5)
def test_without_final_the_affinity_is_that_of_the_cgroup(
    harness: Harness, affinity: Affinity
) -> None:
    with harness.running(bound(harness, affinity, "pause")) as container:
        everywhere = os.sched_getaffinity(container.pid or 0)
        assert affinity_of(execute(container, affinity)) == everywhere


@requirement("config.process.exec-cpu-affinity.list-format")
@given(member=st.sampled_from(["initial", "final"]), text=wrong_cpu_lists())
@settings(max_examples=15)
def test_text_that_is_no_list_of_cpus_generates_an_error(
    harness: Harness, member: str, text: str
) -> None:
    check_refused(attempt(harness, {member: text}), f"{member} {text!r}")
