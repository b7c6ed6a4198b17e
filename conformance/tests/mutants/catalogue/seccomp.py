"""Mutants for config-linux.md, "Seccomp" and "The Container Process State"."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.mutation import COMPILING, around, edited, objects, verb

from seatrial.oci import libseccomp
from seatrial.oci import listener as listeners
from seatrial.oci import seccomp as filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = ("start", "run", "exec")
WITH_ERRNO = {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}

# What a filter does


def _instead(table: dict[str, int], name: str, value: int, row: str, says: str) -> None:
    short = name.removeprefix("SECCOMP_FILTER_").removeprefix("SCMP_")
    short = short.lower().replace("_", "-")

    @verb(f"{short}-is-another", says, f"linux.seccomp.{row}", verbs=COMPILING)
    def _() -> None:
        table[name] = value


ERRNO, ALLOW = (libseccomp.ACTIONS[f"SCMP_ACT_{name}"] for name in ("ERRNO", "ALLOW"))
#: What stands for each action.
ACTIONS = {
    "KILL": ERRNO,
    "KILL_PROCESS": 0,
    "KILL_THREAD": libseccomp.ACTIONS["SCMP_ACT_KILL_PROCESS"],
    "TRAP": ERRNO,
    "ERRNO": ALLOW,
    "TRACE": ALLOW,
    "ALLOW": ERRNO,
    "LOG": ERRNO,
    "NOTIFY": ERRNO,
}
for action, other in ACTIONS.items():
    _instead(
        libseccomp.ACTIONS,
        f"SCMP_ACT_{action}",
        other,
        f"action.{action.lower().replace('_', '-')}",
        f"takes another action for SCMP_ACT_{action}",
    )
for flag in ("LOG", "WAIT_KILLABLE_RECV"):
    _instead(
        filters.FLAGS,
        f"SECCOMP_FILTER_FLAG_{flag}",
        0,
        f"flag.{flag.lower().replace('_', '-')}",
        f"ignores SECCOMP_FILTER_FLAG_{flag}",
    )
OPERATORS = {"NE": "EQ", "LT": "LE", "LE": "LT", "EQ": "GE", "GE": "GT", "GT": "GE",
             "MASKED_EQ": "EQ"}  # fmt: skip
for operator, other_operator in OPERATORS.items():
    _instead(
        libseccomp.OPERATORS,
        f"SCMP_CMP_{operator}",
        libseccomp.OPERATORS[f"SCMP_CMP_{other_operator}"],
        f"operator.{operator.lower().replace('_', '-')}",
        f"compares by {other_operator} where {operator} is asked for",
    )


def _filter(name: str, says: str, *rows: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Add a mutant by what it makes of linux.seccomp."""

    def edit_all(document: Any) -> None:
        for each in objects(document, "/linux/seccomp"):
            edit(each)

    edited(name, says, *(f"linux.seccomp.{row}" for row in rows), edit=edit_all)


def _no_default_errno(seccomp: dict[str, Any]) -> None:
    if seccomp.get("defaultAction") not in WITH_ERRNO:
        seccomp.pop("defaultErrnoRet", None)


def _no_errno(seccomp: dict[str, Any]) -> None:
    for each in objects(seccomp, "/syscalls/*"):
        if each.get("action") not in WITH_ERRNO:
            each.pop("errnoRet", None)


def _named(seccomp: dict[str, Any]) -> None:
    if isinstance(seccomp.get("syscalls"), list):
        seccomp["syscalls"] = [each for each in seccomp["syscalls"] if each.get("names")]


def _known(seccomp: dict[str, Any]) -> None:
    if isinstance(seccomp.get("flags"), list):
        seccomp["flags"] = [each for each in seccomp["flags"] if each in filters.FLAGS]


def _pop(path: str, member: str) -> Callable[[dict[str, Any]], None]:
    def edit(seccomp: dict[str, Any]) -> None:
        for each in objects(seccomp, path):
            each.pop(member, None)

    return edit


def _allow(seccomp: dict[str, Any]) -> None:
    seccomp["defaultAction"] = "SCMP_ACT_ALLOW"
    seccomp.pop("defaultErrnoRet", None)


_filter("ignores-a-default-errno-that-does-not-fit", "ignores defaultErrnoRet for other actions",
        "default-errno-ret-wrong-action-errors", edit=_no_default_errno)  # fmt: skip
_filter("ignores-an-errno-that-does-not-fit", "ignores errnoRet for other actions",
        "syscalls.errno-ret-wrong-action-errors", edit=_no_errno)  # fmt: skip
_filter("leaves-out-entries-without-names", "ignores entries that have no names",
        "syscalls.names-nonempty", edit=_named)  # fmt: skip
_filter("ignores-unknown-flags", "ignores flags that it does not know",
        "unknown-value-errors", edit=_known)  # fmt: skip
_filter("forgets-errno-ret", "ignores errnoRet",
        "syscalls.errno-ret", edit=_pop("/syscalls/*", "errnoRet"))  # fmt: skip
_filter("forgets-default-errno-ret", "ignores defaultErrnoRet",
        "default-errno-ret", edit=_pop("", "defaultErrnoRet"))  # fmt: skip
_filter("allows-by-default", "takes SCMP_ACT_ALLOW for any default action",
        "default-action-applied", edit=_allow)  # fmt: skip

# The state that is sent


def _state(name: str, says: str, *rows: str, wrong: Callable[[dict[str, Any]], Any]) -> None:
    """Add a mutant by what it makes of the state; bytes are sent as they are."""

    @verb(name, says, *rows, verbs=START)
    def _() -> None:
        def process_state(right: Any, *arguments: Any) -> bytes:
            found = wrong(json.loads(right(*arguments)))
            return found if isinstance(found, bytes) else json.dumps(found).encode()

        around(listeners, "process_state", process_state)


def _without(member: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {key: value for key, value in state.items() if key != member}


for member, *members_rows in (
    ("ociVersion", "seccomp-state.oci-version-present"),
    ("pid", "seccomp-state.pid-present"),
    ("state", "seccomp-state.state-present"),
    ("metadata", "seccomp.listener-metadata-delivered"),
    ("fds", "seccomp-state.fds-order", "seccomp.seccomp-fd-sent"),
):
    _state(
        f"sends-no-{member}".lower(),
        f"sends a state that has no {member}",
        *(f"linux.{row}" for row in members_rows),
        wrong=_without(member),
    )
_state(
    "calls-the-descriptor-fd",
    "calls the descriptor by another name",
    "linux.seccomp.seccomp-fd-sent",
    wrong=lambda state: state | {"fds": ["fd"]},
)
_state(
    "sends-no-json",
    "sends lines of members",
    "linux.seccomp-state.json-payload",
    wrong=lambda state: "".join(f"{key}: {value}\n" for key, value in state.items()).encode(),
)
_state(
    "sends-the-state-twice",
    "sends two states through a connection",
    "linux.seccomp.one-state-per-connection",
    wrong=lambda state: json.dumps(state).encode() * 2,
)


@verb(
    "always-seeks-the-agent",
    "connects to listenerPath whatever the filter does",
    "linux.seccomp.listener-ignored-without-notify",
    verbs=COMPILING,
)
def _() -> None:
    def of(right: Any, config: Any) -> Any:
        found = config.linux.seccomp
        path = found.listener_path if found is not None else ""
        return listeners.Listener(path) if path else right(config)

    around(listeners, "of", of)


# How it is sent

_BYTES = 1 << 20
_KEPT_S = 3.0


def _relay(name: str, says: str, *rows: str, send: Callable[..., None]) -> None:
    """Add a mutant that sends otherwise: ``send`` gets path, state and descriptors.

    It is called in a process of its own, that of the runtime ends in between.
    """

    @verb(name, says, *rows, verbs=START)
    def _() -> None:
        right = listeners.reach

        @contextlib.contextmanager
        def reach(listener: Any, state: dict[str, Any], pid: int) -> Iterator[Any]:
            if listener is None:
                with right(listener, state, pid) as nothing:
                    yield nothing
                return
            ours, executors = socket.socketpair()
            if os.fork() == 0:
                executors.close()
                _forward(ours, lambda *what: send(listener.path, *what))
            ours.close()
            with executors:
                yield pid, executors.fileno(), listeners.process_state(listener, state, pid)
            os.wait()

        listeners.reach = reach


def _forward(source: socket.socket, send: Callable[[bytes, list[int]], None]) -> None:
    content, descriptors = b"", []
    while True:
        part, sent, _, _ = socket.recv_fds(source, _BYTES, 4)
        if not part:
            break
        content += part
        descriptors += sent
    with contextlib.suppress(OSError):
        send(content, descriptors)
    os._exit(0)


def _is_behind() -> bool:
    """Whether this is a process that stays when the command has ended, with nothing of its."""
    if os.fork() != 0:
        return False
    with Path(os.devnull).open("r+b") as nothing:
        for each in range(3):
            os.dup2(nothing.fileno(), each)
    return True


def _connected(path: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    agent = socket.socket(socket.AF_UNIX, kind)
    agent.connect(path)
    return agent


def _without_descriptors(path: str, content: bytes, _: list[int]) -> None:
    _connected(path).sendall(content)


def _descriptors_last(path: str, content: bytes, descriptors: list[int]) -> None:
    agent = _connected(path)
    agent.sendall(content[:-1])
    socket.send_fds(agent, [content[-1:]], descriptors)


def _kept_open(path: str, content: bytes, descriptors: list[int]) -> None:
    agent = _connected(path)
    socket.send_fds(agent, [content], descriptors)
    for each in descriptors:
        os.close(each)
    if _is_behind():
        agent.recv(1)  # until the agent closes


def _to_any_socket(path: str, content: bytes, descriptors: list[int]) -> None:
    try:
        agent = _connected(path)
    except OSError:
        agent = _connected(path, socket.SOCK_DGRAM)
    socket.send_fds(agent, [content], descriptors)


def _once(path: str, content: bytes, descriptors: list[int]) -> None:
    """Keep the connection, and send what comes later through it."""
    store = "\0" + path
    try:
        keeper = _connected(store)
    except OSError:
        agent = _connected(path)
        socket.send_fds(agent, [content], descriptors)
        for each in descriptors:
            os.close(each)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.bind(store)
            waiting.listen()
            if _is_behind():
                waiting.settimeout(_KEPT_S)
                _serve(waiting, agent)
        return
    socket.send_fds(keeper, [content], descriptors)
    keeper.shutdown(socket.SHUT_WR)


def _serve(waiting: socket.socket, agent: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            with waiting.accept()[0] as one:
                _forward_once(one, agent)
    os._exit(0)


def _forward_once(one: socket.socket, agent: socket.socket) -> None:
    content, descriptors, _, _ = socket.recv_fds(one, _BYTES, 4)
    socket.send_fds(agent, [content], descriptors)


_relay(
    "sends-no-descriptors",
    "sends the state without the descriptor",
    "linux.seccomp-state.fds-by-scm-rights",
    "linux.seccomp.seccomp-fd-sent",
    send=_without_descriptors,
)
_relay(
    "sends-descriptors-last",
    "sends the descriptor with the last byte of the state",
    "linux.seccomp-state.fds-in-first-sendmsg",
    send=_descriptors_last,
)
_relay(
    "keeps-the-connection",
    "does not close the connection after the state",
    "linux.seccomp.connection-closed",
    send=_kept_open,
)
_relay(
    "sends-to-any-socket",
    "sends the state to a socket of datagrams too, and does not mind if it cannot",
    "linux.seccomp.listener-socket-type",
    "linux.seccomp.send-failure-errors",
    send=_to_any_socket,
)
_relay(
    "uses-a-connection-again",
    "sends the states of later containers through the connection of the first",
    "linux.seccomp.connection-not-reused",
    "linux.seccomp.one-state-per-connection",
    send=_once,
)
