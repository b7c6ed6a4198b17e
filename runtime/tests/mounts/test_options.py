"""config.md, "Linux mount options": every row of the table, by what mountinfo says afterwards."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest
from mounting import Container, Create, Failed, Mounted, entry

from seatrial.oci import mount_options

if TYPE_CHECKING:
    from pathlib import Path

#: Option lists for a tmpfs; what its mount has then, what it has not.
OWN: dict[str, tuple[list[str], set[str], set[str]]] = {
    "async": (["sync", "async"], set(), {"sync"}),
    "atime": (["noatime", "atime"], {"relatime"}, {"noatime"}),
    "defaults": (["defaults"], {"rw", "relatime"}, {"ro", "nosuid", "nodev", "noexec", "sync"}),
    "dev": (["nodev", "dev"], set(), {"nodev"}),
    "diratime": (["nodiratime", "diratime"], set(), {"nodiratime"}),
    "dirsync": (["dirsync"], {"dirsync"}, set()),
    "exec": (["noexec", "exec"], set(), {"noexec"}),
    "iversion": (["iversion"], {"rw"}, set()),
    "lazytime": (["lazytime"], {"lazytime"}, set()),
    "loud": (["loud"], {"rw"}, set()),
    "mand": (["mand"], {"mand"}, set()),
    "noatime": (["noatime"], {"noatime"}, {"relatime"}),
    "nodev": (["nodev"], {"nodev"}, set()),
    "nodiratime": (["nodiratime"], {"nodiratime"}, set()),
    "noexec": (["noexec"], {"noexec"}, set()),
    "noiversion": (["noiversion"], {"rw"}, set()),
    "nolazytime": (["lazytime", "nolazytime"], set(), {"lazytime"}),
    "nomand": (["mand", "nomand"], set(), {"mand"}),
    "norelatime": (["norelatime"], {"relatime"}, {"noatime"}),
    "nostrictatime": (["strictatime", "nostrictatime"], {"relatime"}, set()),
    "nosuid": (["nosuid"], {"nosuid"}, set()),
    "nosymfollow": (["nosymfollow"], {"nosymfollow"}, set()),
    "relatime": (["relatime"], {"relatime"}, {"noatime"}),
    "ro": (["ro"], {"ro"}, {"rw"}),
    "rw": (["ro", "rw"], {"rw"}, {"ro"}),
    "silent": (["silent"], {"rw"}, set()),
    "strictatime": (["strictatime"], {"rw"}, {"relatime", "noatime"}),
    "suid": (["nosuid", "suid"], set(), {"nosuid"}),
    "symfollow": (["nosymfollow", "symfollow"], set(), {"nosymfollow"}),
    "sync": (["sync"], {"sync"}, set()),
    # combinations
    "noatime,strictatime": (["noatime", "strictatime"], set(), {"relatime", "noatime"}),
    "noatime,norelatime": (["noatime", "norelatime"], {"noatime"}, {"relatime"}),
    "noatime,nodiratime": (["noatime", "nodiratime"], {"noatime", "nodiratime"}, set()),
    "user": (["user"], {"noexec", "nosuid", "nodev"}, set()),
    "x-": (["x-mount.mkdir", "comment=a", "X-b", "_netdev", "noauto"], {"rw"}, set()),
    "acl": (["acl"], {"rw"}, set()),
    "size=": (["size=64k", "mode=750"], {"size=64k", "mode=750"}, set()),
    "commas": (["size=64k,mode=750"], {"size=64k", "mode=750"}, set()),
    "ro,rw": (["ro", "rw", "ro"], {"ro"}, set()),
    "rro": (["rro"], {"ro"}, {"rw"}),
    "rnoatime": (["rnoatime"], {"noatime"}, {"relatime"}),
}
#: Recursive options on a tree of two mounts: how the tree is mounted on the host; what both of
#: its mounts have in the container, and have not.
RECURSIVE: dict[str, tuple[str, set[str], set[str]]] = {
    "ratime": ("noatime", {"relatime"}, {"noatime"}),
    "rdev": ("nodev", set(), {"nodev"}),
    "rnodev": ("dev", {"nodev"}, set()),
    "rdiratime": ("nodiratime", set(), {"nodiratime"}),
    "rexec": ("noexec", set(), {"noexec"}),
    "rnoatime": ("relatime", {"noatime"}, {"relatime"}),
    "rnodiratime": ("diratime", {"nodiratime"}, set()),
    "rnoexec": ("exec", {"noexec"}, set()),
    "rnorelatime": ("noatime", {"noatime"}, {"relatime"}),
    "rnostrictatime": ("strictatime", {"relatime"}, set()),
    "rnosuid": ("suid", {"nosuid"}, set()),
    "rnosymfollow": ("symfollow", {"nosymfollow"}, set()),
    "rrelatime": ("noatime", {"relatime"}, {"noatime"}),
    "rro": ("rw", {"ro"}, {"rw"}),
    "rrw": ("ro", {"rw"}, {"ro"}),
    "rstrictatime": ("relatime", set(), {"relatime", "noatime"}),
    "rsuid": ("nosuid", set(), {"nosuid"}),
    "rsymfollow": ("nosymfollow", set(), {"nosymfollow"}),
}
PROPAGATIONS = {
    "private": (set(), {"master"}),
    "rprivate": (set(), set()),
    "slave": ({"master"}, {"master"}),
    "rslave": ({"master"}, {"master"}),
    "shared": ({"shared", "master"}, {"master"}),
    "rshared": ({"shared", "master"}, {"shared", "master"}),
    "unbindable": ({"unbindable"}, {"master"}),
    "runbindable": ({"unbindable"}, {"unbindable"}),
}
ATTRIBUTES = [
    "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "nodiratime", "diratime",
    "noatime", "atime", "relatime", "norelatime", "strictatime", "nostrictatime", "sync", "async",
    "dirsync", "lazytime", "nolazytime",
]  # fmt: skip


def test_every_row_of_the_table_is_tested_and_known() -> None:
    rows = {*OWN, *RECURSIVE, *PROPAGATIONS} | {"bind", "rbind", "remount", "tmpcopyup"}
    assert set(mount_options.names()) <= rows | {"idmap", "ridmap"}


def everything(mount: Mounted) -> set[str]:
    """Return a mount's options, and its filesystem's but for rw."""
    return mount.options | mount.filesystem_options - {"rw", "ro"}


def run(*command: str | Path) -> None:
    """Run a command of the host."""
    subprocess.run([str(each) for each in command], check=True)


@pytest.fixture(scope="module")
def trees(folder: Path) -> dict[str, Path]:
    """Return trees of two mounts of a shared peer group each, by the option they have."""
    made = {}
    for option in {"rw", *(option for option, _, _ in RECURSIVE.values())}:
        made[option] = path = folder / "trees" / option
        path.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "tree", path)
        (path / "below").mkdir()
        (path / "file").write_text("text", "utf-8")
        run("mount", "-t", "tmpfs", "tree", path / "below")
        (path / "below" / "inner").write_text("text", "utf-8")
        for each in (path / "below", path):
            run("mount", "-o", f"remount,bind,{option}", each)
            run("mount", "--make-shared", each)
    return made


@pytest.fixture(scope="module")
def with_all(create: Create, trees: dict[str, Path]) -> Container:
    """Return a container with a mount for every option."""
    mounts = [entry(f"/own/{name}", "tmpfs", *row[0]) for name, row in OWN.items()]
    mounts += [
        entry(f"/all/{option}", trees[row[0]], "rbind", option) for option, row in RECURSIVE.items()
    ]
    mounts += [
        entry(f"/propagation/{option}", trees["rw"], "rbind", option) for option in PROPAGATIONS
    ]
    mounts += [
        entry("/bind", trees["rw"], "bind"),
        entry("/rbind", trees["rw"], "rbind"),
        entry("/first", trees["rw"], "rbind", "rro", "rw"),
        entry("/last", trees["rw"], "rbind", "rw", "rro"),
        entry("/strictest", trees["rw"], "rbind", "noatime", "rstrictatime"),
        entry("/kept", trees["nosuid"], "bind", "ro"),
        entry("/again", "tmpfs", "nosuid"),
        entry("/again", "tmpfs", "remount", "ro", "size=64k"),
        entry("/back", "tmpfs", "ro"),
        entry("/back", "none", "remount", "bind", "rw"),
        entry("relative", "tmpfs"),
    ]
    return create(*mounts)


@pytest.mark.parametrize("name", OWN)
def test_an_option_shows_in_the_mount(with_all: Container, name: str) -> None:
    _, has, has_not = OWN[name]
    found = everything(with_all.mount(f"/own/{name}"))
    assert has <= found
    assert not has_not & found


@pytest.mark.parametrize("option", RECURSIVE)
def test_a_recursive_option_is_for_all_mounts_of_the_tree(with_all: Container, option: str) -> None:
    _, has, has_not = RECURSIVE[option]
    for target in (f"/all/{option}", f"/all/{option}/below"):
        found = with_all.mount(target).options
        assert has <= found
        assert not has_not & found


@pytest.mark.parametrize("option", PROPAGATIONS)
def test_propagation_is_changed_of_the_mount_or_of_all(with_all: Container, option: str) -> None:
    top, below = PROPAGATIONS[option]
    assert with_all.mount(f"/propagation/{option}").propagation == top
    found = with_all.mount(f"/propagation/{option}/below")
    assert found.propagation == below


def test_bind_leaves_mounts_below_out_and_rbind_takes_them_along(with_all: Container) -> None:
    assert with_all.path("/bind/file").exists()
    assert not with_all.path("/bind/below/inner").exists()
    assert with_all.path("/rbind/below/inner").exists()


def test_of_a_recursive_option_and_one_for_the_mount_the_later_counts(
    with_all: Container,
) -> None:
    assert "rw" in with_all.mount("/first").options
    assert "ro" in with_all.mount("/first/below").options
    assert "ro" in with_all.mount("/last").options
    for target in ("/strictest", "/strictest/below"):
        assert not {"noatime", "relatime"} & with_all.mount(target).options


def test_a_bind_mount_keeps_what_its_options_say_nothing_about(with_all: Container) -> None:
    assert {"ro", "nosuid"} <= with_all.mount("/kept").options


def test_remount_changes_the_mount_that_is_there(with_all: Container) -> None:
    again = with_all.mount("/again")
    assert {"ro", "nosuid"} <= again.options
    assert "size=64k" in again.filesystem_options
    assert "rw" in with_all.mount("/back").options
    assert [each.target for each in with_all.mounts()].count("/back") == 1


def test_a_relative_destination_counts_from_the_root(with_all: Container) -> None:
    assert with_all.mount("/relative").type == "tmpfs"


def test_random_lists_of_options_mean_what_mount8_makes_of_them(
    create: Create, folder: Path
) -> None:
    chance = random.Random(3)  # noqa: S311 - the same lists every time
    lists = [chance.choices(ATTRIBUTES, k=chance.randint(1, 6)) for _ in range(60)]
    container = create(*(entry(f"/r/{n}", "tmpfs", *each) for n, each in enumerate(lists)))
    oracle = folder / "oracle"
    oracle.mkdir()
    for number, options in enumerate(lists):
        run("mount", "-i", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", oracle)
        expected = Container(folder, "", 0)
        expected.pid = "self"  # type: ignore[assignment]
        mount = expected.mount(str(oracle))
        found = container.mount(f"/r/{number}")
        assert found.options == mount.options, options
        assert found.filesystem_options - {"rw", "ro"} == mount.filesystem_options - {"rw", "ro"}
        run("umount", oracle)


@pytest.mark.parametrize(
    ("mount", "pointer"),
    [
        (entry("/x", "tmpfs", "no-such-option"), "/mounts/0"),
        (entry("/x", "tmpfs", "size=much"), "/mounts/0"),
        ({"destination": "/x", "type": "no-such-type"}, "/mounts/0"),
        ({"destination": "/x", "type": "bind", "source": "/", "options": ["ro"]}, "/mounts/0"),
        ({"destination": "/x"}, "/mounts/0/type"),
        ({"destination": "/x", "options": ["bind"]}, "/mounts/0/source"),
        (entry("/x", "/no/such/source", "bind"), "/mounts/0"),
        (entry("/x", "/", "bind", "tmpcopyup"), "/mounts/0/options"),
        (entry("/never-mounted", "none", "remount", "ro"), "/mounts/0"),
        (entry("", "tmpfs"), "/mounts/0/destination"),
    ],
)
def test_what_cannot_be_mounted_is_an_error_with_its_place(
    create: Create, mount: dict[str, object], pointer: str
) -> None:
    with pytest.raises(Failed, match=rf"config\.json#{pointer}\b"):
        create(mount)
