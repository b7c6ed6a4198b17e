"""config.md, "Linux mount options": what those of one mount do to the files on it."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import namespaces
from seatrial.conformance.config import bind, mount, with_mounts
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.mounts import Flags, expected, mount_flags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report

_NULL = (1, 3)
_USER = 1000


@contextlib.contextmanager
def source(harness: Harness) -> Iterator[tuple[Bundle, Path]]:
    """Give a bundle and a folder in it that has a file, a link, a device and a setuid program."""
    with harness.bundle(harness.config()) as bundle:
        folder = bundle.path / "source"
        folder.mkdir()
        (folder / "file").write_text("text")
        (folder / "link").symlink_to("file")
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(*_NULL))
        program = bundle.path / "rootfs" / "probe"
        (folder / "program").write_bytes(program.read_bytes())
        (folder / "program").chmod(0o4755)
        yield bundle, folder


def done(harness: Harness, options: tuple[str, ...], *act: str) -> dict[str, Any]:
    """Return what an act says in a container where the folder is bound to /m with the options."""
    with source(harness) as (bundle, folder):
        config = with_mounts(harness.config(*act), bind("/m", folder, *options))
        return harness.lines(config, bundle=bundle)[0]


def mounted(harness: Harness, *options: str) -> Flags:
    """Return the flags of a new mount with these options."""
    config = with_mounts(harness.config(), mount("/m", *options))
    return Flags.shown(harness.run(config).mount("/m"))


# Read-only


@requirement("config.mounts.option.ro")
@pytest.mark.parametrize(
    "act",
    [["write", "/m/file", "new"], ["mkdir", "/m/folder"], ["unlink", "/m/file"]],
    ids=" ".join,
)
def test_nothing_can_be_changed_on_a_mount_with_ro(harness: Harness, act: list[str]) -> None:
    assert done(harness, ("ro",), *act).get("errno") == "EROFS"


@requirement("config.mounts.option.ro")
def test_nothing_can_be_written_on_a_new_filesystem_with_ro(harness: Harness) -> None:
    config = with_mounts(harness.config("write", "/m/file", "text"), mount("/m", "ro"))
    assert harness.lines(config)[0].get("errno") == "EROFS"


@requirement("config.mounts.option.ro")
def test_ro_of_a_bind_mount_leaves_its_source_writable(harness: Harness) -> None:
    with source(harness) as (bundle, folder):
        config = with_mounts(harness.config("pause"), bind("/m", folder, "ro"))
        with harness.running(config, bundle=bundle):
            (folder / "file").write_text("new")


@requirement("config.mounts.option.rw")
@pytest.mark.parametrize("act", [["write", "/m/file", "new"], ["mkdir", "/m/folder"]], ids=" ".join)
def test_files_can_be_changed_on_a_mount_with_rw(harness: Harness, act: list[str]) -> None:
    assert done(harness, ("rw",), *act)["ok"]


# Programs


@requirement("config.mounts.option.noexec")
def test_no_program_runs_from_a_mount_with_noexec(harness: Harness) -> None:
    act = ("spawn", "/m/program", "say", "here")
    assert done(harness, ("noexec",), *act).get("errno") == "EACCES"


@requirement("config.mounts.option.exec")
def test_a_program_runs_from_a_mount_with_exec(harness: Harness) -> None:
    assert done(harness, ("exec",), "spawn", "/m/program", "say", "here")["ok"]


def privileged(harness: Harness, *options: str) -> Report:
    """Return what a setuid program of root's on the mount reports when another user runs it."""
    with source(harness) as (bundle, folder):
        config = with_mounts(harness.config(), bind("/m", folder, *options))
        config["process"]["args"] = ["/m/program", "report"]
        config["process"]["user"] = {"uid": _USER, "gid": _USER}
        return harness.run(config, bundle=bundle)


@requirement("config.mounts.option.nosuid")
def test_setuid_is_without_effect_on_a_mount_with_nosuid(harness: Harness) -> None:
    assert privileged(harness, "nosuid")["uid"]["effective"] == _USER


@requirement("config.mounts.option.suid")
def test_setuid_is_honoured_on_a_mount_with_suid(harness: Harness) -> None:
    assert privileged(harness, "suid")["uid"]["effective"] == 0


# Devices and links


@requirement("config.mounts.option.nodev")
@needs("cap:mknod")
def test_no_device_can_be_opened_on_a_mount_with_nodev(harness: Harness) -> None:
    assert done(harness, ("nodev",), "open", "/m/null", "r").get("errno") == "EACCES"


@requirement("config.mounts.option.dev")
@needs("cap:mknod")
def test_a_device_can_be_opened_on_a_mount_with_dev(harness: Harness) -> None:
    assert done(harness, ("dev",), "open", "/m/null", "r")["ok"]


@requirement("config.mounts.option.nosymfollow")
def test_no_link_is_followed_on_a_mount_with_nosymfollow(harness: Harness) -> None:
    assert done(harness, ("nosymfollow",), "read", "/m/link").get("errno") == "ELOOP"


@requirement("config.mounts.option.symfollow")
@pytest.mark.parametrize("options", [("symfollow",), ("nosymfollow", "symfollow")], ids=",".join)
def test_links_are_followed_on_a_mount_with_symfollow(
    harness: Harness, options: tuple[str, ...]
) -> None:
    assert done(harness, options, "read", "/m/link")["ok"]


@requirement("config.mounts.option.nosymfollow", "config.mounts.option.symfollow")
def test_a_new_filesystem_takes_the_options_for_links(harness: Harness) -> None:
    assert mounted(harness, "nosymfollow").mount == {"nosymfollow"}
    assert mounted(harness, "symfollow").mount == set()


# Access times


@requirement("config.mounts.option.atime")
@requirement("config.mounts.option.diratime")
@requirement("config.mounts.option.norelatime")
@requirement("config.mounts.option.nostrictatime")
@pytest.mark.parametrize("option", ["atime", "diratime", "norelatime", "nostrictatime"])
def test_with_an_option_that_takes_a_flag_back_a_mount_is_as_without(
    harness: Harness, option: str
) -> None:
    assert mounted(harness, option) == expected([])


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(option, marks=requirement(f"config.mounts.option.{option}"))
        for option in ("noatime", "relatime", "strictatime", "nodiratime")
    ],
)
def test_a_mount_has_the_access_times_of_its_option(harness: Harness, option: str) -> None:
    assert mounted(harness, option) == expected([option])
    with source(harness) as (bundle, folder):
        config = with_mounts(harness.config(), bind("/m", folder, option))
        seen, wanted = (
            Flags.shown(harness.run(config, bundle=bundle).mount("/m")),
            expected([option]),
        )
        assert (seen.mount, seen.access_time) == (wanted.mount, wanted.access_time)


# All at once


@requirement("config.mounts.option.defaults")
@pytest.mark.parametrize("more", [(), ("nosuid", "noexec")], ids=["alone", "with more"])
def test_a_mount_with_defaults_is_writable_with_all_its_files_in_force(
    harness: Harness, more: tuple[str, ...]
) -> None:
    assert mounted(harness, "defaults", *more) == expected(more)


@requirement("config.mounts.option.defaults")
def test_a_bind_mount_may_have_defaults(harness: Harness) -> None:
    assert done(harness, ("defaults",), "write", "/m/file", "new")["ok"]
    assert done(harness, ("defaults",), "spawn", "/m/program", "say", "here")["ok"]
    assert privileged(harness, "defaults")["uid"]["effective"] == 0


# What a bind mount has of its source


@requirement("config.mounts.options.as-mount8")
@pytest.mark.parametrize(
    ("has", "option"),
    [("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"), ("ro", "rw")],
)
def test_what_undoes_the_flag_of_a_sources_mount_is_recorded(
    harness: Harness, has: str, option: str
) -> None:
    # Releases of mount(8) differ: since util-linux 2.39 an option changes the new mount's flag.
    with source(harness) as (bundle, folder), harness.mounted("x", folder, "tmpfs"):
        namespaces.mount("none", str(folder), None, mount_flags([has]))
        config = with_mounts(harness.config(), bind("/m", folder, option))
        kept = has in harness.run(config, bundle=bundle).mount("/m").options
        harness.note(
            f"a bind mount with {option} {'keeps' if kept else 'loses'} its source's {has}"
        )
