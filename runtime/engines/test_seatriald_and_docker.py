"""Our own engine and docker's daemon say the same to docker's client, command by command.

Known to differ, and not compared: what a runtime's error says around its reason (each daemon names
its own parts), newer masked paths (ours has those of Docker 28), the default runtime's name, the
order of mounts, and the name by which a paused container is called.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from daemons import image

if TYPE_CHECKING:
    from daemons.docker import Docker
    from daemons.engine import Engine
    from daemons.seatriald import Seatriald

_RUN = ("run", "--network=none")
_NAMED = ("create", "--network=none", "--name=same")
_SITTING: tuple[tuple[str, ...], ...] = (
    (*_NAMED, image.NAME, "sh", "-c", "echo hi; exit 3"),
    (*_NAMED, image.NAME, "true"),
    (
        "ps",
        "--all",
        "--filter=name=same",
        "--format={{.Image}} {{.Command}} {{.Status}} {{.Names}}",
    ),
    ("start", "same"),
    ("wait", "same"),
    ("logs", "same"),
    ("ps", "--all", "--filter=name=same", "--format={{.State}} {{.Ports}} {{.Mounts}}"),
    ("kill", "same"),
    ("stop", "same"),
    ("rename", "same", "same"),
    ("rm", "same"),
    *((verb, "nobody") for verb in ("start", "logs", "rm", "stop", "kill", "pause", "rmi", "top")),
    (*_RUN, "--rm", image.NAME, "env"),
    (*_RUN, "--rm", "--hostname=boat", image.NAME, "cat", "/etc/hosts", "/etc/hostname"),
    (*_RUN, "--rm", image.NAME, "grep", "-E", "Cap|Seccomp:|NoNew", "/proc/self/status"),
    (*_RUN, "--rm", "--user=1000", image.NAME, "grep", "-E", "Cap|Groups", "/proc/self/status"),
    (*_RUN, "--rm", image.NAME, "ls", "/dev"),
    (*_RUN, "--detach", "--name=sleeper", image.NAME, "sleep", "1000"),
    ("rm", "sleeper"),
    ("exec", "sleeper", "sh", "-c", "echo in; exit 4"),
    ("pause", "sleeper"),
    ("unpause", "sleeper"),
    ("unpause", "sleeper"),
    ("kill", "--signal=NONSENSE", "sleeper"),
    ("rm", "--force", "sleeper"),
    ("tag", image.NAME, "Bad"),
    ("tag", image.NAME, "good:1"),
    ("images", "--format={{.Repository}}:{{.Tag}} {{.Size}}", "good"),
    ("rmi", "good:1"),
    ("history", "--format={{.Size}} {{.Comment}}", image.NAME),
    ("volume", "rm", "nothing"),
    ("volume", "create", "stores"),
    ("volume", "ls"),
    ("volume", "rm", "stores"),
    (*_RUN, "--memory=1m", image.NAME),
    (*_RUN, "--restart=sometimes", image.NAME, "true"),
    (*_RUN, "--volume=relative/path:/x", image.NAME, "true"),
    (*_RUN, "--mount=type=bind,source=/nowhere,target=/x", image.NAME, "true"),
)


def _said(engine: Engine, words: tuple[str, ...]) -> tuple[int, str, str]:
    done = engine(*words)
    return done.status, _without_ids(done.stdout), _without_ids(done.stderr)


def _without_ids(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b", "<id>", text)


def _inspected(engine: Engine) -> dict[str, Any]:
    done = engine("inspect", "--type=container", "--format={{json .HostConfig}}", "looked-at")
    told: dict[str, Any] = json.loads(done.stdout)
    return {name: value for name, value in told.items() if name not in {"MaskedPaths", "Runtime"}}


def test_a_sitting_gives_the_same_output(seatriald: Seatriald, docker: Docker) -> None:
    differing = [
        (words, ours, theirs)
        for words in _SITTING
        if (ours := _said(seatriald, words)) != (theirs := _said(docker, words))
    ]
    assert differing == []


def test_what_was_asked_for_is_told_with_the_same_defaults(
    seatriald: Seatriald, docker: Docker
) -> None:
    options = ("--network=none", "--memory=64m", "--cpus=0.5", "--cap-add=SYS_TIME", "--tmpfs=/x")
    told = []
    for engine in (seatriald, docker):
        made = engine("create", "--name=looked-at", *options, image.NAME, "true")
        assert made.status == 0, made
        told.append(_inspected(engine))
        assert engine("rm", "looked-at").status == 0
    assert told[0] == told[1]
