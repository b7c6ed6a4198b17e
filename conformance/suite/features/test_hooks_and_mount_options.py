"""features.md, "Hooks" and "Mount Options"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.conformance.features import Document, listed
from seatrial.conformance.hooks import KINDS, Hook, hooked, live
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

TARGET = "/tmp"  # noqa: S108 - a folder of the test root filesystem
#: Those that say where a mount comes from, and need something to come from.
BINDING = ("bind", "rbind")
#: Those that need mappings.
MAPPING = ("idmap", "ridmap")
#: What file systems take as data (mount(8)), by the beginning of the word.
FILESYSTEM_SPECIFIC = (
    *("size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "umask", "mpol", "huge"),
    *("lowerdir", "upperdir", "workdir", "context", "fscontext", "data", "errors", "commit"),
    *("newinstance", "ptmxmode", "hidepid", "subset", "inode64", "inode32", "nsdelegate"),
)


def mounting(harness: Harness, *options: str, **members: Any) -> Config:
    """Return a config that mounts a tmpfs with these options, and whose program lists it."""
    config = harness.config("list", TARGET)
    mount = {"destination": TARGET, "type": "tmpfs", "source": "tmpfs", "options": list(options)}
    config["mounts"].append(mount | members)
    return config


# Hooks


@requirement("features.hooks.listed-supported")
def test_the_hooks_that_are_listed_are_called(harness: Harness, features: Document) -> None:
    kinds = listed(features, "hooks")
    with hooked(harness, {kind: [Hook(kind)] for kind in kinds if kind in KINDS}) as container:
        called = {record.tag for record in live(container)} - {"program"}
    assert called == set(kinds) & set(KINDS)


@requirement("features.hooks.listed-supported")
def test_hooks_that_are_called_and_not_listed_are_recorded(
    harness: Harness, features: Document
) -> None:
    for kind in sorted(set(KINDS).difference(listed(features, "hooks"))):
        with hooked(harness, {kind: [Hook(kind)]}) as container:
            if any(record.tag == kind for record in live(container)):
                harness.note(f"{kind} hooks are called and not listed")


# Mount options


@requirement("features.mount-options.listed-recognized")
def test_a_listed_option_is_not_passed_to_the_file_system(
    harness: Harness, features: Document
) -> None:
    # A tmpfs refuses data that it does not know.
    assert harness.attempt(mounting(harness, "no-such-option")).failed
    others = [*BINDING, *MAPPING, "remount"]
    options = [name for name in listed(features, "mountOptions") if name not in others]
    refused = [name for name in options if harness.attempt(mounting(harness, name)).failed]
    assert refused == []


@requirement("features.mount-options.listed-recognized")
def test_bind_is_recognised_if_listed(harness: Harness, features: Document) -> None:
    for option in sorted(set(BINDING).intersection(listed(features, "mountOptions"))):
        config = mounting(harness, option)
        with harness.bundle(config) as bundle:
            source = bundle.path / "source"
            source.mkdir()
            (source / "file").touch()
            config["mounts"][-1] |= {"source": str(source), "type": "none"}
            with harness.created(config, bundle=bundle) as container:
                started = container.start()
                assert started.ok, started
                assert container.read_line()["entries"] == ["file"], option


@requirement("features.mount-options.listed-recognized")
def test_remount_is_recognised_if_listed(harness: Harness, features: Document) -> None:
    if "remount" not in listed(features, "mountOptions"):
        return
    config = mounting(harness)
    config["mounts"].append({**config["mounts"][-1], "options": ["remount", "ro"]})
    config["process"]["args"] = ["/probe", "mkdir", f"{TARGET}/made", "+", "report"]
    with harness.created(config) as container:
        started = container.start()
        assert started.ok, started
        assert container.read_line()["errno"] == "EROFS"
        # And not because of another mount above the first.
        assert [mount.target for mount in container.report().mounts].count(TARGET) == 1


@requirement("features.mount-options.none-filesystem-specific")
def test_the_options_are_not_those_of_a_file_system(features: Document) -> None:
    words = [name.partition("=")[0] for name in listed(features, "mountOptions")]
    assert [word for word in words if word in FILESYSTEM_SPECIFIC] == []
    assert not [name for name in listed(features, "mountOptions") if "=" in name]
