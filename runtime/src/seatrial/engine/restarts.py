"""Restart policies: whether a container that has ended is started again, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.payloads import RestartPolicy

_POLICIES = {"", "no", "always", "unless-stopped", "on-failure"}
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 60.0
#: A run that lasted so long was a good one: the next restart comes soon again.
_GOOD_RUN_S = 10.0


def check(policy: RestartPolicy) -> None:
    """Refuse what is no policy."""
    if policy.name not in _POLICIES:
        raise BadRequest(f"invalid restart policy '{policy.name}'")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise BadRequest(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if policy.maximum_retry_count < 0:
        raise BadRequest("invalid restart policy: maximum retry count cannot be negative")


def delay_s(container: Container, lasted_s: float) -> float | None:
    """Return how long to wait before the next run, after one that lasted so long; None for none.

    The delays double, from a tenth of a second to a minute.
    """
    record = container.record
    policy = record.host.restart_policy
    if record.stopped_by_hand or container.removing:
        return None
    if policy.name == "on-failure":
        most = policy.maximum_retry_count
        if not record.state.exit_code or (most and record.restart_count >= most):
            return None
    elif policy.name not in {"always", "unless-stopped"}:
        return None
    last = 0.0 if lasted_s > _GOOD_RUN_S else container.restart_delay_s
    container.restart_delay_s = min(last * 2, _LONGEST_DELAY_S) or _FIRST_DELAY_S
    return container.restart_delay_s


def cancel(engine: Engine, container: Container) -> None:
    """Let there be no next run, if a container waits for one."""
    if container.restarting is not None:
        container.restarting.cancel()
        container.restarting = None
    if container.record.state.status == "restarting":
        container.record.state.status = "exited"
        engine.containers.keep(container.record)
        container.tell_exit()
