"""`seatrial-oci plan --explain` says what the launcher does, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from seatrial.oci import kept

if TYPE_CHECKING:
    from keeping import Bundle

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make these containers")


def explained(bundle: Bundle, **options: str) -> str:
    """Return the first line; that it is true is tried by the launcher."""
    done = bundle.python("plan", "--explain", "explained", **options)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert bundle.is_warm(**options) == (line == "the plan that is kept would be used")
    return line.removeprefix("no plan that is kept would be used: ")


def test_a_plan_that_holds_would_be_used(bundle: Bundle) -> None:
    assert explained(bundle) == "there is none"
    bundle.keep()
    assert explained(bundle) == "the plan that is kept would be used"
    assert explained(bundle, **{kept.SWITCH: "off"}) == f"{kept.SWITCH} is off"


def test_what_has_changed_is_named(bundle: Bundle) -> None:
    slot = bundle.keep()
    bundle.configure("7")
    assert explained(bundle) == "config.json was another"
    bundle.configure()
    (bundle.folder / "rootfs").rename(bundle.folder / "moved")
    (bundle.folder / "rootfs").touch()
    assert explained(bundle) == f"what {bundle.folder}/rootfs is has changed"
    slot.write_bytes(b"half of it")
    assert explained(bundle).startswith(f"{slot}: ")
    slot.unlink()
    bundle.plans.chmod(0o755)
    assert explained(bundle) == f"{bundle.plans} is not ours alone"
