"""What clients send, as types: the members that Docker's interface has, with their defaults.

A member that is null is one that was not sent; members that nobody knows are passed over, because
newer clients send them. Names are Docker's, in snake case here.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from seatrial.engine.errors import BadRequest

_Struct = TypeVar("_Struct", bound=Struct)
Labels = dict[str, str]
Empty = dict[str, Any]


class Healthcheck(Struct, rename="pascal", omit_defaults=True):
    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(Struct, rename="pascal"):
    """What a container runs: also kept in images, as what their containers run by default."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Empty] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | str | None = None
    healthcheck: Healthcheck | None = None
    image: str = ""
    volumes: dict[str, Empty] | None = None
    working_dir: str = ""
    entrypoint: list[str] | str | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: Labels | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None


class RestartPolicy(Struct, rename="pascal"):
    name: str = ""
    maximum_retry_count: int = 0


class LogConfig(Struct, rename="pascal"):
    type: str = ""
    config: Labels | None = None


class Ulimit(Struct, rename="pascal"):
    name: str = ""
    soft: int = 0
    hard: int = 0


class Device(Struct, rename="pascal"):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class Rate(Struct, rename="pascal"):
    path: str = ""
    rate: int = 0


class Weight(Struct, rename="pascal"):
    path: str = ""
    weight: int = 0


class BindOptions(Struct, rename="pascal", omit_defaults=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class Driver(Struct, rename="pascal", omit_defaults=True):
    name: str = ""
    options: Labels | None = None


class VolumeOptions(Struct, rename="pascal", omit_defaults=True):
    no_copy: bool = False
    labels: Labels | None = None
    driver_config: Driver | None = None
    subpath: str = ""


class TmpfsOptions(Struct, rename="pascal", omit_defaults=True):
    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(Struct, rename="pascal", omit_defaults=True):
    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class Resources(Struct, rename="pascal"):
    """Limits, which ``docker update`` can change."""

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[Weight] | None = None
    blkio_device_read_bps: list[Rate] | None = None
    blkio_device_write_bps: list[Rate] | None = None
    blkio_device_read_iops: list[Rate] | None = field(name="BlkioDeviceReadIOps", default=None)
    blkio_device_write_iops: list[Rate] | None = field(name="BlkioDeviceWriteIOps", default=None)
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[Device] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[Empty] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = field(name="IOMaximumIOps", default=0)
    io_maximum_bandwidth: int = field(name="IOMaximumBandwidth", default=0)


class HostConfig(Resources, rename="pascal"):
    """How this host runs a container."""

    binds: list[str] | None = None
    container_id_file: str = field(name="ContainerIDFile", default="")
    log_config: LogConfig = field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[Empty] | None] | None = None
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: list[int] = field(default_factory=lambda: [0, 0])
    annotations: Labels | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: Labels | None = None
    tmpfs: Labels | None = None
    uts_mode: str = field(name="UTSMode", default="")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: Labels | None = None
    runtime: str = ""
    isolation: str = ""
    mounts: list[Mount] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | None = None


class NetworkingConfig(Struct, rename="pascal"):
    endpoints_config: dict[str, Empty | None] | None = None


class CreateRequest(Config, rename="pascal"):
    """The payload of POST /containers/create."""

    host_config: HostConfig = field(default_factory=HostConfig)
    networking_config: NetworkingConfig = field(default_factory=NetworkingConfig)


class UpdateRequest(Resources, rename="pascal"):
    """The payload of POST /containers/{id}/update."""

    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)


class ExecRequest(Struct, rename="pascal"):
    """The payload of POST /containers/{id}/exec."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class ExecStart(Struct, rename="pascal"):
    """The payload of POST /exec/{id}/start."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class VolumeRequest(Struct, rename="pascal"):
    """The payload of POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: Labels | None = None
    labels: Labels | None = None


def read(kind: type[_Struct], body: bytes) -> _Struct:
    """Read a payload; anything after it, and anything of another type, is the client's mistake."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"invalid JSON: {error}") from None
    return convert(kind, document)


def convert(kind: type[_Struct], document: object) -> _Struct:
    """Make a document a payload."""
    try:
        return msgspec.convert(_without_nulls(document), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadRequest(f"invalid request: {error}") from None


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(held) for name, held in value.items() if held is not None}
    if isinstance(value, list):
        return [_without_nulls(held) for held in value]
    return value


def words(given: list[str] | str | None) -> list[str]:
    """Return a command as words: clients may send one word alone."""
    return [given] if isinstance(given, str) else list(given or ())
