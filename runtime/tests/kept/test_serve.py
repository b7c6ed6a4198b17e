"""``keep --serve``: plans are kept for an engine, by one process for all of its bundles."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from keeping import PYTHON

from seatrial.oci import kept

if TYPE_CHECKING:
    from keeping import Bundle


def _serve(bundle: Bundle, *paths: str) -> list[str]:
    command = [sys.executable, "-I", "-c", PYTHON, "--root", str(bundle.root), "keep", "--serve"]
    environment = {**os.environ, kept.SWITCH: "on"}
    done = subprocess.run(
        command,
        input="".join(f"{path}\n" for path in paths),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    return done.stdout.splitlines()


def test_what_is_asked_for_is_kept_and_used(bundle: Bundle) -> None:
    assert not bundle.is_warm()
    assert _serve(bundle, str(bundle.folder)) == ["kept"]
    assert bundle.is_warm()


def test_a_config_that_is_wrong_is_no_end_of_it(bundle: Bundle) -> None:
    broken = bundle.folder.parent / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"ociVersion": "1.3.0", "mounts": 5}', "utf-8")
    told = _serve(bundle, str(broken), "/nowhere", str(bundle.folder))
    assert "config.json#/mounts" in told[0]
    assert "/nowhere" in told[1]
    assert told[2:] == ["kept"]


def test_what_cannot_be_kept_is_said(bundle: Bundle) -> None:
    bundle.configure(process={"terminal": True})
    assert _serve(bundle, str(bundle.folder)) == ["the program has a terminal"]
