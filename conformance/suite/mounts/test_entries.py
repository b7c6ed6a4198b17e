"""config.md, "Mounts": order, destination and source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance import namespaces
from seatrial.conformance.config import bind, mount, with_mounts, without
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import absolute_paths

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

_PLACES = ("/m", "/m/a", "/m/a/b", "/m/c", "/n")


# Order


@requirement("config.mounts.listed-order")
@given(places=st.lists(st.sampled_from(_PLACES), min_size=2, max_size=7))
def test_mounts_are_made_in_the_order_of_the_list(harness: Harness, places: list[str]) -> None:
    entries = [mount(place, source=f"{number}") for number, place in enumerate(places)]
    report = harness.run(with_mounts(harness.config(), *entries))
    seen = [(each.source, each.target) for each in report.mounts if each.target in _PLACES]
    assert seen == [(f"{number}", place) for number, place in enumerate(places)]


@requirement("config.mounts.listed-order")
@pytest.mark.parametrize("hidden", [False, True], ids=["inner last", "inner first"])
def test_a_later_mount_hides_an_earlier_one_below_it(harness: Harness, *, hidden: bool) -> None:
    entries = [mount("/m"), bind("/m/in", "source")]
    config = with_mounts(harness.config("read", "/m/in/file"), *entries[:: -1 if hidden else 1])
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        (bundle.path / "source" / "file").write_text("text")
        line = harness.lines(config, bundle=bundle)[0]
        assert line.get("errno" if hidden else "content") == ("ENOENT" if hidden else "text")


@requirement("config.mounts.parameters-as-mount2")
@given(
    source=st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=40)
)
def test_the_source_of_a_new_filesystem_is_any_name(harness: Harness, source: str) -> None:
    report = harness.run(with_mounts(harness.config(), mount("/m", source=source)))
    assert report.mount("/m").source == source


@requirement("config.mounts.parameters-as-mount2")
def test_a_mount_of_a_new_filesystem_needs_no_source(harness: Harness) -> None:
    entry = without(mount("/m"), "source")
    assert harness.run(with_mounts(harness.config(), entry)).mount("/m").fstype == "tmpfs"


# Destination


@requirement("config.mounts.destination-present")
def test_the_reaction_to_a_mount_without_a_destination_is_recorded(harness: Harness) -> None:
    config = with_mounts(harness.config("exit", "0"), without(mount("/m"), "destination"))
    result = harness.attempt(config)
    harness.note(f"a mount without destination is {'refused' if result.failed else 'accepted'}")


@requirement("config.mounts.destination-inside-container")
@given(place=absolute_paths(below="/m"))
def test_a_destination_may_have_any_name_and_depth(harness: Harness, place: str) -> None:
    report = harness.run(with_mounts(harness.config(), mount(place, source="x")))
    assert [each.target.encode("latin-1") for each in report.mounts if each.source == "x"] == [
        place.encode()
    ]


@requirement("config.mounts.destination-inside-container")
@pytest.mark.parametrize(
    "target",
    ["{outside}", "../../outside", "/../../../../../../..{outside}", "in/../../../outside"],
)
@pytest.mark.parametrize("last", [True, False], ids=["the link itself", "below the link"])
def test_no_link_leads_a_destination_out_of_the_container(
    harness: Harness, target: str, *, last: bool
) -> None:
    place = "/link" if last else "/link/below"
    config = with_mounts(harness.config(), mount(place, source="x"))
    with harness.bundle(config) as bundle:
        outside = bundle.path / "outside"
        outside.mkdir()
        (bundle.rootfs / "in").mkdir()
        (bundle.rootfs / "link").symlink_to(target.format(outside=outside))
        before = namespaces.mounts()
        with harness.container(config, bundle=bundle) as container:
            created = container.create().ok
            assert namespaces.mounts() == before
            assert list(outside.iterdir()) == []
            if created:
                assert container.start().ok
                # A mount outside the root would be gone with the old root.
                assert "x" in [each.source for each in container.report().mounts]


@requirement("config.mounts.destination-inside-container")
def test_a_link_within_the_container_leads_a_destination(harness: Harness) -> None:
    config = with_mounts(harness.config(), mount("/link", source="x"))
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "place").mkdir()
        (bundle.rootfs / "link").symlink_to("/place")
        assert harness.run(config, bundle=bundle).mount("/place").source == "x"


@requirement("config.mounts.destination-inside-container")
def test_dots_do_not_lead_a_destination_out_of_the_container(harness: Harness) -> None:
    config = with_mounts(harness.config(), mount("/../../m", source="x"))
    with harness.container(config) as container:
        if container.create().failed:
            harness.note("a destination with .. is refused")
            return
        assert container.start().ok
        assert container.report().mount("/m").source == "x"


@requirement(
    "config.mounts.destination-relative-allowed", "config.mounts.destination-relative-to-root"
)
@pytest.mark.parametrize("cwd", ["/", "/proc"])
@pytest.mark.parametrize("place", ["m", "m/below", "./m", "tmp"])
def test_a_relative_destination_counts_from_the_root(
    harness: Harness, cwd: str, place: str
) -> None:
    config = with_mounts(harness.config(), mount(place, source="x"))
    config["process"]["cwd"] = cwd
    report = harness.run(config)
    assert report.mount("/" + place.removeprefix("./")).source == "x"


@requirement("config.mounts.destination-absolute-required")
def test_the_reaction_to_a_relative_destination_is_recorded(harness: Harness) -> None:
    failed = harness.attempt(with_mounts(harness.config("exit", "0"), mount("m"))).failed
    harness.note(f"a relative destination is {'refused' if failed else 'accepted'}")


# Source


@requirement(
    "config.mounts.source-absolute-or-bundle-relative", "config.mounts.source-any-path-relative"
)
@pytest.mark.parametrize("form", ["{bundle}/source", "source", "./source", "rootfs/../source"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["at home", "from elsewhere"])
def test_the_source_of_a_bind_mount_is_absolute_or_seen_from_the_bundle(
    harness: Harness, form: str, *, elsewhere: bool
) -> None:
    config = harness.config("read", "/m/file")
    with harness.bundle(config) as bundle:
        (bundle.path / "source").mkdir()
        (bundle.path / "source" / "file").write_text("text")
        config = with_mounts(config, bind("/m", form.format(bundle=bundle.path)))
        with harness.container(config, bundle=bundle) as container:
            result = container.create(cwd="/" if elsewhere else str(bundle.path))
            assert result.ok, result
            assert container.start().ok
            assert container.lines()[0].get("content") == "text"


@requirement("config.mounts.source-absolute-or-bundle-relative")
@given(place=absolute_paths(below="/source"))
def test_the_source_of_a_bind_mount_may_have_any_name_and_depth(
    harness: Harness, place: str
) -> None:
    config = with_mounts(harness.config("read", "/m"), bind("/m", place.lstrip("/")))
    with harness.bundle(config) as bundle:
        file = bundle.path / place.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_text("text")
        assert harness.lines(config, bundle=bundle)[0].get("content") == "text"
