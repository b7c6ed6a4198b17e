"""``docker create``: a client's payload and an image become a container's record."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING

from seatrial.engine import (
    bundle,
    capabilities,
    clock,
    health,
    limits,
    mountpoints,
    names,
    payloads,
    preparation,
    removal,
    restarts,
    security,
    signalling,
)
from seatrial.engine.errors import BadRequest, Conflict, NotFound, Unsupported
from seatrial.engine.payloads import Config, CreateRequest, HostConfig
from seatrial.engine.records import Record
from seatrial.engine.volumes import Wanted

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.images import Image

_LOG_DRIVERS = {"", "json-file", "none"}
_LOG_OPTIONS = {"max-size", "max-file", "labels", "labels-regex", "env", "env-regex", "tag", "mode"}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


async def create(engine: Engine, request: CreateRequest, name: str, payload: bytes) -> Container:
    """Make a container; nothing of it runs."""
    if not request.image:
        raise BadRequest("no image was named")
    image = engine.images.find(request.image)
    try:
        return await _create(engine, request, image, name, payload)
    except NotFound as error:
        # It is another container, or a volume's driver. Clients that hear 404 pull the image.
        raise BadRequest(str(error)) from None


async def _create(
    engine: Engine, request: CreateRequest, image: Image, name: str, payload: bytes
) -> Container:
    given = names.container_name(name) if name else engine.containers.new_name()
    _refuse_taken(engine, given)
    engine.runtime_named(request.host_config.runtime or engine.settings.default_runtime)
    image_config = engine.images.config(image)
    made = record(request, name=given, image=image, image_config=image_config, v2=engine.v2)
    for mode in (made.host.network_mode, made.host.pid_mode, made.host.ipc_mode):
        if mode.startswith("container:"):
            engine.containers.find(mode.partition(":")[2])
    engine.networking.assign(made, request)
    made.host.runtime = made.host.runtime or engine.settings.default_runtime
    wanted = Wanted(engine.volumes)
    made.mounts = mountpoints.resolve(
        made.config, made.host, wanted, lambda text: engine.containers.find(text).record
    )
    made.unfinished = "with volumes"
    container = engine.containers.add(made)
    folder, layers = engine.folder(made), engine.images.layers
    async with container.lock:
        try:
            wanted.make()
            await asyncio.to_thread(
                preparation.make_folder, made, folder, layers, engine.volumes, payload
            )
        except BaseException:
            await removal.finish(engine, container)
            raise
        made.unfinished = ""
        engine.containers.keep(made)
    engine.tell(made, "create")
    return container


def rename(engine: Engine, container: Container, name: str) -> None:
    """Give a container another name."""
    held = container.record
    if not name:
        raise BadRequest("Neither old nor new names may be empty")
    given = names.container_name(name)
    if given == held.name:
        raise BadRequest("Renaming a container with the same name as its current name")
    try:
        _refuse_taken(engine, given)
    except Conflict as error:
        raise Conflict(f"Error when allocating new name: {error}") from None
    before, held.name = held.name, given
    engine.containers.keep(held)
    engine.tell(held, "rename", oldName=f"/{before}")


def _refuse_taken(engine: Engine, name: str) -> None:
    owner = engine.containers.named(name)
    if owner is not None:
        raise Conflict(
            f'Conflict. The container name "/{name}" is already in use by container '
            f'"{owner.record.id}". You have to remove (or rename) that container to be able to '
            "reuse that name."
        )


def record(
    request: CreateRequest, *, name: str, image: Image, image_config: Config, v2: bool
) -> Record:
    """Return the record of a new container, without its mounts."""
    config, host = _config(request, image_config), request.host_config
    check(host)
    _check_config(config)
    _check_hostname(config, host)
    command = [*payloads.words(config.entrypoint), *payloads.words(config.cmd)]
    if not command or not command[0]:
        raise BadRequest("no command specified")
    identifier = names.new_id()
    _fill(config, host, identifier, v2=v2)
    return Record(
        id=identifier,
        name=name,
        created=clock.now(),
        image=request.image,
        image_id=image.id,
        layers=[layer.diff_id for layer in image.layers],
        path=command[0],
        args=command[1:],
        config=config,
        host=host,
        mounts=[],
    )


def _config(request: CreateRequest, image: Config) -> Config:
    """Return what the container runs: what was asked for, and the image's where nothing was."""
    made = Config(
        **{name: getattr(request, name) for name in Config.__struct_fields__ if name != "volumes"},
    )
    made.volumes = {**(image.volumes or {}), **(request.volumes or {})} or None
    made.exposed_ports = {**(image.exposed_ports or {}), **(request.exposed_ports or {})} or None
    made.labels = {**(image.labels or {}), **(request.labels or {})}
    given = {each.partition("=")[0] for each in request.env or ()}
    inherited = [each for each in image.env or () if each.partition("=")[0] not in given]
    made.env = [*(request.env or ()), *inherited] or None
    made.healthcheck = health.merged(request.healthcheck, image.healthcheck)
    for name in ("user", "working_dir", "stop_signal", "stop_timeout", "shell"):
        if not getattr(made, name):
            setattr(made, name, getattr(image, name))
    # An entrypoint of one's own does away with the image's command too.
    if not payloads.words(request.entrypoint):
        if request.cmd is None or not payloads.words(request.cmd):
            made.cmd = image.cmd
        if request.entrypoint is None:
            made.entrypoint = image.entrypoint
    if payloads.words(made.entrypoint) == [""]:
        made.entrypoint = None
    return made


def _check_config(config: Config) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise BadRequest(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute "
            "path"
        )
    for each in config.env or ():
        if not each.partition("=")[0]:
            raise BadRequest(f"invalid environment variable: {each}")
    health.check(config.healthcheck)
    signalling.number(config.stop_signal or "TERM")


def _check_hostname(config: Config, host: HostConfig) -> None:
    if config.hostname and host.uts_mode == "host":
        raise BadRequest("conflicting options: hostname and the UTS mode")
    if host.network_mode.startswith("container:"):
        if config.hostname:
            raise BadRequest("conflicting options: hostname and the network mode")
        if host.port_bindings or host.publish_all_ports:
            raise BadRequest(
                "conflicting options: port publishing and the container type network mode"
            )


def check(host: HostConfig) -> None:
    """Refuse what makes no sense (400) and what this engine cannot do (501)."""
    limits.check(host)
    limits.rlimits(host)
    security.read(host.security_opt)
    capabilities.check(host.cap_add, host.cap_drop)
    restarts.check(host.restart_policy)
    _check_log(host)
    if host.auto_remove and host.restart_policy.name not in {"", "no"}:
        raise BadRequest("can't create 'AutoRemove' container with restart policy")
    if host.oom_score_adj not in range(-1000, 1001):
        raise BadRequest(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    if host.isolation not in {"", "default"}:
        raise BadRequest(f"Invalid isolation: \"{host.isolation}\" - linux only supports 'default'")
    if host.shm_size < 0:
        raise BadRequest("SHM size can not be less than 0")
    _check_modes(host)
    missing = {
        "--storage-opt": host.storage_opt,
        "--gpus": host.device_requests,
        "--cgroup": host.cgroup,
    }
    for option, asked in missing.items():
        if asked:
            raise Unsupported(f"{option} is not supported")


def _check_log(host: HostConfig) -> None:
    driver = host.log_config.type
    if driver not in _LOG_DRIVERS:
        raise Unsupported(f"logging driver {driver!r} is not supported: json-file and none are")
    unknown = set(host.log_config.config or ()) - _LOG_OPTIONS
    if unknown:
        raise BadRequest(f"unknown log opt '{min(unknown)}' for json-file log driver")
    log_limits(host)


def _check_modes(host: HostConfig) -> None:
    for what, mode, known in (
        ("IPC", host.ipc_mode, {"", "private", "none", "host"}),
        ("PID", host.pid_mode, {"", "host"}),
        ("UTS", host.uts_mode, {"", "host"}),
        ("cgroup namespace", host.cgroupns_mode, {"", "host", "private"}),
    ):
        if mode in known or (what in {"PID", "IPC"} and mode.startswith("container:")):
            continue
        if what == "IPC" and mode == "shareable":
            continue
        raise BadRequest(f"invalid {what} mode: {mode}")
    if host.userns_mode not in {"", "host"}:
        raise Unsupported("user namespaces are not supported by this engine")


def _fill(config: Config, host: HostConfig, identifier: str, *, v2: bool) -> None:
    """Say what nobody said, as inspect tells it."""
    if host.network_mode in {"", "default"}:
        host.network_mode = "bridge"
    if not config.hostname:
        config.hostname = platform.node() if host.network_mode == "host" else identifier[:12]
    host.log_config.type = host.log_config.type or "json-file"
    host.log_config.config = host.log_config.config or {}
    host.restart_policy.name = host.restart_policy.name or "no"
    host.ipc_mode = host.ipc_mode or "private"
    host.cgroupns_mode = host.cgroupns_mode or ("private" if v2 else "host")
    if host.privileged and not v2:
        host.cgroupns_mode = host.cgroupns_mode or "host"
    host.shm_size = host.shm_size or (0 if host.ipc_mode == "host" else bundle.SHM_BYTES)
    if host.memory and not host.memory_swap:
        host.memory_swap = 2 * host.memory
    if host.memory_swappiness == -1:
        host.memory_swappiness = None
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    if host.oom_kill_disable is None:
        host.oom_kill_disable = False
    if host.masked_paths is None:
        host.masked_paths = None if host.privileged else list(security.MASKED)
    if host.readonly_paths is None:
        host.readonly_paths = None if host.privileged else list(security.READONLY)


def log_limits(host: HostConfig) -> tuple[int, int]:
    """Return how large a log file may get, 0 for any size, and how many of them there are."""
    options = host.log_config.config or {}
    size, files = options.get("max-size", ""), options.get("max-file", "1")
    number, unit = size.lower().removesuffix("b"), ""
    if number and number[-1] in "kmg":
        number, unit = number[:-1], number[-1]
    if size and (not number.isdecimal() or not int(number)):
        raise BadRequest(f"invalid value for max-size: {size}")
    if not files.isdecimal() or not int(files):
        raise BadRequest(f"invalid value for max-file: {files}")
    if int(files) > 1 and not size:
        raise BadRequest("max-file cannot be set without max-size")
    return (int(number) * _UNITS[unit] if size else 0), int(files)
