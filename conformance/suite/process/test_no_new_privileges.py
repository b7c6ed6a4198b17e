"""config.md, "Linux Process": ``noNewPrivileges``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance import report
from seatrial.conformance.facts import status_field
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.capabilities import other_users

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report

#: A copy of the probe that belongs to root and has the set-user-ID bit.
GAINING = "/gaining"


def run_a_set_user_id_program(harness: Harness, config: Config) -> Report:
    """Let the container's program start the set-user-ID program, and return what that one saw."""
    with harness.bundle(config) as bundle:
        bundle.copy_probe(GAINING)
        os.chmod(bundle.rootfs / GAINING.lstrip("/"), 0o4755)  # noqa: S103 - the bit is the point
        with harness.created(config, bundle=bundle) as container:
            started = container.start()
            assert started.ok, started
            return report.parse(container.read_line()["stdout"])


def started_by(harness: Harness, uid: int, *, no_new_privileges: bool) -> Config:
    """Return a config whose program, run as ``uid``, starts the set-user-ID program."""
    config = harness.config("spawn", GAINING, "report")
    config["process"]["user"]["uid"] = uid
    config["process"]["noNewPrivileges"] = no_new_privileges
    return config


@requirement("config.process.no-new-privileges.true")
@pytest.mark.parametrize("uid", [0, 1000])
def test_true_sets_no_new_privs(harness: Harness, uid: int) -> None:
    config = harness.config()
    config["process"]["user"]["uid"] = uid
    config["process"]["noNewPrivileges"] = True
    assert harness.run(config)["no_new_privileges"] is True


@requirement("config.process.no-new-privileges.true")
@given(uid=other_users())
@settings(max_examples=10)
def test_with_true_a_set_user_id_program_gains_nothing(harness: Harness, uid: int) -> None:
    seen = run_a_set_user_id_program(harness, started_by(harness, uid, no_new_privileges=True))
    assert set(seen["uid"].values()) == {uid}
    assert seen.capabilities("permitted") == set()


@requirement("config.process.no-new-privileges.default-off")
@given(uid=other_users())
@settings(max_examples=10)
def test_with_false_a_set_user_id_program_gains_its_owner(harness: Harness, uid: int) -> None:
    seen = run_a_set_user_id_program(harness, started_by(harness, uid, no_new_privileges=False))
    # A bit that the caller has set stays set (prctl(2), PR_SET_NO_NEW_PRIVS).
    assert seen["uid"]["effective"] == (uid if own_bit() else 0)


@requirement("config.process.no-new-privileges.default-off")
@pytest.mark.parametrize("said", [{"noNewPrivileges": False}, {}], ids=["false", "missing"])
def test_otherwise_no_new_privs_is_left_alone(harness: Harness, said: dict[str, bool]) -> None:
    config = harness.config()
    config["process"] |= said
    assert harness.run(config)["no_new_privileges"] is own_bit()


def own_bit() -> bool:
    """Whether the harness, and so every caller of a runtime, has no_new_privs itself."""
    return status_field("NoNewPrivs") == "1"
