"""Adapters: how one runtime's command line says the operations of the spec, as a TOML file.

A verb is a list of words.  ``{name}`` stands for a value; a word whose value is not given is left
out, and a nested list is left out as a whole unless all its values are given.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.conformance.data import data_directory
from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATIONS = ("create", "start", "state", "kill", "delete")
EXTRAS = ("force-delete", "run", "exec", "features", "pause", "resume", "update")
VALUES = frozenset(
    {
        "root",
        "log",
        "id",
        "bundle",
        "signal",
        "console_socket",
        "pid_file",
        "process",
        "resources",
        "preserve_fds",
    }
)

Words = tuple[str | tuple[str, ...], ...]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_KINDS: dict[type, str] = {str: "text", list: "array", dict: "table", bool: "boolean"}


@dataclass(frozen=True)
class Adapter:
    """One runtime's command line.

    ``options`` come before every verb.  ``hybrid_cgroups`` is false for a runtime that refuses
    hosts with controllers on both cgroup hierarchies, ``own_kernel`` is true for one whose
    containers run on another kernel than the host's, ``virtual_machines`` is true for one that
    does as the config's ``vm`` says.  ``given`` is the word by which the user
    asked for it, empty if nobody did.
    """

    name: str
    command: str
    verbs: dict[str, Words]
    options: Words = ()
    version_arguments: tuple[str, ...] = ("--version",)
    version_pattern: str = r"version\s+(\S+)"
    hybrid_cgroups: bool = True
    own_kernel: bool = False
    virtual_machines: bool = False
    homepage: str = ""
    file: Path | None = field(default=None, compare=False)
    given: str = field(default="", compare=False)

    def argv(self, verb: str, values: dict[str, str]) -> list[str]:
        """Return the arguments for ``verb``; raises ``UsageError`` where it has no such verb."""
        if verb not in self.verbs:
            raise UsageError(f"the adapter of {self.name} has no verb {verb!r}")
        return [*_expand(self.options, values), *_expand(self.verbs[verb], values)]

    def has(self, verb: str, value: str | None = None) -> bool:
        """Whether there is such a verb, and, if ``value`` is given, whether it takes that."""
        words = self.verbs.get(verb)
        if words is None:
            return False
        return value is None or f"{{{value}}}" in " ".join(_flat((*self.options, *words)))


def _flat(words: Words) -> list[str]:
    return [part for word in words for part in ((word,) if isinstance(word, str) else word)]


def _expand(words: Words, values: dict[str, str]) -> list[str]:
    expanded: list[str] = []
    for word in words:
        group = (word,) if isinstance(word, str) else word
        wanted = {name for part in group for name in _PLACEHOLDER.findall(part)}
        if wanted <= values.keys():
            expanded.extend(_PLACEHOLDER.sub(lambda m: values[m[1]], part) for part in group)
    return expanded


def known() -> dict[str, Adapter]:
    """Return every adapter that comes with the harness, by name."""
    adapters = (load(path) for path in sorted(data_directory("runtimes").glob("*.toml")))
    return {adapter.name: adapter for adapter in adapters}


def installed() -> list[Adapter]:
    """Return the known adapters whose command is on this machine."""
    return [adapter for adapter in known().values() if locate(adapter.command)]


def locate(command: str) -> str | None:
    """Return where a command is: on ``PATH``, or beside the Python that runs, as in a venv."""
    return shutil.which(command) or shutil.which(command, path=os.path.dirname(sys.executable))


def find(name: str) -> Adapter:
    """Return the adapter for a known name, a path of a runtime, or an adapter's TOML file.

    A runtime given by path speaks the dialect of the known runtime of the same name, else runc's.
    Raises ``UsageError`` when there is no such thing or it cannot be executed.
    """
    return replace(_find(name), given=name)


def _find(name: str) -> Adapter:
    if name.endswith(".toml"):
        return _present(load(Path(name)))
    adapters = known()
    if "/" not in name:
        if name in adapters:
            return _present(adapters[name])
        hint = f"known names are {', '.join(adapters)}; or give a path such as ./{name or 'crun'}"
        if close := difflib.get_close_matches(name, adapters, n=1):
            hint = f"did you mean {close[0]}? {hint}"
        raise UsageError(f"there is no runtime named {name!r}", hint=hint)
    path = Path(name).absolute()
    base = adapters.get(path.name) or next(
        (adapter for known_name, adapter in adapters.items() if path.name.startswith(known_name)),
        adapters["runc"],
    )
    own_name = base.name if path.name == base.command else path.name
    pattern = base.version_pattern if own_name == base.name else r"version:?\s+(\S+)"
    return _present(replace(base, name=own_name, command=str(path), version_pattern=pattern))


def distinct(adapters: Iterable[Adapter]) -> list[Adapter]:
    """Return the adapters each once, with names that tell them apart.

    One runtime given twice, as ``crun`` and as ``/usr/bin/crun``, is the same; another one of the
    same name is called ``crun#2``.
    """
    found: dict[tuple[object, ...], Adapter] = {}
    counts: dict[str, int] = {}
    for adapter in adapters:
        path = os.path.realpath(locate(adapter.command) or adapter.command)
        key = (adapter.name, path, adapter.options, tuple(sorted(adapter.verbs.items())))
        if key not in found:
            number = counts[adapter.name] = counts.get(adapter.name, 0) + 1
            name = adapter.name if number == 1 else f"{adapter.name}#{number}"
            found[key] = replace(adapter, name=name)
    return list(found.values())


def _present(adapter: Adapter) -> Adapter:
    if locate(adapter.command) is None:
        path = Path(adapter.command)
        if "/" in adapter.command and path.is_dir():
            raise UsageError(f"runtime {adapter.command} is a directory")
        if "/" in adapter.command and path.exists():
            raise UsageError(
                f"runtime {adapter.command} is not executable",
                hint=f"chmod +x {adapter.command}",
            )
        hint = "give its path with --runtime /path/to/it"
        if "/" not in adapter.command:
            hint = f"apt-get install {adapter.command}, or {hint}"
        raise UsageError(f"runtime {adapter.command} does not exist", hint=hint)
    return adapter


def load(path: Path) -> Adapter:
    """Read an adapter; raises ``UsageError`` naming the file and the key that is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read adapter {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"adapter {path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"adapter {path} is not TOML: {error}") from None
    return _Reader(path, table).adapter()


class _Reader:
    def __init__(self, path: Path, table: dict[str, Any]) -> None:
        self.path = path
        self.table = table

    def wrong(self, what: str, *, hint: str | None = None) -> UsageError:
        return UsageError(f"adapter {self.path}: {what}", hint=hint)

    def adapter(self) -> Adapter:
        table = self.table
        keys = {"name", "command", "homepage", "options", "version", "verbs"}
        keys |= {"hybrid_cgroups", "own_kernel", "virtual_machines"}
        self._only(table, keys, "")
        version = self._take(table, "version", dict, {})
        self._only(version, {"arguments", "pattern"}, "version.")
        command = self._take(table, "command", str)
        if "/" in command:
            command = os.path.normpath(self.path.parent.absolute() / command)
        if not command:
            raise self.wrong("command is empty")
        name = self._take(table, "name", str)
        if not _NAME.fullmatch(name):
            raise self.wrong(f"name has to be made of letters, digits and . _ + -, not {name!r}")
        pattern = self._take(version, "pattern", str, Adapter.version_pattern, "version.")
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise self.wrong(f"version.pattern is not a pattern: {error}") from None
        if groups != 1:
            raise self.wrong("version.pattern needs one group, the version")
        return Adapter(
            name=name,
            command=command,
            homepage=self._take(table, "homepage", str, ""),
            options=self._words(self._take(table, "options", list, []), "options"),
            hybrid_cgroups=self._take(table, "hybrid_cgroups", bool, default=True),
            own_kernel=self._take(table, "own_kernel", bool, default=False),
            virtual_machines=self._take(table, "virtual_machines", bool, default=False),
            version_arguments=self._plain_words(version),
            version_pattern=pattern,
            verbs=self._verbs(self._take(table, "verbs", dict)),
            file=self.path,
        )

    def _plain_words(self, version: dict[str, Any]) -> tuple[str, ...]:
        words = self._take(version, "arguments", list, list(Adapter.version_arguments), "version.")
        for word in words:
            if not isinstance(word, str):
                raise self.wrong(f"version.arguments holds {word!r}, which is not a word")
        return tuple(words)

    def _verbs(self, table: dict[str, Any]) -> dict[str, Words]:
        self._only(table, {*OPERATIONS, *EXTRAS}, "verbs.")
        for operation in OPERATIONS:
            if operation not in table:
                raise self.wrong(f"verbs.{operation} is missing")
        return {verb: self._words(words, f"verbs.{verb}") for verb, words in table.items()}

    def _words(self, words: object, where: str) -> Words:
        if not isinstance(words, list):
            raise self.wrong(f"{where} has to be an array of words")
        result: list[str | tuple[str, ...]] = []
        for word in words:
            group = word if isinstance(word, list) else [word]
            for part in group:
                if not isinstance(part, str):
                    raise self.wrong(f"{where} holds {part!r}, which is not a word")
                for name in _PLACEHOLDER.findall(part):
                    if name not in VALUES:
                        raise self.wrong(
                            f"{where} asks for {{{name}}}",
                            hint=f"the values are {', '.join(sorted(VALUES))}",
                        )
            result.append(tuple(group) if isinstance(word, list) else word)
        return tuple(result)

    def _only(self, table: dict[str, Any], keys: set[str], prefix: str) -> None:
        for key in table:
            if key not in keys:
                raise self.wrong(
                    f"unknown key {prefix}{key}", hint=f"the keys are {', '.join(sorted(keys))}"
                )

    def _take(
        self,
        table: dict[str, Any],
        key: str,
        kind: type,
        default: Any = ...,  # noqa: ANN401
        prefix: str = "",
    ) -> Any:  # noqa: ANN401
        value = table.get(key, default)
        if value is ...:
            raise self.wrong(f"{prefix}{key} is missing")
        if not isinstance(value, kind):
            raise self.wrong(f"{prefix}{key} has to be of type {_KINDS[kind]}, not {value!r}")
        return value
