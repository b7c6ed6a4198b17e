"""From create to remove: what is done to containers, and what their ends set off."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal as signals
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import cgroups, clock, creation, messages, mountpoints, names, preparation
from seatrial.engine.errors import BadRequest, Conflict, EngineError, NotFound, NotModified
from seatrial.engine.extraction import remove_tree
from seatrial.engine.records import Health
from seatrial.engine.snapshots import Snapshot
from seatrial.engine.supervision import Link, SupervisorGone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.messages import Message
    from seatrial.engine.payloads import CreateRequest
    from seatrial.engine.records import Record

SOCKET, EXIT_FILE = "supervisor.sock", "exit.json"
STOP_TIMEOUT_S = 10
_KILLED = 137
_ID = 64
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 60.0
#: A run that lasted so long was a good one: the next restart comes soon again.
_GOOD_RUN_S = 10.0
_log = logging.getLogger(__name__)


class Lifecycle:
    """The operations on containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
        self._delays: dict[str, float] = {}
        #: Called when a container has begun to run: its health is watched from then on.
        self.on_running: Callable[[Container], None] = lambda _: None

    # --- create ---------------------------------------------------------------------------------

    async def create(self, request: CreateRequest, name: str, payload: bytes) -> Container:
        """Make a container; nothing of it runs."""
        engine = self._engine
        if not request.image:
            raise BadRequest("no image was named")
        image = engine.images.find(request.image)
        given = names.container_name(name) if name else engine.containers.new_name()
        owner = engine.containers.named(given)
        creation.refuse_taken(given, owner.record if owner is not None else None)
        engine.runtime_named(request.host_config.runtime or engine.settings.default_runtime)
        image_config = engine.images.config(image)
        record = creation.record(
            request, name=given, image=image, image_config=image_config, v2=engine.v2
        )
        for mode in (record.host.network_mode, record.host.pid_mode, record.host.ipc_mode):
            if mode.startswith("container:"):
                engine.containers.find(mode.partition(":")[2])
        record.host.runtime = record.host.runtime or engine.settings.default_runtime
        record.mounts = mountpoints.resolve(
            record.config,
            record.host,
            engine.volumes,
            lambda text: engine.containers.find(text).record,
        )
        container = engine.containers.add(record)
        folder, layers = engine.folder(record), engine.images.layers
        try:
            await asyncio.to_thread(
                preparation.make_folder, record, folder, layers, engine.volumes, payload
            )
        except BaseException:
            engine.containers.forget(record)
            await asyncio.to_thread(preparation.remove_folder, record, folder, layers)
            raise
        engine.tell(record, "create")
        return container

    # --- start ----------------------------------------------------------------------------------

    async def start(self, container: Container) -> None:
        """Let a container run; raises NotModified if it does."""
        async with container.lock:
            state = container.record.state
            if container.removing:
                raise Conflict("container is marked for removal and cannot be started")
            if state.status == "paused":
                raise Conflict("cannot start a paused container, try unpause instead")
            if state.running:
                raise NotModified("container already started")
            self._cancel_restart(container)
            container.record.stopped_by_hand = False
            await self._start(container)

    async def _start(self, container: Container) -> None:
        engine, record = self._engine, container.record
        try:
            order = await self._prepare(record)
            connection = engine.nursery.spawn(order)
            container.link = self._link(container, connection)
            for client in container.waiting.take():
                with client.connection:
                    await container.link.ask(
                        "attach",
                        descriptors=(client.connection.fileno(),),
                        exec="",
                        **client.order(),
                    )
            answer = await container.link.ask("start")
        except (EngineError, OSError) as error:
            answer = {"error": str(error)}
        if answer["error"]:
            await self._failed_to_start(container, answer["error"])
            return
        state = record.state
        state.status, state.pid, state.error = "running", answer["pid"], ""
        state.exit_code, state.oom_killed = 0, False
        state.started_at = clock.from_ns(answer["started_ns"])
        check = record.config.healthcheck
        watched = check is not None and check.test and check.test[0] != "NONE"
        state.health = Health() if watched else None
        engine.containers.keep(record)
        engine.tell(record, "start")
        self.on_running(container)

    async def _prepare(self, record: Record) -> Message:
        engine = self._engine
        folder, exec_folder = engine.folder(record), engine.settings.exec_folder(record.id)
        with suppress(FileNotFoundError):
            remove_tree(None, exec_folder)
        os.mkdir(exec_folder, 0o700)
        cgroup = engine.cgroup(record)
        await asyncio.to_thread(
            preparation.prepare,
            record,
            folder,
            engine.images.layers,
            cgroup=cgroup,
            pids=self._shared_pids(record),
            host_capabilities=engine.host_capabilities,
        )
        log_path = engine.log_path(record)
        max_bytes, max_files = creation.log_limits(record.host)
        log = (
            {"path": log_path, "max_bytes": max_bytes, "max_files": max_files} if log_path else None
        )
        return {
            "id": record.id,
            "folder": exec_folder,
            "bundle": folder,
            "runtime": engine.runtime(record).command,
            "tty": record.config.tty,
            "stdin": record.config.open_stdin,
            "stdin_once": record.config.stdin_once,
            "log": log,
            "oom_file": cgroups.oom_file(cgroup),
        }

    def _shared_pids(self, record: Record) -> dict[str, int]:
        """Return the processes whose namespaces a container shares, by kind."""
        host = record.host
        modes = {"pid": host.pid_mode, "network": host.network_mode, "ipc": host.ipc_mode}
        found = {}
        for kind, mode in modes.items():
            if mode.startswith("container:"):
                other = self._engine.containers.find(mode.partition(":")[2]).record
                if not other.state.running:
                    raise Conflict(
                        f"cannot join {kind} namespace of a non running container: {other.id}"
                    )
                found[kind] = other.state.pid
        return found

    async def _failed_to_start(self, container: Container, why: str) -> None:
        """Remember why; whoever waits for the end hears of it."""
        record, engine = container.record, self._engine
        if container.link is not None:
            container.link.close()
            container.link = None
        container.waiting.dismiss()
        code = 127 if "no such file" in why.lower() or "not found" in why.lower() else 128
        code = 126 if "permission denied" in why.lower() else code
        record.state.exit_code, record.state.error = code, why
        if record.state.status == "restarting":
            record.state.status = "exited"
        engine.containers.keep(record)
        await self._clean(record)
        container.tell_exit()
        engine.tell(record, "die", exitCode=str(code))
        if record.host.auto_remove:
            self._later(self.remove(container, force=False, volumes=True))
        raise BadRequest(f"failed to create task for container: {why}")

    async def _clean(self, record: Record) -> None:
        """Take away what a run needed."""
        engine = self._engine
        held = preparation.snapshot(record, engine.folder(record), engine.images.layers)
        await asyncio.to_thread(held.unmount)
        with suppress(FileNotFoundError):
            remove_tree(None, engine.settings.exec_folder(record.id))

    def _link(self, container: Container, connection: socket.socket) -> Link:
        def on_event(message: Message) -> None:
            if message["event"] == "exited":
                self._later(self._exited(container, link, message))
            elif message["event"] == "exec-exited":
                self._exec_exited(container, message)

        link = Link(
            connection, on_event, lambda: self._later(self._supervisor_lost(container, link))
        )
        return link

    def _exec_exited(self, container: Container, message: Message) -> None:
        found = self._engine.execs.get(message["exec"])
        if found is not None:
            found.ended(message["exit_code"])
            self._engine.tell(
                container.record, "exec_die", execID=found.id, exitCode=str(message["exit_code"])
            )

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("unexpected: %s", error, exc_info=error)

    # --- ends -----------------------------------------------------------------------------------

    async def _supervisor_lost(self, container: Container, link: Link) -> None:
        """Find out how a container ended whose supervisor is gone."""
        if container.link is not link:
            return
        record = container.record
        exit_file = f"{self._engine.settings.exec_folder(record.id)}/{EXIT_FILE}"
        try:
            with open(exit_file, encoding="utf-8") as file:
                told = json.load(file)
        except FileNotFoundError:
            # It was killed. Nobody holds the container's streams any more, so that ends too.
            await self._delete(record)
            told = {"exit_code": _KILLED, "finished_ns": time.time_ns(), "oom_killed": False}
        await self._exited(container, link, told)

    async def _delete(self, record: Record) -> None:
        try:
            await self._engine.runtime(record)("delete", "--force", record.id)
        except EngineError as error:
            _log.warning("container %s: %s", record.id[:12], error)

    async def _exited(self, container: Container, link: Link, told: Message) -> None:
        async with container.lock:
            if container.link is not link:
                return
            link.close()
            container.link = None
            record, state = container.record, container.record.state
            if container.health is not None:
                container.health.cancel()
                container.health = None
            if state.status == "paused":
                state.status = "running"
            lasted_s = (told["finished_ns"] - clock.to_ns(state.started_at)) / 1e9
            state.status, state.pid = "exited", 0
            state.exit_code, state.oom_killed = told["exit_code"], told["oom_killed"]
            state.finished_at = clock.from_ns(told["finished_ns"])
            for each in list(self._engine.execs.values()):
                if each.container is container and each.running:
                    each.ended(_KILLED)
            await self._clean(record)
            delay_s = self._restart_delay_s(container, lasted_s)
            if delay_s is not None:
                state.status = "restarting"
                record.restart_count += 1
            self._engine.containers.keep(record)
            if state.oom_killed:
                self._engine.tell(record, "oom")
            self._engine.tell(record, "die", exitCode=str(state.exit_code))
            if delay_s is not None:
                container.restarting = asyncio.create_task(self._restart_after(container, delay_s))
            else:
                container.tell_exit()
                if record.host.auto_remove:
                    self._later(self.remove(container, force=False, volumes=True))

    def _restart_delay_s(self, container: Container, lasted_s: float) -> float | None:
        """Return how long to wait before the container is started again, if it is to be."""
        record = container.record
        policy = record.host.restart_policy
        if record.stopped_by_hand or container.removing:
            return None
        if policy.name == "on-failure":
            most = policy.maximum_retry_count
            if not record.state.exit_code or (most and record.restart_count >= most):
                return None
        elif policy.name not in {"always", "unless-stopped"}:
            return None
        last = 0.0 if lasted_s > _GOOD_RUN_S else self._delays.get(record.id, 0.0)
        delay_s = min(last * 2, _LONGEST_DELAY_S) or _FIRST_DELAY_S
        self._delays[record.id] = delay_s
        return delay_s

    async def _restart_after(self, container: Container, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        async with container.lock:
            if container.record.state.status != "restarting":
                return
            container.restarting = None
            try:
                await self._start(container)
            except EngineError as error:
                _log.warning("container %s: %s", container.record.id[:12], error)

    def _cancel_restart(self, container: Container) -> None:
        if container.restarting is not None:
            container.restarting.cancel()
            container.restarting = None
        if container.record.state.status == "restarting":
            container.record.state.status = "exited"
            self._engine.containers.keep(container.record)
            container.tell_exit()

    # --- signals --------------------------------------------------------------------------------

    def _must_run(self, container: Container) -> None:
        if not container.record.state.running:
            raise Conflict(f"Container {container.record.id} is not running")

    async def _signal(self, container: Container, number: int) -> None:
        record = container.record
        if record.state.status == "paused" and number == signals.SIGKILL:
            with suppress(EngineError):
                await self._engine.runtime(record)("resume", record.id)
        try:
            await self._engine.runtime(record)("kill", record.id, str(number))
        except EngineError:
            if record.state.running and os.path.exists(f"/proc/{record.state.pid}"):
                raise
        self._engine.tell(record, "kill", signal=str(number))

    async def kill(self, container: Container, signal: str) -> None:
        """Send a signal."""
        number = creation.signal_number(signal or "KILL")
        if container.record.state.status == "restarting":
            self._cancel_restart(container)
            return
        if not container.record.state.running:
            raise Conflict(f"Container {container.record.id} is not running")
        if number == signals.SIGKILL:
            container.record.stopped_by_hand = True
        gone = container.next_exit()
        await self._signal(container, number)
        if number == signals.SIGKILL:
            await gone
        else:
            gone.cancel()

    async def stop(
        self, container: Container, timeout_s: int | None, signal: str = "", *, tell: bool = True
    ) -> None:
        """Ask a container to end, and end it if it does not; raises NotModified if none runs."""
        record = container.record
        record.stopped_by_hand = True
        if record.state.status == "restarting":
            self._cancel_restart(container)
            return
        if not record.state.running:
            raise NotModified("container already stopped")
        if timeout_s is None:
            timeout_s = record.config.stop_timeout
        gone = asyncio.shield(container.next_exit())
        await self._signal(
            container, creation.signal_number(signal or record.config.stop_signal or "TERM")
        )
        limit_s = STOP_TIMEOUT_S if timeout_s is None else None if timeout_s < 0 else timeout_s
        try:
            await asyncio.wait_for(gone, limit_s)
        except TimeoutError:
            gone = asyncio.shield(container.next_exit())
            if record.state.running:
                await self._signal(container, signals.SIGKILL)
                await gone
        if tell:
            self._engine.tell(record, "stop")

    async def restart(self, container: Container, timeout_s: int | None, signal: str) -> None:
        """Stop a container if it runs, and start it."""
        with suppress(NotModified):
            await self.stop(container, timeout_s, signal)
        await self.start(container)
        self._engine.tell(container.record, "restart")

    async def pause(self, container: Container) -> None:
        """Freeze all processes of a container."""
        async with container.lock:
            self._must_run(container)
            if container.record.state.status == "paused":
                raise Conflict(f"Container {container.record.id} is already paused")
            await self._engine.runtime(container.record)("pause", container.record.id)
            self._become(container, "paused", "pause")

    async def unpause(self, container: Container) -> None:
        """Let them go on."""
        async with container.lock:
            if container.record.state.status != "paused":
                raise Conflict(f"Container {container.record.id} is not paused")
            await self._engine.runtime(container.record)("resume", container.record.id)
            self._become(container, "running", "unpause")

    def _become(self, container: Container, status: str, action: str) -> None:
        container.record.state.status = status  # type: ignore[assignment]
        self._engine.containers.keep(container.record)
        self._engine.tell(container.record, action)

    # --- rename, remove -------------------------------------------------------------------------

    def rename(self, container: Container, name: str) -> None:
        """Give a container another name."""
        record = container.record
        if not name:
            raise BadRequest("Neither old nor new names may be empty")
        given = names.container_name(name)
        if given == record.name:
            raise BadRequest("Renaming a container with the same name as its current name")
        owner = self._engine.containers.named(given)
        creation.refuse_taken(given, owner.record if owner is not None else None)
        before, record.name = record.name, given
        self._engine.containers.keep(record)
        self._engine.tell(record, "rename", oldName=f"/{before}")

    async def remove(self, container: Container, *, force: bool, volumes: bool) -> None:
        """Remove a container, with its nameless volumes if that is wanted."""
        record, engine = container.record, self._engine
        if container.removing:
            raise Conflict(f"removal of container {record.id} is already in progress")
        if record.state.running or record.state.status == "restarting":
            if not force:
                paused = record.state.status == "paused"
                advice = (
                    "Unpause and then stop the container before attempting removal or force remove"
                    if paused
                    else "Stop the container before attempting removal or force remove"
                )
                what = "paused" if paused else "running"
                raise Conflict(f"You cannot remove a {what} container {record.id}. {advice}")
            container.removing = True
            with suppress(Conflict):
                await self.kill(container, "KILL")
        container.removing = True
        async with container.lock:
            engine.containers.forget(record)
            folder, layers = engine.folder(record), engine.images.layers
            await asyncio.to_thread(preparation.remove_folder, record, folder, layers)
            with suppress(FileNotFoundError):
                remove_tree(None, engine.settings.exec_folder(record.id))
            container.waiting.dismiss()
            self._forget_execs(container)
            if volumes:
                self._remove_anonymous_volumes(record)
            engine.tell(record, "destroy")
            container.tell_removal()
            self._delays.pop(record.id, None)

    def _forget_execs(self, container: Container) -> None:
        for key, each in list(self._engine.execs.items()):
            if each.container is container:
                del self._engine.execs[key]

    def _remove_anonymous_volumes(self, record: Record) -> None:
        engine = self._engine
        for point in record.mounts:
            if point.type != "volume":
                continue
            with suppress(NotFound, Conflict):
                if engine.volumes.find(point.name).anonymous:
                    engine.volumes.remove(point.name, self.users_of_volume(point.name))

    def users_of_volume(self, name: str) -> list[str]:
        """Return the containers that have a volume."""
        return [
            container.record.id
            for container in self._engine.containers.all()
            if any(point.name == name for point in container.record.mounts)
        ]

    # --- after a restart of the daemon ----------------------------------------------------------

    async def recover(self) -> None:
        """Find the containers that ran while no daemon did, and see what became of them."""
        engine = self._engine
        for container in engine.containers.all():
            record = container.record
            exec_folder = engine.settings.exec_folder(record.id)
            try:
                connection = messages.connect(exec_folder, SOCKET)
            except OSError:
                await self._recover_ended(container, exec_folder)
                continue
            container.link = self._link(container, connection)
            try:
                answer = await container.link.ask("state")
            except SupervisorGone:
                continue  # its loss is taken care of
            if not record.state.running:
                record.state.status = "running"
            record.state.pid = answer["pid"]
            engine.containers.keep(record)
            self.on_running(container)
        self._sweep()
        for container in engine.containers.all():
            self._restart_by_policy(container)

    async def _recover_ended(self, container: Container, exec_folder: str) -> None:
        record = container.record
        if not os.path.isdir(exec_folder) and not record.state.running:
            if preparation.snapshot(
                record, self._engine.folder(record), self._engine.images.layers
            ).mounted:
                await self._clean(record)
            return
        # Its supervisor is lost, just as if that had happened now.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.close()
        container.link = self._link(container, ours)

    def _restart_by_policy(self, container: Container) -> None:
        record = container.record
        policy = record.host.restart_policy.name
        wanted = policy == "always" or (policy == "unless-stopped" and not record.stopped_by_hand)
        if record.state.status == "restarting" or (wanted and record.state.status == "exited"):
            record.state.status = "restarting"
            container.restarting = asyncio.create_task(self._restart_after(container, 0))
        elif record.host.auto_remove and record.state.status == "exited" and container.link is None:
            self._later(self.remove(container, force=False, volumes=True))

    def _sweep(self) -> None:
        """Remove folders that no container has: of a daemon that was killed meanwhile."""
        engine = self._engine
        known = {container.record.id for container in engine.containers.all()}
        for parent in (f"{engine.settings.root}/containers", engine.settings.exec_root):
            for name in os.listdir(parent):
                if len(name) == _ID and name not in known:
                    Snapshot(f"{parent}/{name}", []).unmount()
                    remove_tree(None, f"{parent}/{name}")
        engine.images.sweep(engine.layers_in_use())
