"""Adapters: found by name, path and file; every wrong key is one sentence with a hint."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import adapters
from seatrial.conformance.adapters import OPERATIONS
from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from seatrial.conformance.adapters import Adapter

GOOD = """
name = "mine"
command = "/bin/true"
options = ["--root", "{root}", ["--log", "{log}"]]

[version]
arguments = ["version"]
pattern = 'mine (\\S+)'

[verbs]
create = ["create", ["--bundle", "{bundle}"], ["--pair", "{pid_file}:{console_socket}"], "{id}"]
start = ["start", "{id}"]
state = ["state", "{id}"]
kill = ["kill", "{id}", "{signal}"]
delete = ["delete", "{id}"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An adapter that is right."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


def executable(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


# Files


def test_a_file_is_read(file: Path) -> None:
    found = adapters.load(file)
    assert (found.name, found.command, found.file) == ("mine", "/bin/true", file)
    assert (found.version_arguments, found.version_pattern) == (("version",), r"mine (\S+)")
    assert found.hybrid_cgroups
    assert found.has("kill", "signal")
    assert found.has("create", "log")
    assert not found.has("create", "signal")
    assert not found.has("exec")


def test_words_without_their_values_are_left_out(file: Path) -> None:
    found = adapters.load(file)
    assert found.argv("create", {"root": "/r", "bundle": "/b", "id": "c1"}) == [
        *("--root", "/r", "create", "--bundle", "/b", "c1")
    ]
    pair = {"pid_file": "p", "console_socket": "s", "log": "l", "root": "{id}"}
    assert found.argv("create", pair) == [
        *("--root", "{id}", "--log", "l", "create", "--pair", "p:s")
    ]
    assert found.argv("create", {"pid_file": "p"}) == ["--root", "create"]
    with pytest.raises(UsageError, match="the adapter of mine has no verb 'exec'"):
        found.argv("exec", {})


WRONG = [
    ("name = 3", "name has to be of type text, not 3", "name"),
    ('name = ""', "name has to be made of letters, digits and . _ + -, not ''", "name"),
    ('name = "../x"', "name has to be made of letters, digits and . _ + -, not '../x'", "name"),
    ('command = ["a"]', "command has to be of type text, not ['a']", "command"),
    ('command = ""', "command is empty", "command"),
    ('options = "--root"', "options has to be of type array, not '--root'", "options"),
    ("options = [1]", "options holds 1, which is not a word", "options"),
    ('options = [["a", 1]]', "options holds 1, which is not a word", "options"),
    ('options = ["{rot}"]', "options asks for {rot}", "options"),
    ('options = ["{Root}"]', "options asks for {Root}", "options"),
    ('options = ["{}"]', "options asks for {}", "options"),
    ("pattern = 3", "version.pattern has to be of type text, not 3", "pattern"),
    ("pattern = '('", "version.pattern is not a pattern: missing ), ", "pattern"),
    ("pattern = 'x'", "version.pattern needs one group, the version", "pattern"),
    ("pattern = '(a)(b)'", "version.pattern needs one group, the version", "pattern"),
    ('arguments = "x"', "version.arguments has to be of type array, not 'x'", "arguments"),
    ("arguments = [1]", "version.arguments holds 1, which is not a word", "arguments"),
    ('kill = "kill"', "verbs.kill has to be an array of words", "kill"),
    ("kill = [[1]]", "verbs.kill holds 1, which is not a word", "kill"),
    ('kill = ["{signl}"]', "verbs.kill asks for {signl}", "kill"),
]


@pytest.mark.parametrize(("line", "expected", "key"), WRONG, ids=[each[0] for each in WRONG])
def test_a_wrong_value_is_told_with_file_and_key(
    file: Path, line: str, expected: str, key: str
) -> None:
    file.write_text(re.sub(rf"(?m)^{key} = .*$", lambda _: line, GOOD))
    with pytest.raises(UsageError) as caught:
        adapters.load(file)
    assert str(caught.value).startswith(f"adapter {file}: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nmae = 'x'", "unknown key nmae"),
        ("hybrid_cgroups = 1", "hybrid_cgroups has to be of type boolean, not 1"),
        ("own_kernel = 1", "own_kernel has to be of type boolean, not 1"),
        ("virtual_machines = 1", "virtual_machines has to be of type boolean, not 1"),
        ("version = 3", "version has to be of type table, not 3"),
        ("verbs = []", "verbs has to be of type table, not []"),
        ("[version]\nregex = 'x'", "unknown key version.regex"),
        ("[verbs]\nsatrt = []", "unknown key verbs.satrt"),
    ],
)
def test_a_wrong_key_is_told_with_the_right_ones(file: Path, text: str, expected: str) -> None:
    key = re.split(r"\W+", text.strip("["))[0]
    rest = "" if key in {"version", "verbs"} else GOOD.partition("[version]")[2]
    head = "name = 'mine'\ncommand = '/bin/true'\n"
    file.write_text(head + text + ("\n[version]" + rest if rest else ""))
    with pytest.raises(UsageError) as caught:
        adapters.load(file)
    assert str(caught.value) == f"adapter {file}: {expected}"
    if "unknown" in expected:
        assert (caught.value.hint or "").startswith("the keys are ")


@pytest.mark.parametrize("key", ["name", "command", "verbs"])
def test_a_missing_key_is_told(file: Path, key: str) -> None:
    head, verbs, rest = GOOD.partition("[verbs]")
    file.write_text(head if key == "verbs" else re.sub(rf"(?m)^{key} .*$", "", head) + verbs + rest)
    with pytest.raises(UsageError, match=rf"^adapter {file}: {key} is missing$"):
        adapters.load(file)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_to_be_there(file: Path, operation: str) -> None:
    file.write_text(re.sub(rf"(?m)^{operation} .*$", "", GOOD))
    with pytest.raises(UsageError, match=rf"^adapter {file}: verbs.{operation} is missing$"):
        adapters.load(file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name = ", "is not TOML: Invalid value (at end of document)"),
        (b"\xff", "is not UTF-8 text"),
        (b"", ": command is missing"),
    ],
)
def test_what_is_no_adapter_is_told(file: Path, content: bytes, expected: str) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        adapters.find(str(file))
    assert str(caught.value).removeprefix(f"adapter {file}").strip() == expected


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    for name, why in (("none", "No such file or directory"), ("folder", "Is a directory")):
        path = tmp_path / f"{name}.toml"
        with pytest.raises(UsageError, match=rf"^cannot read adapter {path}: {why}$"):
            adapters.find(str(path))


@pytest.mark.parametrize("command", ["./bin/mine", "bin/mine", "../here/bin/mine"])
def test_a_relative_command_is_looked_for_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    binary = executable(here / "bin" / "mine")
    (here / "mine.toml").write_text(GOOD.replace("/bin/true", command))
    monkeypatch.chdir(here)
    for path in (here / "mine.toml", Path("mine.toml")):
        assert adapters.find(str(path)).command == str(binary)


def test_all_that_come_with_the_harness_are_right() -> None:
    known = adapters.known()
    assert list(known) == ["crun", "runc", "runsc", "seatrial-oci", "youki"]
    for name, adapter in known.items():
        assert adapter.name == name
        assert adapter.homepage.startswith("https://") or name == "seatrial-oci"


# Finding


def test_what_is_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert adapters.installed() == []
    executable(tmp_path / "youki")
    (tmp_path / "runc").touch()
    assert [adapter.name for adapter in adapters.installed()] == ["youki"]
    assert adapters.find("youki").given == "youki"
    with pytest.raises(UsageError, match=r"^runtime runc does not exist$") as caught:
        adapters.find("runc")
    assert caught.value.hint == (
        "apt-get install runc, or give its path with --runtime /path/to/it"
    )


def test_what_is_beside_the_python_that_runs_is_found_after_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, beside = tmp_path / "path", tmp_path / "venv"
    path.mkdir()
    beside.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    executable(beside / "seatrial-oci")
    assert [adapter.name for adapter in adapters.installed()] == ["seatrial-oci"]
    assert adapters.locate("seatrial-oci") == str(beside / "seatrial-oci")
    executable(path / "seatrial-oci")
    assert adapters.locate("seatrial-oci") == str(path / "seatrial-oci")


@pytest.mark.parametrize(
    ("name", "hint"), [("runk", "did you mean runc? "), ("", "known names are "), ("x", "known ")]
)
def test_an_unknown_name_is_told_with_a_close_one(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"^there is no runtime named '{name}'$") as caught:
        adapters.find(name)
    assert (caught.value.hint or "").startswith(hint)


def test_a_path_that_cannot_be_executed_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, what in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is a directory"),
        (tmp_path / "file", "is not executable"),
        (tmp_path / "file" / "below", "does not exist"),
    ):
        with pytest.raises(UsageError, match=f"^runtime {path} {what}$"):
            adapters.find(str(path))


def test_a_path_speaks_the_dialect_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = adapters.known()
    monkeypatch.chdir(tmp_path)
    for name, like, own in (
        ("crun", "crun", "crun"),
        ("crun-1.2", "crun", "crun-1.2"),
        ("other", "runc", "other"),
    ):
        executable(tmp_path / name)
        for given in (f"./{name}", str(tmp_path / name)):
            found = adapters.find(given)
            assert (found.name, found.command) == (own, str(tmp_path / name))
            assert found.verbs == known[like].verbs
            assert found.hybrid_cgroups == known[like].hybrid_cgroups
            assert found.given == given


# Several


def test_one_runtime_given_twice_is_one(tmp_path: Path) -> None:
    path = executable(tmp_path / "runc")
    link = tmp_path / "links"
    link.mkdir()
    (link / "runc").symlink_to(path)
    found = [adapters.find(str(each)) for each in (path, link / "runc")]
    assert [adapter.name for adapter in adapters.distinct(found)] == ["runc"]


def test_runtimes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [executable(tmp_path / folder / "crun") for folder in "abc"]
    found = adapters.distinct(adapters.find(str(path)) for path in paths)
    assert [adapter.name for adapter in found] == ["crun", "crun#2", "crun#3"]
    assert [adapter.command for adapter in found] == list(map(str, paths))


def test_another_dialect_is_another_runtime(file: Path) -> None:
    first = adapters.find(str(file))
    file.write_text(GOOD.replace('"start", ', '"begin", '))
    second: Adapter = adapters.find(str(file))
    assert os.path.realpath(first.command) == os.path.realpath(second.command)
    assert [each.name for each in adapters.distinct([first, second])] == ["mine", "mine#2"]
