"""Changes to an image's config, as lines of a Dockerfile: ``docker import --change``."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

Config = dict[str, Any]


def parse(lines: list[str], before: Config | None = None) -> Config:
    """Return a config with changes; ``before`` is not changed itself."""
    made: Config = json.loads(json.dumps(before or {}))
    for text in lines:
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if not word:
                continue
            change = _CHANGES.get(word.upper())
            if change is None:
                raise BadRequest(f"{word} is not a valid change command")
            if not rest.strip():
                raise BadRequest(f"{word.upper()} requires at least one argument")
            change(made, rest.strip())
    return made


def _command(text: str) -> list[str]:
    """Read a command as a list in JSON, or as a line for the shell."""
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return ["/bin/sh", "-c", text]


def _words(text: str) -> list[str]:
    if text.startswith("["):
        return _command(text)
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadRequest(f"{text!r}: {error}") from None


def _pairs(text: str) -> dict[str, str]:
    words = _words(text)
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        return {name: value.strip()}
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _env(config: Config, text: str) -> None:
    held = {each.partition("=")[0]: each for each in config.get("Env") or ()}
    held.update({name: f"{name}={value}" for name, value in _pairs(text).items()})
    config["Env"] = list(held.values())


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **_pairs(text)}


def _expose(config: Config, text: str) -> None:
    ports: dict[str, Any] = {each if "/" in each else f"{each}/tcp": {} for each in _words(text)}
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **ports}


def _volume(config: Config, text: str) -> None:
    config["Volumes"] = {**(config.get("Volumes") or {}), **{each: {} for each in _words(text)}}


def _healthcheck(config: Config, text: str) -> None:
    if text.upper() == "NONE":
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    word, _, rest = text.partition(" ")
    if word.upper() != "CMD":
        raise BadRequest("HEALTHCHECK takes CMD or NONE in a change")
    words = _command(rest.strip())
    shell = ["CMD-SHELL", rest.strip()] if words[:2] == ["/bin/sh", "-c"] else ["CMD", *words]
    config["Healthcheck"] = {"Test": shell}


def _sets(name: str, read: Callable[[str], object]) -> Callable[[Config, str], None]:
    return lambda config, text: config.update({name: read(text)})


_CHANGES: dict[str, Callable[[Config, str], None]] = {
    "CMD": _sets("Cmd", _command),
    "ENTRYPOINT": _sets("Entrypoint", _command),
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "STOPSIGNAL": _sets("StopSignal", str),
    "USER": _sets("User", str),
    "VOLUME": _volume,
    "WORKDIR": _sets("WorkingDir", str),
}
