"""config-vm.md: what a config for a virtual machine has to have.

What a machine does with it is not tested: that takes a kernel, an image and a hypervisor of the
runtime's choice.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

WHOLE: dict[str, Any] = {
    "hypervisor": {"path": "/usr/bin/hypervisor"},
    "kernel": {"path": "/boot/vmlinuz", "initrd": "/boot/initrd.img"},
    "image": {"path": "/var/lib/rootfs.img", "format": "raw"},
    "hwConfig": {"iomems": [{"firstMFN": 12288, "nrMFNs": 1}]},
}


def edited(harness: Harness, *path: str | int, value: object = None) -> Config:
    """Return a config whose ``vm`` has another value at ``path``, or none there."""
    section = copy.deepcopy(WHOLE)
    inner: Any = section
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return harness.config() | {"vm": section}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(("hypervisor", "path"), marks=requirement("vm.hypervisor.path-absolute")),
        pytest.param(("kernel", "path"), marks=requirement("vm.kernel.path-absolute")),
        pytest.param(("kernel", "initrd"), marks=requirement("vm.kernel.initrd-absolute")),
        pytest.param(("image", "path"), marks=requirement("vm.image.path-absolute")),
    ],
    ids="-".join,
)
@given(relative=st.from_regex(r"[a-z.]{1,8}(/[a-z.]{1,8}){0,2}", fullmatch=True))
@settings(max_examples=5)
def test_a_path_that_is_not_absolute_generates_an_error(
    harness: Harness, path: tuple[str, ...], relative: str
) -> None:
    assert harness.attempt(edited(harness, *path, value=relative)).failed


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(("hypervisor", "path"), marks=requirement("vm.hypervisor.path-present")),
        pytest.param(("kernel",), marks=requirement("vm.kernel.present")),
        pytest.param(("kernel", "path"), marks=requirement("vm.kernel.path-present")),
        pytest.param(("image", "path"), marks=requirement("vm.image.path-present")),
        pytest.param(("image", "format"), marks=requirement("vm.image.format-present")),
        pytest.param(
            ("hwConfig", "iomems", 0, "firstMFN"),
            marks=requirement("vm.hwconfig.first-mfn-present"),
        ),
        pytest.param(
            ("hwConfig", "iomems", 0, "nrMFNs"), marks=requirement("vm.hwconfig.nr-mfns-present")
        ),
    ],
    ids=lambda path: "-".join(map(str, path)),
)
def test_the_reaction_to_a_missing_member_is_recorded(
    harness: Harness, path: tuple[str | int, ...]
) -> None:
    refused = harness.attempt(edited(harness, *path)).failed
    where = ".".join(map(str, path))
    harness.note(f"vm without {where} is {'refused' if refused else 'accepted'}")
