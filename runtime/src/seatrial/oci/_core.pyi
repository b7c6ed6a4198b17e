"""The executor of spawn plans (runtime/csrc/module.c).

A failure is ``(errno, index of the operation)``, the index -1 where it was none of the plan's.
"""

from collections.abc import Callable

def create(
    plan: bytes,
    listener: int,
    console: int,
    keep: int,
    id: bytes,
    bundle: bytes,
    members: bytes,
    watch: Callable[[int, int], object] | None = None,
    every: bool = True,
    /,
) -> tuple[int, int, tuple[int, int] | None]:
    """Create the container process; return pid, pidfd, failure.

    ``watch`` is called with the number and the pid of each step that is done (events.STEPS); what
    it raises gives the create up.
    """

def start(connection: int, /) -> tuple[int, int] | None:
    """Let a created container run its program; return once it is executed."""

def run_stage(
    plan: bytes,
    stage: int,
    pid: int,
    id: bytes,
    bundle: bytes,
    status: bytes,
    members: bytes,
    warn: Callable[[int, int], object] = ...,
    /,
) -> tuple[int, int] | None:
    """Do the operations of a stage that belongs to the runtime.

    ``warn`` is called, afterwards, with errno and number of each that failed and does not count.
    """

def missing_call() -> str | None:
    """Return the name of a system call that is needed and that this kernel has not."""

def bind(template: bytes, id: bytes, /) -> bytes:
    """Return the plan of a template for the container of this id; raises ``ValueError``."""

def ask(kind: int, flags: int, name: bytes, /) -> bytes:
    """Return what this host answers to a question (runtime/csrc/facts); raises ``OSError``."""

def facts_hold(facts: bytes, id: bytes, /) -> bool:
    """Whether this host answers the questions of a kept plan as before (runtime/csrc/facts)."""

def cgroups_are_empty(plan: bytes, /) -> bool:
    """Whether nothing lives in the container's cgroups, and none is below them."""

def caller() -> bytes:
    """Return our ids and capabilities, as a kept plan has them."""

def checksum(data: bytes, /) -> int:
    """Return the sum by which a kept plan shows that it is whole."""

def build() -> str:
    """Return the name of the sources of the executor."""
