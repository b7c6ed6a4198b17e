"""One runtime in a process of its own: a session that runs the configs that come through a socket.

Namespaces, the view of the cgroups and the reaping of containers belong to a process, so the
runtimes that are compared have one each, and run at the same time.  Each line that comes is a
request, each line that goes back its answer; when the socket ends, so does the session.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import traceback
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seatrial.conformance import adapters, namespaces, smoke
from seatrial.conformance.comparison import observation, programs
from seatrial.conformance.errors import Hung, Malformed, Misbehaved, SeatrialError, UnfitError
from seatrial.conformance.harness import Harness
from seatrial.conformance.report import parse, parse_line
from seatrial.conformance.runtime import parse_object
from seatrial.conformance.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.conformance.comparison.observation import Tree
    from seatrial.conformance.container import Container

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


class Observer:
    """Runs configs by one runtime and says what came of them."""

    def __init__(self, session: Session) -> None:
        """Work in a session that was entered."""
        self._session = session
        self._own = {kind: namespaces.current(kind) for kind in _NAMESPACES}

    def observe(self, config: dict[str, Any], identifier: str) -> Tree:
        """Run one container through its life, as far as it comes; nothing of it is left."""
        harness = Harness(self._session)
        tree: dict[str, Any] = {}
        try:
            with harness.container(programs.with_program(config), identifier=identifier) as made:
                places = {
                    str(made.bundle.path): "<bundle>",
                    f"/{made.bundle.path.name}/": "/<bundle>/",
                    harness.places["work"]: "<work>",
                    f"seatrial-{self._session.runtime.run_name}": "<tmpfs>",
                    harness.cgroup: "<cgroup>",
                }
                try:
                    tree["outcome"] = self._live(made, tree, config)
                finally:
                    tree = observation.named(tree, places)
        except Hung:
            tree["outcome"] = "hangs"
        except Misbehaved as wrong:
            tree["outcome"] = f"{wrong.kind}: {_first_line(wrong)}"
        tree["left behind"] = sorted(
            {
                f"{what.split()[0]} after {'an error' if leak.after_error else 'delete'}"
                for leak in harness.leaks
                for what in leak.what
            }
        )
        return tree

    def _live(self, made: Container, tree: dict[str, Any], config: dict[str, Any]) -> str:
        if (result := made.create()).failed:
            return "create fails"
        if made.pid is None:
            raise Malformed("create tells no pid")
        tree["created"] = self._state(made)
        if made.start().failed:
            return "start fails"
        lines = made.output().splitlines()
        tree["stopped"] = self._state(made)
        tree["program"] = {"exit status": made.exit_status, "printed": "a report"}
        result = made.delete()
        acts = programs.acts(config)
        try:
            tree["report"] = observation.of_report(parse(lines[-1]), self._own)
            tree["acts"] = {
                " ".join(act[:2]): observation.of_act(parse_line(line))
                for act, line in zip(acts, lines, strict=False)
            }
        except (Malformed, IndexError):
            tree["program"]["printed"] = "no report"
        return "delete fails" if result.failed else "runs"

    def _state(self, made: Container) -> Tree:
        result = self._session.runtime.state(made.id)
        if result.failed:
            return {"error": True}
        return observation.of_state(parse_object(result), made.pid)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].partition(":")[0]


def serve(lines: Iterable[str], connection: socket.socket) -> None:
    """Enter the session that the first line asks for, then observe by each further line."""

    def answer(members: dict[str, Any]) -> None:
        connection.sendall(json.dumps(members).encode() + b"\n")

    requests = map(json.loads, lines)
    asked = next(requests, None)
    if asked is None:
        return
    with ExitStack() as stack:
        try:
            adapter = replace(adapters.find(asked["runtime"]), name=asked["name"])
            session = stack.enter_context(
                Session(
                    adapter, spec=asked["spec"], view=asked["view"], timeout_s=asked["timeout_s"]
                )
            )
            smoke.check(session)
            observer = Observer(session)
        except SeatrialError as error:
            unfit = isinstance(error, UnfitError)
            answer({"error": str(error), "hint": error.hint, "unfit": unfit})
            return
        identity = vars(session.runtime.identity)
        answer({**identity, "view": session.view, "config_version": session.config_version})
        for request in requests:
            try:
                said = {"seen": observer.observe(request["config"], request["id"])}
            except Exception as error:  # noqa: BLE001 - whatever it is, the other side has to know
                traceback.print_exc()
                said = {"error": f"{type(error).__name__}: {error}", "hint": None, "unfit": False}
            try:
                answer(said)
            except BrokenPipeError:
                return  # who asked has gone meanwhile, by Ctrl-C say


def main() -> None:
    """Serve on the socket whose number is the only argument."""
    # Ctrl-C is for the command that started us; it ends us by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        connection.set_inheritable(False)
        with connection.makefile(encoding="utf-8") as lines:
            try:
                serve(lines, connection)
            except BrokenPipeError:  # who asked has gone
                return


if __name__ == "__main__":
    main()
