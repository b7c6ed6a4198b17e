"""Layers laid out: nothing outside of the folder is read, made or changed, whatever they hold."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.engine.errors import BadRequest
from seatrial.engine.extraction import Extractor, remove_tree

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
}
_Entry = tuple[str, str, str]


def _archive(*entries: _Entry, pax: dict[str, str] | None = None) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, text in entries:
            member = tarfile.TarInfo(name)
            member.type, member.mode = _KINDS[kind], 0o755 if kind == "folder" else 0o644
            member.pax_headers = pax or {}
            if kind == "file":
                member.size = len(text)
            else:
                member.linkname = text
            archive.addfile(member, io.BytesIO(text.encode()))
    file.seek(0)
    return file


def _apply(folder: Path, *entries: _Entry, pax: dict[str, str] | None = None) -> None:
    with Extractor(str(folder)) as extractor:
        extractor.apply(_archive(*entries, pax=pax))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "layer").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    return tmp_path / "layer"


def _outside(place: Path) -> list[tuple[str, str, int]]:
    found = place.parent / "outside"
    return [(each.name, each.read_text(), each.stat().st_mode) for each in found.iterdir()]


@pytest.mark.parametrize(
    "entries",
    [
        [("../outside/new", "file", "x")],
        [("a/../../outside/new", "file", "x")],
        [("link", "symlink", "../outside"), ("link/new", "file", "x")],
        [("link", "symlink", "../outside"), ("link/kept", "folder", "")],
        [("link", "symlink", "../outside/kept"), ("link", "file", "x")],
        [("hard", "link", "../outside/kept"), ("hard", "file", "x")],
        [("link", "symlink", "../outside/kept"), ("hard", "link", "link")],
        [("link", "symlink", "../outside"), ("link/.wh.kept", "file", "")],
        [("link", "symlink", "../outside"), ("link/.wh..wh..opq", "file", "")],
        [("a", "folder", ""), ("a", "symlink", "../outside"), ("a/kept", "file", "x")],
        [(".wh...", "file", "")],
        [(".wh..", "file", "")],
        [("/../../outside/kept", "file", "x")],
    ],
)
def test_no_archive_reaches_outside(place: Path, entries: list[_Entry]) -> None:
    before = _outside(place)
    with suppress(BadRequest):  # to refuse is one way not to reach it
        _apply(place, *entries)
    assert _outside(place) == before


_NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "outside", "kept", ".wh.a", ".wh..wh..opq"]),
    min_size=1,
    max_size=4,
).map("/".join)


_TARGETS = st.one_of(_NAMES, _NAMES.map("/".__add__))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            _NAMES, st.sampled_from(list(_KINDS)), st.one_of(_NAMES, _NAMES.map("/".__add__))
        ),
        max_size=6,
    )
)
def test_no_drawn_archive_reaches_outside(place: Path, entries: list[_Entry]) -> None:
    before = _outside(place)
    with suppress(BadRequest, OSError):
        _apply(place, *entries)
    assert _outside(place) == before
    remove_tree(None, str(place))
    place.mkdir()


def test_a_later_entry_takes_the_place_of_an_earlier_one(place: Path) -> None:
    _apply(place, ("a", "folder", ""), ("a/b", "file", "1"), ("a", "file", "2"))
    assert (place / "a").read_text() == "2"


def test_a_whiteout_is_what_overlayfs_takes_for_one(place: Path) -> None:
    _apply(place, ("a/.wh.gone", "file", ""), ("b/.wh..wh..opq", "file", ""))
    found = (place / "a" / "gone").stat()
    assert stat.S_ISCHR(found.st_mode)
    assert found.st_rdev == 0
    assert os.getxattr(place / "b", "trusted.overlay.opaque") == b"y"


def test_hard_links_are_one_file(place: Path) -> None:
    _apply(place, ("a", "file", "text"), ("b", "link", "a"))
    assert os.path.samefile(place / "a", place / "b")


def test_what_is_overlayfss_own_is_refused(place: Path) -> None:
    with pytest.raises(BadRequest):
        _apply(place, ("a", "file", ""), pax={"SCHILY.xattr.trusted.overlay.redirect": "/etc"})


@pytest.mark.parametrize(
    "data", [b"", b"no archive", _archive(("a", "file", "x" * 600)).read()[:700]]
)
def test_what_is_no_archive_is_refused(place: Path, data: bytes) -> None:
    with Extractor(str(place)) as extractor, pytest.raises(BadRequest):
        extractor.apply(io.BytesIO(data))
