"""config.md, "Linux Process": ``capabilities``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.capabilities import (
    KINDS,
    Sets,
    consistent,
    dispensable_names,
    lasting,
    number,
    other_users,
    unknown_names,
    users,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.runtime import Runtime
    from seatrial.conformance.spawn import Result

#: A set with nothing unusual in it, beside which names are asked for that cannot be granted.
_PLAIN = ["CAP_CHOWN", "CAP_KILL"]


def _config(harness: Harness, sets: Sets, uid: int = 0) -> Config:
    config = harness.config()
    config["process"]["user"]["uid"] = uid
    config["process"]["capabilities"] = sets
    return config


def _beside_plain(name: str) -> Sets:
    """Ask for ``name`` in every set that a program of the superuser shows."""
    return {kind: [*_PLAIN, name] for kind in ("bounding", "permitted", "effective")}


def _lacking(harness: Harness, name: str) -> Runtime:
    """Return the runtime called by a process that can neither have nor grant a capability."""
    drop = ("drop-bounding", str(number(name)))
    return harness.runtime.called_through(str(probe_binary()), "quiet", "+", *drop, "+", "exec")


# The five sets


@requirement("config.process.capabilities.bounding-applied")
@given(uid=users(), sets=consistent())
def test_bounding_is_the_bounding_set_of_the_program(
    harness: Harness, uid: int, sets: Sets
) -> None:
    report = harness.run(_config(harness, sets, uid))
    assert report.capabilities("bounding") == set(sets["bounding"])


@requirement("config.process.capabilities.inheritable-applied")
@given(uid=users(), sets=consistent())
def test_inheritable_is_the_inheritable_set_of_the_program(
    harness: Harness, uid: int, sets: Sets
) -> None:
    report = harness.run(_config(harness, sets, uid))
    assert report.capabilities("inheritable") == set(sets["inheritable"])


@requirement("config.process.capabilities.ambient-applied")
@given(uid=users(), sets=consistent())
def test_ambient_is_the_ambient_set_of_the_program(harness: Harness, uid: int, sets: Sets) -> None:
    report = harness.run(_config(harness, sets, uid))
    assert report.capabilities("ambient") == set(sets["ambient"])


@requirement("config.process.capabilities.permitted-applied")
@given(sets=lasting(uid=0))
@settings(max_examples=15)
def test_permitted_is_the_permitted_set_of_a_program_of_the_superuser(
    harness: Harness, sets: Sets
) -> None:
    report = harness.run(_config(harness, sets))
    assert report.capabilities("permitted") == set(sets["permitted"])


@requirement("config.process.capabilities.permitted-applied")
@given(uid=other_users(), data=st.data())
@settings(max_examples=15)
def test_permitted_is_the_permitted_set_of_a_program_of_another_user(
    harness: Harness, uid: int, data: st.DataObject
) -> None:
    sets = data.draw(lasting(uid))
    report = harness.run(_config(harness, sets, uid))
    assert report.capabilities("permitted") == set(sets["permitted"])


@requirement("config.process.capabilities.effective-applied")
@given(sets=lasting(uid=0))
@settings(max_examples=15)
def test_effective_is_the_effective_set_of_a_program_of_the_superuser(
    harness: Harness, sets: Sets
) -> None:
    report = harness.run(_config(harness, sets))
    assert report.capabilities("effective") == set(sets["effective"])


@requirement("config.process.capabilities.effective-applied")
@given(uid=other_users(), data=st.data())
@settings(max_examples=15)
def test_effective_is_the_effective_set_of_a_program_of_another_user(
    harness: Harness, uid: int, data: st.DataObject
) -> None:
    sets = data.draw(lasting(uid))
    report = harness.run(_config(harness, sets, uid))
    assert report.capabilities("effective") == set(sets["effective"])


@requirement("config.process.capabilities.omitted-set-empty")
@given(uid=users(), data=st.data())
def test_a_set_that_is_missing_is_empty(harness: Harness, uid: int, data: st.DataObject) -> None:
    drawn = data.draw(lasting(uid))
    empty = {kind for kind in KINDS if not drawn[kind]}
    sets = {kind: names for kind, names in drawn.items() if names}
    report = harness.run(_config(harness, sets, uid))
    assert {kind for kind in KINDS if not report.capabilities(kind)} == empty


@requirement("config.process.capabilities.omitted-set-empty")
def test_without_capabilities_the_outcome_is_recorded(harness: Harness) -> None:
    report = harness.run(harness.config())
    kept = [kind for kind in KINDS if report.capabilities(kind)]
    harness.note(f"without capabilities, not empty for uid 0: {', '.join(kept) or 'no set'}")


# Names that cannot be granted


@requirement("config.process.capabilities.ungrantable-no-failure")
@given(name=unknown_names())
@settings(max_examples=10)
def test_an_unknown_capability_is_no_failure(harness: Harness, name: str) -> None:
    report = harness.run(_config(harness, _beside_plain(name)))
    assert report.capabilities("bounding") == set(_PLAIN)


@requirement("config.process.capabilities.ungrantable-no-failure")
@needs("cap:setpcap")
@given(name=dispensable_names())
@settings(max_examples=10)
def test_a_capability_that_the_caller_lacks_is_no_failure(harness: Harness, name: str) -> None:
    report = harness.run(_config(harness, _beside_plain(name)), runtime=_lacking(harness, name))
    assert report.capabilities("bounding") == set(_PLAIN)


@requirement("config.process.capabilities.unmappable-warns")
@given(name=unknown_names())
@settings(max_examples=5)
def test_an_unknown_capability_leads_to_a_warning(harness: Harness, name: str) -> None:
    _check_warning(harness, harness.runtime, name, "unknown")


@requirement("config.process.capabilities.unmappable-warns")
@needs("cap:setpcap")
@given(name=dispensable_names())
@settings(max_examples=5)
def test_a_capability_that_the_caller_lacks_leads_to_a_warning(harness: Harness, name: str) -> None:
    _check_warning(harness, _lacking(harness, name), name, "unavailable")


def _check_warning(harness: Harness, runtime: Runtime, name: str, kind: str) -> None:
    # Where a warning is shown, if anywhere, is left open (runtime.md, "Warnings").  That it then
    # goes on is only a SHOULD, which another test is for.
    config = _config(harness, _beside_plain(name))
    with harness.container(config, runtime=runtime) as container:
        log = container.bundle.path / "runtime.log"
        created = container.create(log=str(log))
        if created.failed:
            harness.note(f"create with an {kind} capability is refused")
            return
        started = runtime.invoke("start", id=container.id, log=str(log))
        if started.failed:
            harness.note(f"start with an {kind} capability is refused")
            return
        logged = log.read_text(errors="replace") if log.exists() else ""
        if name not in logged + _said(created) + _said(started):
            harness.note(f"no warning in the log names the {kind} capability")


def _said(result: Result) -> str:
    return result.stderr.decode(errors="replace")


@requirement("config.process.capabilities.unmappable-errors")
@given(name=unknown_names())
@settings(max_examples=10)
def test_an_unknown_capability_generates_an_error(harness: Harness, name: str) -> None:
    assert harness.attempt(_config(harness, _beside_plain(name))).failed
