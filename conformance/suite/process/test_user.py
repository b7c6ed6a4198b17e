"""config.md, "POSIX-platform User"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.config import without
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import LAST_ID, ids, large_ids, masks

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

KINDS = {"real", "effective", "saved", "filesystem"}


def run_as(harness: Harness, **user: Any) -> Config:
    """Return a config with ``user``, who is root unless it says otherwise."""
    config = harness.config()
    config["process"]["user"] |= user
    return config


@requirement("config.process.user.uid-applied")
@given(uid=ids())
def test_uid_is_every_user_id_of_the_program(harness: Harness, uid: int) -> None:
    assert harness.run(run_as(harness, uid=uid))["uid"] == dict.fromkeys(KINDS, uid)


@requirement("config.process.user.gid-applied")
@given(gid=ids())
def test_gid_is_every_group_id_of_the_program(harness: Harness, gid: int) -> None:
    assert harness.run(run_as(harness, gid=gid))["gid"] == dict.fromkeys(KINDS, gid)


@requirement("config.process.user.uid-applied", "config.process.user.gid-applied")
@given(uid=ids(), gid=ids())
def test_user_and_group_are_independent_of_one_another(
    harness: Harness, uid: int, gid: int
) -> None:
    report = harness.run(run_as(harness, uid=uid, gid=gid))
    assert (report["uid"]["effective"], report["gid"]["effective"]) == (uid, gid)


@requirement("config.process.user.uid-applied", "config.process.user.gid-applied")
@given(uid=large_ids(), gid=large_ids())
def test_large_ids_are_applied_or_refused(harness: Harness, uid: int, gid: int) -> None:
    with harness.container(run_as(harness, uid=uid, gid=gid, additionalGids=[gid])) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        if result.failed:
            harness.note("ids of 2147483648 and more are refused")
            return
        report = container.report()
    assert (report["uid"]["effective"], report["gid"]["effective"]) == (uid, gid)
    assert gid in report["groups"]


def assert_refused(harness: Harness, config: Config) -> None:
    """Assert that it is an error, or say as whom the program runs instead."""
    with harness.container(config) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        if result.ok:
            report = container.report()
            raise Ignored(
                f"the program runs with user ids {report['uid']}, group ids {report['gid']}"
            )


@requirement("config.process.user.uid-applied", "config.valid-values.invalid-errors")
def test_the_uid_that_means_no_change_is_refused(harness: Harness) -> None:
    # No process can have it: to setresuid(2) it means that an id is to stay as it is.
    assert_refused(harness, run_as(harness, uid=LAST_ID + 1, gid=1000))


@requirement("config.process.user.gid-applied", "config.valid-values.invalid-errors")
def test_the_gid_that_means_no_change_is_refused(harness: Harness) -> None:
    assert_refused(harness, run_as(harness, uid=1000, gid=LAST_ID + 1))


@requirement("config.process.user.additional-gids-applied")
@given(gids=st.lists(ids(), max_size=40, unique=True))
def test_additional_gids_are_among_the_groups(harness: Harness, gids: list[int]) -> None:
    report = harness.run(run_as(harness, uid=1000, gid=1000, additionalGids=gids))
    assert set(gids) <= set(report["groups"])
    if set(report["groups"]) - {*gids, 1000}:
        harness.note("the program has groups that are not in the config")


@requirement("config.process.user.additional-gids-applied")
def test_without_additional_gids_the_caller_hands_down_no_groups(harness: Harness) -> None:
    report = harness.run(run_as(harness, uid=1000, gid=1000))
    if set(report["groups"]) - {1000}:
        harness.note("without additionalGids the program has groups that are not in the config")


@requirement("config.process.user.umask-applied")
@given(mask=masks())
def test_umask_is_the_umask_of_the_program(harness: Harness, mask: int) -> None:
    assert harness.run(run_as(harness, umask=mask))["umask"] == mask


@requirement("config.process.user.umask-unset-unchanged")
@given(mask=st.sampled_from([0o022, 0o077, 0o000]))
def test_without_umask_the_program_has_the_one_of_the_caller(harness: Harness, mask: int) -> None:
    runtime = harness.runtime.called_with_umask(mask)
    assert harness.run(harness.config(), runtime=runtime)["umask"] == mask


@requirement("config.process.user.no-name-resolution")
def test_ids_need_no_entry_in_passwd_or_group(harness: Harness) -> None:
    config = run_as(harness, uid=1234, gid=5678, additionalGids=[91011])
    with harness.bundle(config) as bundle:
        folder = bundle.rootfs / "etc"
        folder.mkdir()
        (folder / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (folder / "group").write_text("root:x:0:\n")
        report = harness.run(config, bundle=bundle)
    assert (report["uid"]["effective"], report["gid"]["effective"]) == (1234, 5678)
    assert 91011 in report["groups"]


@requirement("config.process.user.no-name-resolution")
def test_a_number_is_never_taken_for_the_name_of_a_user(harness: Harness) -> None:
    config = run_as(harness, uid=1234, gid=5678)
    with harness.bundle(config) as bundle:
        folder = bundle.rootfs / "etc"
        folder.mkdir()
        (folder / "passwd").write_text("1234:x:0:0::/:\nuser:x:1234:4321::/:\n")
        (folder / "group").write_text("5678:x:0:1234,user\nmembers:x:77:1234,user\n")
        report = harness.run(config, bundle=bundle)
    assert report["uid"] == dict.fromkeys(KINDS, 1234)
    assert report["gid"] == dict.fromkeys(KINDS, 5678)
    assert not {0, 77, 4321} & set(report["groups"])


@requirement("config.process.user.no-name-resolution")
def test_a_number_is_never_taken_for_the_name_of_a_group(harness: Harness) -> None:
    config = run_as(harness, uid=1234, gid=1234, additionalGids=[5678])
    with harness.bundle(config) as bundle:
        folder = bundle.rootfs / "etc"
        folder.mkdir()
        (folder / "group").write_text("5678:x:77:\n")
        report = harness.run(config, bundle=bundle)
    assert 5678 in report["groups"]
    assert 77 not in report["groups"]


@requirement("config.process.user.no-name-resolution")
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_what_is_in_passwd_and_group_does_not_matter(harness: Harness, name: str) -> None:
    config = run_as(harness, uid=1234, gid=5678, additionalGids=[91011])
    with harness.bundle(config) as bundle:
        folder = bundle.rootfs / "etc"
        folder.mkdir()
        members = ",".join(f"user{number}" for number in range(20_000))
        (folder / name).write_text(f"::\nnonsense\nusers:x:100:{members}\n")
        report = harness.run(config, bundle=bundle)
    assert (report["uid"]["effective"], report["gid"]["effective"]) == (1234, 5678)


@requirement("config.process.user.uid-present")
def test_a_user_without_uid_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(without(harness.config(), "process", "user", "uid")).failed
    harness.note(f"a user without uid is {'refused' if refused else 'accepted'}")


@requirement("config.process.user.gid-present")
def test_a_user_without_gid_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(without(harness.config(), "process", "user", "gid")).failed
    harness.note(f"a user without gid is {'refused' if refused else 'accepted'}")
