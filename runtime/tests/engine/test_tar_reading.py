"""Tar archives as others write them are read; what is none costs little before it is refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.engine import extraction
from seatrial.engine.errors import BadRequest, EngineError
from seatrial.engine.extraction import Extractor
from seatrial.engine.layers import Layers
from seatrial.engine.tar_reading import Entry, Reader

if TYPE_CHECKING:
    from pathlib import Path


def _archive(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return file.getvalue()


def _member(name: str = "file", **values: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(made, key, value)
    return made


def _read(data: bytes) -> list[tuple[Entry, bytes]]:
    reader, found = Reader(io.BytesIO(data)), []
    for entry in reader:
        content = b""
        while piece := reader.read():
            content += piece
        found.append((entry, content))
    return found


_NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=300)


@given(
    st.lists(
        st.builds(
            _member,
            name=_NAMES.filter(lambda name: name.strip("/")),
            size=st.integers(0, 2000),
            uid=st.integers(0, 1 << 40),
            gid=st.integers(0, 1 << 40),
            mode=st.integers(0, 0o7777),
            mtime=st.integers(-(1 << 33), 1 << 36),
        ),
        max_size=4,
    ),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_what_pythons_own_module_writes_is_read(members: list[tarfile.TarInfo], form: int) -> None:
    found = _read(_archive(*members, form=form))
    assert [(each.uid, each.gid, each.mode, each.size) for each, _ in found] == [
        (each.uid, each.gid, each.mode, each.size) for each in members
    ]
    assert [each.name for each, _ in found] == [each.name for each in members]
    assert [content for _, content in found] == [b"x" * each.size for each in members]
    assert [each.mtime_ns // 10**9 for each, _ in found] == [each.mtime for each in members]


@given(st.binary(max_size=3000))
def test_what_is_no_archive_is_refused_or_empty(data: bytes) -> None:
    try:
        found = _read(data)
    except BadRequest:
        return
    assert found == []


@given(st.integers(0, 1535), st.integers(1, 255))
def test_a_damaged_archive_is_refused_or_read(place: int, change: int) -> None:
    data = bytearray(_archive(_member("a" * 120, size=10)))
    data[place] ^= change
    try:
        _read(bytes(data))
    except BadRequest as error:
        assert "invalid tar archive" in str(error)  # noqa: PT017 - it may also be read


def _with_pax(record: bytes) -> bytes:
    header = _member("pax", size=len(record), type=tarfile.XHDTYPE)
    return header.tobuf() + record.ljust(-(-len(record) // 512) * 512, b"\0") + _archive(_member())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            _member("pax", size=1 << 30, type=tarfile.XHDTYPE).tobuf(),
            "a header of 1073741824 bytes",
        ),
        (_member("n", size=1 << 30, type=b"L").tobuf(), "a header of 1073741824 bytes"),
        (_with_pax(b"nonsense"), "a PAX header that is none"),
        (_with_pax(b"99 path=x\n"), "a PAX header that is none"),
        (_with_pax(b"0 path=x\n"), "a PAX header that is none"),
        (_with_pax(b"13 size=many\n"), "invalid literal"),
        (_with_pax(b"12 size=-12\n"), "less than nothing"),
        (_with_pax(b"22 GNU.sparse.major=1\n"), "sparse files are not read"),
        (_with_pax(b"12 path=a\0b\n"), "an entry's name is"),
        (_with_pax(b"5009 path=" + b"a" * 4998 + b"\n"), "a name of 4998 bytes"),
        (_member("s", type=b"S").tobuf(), "sparse files are not read"),
        (_member("f", size=5).tobuf() + b"xx", "it ends within a file"),
        (_member("f").tobuf()[:400], "truncated header"),
        (_member("f").tobuf().replace(b"0000644", b"000064x"), "bad checksum"),
    ],
)
def test_what_is_wrong_with_an_archive_is_said(data: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=f"invalid tar archive: .*{why}"):
        _read(data)


def test_an_entry_of_an_unknown_kind_is_passed_over_with_its_content() -> None:
    data = _archive(_member("odd", type=b"V", size=0), _member("file", size=3))
    odd = _member("odd", type=b"Z", size=700).tobuf() + b"x" * 1024
    assert [each.name for each, _ in _read(odd + data)] == ["odd", "odd", "file"]


# --- bombs (A34) ------------------------------------------------------------------------------


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(f"{tmp_path}/layers")


def test_a_bomb_is_refused_before_it_fills_the_disk(
    layers: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the disk but a megabyte is kept free here: a gzip of 64 MB of zeros has no room."""
    room = os.statvfs(tmp_path)
    monkeypatch.setattr(extraction, "RESERVE_BYTES", room.f_bavail * room.f_frsize - (1 << 20))
    header = _member("zeros", size=1 << 26).tobuf()
    bomb = gzip.compress(header + bytes(1 << 26) + bytes(1024), compresslevel=1)
    assert len(bomb) < 1 << 20
    with pytest.raises(EngineError, match="no space left on device"):
        layers.add(io.BytesIO(bomb))
    assert list((tmp_path / "layers").iterdir()) == []


def test_a_file_of_a_terabyte_is_refused_by_its_header(layers: Layers) -> None:
    header = _member("big", size=1 << 45).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(EngineError, match="no space left on device"):
        layers.add(io.BytesIO(header))


def test_entries_without_end_are_refused(
    layers: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "MOST_ENTRIES", 100)
    members = [_member(f"{number}") for number in range(101)]
    with pytest.raises(BadRequest, match="more than 100 entries"):
        layers.add(io.BytesIO(_archive(*members)))
    assert list((tmp_path / "layers").iterdir()) == []


def test_folders_in_folders_are_laid_out_and_removed(tmp_path: Path) -> None:
    name = "/".join("d" * 400)
    (tmp_path / "root").mkdir()
    with Extractor(f"{tmp_path}/root") as extractor:
        extractor.apply(io.BytesIO(_archive(_member(f"{name}/file"))))
    assert (tmp_path / "root" / name / "file").is_file()
    extraction.remove_tree(None, f"{tmp_path}/root")
    assert not (tmp_path / "root").exists()
