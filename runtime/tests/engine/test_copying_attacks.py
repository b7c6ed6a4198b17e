"""What a container may do while its files are copied: links swapped for folders, and the other way.

Each attack is made on the engine's own functions, and again without the defence that is meant to
hold: there it has to succeed, or the test would prove nothing. (A24 to A27, A29.)
"""

from __future__ import annotations

import ctypes
import io
import os
import stat
import tarfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from seatrial.engine import copying, extraction, kernel, packing
from seatrial.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROUNDS = 300
_EXCHANGE = 2
_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


class Ship:
    """A container's root beside what is not its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.outside = folder / "root", folder / "outside"
        (self.root / "x" / "etc").mkdir(parents=True)
        self.outside.mkdir(mode=0o700)
        (self.outside / "etc").mkdir(mode=0o700)
        (self.outside / "secret").write_text("the host's")
        (self.root / "x" / "inside").write_text("the container's")
        (self.root / "link").symlink_to(self.outside)

    def state(self) -> list[tuple[str, int, bytes]]:
        """What there is outside, and how it is."""
        return sorted(
            (str(each), each.stat().st_mode, each.read_bytes() if each.is_file() else b"")
            for each in (self.outside, *self.outside.rglob("*"))
        )

    @contextmanager
    def opened(self) -> Iterator[int]:
        root = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield root
        finally:
            os.close(root)

    @contextmanager
    def swapping(self) -> Iterator[None]:
        """Let "x" be a folder and a link to outside by turns, as fast as can be."""
        done = threading.Event()
        paths = [os.fsencode(self.root / each) for each in ("x", "link")]

        def swap() -> None:
            while not done.is_set():
                assert _renameat2(-100, paths[0], -100, paths[1], _EXCHANGE) == 0

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def put(self, path: str, data: bytes) -> None:
        with self.opened() as root, suppress(EngineError):
            copying.unpack(root, path, io.BytesIO(data), "boat", keep=False)

    def take(self, path: str) -> bytes:
        file = io.BytesIO()
        with (
            self.opened() as root,
            suppress(EngineError),
            copying.found(root, path, "boat") as place,
        ):
            copying.pack(place, file, frozenset({os.fstat(root).st_dev}))
        return file.getvalue()


@pytest.fixture
def ship(tmp_path: Path) -> Ship:
    return Ship(tmp_path)


def _archive(*names: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o777
            member.devmajor, member.devminor = 1, 3
            archive.addfile(member)
    return file.getvalue()


def _followed(folder: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Open as if there were no attackers: links lead wherever they lead."""
    return os.open(f"/proc/self/fd/{folder}/{os.fsdecode(path).lstrip('/')}", flags, mode)


# --- A24, A26: links on the way -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/link", "/link/etc", "/x/../link/", "/link/../link"])
def test_nothing_is_put_behind_a_link_to_outside(ship: Ship, path: str) -> None:
    before = ship.state()
    ship.put(path, _archive("planted", "etc/planted"))
    assert ship.state() == before


def test_without_the_defence_it_would_be(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "openat2", _followed)
    before = ship.state()
    ship.put("/link", _archive("planted"))
    assert ship.state() != before


@pytest.mark.parametrize("path", ["/link/", "/link/.", "/link/secret"])
def test_nothing_is_taken_from_behind_a_link_to_outside(ship: Ship, path: str) -> None:
    assert b"the host's" not in ship.take(path)


def test_without_the_defence_it_would_be_taken(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "openat2", _followed)
    assert b"the host's" in ship.take("/link/secret")


def test_a_swapped_link_leads_nothing_in_or_out(ship: Ship) -> None:
    before, archive = ship.state(), _archive("planted", "etc/planted")
    with ship.swapping():
        for _ in range(_ROUNDS):
            ship.put("/x", archive)
            taken = ship.take("/x/inside"), ship.take("/x"), ship.take("/")
            assert not any(b"the host's" in each for each in taken)
    assert ship.state() == before


def test_a_folder_swapped_for_a_link_while_it_is_read_is_left_out(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert b"the container's" in ship.take("/x")
    with ship.opened() as root:
        file = io.BytesIO()
        with packing.Packer(file) as packer:
            real = os.stat

            def swapped(path: str, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
                found = real(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
                if path == "x":
                    with suppress(FileExistsError):
                        (ship.root / "x").rename(ship.root / "y")
                        (ship.root / "x").symlink_to(ship.outside)
                return found

            monkeypatch.setattr(os, "stat", swapped)
            packer.tree(root, "x", "x")
    monkeypatch.undo()
    assert b"the host's" not in file.getvalue()


def test_a_link_swapped_for_a_file_while_it_is_read_is_left_out(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ship.opened() as root:
        file = io.BytesIO()
        with packing.Packer(file) as packer:
            real = os.readlink

            def swapped(path: str, *, dir_fd: int) -> str:
                (ship.root / path).unlink()
                (ship.root / path).write_text("a file")
                return real(path, dir_fd=dir_fd)

            monkeypatch.setattr(os, "readlink", swapped)
            packer.tree(root, "link", "link")
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as archive:
        assert archive.getnames() == []


# --- A27, A31: modes through links --------------------------------------------------------------


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_mode_is_changed_through_a_link(
    ship: Ship, kind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was just made is swapped for a link before it gets its mode."""
    before = ship.state()
    _swap_when_made(ship, monkeypatch)
    with suppress(OSError):
        ship.put("/", _archive("made", kind=kind))
    monkeypatch.undo()
    assert (ship.root / "made").is_symlink()
    assert ship.state() == before


def test_without_the_defence_a_mode_would_be(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(parent: int, name: str, member: tarfile.TarInfo) -> None:
        os.chmod(name, member.mode, dir_fd=parent)

    before = ship.state()
    _swap_when_made(ship, monkeypatch)
    monkeypatch.setattr(extraction, "_own", careless)
    ship.put("/", _archive("made", kind=tarfile.DIRTYPE))
    monkeypatch.undo()
    assert ship.state() != before


def _swap_when_made(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir, mknod = os.mkdir, os.mknod

    def swap() -> None:
        (ship.root / "made").rename(ship.root / "moved")
        (ship.root / "made").symlink_to(ship.outside)

    def swapping_mkdir(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        swap()

    def swapping_mknod(name: str, mode: int, device: int = 0, *, dir_fd: int) -> None:
        mknod(name, mode, device, dir_fd=dir_fd)
        swap()

    monkeypatch.setattr(os, "mkdir", swapping_mkdir)
    monkeypatch.setattr(os, "mknod", swapping_mknod)


def test_a_folder_over_a_link_takes_its_place(ship: Ship) -> None:
    before = ship.state()
    ship.put("/", _archive("link", kind=tarfile.DIRTYPE))
    assert not (ship.root / "link").is_symlink()
    assert ship.state() == before


# --- A25: nothing of the image is run or looked up ----------------------------------------------


def test_nothing_is_looked_up_by_an_owners_name(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a name was looked up")

    for module in ("pwd", "grp"):
        for name in ("getpwnam", "getpwuid", "getgrnam", "getgrgid"):
            with suppress(AttributeError):
                monkeypatch.setattr(f"{module}.{name}", never)
    monkeypatch.setattr(os, "posix_spawn", never)
    monkeypatch.setattr("subprocess.Popen", never)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:xz") as archive:
        member = tarfile.TarInfo("file")
        member.uname, member.gname, member.uid = "root", "root", 1234
        archive.addfile(member)
    ship.put("/x", file.getvalue())
    assert (ship.root / "x" / "file").stat().st_uid == 1234
    assert b"root\0" not in ship.take("/x/file")


def test_a_file_that_shrinks_while_it_is_read_leaves_a_whole_archive(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = ship.root / "x" / "inside"
    big.write_bytes(b"x" * 100_000)
    real = os.fstat

    def shrinking(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size == 100_000:
            os.truncate(big, 10)
        return found

    monkeypatch.setattr(os, "fstat", shrinking)
    taken = ship.take("/x/inside")
    monkeypatch.undo()
    with tarfile.open(fileobj=io.BytesIO(taken)) as archive:
        found = archive.extractfile("inside")
        assert found is not None
        assert found.read() == b"x" * 10 + b"\0" * 99_990
