"""config.md, "Linux mount options" and "POSIX-platform Mounts": id mappings of mounts."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from seatrial.conformance.config import mount, with_mounts, without
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.mounts import IDS, Mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_ONE = [{"containerID": 0, "hostID": 5000, "size": 1000}]
_OTHER = [{"containerID": 0, "hostID": 7000, "size": 500}]
#: What a user namespace of the container maps, in the tests that have one.
_OF_CONTAINER = [{"containerID": 0, "hostID": 100000, "size": 65536}]
_OVERFLOW = 65534


@contextlib.contextmanager
def tree(harness: Harness, config: Config, ids: tuple[int, ...]) -> Iterator[Bundle]:
    """Give a bundle with a mount and one below, both with a file for each of the ids.

    Made the source of the config's last mount, by its absolute path.
    """
    with harness.bundle(config) as bundle, contextlib.ExitStack() as stack:
        config["mounts"][-1]["source"] = str(bundle.path / "source")
        for place in ("source", "source/below"):
            (bundle.path / place).mkdir()
            stack.enter_context(harness.mounted("tmpfs", bundle.path / place, "tmpfs"))
            for number in ids:
                (bundle.path / place / f"{number}").touch()
                os.chown(bundle.path / place / f"{number}", number, number)
        yield bundle


def looking(harness: Harness, entry: Config, *ids: int) -> Config:
    """Return a config whose program looks at the files for ids, in the mount and in that below."""
    acts: list[str] = []
    for place in ("/m", "/m/below"):
        for number in ids:
            acts += ["stat", f"{place}/{number}", "+"]
    return with_mounts(harness.config(*acts[:-1]), entry)


def mapped(*options: str, uids: Any = None, gids: Any = None) -> Config:
    """Return the entry of the tree's mount, with these mappings of its own."""
    entry = mount("/m", *options, source="source", kind="none")
    return entry | {
        name: value
        for name, value in (("uidMappings", uids), ("gidMappings", gids))
        if value is not None
    }


def owners(harness: Harness, entry: Config, ids: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return whom the files belong to, as the container sees it."""
    config = looking(harness, entry, *ids)
    with tree(harness, config, ids) as bundle:
        lines = harness.lines(config, bundle=bundle)
        return [(line["uid"], line["gid"]) for line in lines if line["ok"]]


@requirement("config.mounts.option.idmap", "config.mounts.idmap.mapping-applied")
def test_idmap_shows_files_as_the_mapping_says(harness: Harness) -> None:
    entry = mapped("bind", "idmap", uids=_ONE, gids=_ONE)
    assert owners(harness, entry, (0, 999, 1000)) == [
        (5000, 5000),
        (5999, 5999),
        (_OVERFLOW, _OVERFLOW),
    ]


@requirement("config.mounts.option.idmap")
def test_idmap_leaves_the_mounts_below_alone(harness: Harness) -> None:
    entry = mapped("rbind", "idmap", uids=_ONE, gids=_ONE)
    assert owners(harness, entry, (7,)) == [(5007, 5007), (7, 7)]


@requirement(
    "config.mounts.option.ridmap",
    "config.mounts.ridmap.mapping-recursive",
    "config.mounts.ridmap.mount-mappings-used",
)
def test_ridmap_is_for_the_mounts_below_too(harness: Harness) -> None:
    entry = mapped("rbind", "ridmap", uids=_ONE, gids=_OTHER)
    assert owners(harness, entry, (7,)) == [(5007, 7007), (5007, 7007)]


@requirement("config.mounts.idmap.mount-mappings-used", "config.mounts.mappings.applied")
@given(uids=mappings(), gids=mappings())
def test_any_mapping_of_a_mount_is_used(harness: Harness, uids: Mapping, gids: Mapping) -> None:
    entry = mapped("bind", "idmap", uids=uids.entries, gids=gids.entries)
    assert owners(harness, entry, IDS) == [(uids.of(number), gids.of(number)) for number in IDS]


@requirement("config.mounts.option.idmap")
def test_the_source_of_a_mapped_mount_may_be_seen_from_the_bundle(harness: Harness) -> None:
    entry = mapped("bind", "idmap", uids=_ONE, gids=_ONE)
    config = with_mounts(harness.config("stat", "/m"), entry)
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        assert harness.lines(config, bundle=bundle)[0].get("uid") == 5000


@requirement("config.mounts.idmap.mount-mappings-used")
@needs("userns")
@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_a_mapping_of_the_mount_precedes_that_of_the_container(
    harness: Harness, option: str
) -> None:
    shifted = [{"containerID": 0, "hostID": 100005, "size": 100}]
    entry = mapped("rbind", option, uids=shifted, gids=shifted)
    found = owners_in_user_namespace(harness, entry, (0, 7))
    assert found[:2] == [(5, 5), (12, 12)]


@requirement(
    "config.mounts.idmap.via-mount-setattr",
    "config.mounts.mappings.uid-via-mount-setattr",
    "config.mounts.mappings.gid-via-mount-setattr",
)
def test_the_kernel_says_that_a_mount_is_mapped(harness: Harness) -> None:
    assert shown(harness, "bind", "idmap", places=["/m"]) == [True]


@requirement("config.mounts.ridmap.via-mount-setattr")
def test_the_kernel_says_that_all_mounts_below_are_mapped(harness: Harness) -> None:
    assert shown(harness, "rbind", "ridmap", places=["/m", "/m/below"]) == [True, True]


def shown(harness: Harness, *options: str, places: list[str]) -> list[bool]:
    """Return whether mountinfo says so of the mounts at these places."""
    config = with_mounts(harness.config(), mapped(*options, uids=_ONE, gids=_ONE))
    with tree(harness, config, ()) as bundle:
        report = harness.run(config, bundle=bundle)
        return ["idmapped" in report.mount(place).options for place in places]


@requirement("config.mounts.idmap.not-passed-to-mount")
@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_the_filesystem_does_not_get_the_option(harness: Harness, option: str) -> None:
    # A tmpfs would refuse it; a runtime may map bind mounts only, and then refuses it by itself.
    entry = mount("/m", option) | {"uidMappings": _ONE, "gidMappings": _ONE}
    with harness.container(with_mounts(harness.config(), entry)) as container:
        if container.create().failed:
            harness.note(f"{option} on a new tmpfs is refused")
            return
        assert container.start().ok
        assert "idmapped" in container.report().mount("/m").options


# Without mappings of its own


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.{option}.no-userns-errors"))
        for option in ("idmap", "ridmap")
    ],
)
@pytest.mark.parametrize("empty", [False, True], ids=["absent", "empty"])
def test_without_any_mapping_it_is_an_error(harness: Harness, option: str, *, empty: bool) -> None:
    entry = mapped("bind", option, **({"uids": [], "gids": []} if empty else {}))
    config = with_mounts(harness.config("exit", "0"), entry)
    with tree(harness, config, ()) as bundle:
        assert harness.attempt(config, bundle=bundle).failed


def in_user_namespace(config: Config) -> Config:
    """Return the config with a user namespace for the container."""
    linux = config["linux"]
    spaces = [*linux["namespaces"], {"type": "user"}]
    mapping = {"uidMappings": _OF_CONTAINER, "gidMappings": _OF_CONTAINER}
    return config | {"linux": linux | {"namespaces": spaces} | mapping}


def owners_in_user_namespace(
    harness: Harness, entry: Config, ids: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Return whom the files belong to, as a container in a user namespace sees it."""
    config = in_user_namespace(looking(harness, entry, *ids))
    with tree(harness, config, ids) as bundle:
        os.chown(bundle.rootfs, 100000, 100000)
        lines = harness.lines(config, bundle=bundle)
        return [(line["uid"], line["gid"]) for line in lines if line["ok"]]


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.{option}.no-fallback-errors"))
        for option in ("idmap", "ridmap")
    ],
)
def test_the_containers_mapping_is_used_or_it_is_an_error(harness: Harness, option: str) -> None:
    bound = "rbind" if option == "ridmap" else "bind"
    config = in_user_namespace(looking(harness, mapped(bound, option), 7))
    with tree(harness, config, (7,)) as bundle:
        os.chown(bundle.rootfs, 100000, 100000)
        with harness.container(config, bundle=bundle) as container:
            result = container.create()
            if result.failed:
                harness.note(f"{option} without mappings of its own is refused")
                return
            assert container.start().ok
            upper, lower = container.lines()
            assert (upper.get("uid"), upper.get("gid")) == (7, 7)
            assert lower.get("uid") == (7 if option == "ridmap" else None)


@needs("userns")
@requirement("config.mounts.idmap.no-fallback-errors")
def test_without_idmap_a_user_namespace_does_not_change_what_is_bound(harness: Harness) -> None:
    assert owners_in_user_namespace(harness, mapped("rbind"), (7, 100007))[:2] == [
        (_OVERFLOW, _OVERFLOW),
        (7, 7),
    ]


# Mappings that are not complete


@requirement("config.mounts.mappings.applied")
def test_what_mappings_do_without_an_option_is_recorded(harness: Harness) -> None:
    entry = mapped("rbind", uids=_ONE, gids=_ONE)
    config = looking(harness, entry, 7)
    with (
        tree(harness, config, (7,)) as bundle,
        harness.container(config, bundle=bundle) as container,
    ):
        if container.create().failed:
            harness.note("mappings without idmap or ridmap are refused")
            return
        assert container.start().ok
        seen = [line.get("uid") for line in container.lines()]
        what: dict[tuple[int | None, int | None], str] = {
            (5007, 7): "map the mount",
            (5007, None): "map the mount, and nothing is mounted below it",
            (5007, 5007): "map all mounts below too",
        }
        harness.note(
            f"mappings without idmap or ridmap {what.get((seen[0], seen[1]), 'have no effect')}"
        )


@pytest.mark.parametrize(
    ("given_one", "other"),
    [
        pytest.param("uids", "gids", marks=requirement("config.mounts.mappings.uid-needs-gid")),
        pytest.param("gids", "uids", marks=requirement("config.mounts.mappings.gid-needs-uid")),
    ],
)
def test_the_reaction_to_half_a_mapping_is_recorded(
    harness: Harness, given_one: str, other: str
) -> None:
    config = with_mounts(harness.config("exit", "0"), mapped("bind", "idmap", **{given_one: _ONE}))
    with tree(harness, config, ()) as bundle:
        failed = harness.attempt(config, bundle=bundle).failed
        said = "refused" if failed else "accepted"
        harness.note(f"{given_one[:-1]}Mappings without {other[:-1]}Mappings are {said}")


@requirement("config.mounts.mappings.entry-format")
@pytest.mark.parametrize("member", ["containerID", "hostID", "size"])
def test_the_reaction_to_an_entry_without_a_member_is_recorded(
    harness: Harness, member: str
) -> None:
    entry = mapped("bind", "idmap", uids=[without(_ONE[0], member)], gids=_ONE)
    config = with_mounts(harness.config("exit", "0"), entry)
    with tree(harness, config, ()) as bundle:
        failed = harness.attempt(config, bundle=bundle).failed
        harness.note(f"an entry without {member} is {'refused' if failed else 'accepted'}")
