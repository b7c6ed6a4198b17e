"""Health checks: what is told of a container follows from what its check says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from seatrial.engine import health
from seatrial.engine.errors import BadRequest
from seatrial.engine.payloads import Healthcheck

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald

_QUICK = ("--health-interval=20ms", "--health-retries=2")


def _health(engine: Seatriald, name: str) -> dict[str, Any]:
    told: dict[str, Any] = engine.state(name)["Health"]
    return told


def test_a_container_is_healthy_while_its_check_passes(engine: Seatriald) -> None:
    check = "--health-cmd=echo looked; test -e /data/afloat"
    with engine.follow(
        "events", "--since=1", "--filter=event=health_status", "--format={{.Action}}"
    ) as told:
        name = engine.begin_container("sleep", "1000", options=(check, *_QUICK))
        told.expect("health_status: unhealthy")
        assert _health(engine, name)["FailingStreak"] >= 2
        assert engine("exec", name, "touch", "/data/afloat").status == 0
        told.expect("health_status: healthy")
    found = _health(engine, name)
    assert (found["Status"], found["FailingStreak"]) == ("healthy", 0)
    assert found["Log"][-1]["Output"] == "looked\n"
    assert name in engine("ps", "--filter=health=healthy", "--format={{.Names}}").lines
    assert "(healthy)" in engine("ps", f"--filter=name={name}", "--format={{.Status}}").text
    assert engine("rm", "--force", name).status == 0


def test_a_check_that_takes_too_long_has_failed_and_is_killed(engine: Seatriald) -> None:
    options = ("--health-cmd=exec sleep 77", "--health-timeout=30ms", "--health-interval=20ms")
    with engine.follow(
        "events", "--since=1", "--filter=event=health_status", "--format={{.Actor.ID}}"
    ) as told:
        name = engine.begin_container("sleep", "1000", options=(*options, "--health-retries=1"))
        told.expect(engine.inspect(name)["Id"])
    found = _health(engine, name)["Log"][0]
    assert (found["ExitCode"], found["Output"]) == (-1, "Health check exceeded timeout (30ms)")
    assert engine("pause", name).status == 0  # no probe begins now
    assert engine("unpause", name).status == 0
    assert engine("rm", "--force", name).status == 0


def test_a_check_that_cannot_be_run_has_failed(engine: Seatriald) -> None:
    with engine.follow(
        "events", "--since=1", "--filter=event=health_status", "--format={{.Actor.ID}}"
    ) as told:
        options = ("--health-cmd=true", *_QUICK)
        name = engine.begin_container("sleep", "1000", options=options)
        told.expect(engine.inspect(name)["Id"])
    assert engine("stop", "--time=0", name).status == 0
    assert _health(engine, name)["Status"] == "unhealthy"  # as Docker has it: nobody watches
    assert engine("rm", name).status == 0


def test_what_was_asked_for_is_completed_by_the_image() -> None:
    image = Healthcheck(test=["CMD", "look"], interval=5_000_000, retries=7)
    made = health.merged(Healthcheck(interval=9_000_000), image)
    assert made == Healthcheck(test=["CMD", "look"], interval=9_000_000, retries=7)
    assert health.merged(None, image) is image
    assert health.merged(Healthcheck(test=["NONE"]), image).test == ["NONE"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Healthcheck(interval=10), "Interval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(timeout=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_period=5), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Healthcheck(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_checks_that_make_no_sense_are_refused(wanted: Healthcheck, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        health.check(wanted)
