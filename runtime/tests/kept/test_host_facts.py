"""The compiler asks the host through one module, which notes it: nothing else can be forgotten."""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.oci import compiler, host

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(compiler.__file__).parent
#: Those through which it asks, and what is the same on every host.
NOT_COMPILING = {"__init__", "_core", "host", "log", "errors", "config"}
#: Of os, what answers by its arguments alone.
PURE = {
    "os.path.join", "os.path.normpath", "os.path.basename", "os.path.dirname", "os.path",
    "os.major", "os.minor", "os.makedev", "os.strerror", "os.F_OK", "os.W_OK", "os.X_OK",
}  # fmt: skip
#: Modules of Python's that cannot ask.
HARMLESS = {
    "__future__", "collections.abc", "contextlib", "enum", "errno", "functools", "itertools",
    "math", "msgspec", "os", "re", "stat", "struct", "types", "typing",
}  # fmt: skip
#: What is not called while a plan is compiled, or is no question about the host.
APART = {
    ("compiler", "compile_for", "os.path.abspath"): "of the state root; a relative one keeps none",
    ("listener", "", "socket"): "start connects to the agent",
    ("listener", "reach", "socket.socket"): "start connects to the agent",
    ("listener", "reach", "socket.AF_UNIX"): "start connects to the agent",
    ("listener", "reach", "socket.SOCK_STREAM"): "start connects to the agent",
    ("listener", "process_state", "json"): "written at start",
    ("libseccomp", "", "ctypes"): "what the library depends on is noted by _depend",
    ("libseccomp", "_depend", "open"): "finds the library that _depend notes",
    ("libseccomp", "Filter", "os.memfd_create"): "holds the program",
    ("libseccomp", "Filter", "os.MFD_CLOEXEC"): "holds the program",
    ("libseccomp", "Filter", "os.pread"): "holds the program",
    ("libseccomp", "Filter", "os.fstat(fd).st_size"): "holds the program",
    ("libseccomp", "Filter", "os.fstat"): "holds the program",
    ("libseccomp", "Filter", "os.close"): "holds the program",
    ("freezer", "", "os"): "pause and resume; of the compiler's it has file_of alone",
}


def compiling() -> set[str]:
    """Return the modules that the compiler is made of, by what they import."""
    found, left = set(), {"compiler"}
    while left:
        name = left.pop()
        found.add(name)
        for node in ast.walk(tree_of(name)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seatrial.oci"):
                base = (node.module or "").removeprefix("seatrial.oci").lstrip(".")
                names = {base} if base else {each.name for each in node.names}
                left |= {each for each in names if (FOLDER / f"{each}.py").exists()} - found
    return found - NOT_COMPILING


def tree_of(name: str) -> ast.Module:
    return ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))


def asks(name: str) -> Iterator[tuple[str, str]]:
    """Yield each name by which a module could ask, and the function or class that it is in."""
    for outer in tree_of(name).body:
        place = getattr(outer, "name", "") if not isinstance(outer, ast.Import) else ""
        for node in ast.walk(outer):
            if isinstance(node, ast.Import):
                yield from ((place, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield place, node.module or ""
            elif isinstance(node, ast.Name) and node.id in {"open", "__import__", "eval", "exec"}:
                yield place, node.id
            elif isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                if text.startswith(("os.", "socket.")):
                    yield place, text


def is_harmless(text: str) -> bool:
    return text in PURE | HARMLESS or text.startswith("seatrial.oci")


def test_the_compiler_is_made_of_what_it_imports() -> None:
    found = compiling()
    assert found >= {"cgroups", "mounts", "rootfs", "libseccomp", "intel_rdt", "systemd", "process"}
    assert not found & NOT_COMPILING
    for name in found:
        importlib.import_module(f"seatrial.oci.{name}")


@pytest.mark.parametrize("name", sorted(compiling() - {"freezer"}))
def test_a_module_of_the_compiler_asks_by_host_alone(name: str) -> None:
    found = {(name, *each) for each in asks(name) if not is_harmless(each[1])}
    assert found <= set(APART), found - set(APART)


def test_the_compiler_uses_one_function_of_the_freezer() -> None:
    for name in compiling() - {"freezer"}:
        used = {
            node.attr
            for node in ast.walk(tree_of(name))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "freezer"
        }
        assert used <= {"file_of"}


def test_what_is_asked_twice_is_answered_once() -> None:
    with host.asking("x") as asked:
        first = host.read("/proc/self/stat")
        assert host.read("/proc/self/stat") == first
    assert [key[0] for key in asked.answers] == [host.Ask.READ]
    assert host.read("/proc/uptime") is not None  # and outside it is not noted
    assert len(asked.answers) == 1


def test_an_error_is_an_answer_too(tmp_path: Path) -> None:
    path = str(tmp_path / host.ID)
    with host.asking("nothing") as asked:
        for _ in range(2):
            with pytest.raises(FileNotFoundError, match="/nothing'"):
                host.read(path)
        assert not host.exists(path)
    assert set(asked.answers) == {(host.Ask.READ, 0, path), (host.Ask.ACCESS, os.F_OK, path)}


def test_the_placeholder_is_in_no_path_that_the_kernel_is_told() -> None:
    with pytest.raises(UnicodeEncodeError):
        os.stat(f"/{host.ID}")
    with pytest.raises(UnicodeEncodeError):
        host.exists(f"/{host.ID}")


def test_mounts_are_those_at_a_path_and_below_it() -> None:
    everything = Path("/proc/self/mountinfo").read_bytes().split(b"\n")[:-1]
    assert host.mounts("/") == everything
    below = host.mounts("/proc")
    assert below == [
        line
        for line in everything
        if (host.target_of(line) + "/").startswith("/proc/")
    ]  # fmt: skip
    assert host.mounts("/pro") == []
