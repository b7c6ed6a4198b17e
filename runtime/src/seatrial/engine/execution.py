"""``docker exec``: a further process in a container that runs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from seatrial.engine import bundle, capabilities, limits, names, preparation, security, users
from seatrial.engine.errors import BadRequest, Conflict, NotFound

if TYPE_CHECKING:
    from seatrial.engine.containers import Client, Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.payloads import ExecRequest

_REMEMBERED = 1000
#: Exit statuses of programs that never ran, as shells have them.
_CANNOT_BE_RUN, _NOT_FOUND = 126, 127


class Exec:
    """A process that was asked for; it may run, or have ended."""

    def __init__(self, container: Container, request: ExecRequest) -> None:
        self.id = names.new_id()
        self.container, self.request = container, request
        self.pid = 0
        self.running = False
        self.exit_code: int | None = None
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        #: Set once it runs, or is known not to.
        self.begun = asyncio.Event()

    def ended(self, code: int) -> None:
        """Remember its end."""
        self.begun.set()
        self.running, self.exit_code = False, code
        if not self._end.done():
            self._end.set_result(code)

    async def end(self) -> int:
        """Wait for its end; return the exit status."""
        return await asyncio.shield(self._end)


def create(engine: Engine, container: Container, request: ExecRequest) -> Exec:
    """Take note of a process that is to run."""
    _must_run(container)
    if not request.cmd:
        raise BadRequest("No exec command specified")
    made = Exec(container, request)
    engine.execs[made.id] = made
    _forget_old(engine)
    command = " ".join(request.cmd)
    engine.tell(container.record, f"exec_create: {command}", execID=made.id)
    return made


def _must_run(container: Container) -> None:
    state = container.record.state
    if not state.running:
        raise Conflict(f"container {container.record.id} is not running")
    if state.status == "paused":
        raise Conflict(
            f"Container {container.record.id} is paused, unpause the container before exec"
        )


def must_be_new(wanted: Exec) -> None:
    """Refuse to run a process again, or in a container that does not run."""
    if wanted.running or wanted.exit_code is not None:
        raise Conflict(f"exec instance {wanted.id} has run already")
    _must_run(wanted.container)


def _forget_old(engine: Engine) -> None:
    done = [key for key, each in engine.execs.items() if each.exit_code is not None]
    for key in done[: max(len(engine.execs) - _REMEMBERED, 0)]:
        del engine.execs[key]


def find(engine: Engine, identifier: str) -> Exec:
    """Return what was asked for by its id."""
    if identifier not in engine.execs:
        raise NotFound(f"No such exec instance: {identifier}")
    return engine.execs[identifier]


async def start(
    engine: Engine, wanted: Exec, client: Client | None, size: list[int] | None = None
) -> None:
    """Run it; the client's connection goes to the supervisor."""
    container, record = wanted.container, wanted.container.record
    must_be_new(wanted)
    link = container.link
    if link is None:
        raise Conflict(f"container {record.id} is not running")
    path = f"{engine.settings.exec_folder(record.id)}/{wanted.id}.json"
    try:
        process = await asyncio.to_thread(
            _process, engine, wanted, size or wanted.request.console_size
        )
    except BadRequest:
        wanted.ended(_CANNOT_BE_RUN)
        raise
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process, file)
    wanted.running = True
    engine.tell(record, f"exec_start: {' '.join(wanted.request.cmd or ())}", execID=wanted.id)
    answer = await link.ask(
        "exec",
        descriptors=(client.connection.fileno(),) if client is not None else (),
        exec=wanted.id,
        process=path,
        tty=wanted.request.tty,
        stdin=wanted.request.attach_stdin and client is not None,
        **(client.order() if client is not None else {}),
    )
    if answer["error"]:
        why = answer["error"]
        wanted.ended(_CANNOT_BE_RUN if "permission denied" in why.lower() else _NOT_FOUND)
        raise BadRequest(f"OCI runtime exec failed: {why}")
    wanted.pid = answer["pid"]
    wanted.begun.set()


async def kill(wanted: Exec) -> None:
    """Kill a process that runs; its end is told as any other."""
    link = wanted.container.link
    if link is not None and wanted.running:
        await link.ask("kill", exec=wanted.id)


def _process(engine: Engine, wanted: Exec, size: list[int] | None) -> dict[str, Any]:
    record, request = wanted.container.record, wanted.request
    held = preparation.snapshot(record, engine.folder(record), engine.images.layers)
    who = users.find(held.root, request.user or record.config.user, record.host.group_add)
    given = {each.partition("=")[0] for each in request.env or ()}
    inherited = [each for each in record.config.env or () if each.partition("=")[0] not in given]
    allowed = capabilities.chosen(
        record.host.cap_add,
        record.host.cap_drop,
        privileged=request.privileged or record.host.privileged,
        host=engine.host_capabilities,
    )
    made: dict[str, Any] = {
        "terminal": request.tty,
        "user": {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups)},
        "args": request.cmd,
        "env": bundle.environment(
            [*inherited, *(request.env or ())],
            hostname=record.config.hostname,
            tty=request.tty,
            home=who.home,
        ),
        "cwd": request.working_dir or record.config.working_dir or "/",
        "capabilities": bundle.capability_sets(allowed, who),
        "noNewPrivileges": security.read(record.host.security_opt).no_new_privileges,
        "oomScoreAdj": record.host.oom_score_adj,
    }
    if not made["cwd"].startswith("/"):
        raise BadRequest(f"the working directory {made['cwd']!r} is no absolute path")
    rlimits = limits.rlimits(record.host)
    if rlimits:
        made["rlimits"] = rlimits
    if request.tty and size and all(size):
        made["consoleSize"] = {"height": size[0], "width": size[1]}
    return made
