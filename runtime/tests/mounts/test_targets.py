"""config.md, "Mounts": where mounts are put, and what is made for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mounting import Create, Failed, entry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def source(folder: Path) -> Path:
    """Return a folder to bind."""
    path = folder / "source"
    path.mkdir()
    (path / "file").write_text("text", "utf-8")
    return path


@pytest.fixture(scope="module")
def rootfs_and_source(rootfs: Path, source: Path) -> tuple[Path, Path]:
    """Return both."""
    return rootfs, source


@pytest.mark.parametrize("destination", ["/new/folder", "/new//folder2/", "/new/./a/../b"])
def test_a_missing_folder_is_made(create: Create, source: Path, destination: str) -> None:
    container = create(entry(destination, source, "bind"))
    assert (container.path(destination) / "file").read_text("utf-8") == "text"


def test_a_file_is_made_for_a_file(create: Create, source: Path, rootfs: Path) -> None:
    container = create(entry("/etc/app/file", source / "file", "bind"))
    assert container.path("/etc/app/file").read_text("utf-8") == "text"
    assert (rootfs / "etc/app/file").read_text("utf-8") == ""
    assert (rootfs / "etc/app").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("/else/where", "else/where"),
        ("else/where2", "else/where2"),
        ("../../../../up/here", "up/here"),
        ("/var/../../../var/never-outside", "var/never-outside"),
        ("/third-link", "third"),
    ],
)
@pytest.mark.parametrize("below", ["", "/x/y"])
def test_a_link_to_nowhere_leads_to_a_place_in_the_root(
    create: Create, rootfs_and_source: tuple[Path, Path], text: str, made: str, below: str
) -> None:
    rootfs, source = rootfs_and_source
    link = "link" + text.replace("/", "-") + below.replace("/", "-")
    (rootfs / link).symlink_to(text)
    if not (rootfs / "third-link").is_symlink():
        (rootfs / "third-link").symlink_to("third")
    container = create(entry(f"/{link}{below}", source, "bind"))
    assert (container.path(f"/{made}{below}") / "file").exists()
    assert (rootfs / f"{made}{below}").is_dir()
    assert (rootfs / link).is_symlink()


def test_a_file_takes_the_place_of_a_link_to_nowhere(
    create: Create, source: Path, rootfs: Path
) -> None:
    (rootfs / "resolv.conf").symlink_to("../run/resolve/stub.conf")
    container = create(entry("/resolv.conf", source / "file", "bind"))
    assert container.path("/run/resolve/stub.conf").read_text("utf-8") == "text"


def test_links_in_a_circle_are_an_error(create: Create, source: Path, rootfs: Path) -> None:
    (rootfs / "a").symlink_to("b")
    (rootfs / "b").symlink_to("a")
    with pytest.raises(Failed, match="too many levels of symbolic links"):
        create(entry("/a/x", source, "bind"))


def test_hundreds_of_folders_deep_is_not_too_deep(create: Create, source: Path) -> None:
    destination = "/deep" + "/d" * 400
    container = create(entry(destination, source, "bind"))
    assert container.mount(destination).type


def test_a_relative_source_counts_from_the_bundle(create: Create, rootfs: Path) -> None:
    (rootfs.parent / "beside").mkdir()
    (rootfs.parent / "beside" / "file").touch()
    container = create(entry("/beside", "beside", "bind"))
    assert container.path("/beside/file").exists()


def test_mounts_are_made_in_order(create: Create, source: Path) -> None:
    container = create(entry("/o", "tmpfs"), entry("/o/inner", source, "bind"))
    assert container.path("/o/inner/file").exists()
    container = create(entry("/o/inner", source, "bind"), entry("/o", "tmpfs"))
    assert not container.path("/o/inner").exists()


def test_a_mount_can_be_made_in_one_that_is_read_only(create: Create, source: Path) -> None:
    container = create(entry("/r", "tmpfs", "ro"), entry("/r/inner", source, "bind"))
    assert "ro" in container.mount("/r").options
    assert "rw" in container.mount("/r").filesystem_options
    assert container.path("/r/inner/file").exists()


def test_the_root_can_be_covered(create: Create, source: Path) -> None:
    (source / "program").touch(0o755)
    container = create(entry("/", source, "rbind"))
    assert container.path("/file").read_text("utf-8") == "text"


def test_a_source_in_the_root_may_be_one_of_the_containers_mounts(
    create: Create, rootfs: Path
) -> None:
    container = create(
        entry("/t", "tmpfs"), entry("/t/sub", "tmpfs"), entry("/u", rootfs / "t" / "sub", "bind")
    )
    assert container.mount("/u").type == "tmpfs"


def test_tmpcopyup_starts_with_what_it_covers(create: Create, rootfs: Path) -> None:
    there = rootfs / "full"
    (there / "sub").mkdir(parents=True)
    there.chmod(0o750)
    (there / "sub" / "file").write_bytes(bytes(range(256)) * 5000)
    (there / "sub" / "file").chmod(0o4711)
    (there / "link").symlink_to("/nowhere")
    container = create(entry("/full", "tmpfs", "tmpcopyup", "ro", "size=8m"))
    copy = container.path("/full")
    assert container.mount("/full").type == "tmpfs"
    assert "ro" in container.mount("/full").options
    assert copy.stat().st_mode & 0o7777 == 0o750
    assert (copy / "sub/file").read_bytes() == (there / "sub" / "file").read_bytes()
    assert (copy / "sub/file").stat().st_mode & 0o7777 == 0o4711
    assert (copy / "sub/file").stat().st_mtime == (there / "sub" / "file").stat().st_mtime
    assert str((copy / "link").readlink()) == "/nowhere"


def test_a_long_option_reaches_the_filesystem(create: Create, folder: Path) -> None:
    layers = [folder / ("layer" * 20 + str(number)) for number in range(8)]
    for layer in layers:
        layer.mkdir()
        (layer / layer.name[-1]).touch()
    lower = ":".join(map(str, layers))
    container = create(
        {"destination": "/o", "type": "overlay", "source": "overlay",
         "options": [f"lowerdir={lower}", "ro", "nodev"]}
    )  # fmt: skip
    assert sorted(path.name for path in container.path("/o").iterdir()) == list("01234567")
    assert {"ro", "nodev"} <= container.mount("/o").options


@pytest.mark.parametrize("where", ["mount", "sysctl"])
def test_a_create_that_fails_leaves_the_root_as_it_was(
    create: Create, source: Path, rootfs: Path, where: str
) -> None:
    (rootfs / "to-nowhere").symlink_to("some/where")
    before = sorted(rootfs.rglob("*"))
    mounts = [
        entry("/to-nowhere/far", source, "bind"),
        entry("/new-file", source / "file", "bind"),
        entry("/t", "tmpfs"),
        entry("/t/inner", "tmpfs"),
    ]
    with pytest.raises(Failed):
        create(
            *mounts,
            *([entry("/bad", "tmpfs", "no-such-option")] if where == "mount" else []),
            sysctl={"kernel.msgmax": "not a number"} if where == "sysctl" else {},
            devices=[{"path": "/node", "type": "c", "major": 1, "minor": 3}],
        )
    assert sorted(rootfs.rglob("*")) == before
    (rootfs / "to-nowhere").unlink()
