"""What a failure of the executor means: an errno, an operation, and its line of the config."""

from __future__ import annotations

import errno

from seatrial.oci.errors import HookError, OperationError, reason
from seatrial.oci.operations import Kind
from seatrial.oci.plan import Plan


def failed(binary: bytes, failure: tuple[int, int]) -> OperationError:
    """Return the error that a failure of the executor is, which did a plan in its binary form."""
    number, index = failure
    plan = Plan.decode(binary)
    if not 0 <= index < len(plan.ops):
        what = f"cannot make the container process: {reason(number)}"
        return OperationError(what + _hint(number, plan.namespaces), number)
    op = plan.ops[index]
    place = f" (config.json#{op.pointer})" if op.pointer else ""
    if op.kind == Kind.HOOK:
        why = {errno.ECHILD: "it failed", errno.ETIMEDOUT: "it was not done in time"}.get(
            number, reason(number)
        )
        return HookError(f"{op.says}: {why}{place}", number, op.pointer)
    return OperationError(f"{op.says}: {reason(number)}{place}", number, op.pointer)


def _hint(number: int, new_namespaces: int) -> str:
    """Return what clone(2) may have meant."""
    from seatrial.oci import namespaces

    if number in {errno.ENOSPC, errno.EUSERS}:
        return " (hint: a limit below /proc/sys/user is reached, see namespaces(7))"
    if number == errno.EPERM and new_namespaces & namespaces.FLAGS["user"]:
        return (
            " (hint: this host may not let others than root make user namespaces, see "
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
        )
    return ""
