"""What the command costs before it does anything, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: The command as it is installed beside this Python.
COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
#: Each of these takes a millisecond or more, and nothing that a container needs.
COSTLY = {
    "argparse", "ast", "asyncio", "dataclasses", "dis", "inspect", "json", "logging", "pathlib",
    "shutil", "subprocess", "tempfile", "threading", "typing_extensions", "urllib",
}  # fmt: skip


def imported(*verb: str) -> set[str]:
    """Return the modules that a new command has after importing a verb's."""
    program = (
        "import sys; from seatrial.oci import command; command.os._exit = lambda status: None;"
        "sys.argv = ['seatrial-oci', *sys.argv[1:]]; command.command();"
        "sys.stderr.write(' '.join(name for name, it in sys.modules.items() if it))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *verb], capture_output=True, text=True, check=False
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_a_verb_imports_nothing_costly_that_it_does_not_need(verb: str) -> None:
    assert not imported(verb, "--help") & COSTLY


def test_a_list_needs_no_compiler() -> None:
    assert not imported("list", "--help") & {"seatrial.oci.config", "seatrial.oci.compiler"}


def test_the_version_is_told_without_the_typed_config() -> None:
    assert not imported("--version") & (COSTLY | {"msgspec", "typing", "re"})


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--version"], 0, ""),
        (["exec"], 2, "seatrial-oci: a container id is needed\n"),
        (["sail"], 2, "seatrial-oci: unknown command 'sail'\n"),
        (["create", "--bundle", "/nowhere", "x"], 1, "seatrial-oci: cannot read /nowhere/"),
    ],
)
def test_the_exit_status_is_kept_though_the_interpreter_is_not_taken_apart(
    words: list[str], status: int, said: str
) -> None:
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.startswith(said)


def test_all_that_is_printed_gets_to_the_reader() -> None:
    done = subprocess.run([COMMAND, "features"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{")
    assert done.stdout.endswith("}\n")


def test_nobody_who_reads_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(
            [COMMAND, "features"], stdout=out, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_mistake_of_ours_is_shown_whole() -> None:
    program = (
        "import seatrial.oci.command as c\ndef main(): raise KeyError('lost')\n"
        "c.main = main; c.command()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.endswith("KeyError: 'lost'\n")
