"""The smoke test: can this runtime, this adapter and this host run one container at all?

A runtime that fails here is not judged: something before the first requirement is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.conformance import spec
from seatrial.conformance.errors import HarnessError, Hung, UnfitError, said
from seatrial.conformance.harness import Harness

if TYPE_CHECKING:
    from seatrial.conformance.session import Session


def check(session: Session) -> None:
    """Run the minimal container once, and find the newest config version the runtime takes.

    A runtime that supports only earlier releases is right to refuse a config of a later one, so
    the suite's configs carry the newest ``ociVersion`` up to the release under test that works.
    Raises ``UnfitError`` that shows what happened with the newest one if none does.
    """
    problems: list[str] = []
    for release in spec.up_to(session.spec):
        session.config_version = release
        problem = _problem(session)
        if problem is None:
            return
        problems.append(problem)
    raise UnfitError(
        f"smoke test: {session.runtime.name} cannot run the minimal container, so it is not judged:"
        f" {problems[-1]}",
        hint="the adapter or the environment is wrong, or this is not an OCI runtime",
    )


def _problem(session: Session) -> str | None:
    harness = Harness(session)
    try:
        with harness.created(harness.config("report")) as container:
            started = container.start()
            assert started.ok, started  # noqa: S101 - a verdict
            container.report()
            deleted = container.delete()
            assert deleted.ok, deleted  # noqa: S101 - a verdict
            session.settle(container.id)
    except (AssertionError, HarnessError) as problem:
        return said(problem)
    except OSError as problem:
        raise UnfitError(f"smoke test of {session.runtime.name}: {problem}") from problem
    except Hung as problem:
        raise UnfitError(f"smoke test: {session.runtime.name}: {problem}") from None
    return None
