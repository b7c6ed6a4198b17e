"""Kernels that lack a system call, by a filter that answers as they would (seccomp(2))."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.oci import _core

COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
#: The newest calls have the same number on all architectures.
CALLS = {"move_mount": 429, "clone3": 435, "openat2": 437, "mount_setattr": 442}
#: Loads a filter that knows one system call less, then executes the rest of its words.
WITHOUT = """
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (6, 0, 0, 0x00050000 | 38),
        (6, 0, 0, 0x7FFF0000)]
program = b"".join(struct.pack("<HBBI", *each) for each in code)
kept = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
given = Program(len(code), ctypes.addressof(kept))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(given)) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_this_kernel_has_all_that_is_needed() -> None:
    assert _core.missing_call() is None


@pytest.mark.parametrize("call", CALLS)
def test_a_kernel_without_a_call_is_refused_before_anything_is_touched(
    tmp_path: Path, call: str
) -> None:
    (tmp_path / "rootfs").mkdir()
    config = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/none"]},
        "linux": {"namespaces": [{"type": "mount"}], "cgroupsPath": "/seatrial-gaps/old"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        [
            sys.executable, "-c", WITHOUT, str(CALLS[call]), COMMAND, "--root",
            str(tmp_path / "state"), "create", "--bundle", str(tmp_path), "old",
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == (
        f"seatrial-oci: this kernel ({platform.release()}) has no {call}(2), or something around "
        "this process hides it: containers are made with the mount API of Linux 5.12\n"
    )
    assert done.returncode == 1
    assert not (tmp_path / "state").exists()
