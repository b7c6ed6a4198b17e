"""What the tests of kept plans share: a bundle, a launcher that has no Python, slots to forge."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.oci import _core, kept, runtime, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

LAUNCHER = Path(_core.__file__).parent / "bin" / "seatrial-oci"
PYTHON = "from seatrial.oci.command import main; raise SystemExit(main())"
#: NUMBER: exit with it; wait: tell of each SIGUSR1, exit with 3 by SIGTERM; leave: a child stays.
PROGRAM = r"""
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "wait") == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        if (write(1, "waits\n", 6) < 0) return 1;
        for (;;) {
            int number;
            sigwait(&all, &number);
            if (number == SIGTERM) return 3;
            if (number == SIGUSR1 && write(1, "told\n", 5) < 0) return 1;
        }
    }
    if (count > 1 && strcmp(words[1], "leave") == 0 && fork() == 0) {
        for (int fd = 0; fd < 3; fd++) close(fd);
        for (;;) pause();
    }
    return count > 1 ? atoi(words[1]) : 0;
}
"""
#: What hand_over says where there is no Python: nothing was done.
NO_PYTHON = "/python3: No such file or directory"
_numbers = itertools.count()
_HEADER, _FLAGS = struct.Struct("<4IQ"), struct.Struct("<Q")
_PLACE, _FACT = struct.Struct("<2I"), struct.Struct("<2Ii2I")
SECTIONS = (
    "build", "root", "bundle", "bundle_json", "annotations", "caller", "config", "template",
    "facts", "warnings",
)  # fmt: skip


class Fact(NamedTuple):
    """A question with its answer."""

    kind: int
    flags: int
    error: int
    name: bytes
    answer: bytes


class Bundle:
    """A bundle whose plan can be kept, and the ways to make containers of it."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder / "bundle"
        self.root = folder / "state"
        (self.folder / "rootfs").mkdir(parents=True)
        shutil.copy(program, self.folder / "rootfs" / "program")
        (folder / "alone").mkdir()
        #: Python is found beside the launcher: here it finds none.
        self.alone = str(folder / "alone" / "seatrial-oci")
        shutil.copy(LAUNCHER, self.alone)
        self.groups = f"/seatrial-kept-{os.getpid()}"
        self.configure()

    def configure(self, *args: str, **members: Any) -> None:
        """Write the config."""
        linux = members.pop("linux", {})
        kinds = linux.pop("namespaces", ("mount", "pid", "ipc", "uts"))
        process = {"cwd": "/", "args": ["/program", *args], **members.pop("process", {})}
        document = {
            "ociVersion": "1.3.0",
            "hostname": "kept",
            "root": {"path": "rootfs"},
            "process": process,
            "linux": {
                "cgroupsPath": f"{self.groups}/one",
                "namespaces": [{"type": kind} for kind in kinds],
                **linux,
            },
            **members,
        }
        (self.folder / "config.json").write_text(json.dumps(document), "utf-8")

    def keep(self) -> Path:
        """Keep the plan; return the slot."""
        source = sources.prepare(new_id(), bundle=str(self.folder), root=str(self.root))
        assert kept.keep(source) is None
        name = kept.name_of(str(self.folder), new_keyring=True)
        return self.plans / name

    @property
    def plans(self) -> Path:
        """Where plans are kept."""
        return Path(kept.folder_of(str(self.root)))

    def launch(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Call the launcher that has no Python; ``options`` are variables, and ``before``."""
        return self._call([self.alone], words, **options)

    def python(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Call Python, without the launcher."""
        return self._call([sys.executable, "-I", "-c", PYTHON], words, **options)

    def _call(
        self, command: list[str], words: Sequence[str], before: Sequence[str] = (), **options: Any
    ) -> subprocess.CompletedProcess[str]:
        # What a container that stays holds open, nobody can read to its end.
        stays = words[0] == "create" or "--detach" in words
        return subprocess.run(
            [*before, *command, "--root", str(self.root), *words],
            stdout=subprocess.DEVNULL if stays else subprocess.PIPE,
            stderr=subprocess.DEVNULL if stays else subprocess.PIPE,
            text=True, check=False, timeout=60, cwd=self.folder,
            env={k: v for k, v in os.environ.items() if k != kept.SWITCH} | options,
        )  # fmt: skip

    def is_warm(self, **options: Any) -> bool:
        """Run it by the launcher alone; whether that made use of a kept plan."""
        done = self.launch("run", new_id(), **options)
        if done.returncode == 0:
            assert done.stderr == ""
            return True
        assert NO_PYTHON in done.stderr, done.stderr
        return False

    def clean(self) -> None:
        """Delete what is left."""
        for name in os.listdir(self.root) if self.root.exists() else []:
            runtime.delete(name, root=str(self.root), force=True)
        hierarchies = Path("/sys/fs/cgroup")
        for group in (*hierarchies.glob(f"*{self.groups}"), hierarchies / self.groups[1:]):
            for folder in (group / "one", group):
                if folder.is_dir():
                    folder.rmdir()


def new_id() -> str:
    """Return an id that no container has."""
    return f"k{os.getpid()}-{next(_numbers)}"


def taken_apart(content: bytes) -> dict[str, bytes]:
    """Return the sections of a slot."""
    return dict(zip(SECTIONS, kept.sections_of(content), strict=True))


def put_together(sections: dict[str, bytes], *, flags: int = 1) -> bytes:
    """Return a slot that has these, and is whole."""
    start = _HEADER.size + _FLAGS.size + len(SECTIONS) * _PLACE.size
    places, body = b"", b""
    for name in SECTIONS:
        places += _PLACE.pack(start + len(body), len(sections[name]))
        body += sections[name] + bytes(8 - len(sections[name]) % 8)
    rest = _FLAGS.pack(flags) + places + body
    total = _core.checksum(rest)
    return _HEADER.pack(kept.MAGIC, kept.VERSION, _HEADER.size + len(rest), 0, total) + rest


def facts_of(content: bytes) -> list[Fact]:
    """Return the questions of a section."""
    found, at = [], 0
    while at < len(content):
        kind, flags, error, name, answer = _FACT.unpack_from(content, at)
        at += _FACT.size
        start = at + (name + 3 & ~3)
        found.append(
            Fact(kind, flags, error, content[at : at + name], content[start : start + answer])
        )
        at = start + (answer + 3 & ~3)
    return found


def as_facts(facts: list[Fact]) -> bytes:
    """Return the section of these questions."""
    content = b""
    for fact in facts:
        content += _FACT.pack(*fact[:3], len(fact.name), len(fact.answer))
        content += fact.name + bytes(-len(fact.name) % 4)
        content += fact.answer + bytes(-len(fact.answer) % 4)
    return content
