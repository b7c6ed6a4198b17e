"""The typed config: every member of runtime-spec 1.3.0 for Linux (config.md, config-linux.md).

Unknown members are ignored at every depth; a wrong type or value is a ``ConfigError`` with the
JSON pointer, before anything is touched.
"""

# Without `from __future__ import annotations`: msgspec would have to evaluate each by itself.
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from seatrial.oci.errors import ConfigError

UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
#: The last number means "no change" to setresuid(2), so it is nobody's id.
Identity = Annotated[int, Meta(ge=0, le=2**32 - 2)]
UInt64 = Annotated[int, Meta(ge=0)]  # msgspec knows no bound above int64; plan.py checks it
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Weight = Annotated[int, Meta(ge=0, le=2**16 - 1)]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
Absolute = Annotated[str, Meta(pattern=r"^/[^\x00]*$")]

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)


class Spec(Struct, rename="camel", frozen=True):
    """Base of all objects of the config: camelCase in JSON."""


class Root(Spec, frozen=True):
    path: Text
    readonly: bool = False


class IDMapping(Spec, frozen=True):
    container_id: Annotated[UInt32, Meta()] = msgspec.field(name="containerID", default=0)
    host_id: UInt32 = msgspec.field(name="hostID", default=0)
    size: UInt32 = 0


class Mount(Spec, frozen=True):
    destination: Text
    type: Text = ""
    source: Text = ""
    options: list[Text] = []
    uid_mappings: list[IDMapping] = []
    gid_mappings: list[IDMapping] = []


class Box(Spec, frozen=True):
    height: Annotated[int, Meta(ge=0, le=65535)] = 0
    width: Annotated[int, Meta(ge=0, le=65535)] = 0


class User(Spec, frozen=True):
    uid: Identity = 0
    gid: Identity = 0
    umask: Annotated[int, Meta(ge=0, le=0o777)] | None = None
    additional_gids: list[Identity] = []


class Capabilities(Spec, frozen=True):
    bounding: list[str] = []
    effective: list[str] = []
    inheritable: list[str] = []
    permitted: list[str] = []
    ambient: list[str] = []


class Rlimit(Spec, frozen=True):
    type: str
    soft: UInt64
    hard: UInt64


class Scheduler(Spec, frozen=True):
    policy: str
    nice: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    priority: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    flags: list[str] = []
    runtime: UInt64 = 0
    deadline: UInt64 = 0
    period: UInt64 = 0


class IOPriority(Spec, frozen=True):
    class_: str = msgspec.field(name="class")
    priority: Annotated[int, Meta(ge=0, le=7)] = 0


class ExecCPUAffinity(Spec, frozen=True):
    initial: str = ""
    final: str = ""


class Process(Spec, frozen=True):
    cwd: Absolute
    args: list[Text] = []
    terminal: bool = False
    #: Looked at only where there is a terminal: without one it counts for nothing, whatever it is.
    console_size: msgspec.Raw = msgspec.Raw()
    env: list[Text] = []
    user: User = User()
    apparmor_profile: Text = ""
    capabilities: Capabilities = Capabilities()
    no_new_privileges: bool = False
    oom_score_adj: Annotated[int, Meta(ge=-1000, le=1000)] | None = None
    rlimits: list[Rlimit] = []
    scheduler: Scheduler | None = None
    selinux_label: Text = ""
    io_priority: IOPriority | None = None
    exec_cpu_affinity: ExecCPUAffinity | None = msgspec.field(name="execCPUAffinity", default=None)


class Hook(Spec, frozen=True):
    path: Absolute
    args: list[Text] = []
    env: list[Text] | None = None
    timeout: Annotated[int, Meta(gt=0, le=2**31)] | None = None


class Hooks(Spec, frozen=True):
    prestart: list[Hook] = []
    create_runtime: list[Hook] = []
    create_container: list[Hook] = []
    start_container: list[Hook] = []
    poststart: list[Hook] = []
    poststop: list[Hook] = []


class Namespace(Spec, frozen=True):
    type: str
    path: Absolute | None = None


class Device(Spec, frozen=True):
    path: Absolute
    type: Literal["c", "b", "u", "p"]
    major: Int64 = 0
    minor: Int64 = 0
    file_mode: Annotated[int, Meta(ge=0, le=0o177777)] | None = None
    uid: Identity | None = None
    gid: Identity | None = None


class DeviceCgroup(Spec, frozen=True):
    allow: bool
    type: Literal["a", "b", "c"] = "a"
    major: Int64 | None = None
    minor: Int64 | None = None
    access: Annotated[str, Meta(pattern="^[rwm]*$")] | None = None


class Memory(Spec, frozen=True):
    limit: Int64 | None = None
    reservation: Int64 | None = None
    swap: Int64 | None = None
    kernel: Int64 | None = None
    kernel_tcp: Int64 | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: UInt64 | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class CPU(Spec, frozen=True):
    shares: UInt64 | None = None
    quota: Int64 | None = None
    burst: UInt64 | None = None
    period: UInt64 | None = None
    realtime_runtime: Int64 | None = None
    realtime_period: UInt64 | None = None
    cpus: Text | None = None
    mems: Text | None = None
    idle: Int64 | None = None


class Pids(Spec, frozen=True):
    limit: Int64 | None = None


class WeightDevice(Spec, frozen=True):
    major: Int64
    minor: Int64
    weight: Weight | None = None
    leaf_weight: Weight | None = None


class ThrottleDevice(Spec, frozen=True):
    major: Int64
    minor: Int64
    rate: UInt64


class BlockIO(Spec, frozen=True):
    weight: Weight | None = None
    leaf_weight: Weight | None = None
    weight_device: list[WeightDevice] = []
    throttle_read_bps_device: list[ThrottleDevice] = []
    throttle_write_bps_device: list[ThrottleDevice] = []
    throttle_read_iops_device: list[ThrottleDevice] = msgspec.field(
        name="throttleReadIOPSDevice", default_factory=list
    )
    throttle_write_iops_device: list[ThrottleDevice] = msgspec.field(
        name="throttleWriteIOPSDevice", default_factory=list
    )


class HugepageLimit(Spec, frozen=True):
    page_size: Annotated[str, Meta(pattern="^[1-9][0-9]*[KMG]B$")]
    limit: UInt64


class InterfacePriority(Spec, frozen=True):
    name: Text
    priority: UInt32


class Network(Spec, frozen=True):
    class_id: UInt32 | None = msgspec.field(name="classID", default=None)
    priorities: list[InterfacePriority] = []


class Rdma(Spec, frozen=True):
    hca_handles: UInt32 | None = None
    hca_objects: UInt32 | None = None


class Resources(Spec, frozen=True):
    devices: list[DeviceCgroup] = []
    memory: Memory | None = None
    cpu: CPU | None = None
    pids: Pids | None = None
    block_io: BlockIO | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: list[HugepageLimit] = []
    network: Network | None = None
    rdma: dict[str, Rdma] = {}
    unified: dict[str, str] = {}


class SeccompArg(Spec, frozen=True):
    index: Annotated[int, Meta(ge=0, le=5)]
    value: UInt64
    op: str
    value_two: UInt64 = 0


class Syscall(Spec, frozen=True):
    names: Annotated[list[str], Meta(min_length=1)]
    action: str
    errno_ret: UInt32 | None = None
    args: list[SeccompArg] = []


class Seccomp(Spec, frozen=True):
    default_action: str
    default_errno_ret: UInt32 | None = None
    architectures: list[str] = []
    flags: list[str] = []
    listener_path: Text = ""
    listener_metadata: str = ""
    syscalls: list[Syscall] = []


class IntelRdt(Spec, frozen=True):
    clos_id: Text | None = msgspec.field(name="closID", default=None)
    schemata: list[str] = []
    l3_cache_schema: str | None = None
    mem_bw_schema: str | None = None
    enable_monitoring: bool = False


class MemoryPolicy(Spec, frozen=True):
    mode: str
    nodes: str = ""
    flags: list[str] = []


class Personality(Spec, frozen=True):
    domain: str
    flags: list[str] = []


class TimeOffset(Spec, frozen=True):
    secs: Int64 = 0
    nanosecs: UInt32 = 0


class NetDevice(Spec, frozen=True):
    name: Text = ""


class Linux(Spec, frozen=True):
    namespaces: list[Namespace] = []
    uid_mappings: list[IDMapping] = []
    gid_mappings: list[IDMapping] = []
    time_offsets: dict[str, TimeOffset] = {}
    devices: list[Device] = []
    net_devices: dict[str, NetDevice] = {}
    cgroups_path: Text = ""
    rootfs_propagation: str = ""
    resources: Resources | None = None
    seccomp: Seccomp | None = None
    sysctl: dict[str, Text] = {}
    masked_paths: list[Absolute] = []
    readonly_paths: list[Absolute] = []
    mount_label: Text = ""
    intel_rdt: IntelRdt | None = None
    memory_policy: MemoryPolicy | None = None
    personality: Personality | None = None


class Config(Spec, frozen=True):
    oci_version: str
    root: Root | None = None
    mounts: list[Mount] = []
    process: Process | None = None
    hostname: Text = ""
    domainname: Text = ""
    hooks: Hooks = Hooks()
    annotations: dict[str, str] = {}
    linux: Linux = Linux()


_decoder = msgspec.json.Decoder(Config)
_process_decoder = msgspec.json.Decoder(Process)
_box_decoder = msgspec.json.Decoder(Box)


def decode(content: bytes) -> Config:
    """Read a ``config.json``; raises ``ConfigError`` with the pointer to what is wrong."""
    try:
        config = _decoder.decode(content)
    except msgspec.ValidationError as error:
        raise _located(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError("", f"not JSON: {error}") from None
    if not SEMVER.fullmatch(config.oci_version):
        raise ConfigError("/ociVersion", f"{config.oci_version!r} is not a SemVer 2.0.0 version")
    if config.oci_version.split(".", 1)[0] != "1":
        raise ConfigError("/ociVersion", f"version {config.oci_version} is not supported, 1.x is")
    return config


def decode_process(content: bytes) -> Process:
    """Read a ``process.json`` (exec); raises ``ConfigError`` with the pointer."""
    try:
        return _process_decoder.decode(content)
    except msgspec.ValidationError as error:
        raise _located(str(error), "/process") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError("/process", f"not JSON: {error}") from None


def decode_resources(content: bytes) -> Resources:
    """Read what ``update --resources`` gets; raises ``ConfigError`` with the pointer."""
    try:
        return msgspec.json.decode(content, type=Resources)
    except msgspec.ValidationError as error:
        raise _located(str(error), "/linux/resources") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError("/linux/resources", f"not JSON: {error}") from None


def decode_box(raw: msgspec.Raw, pointer: str) -> Box:
    """Read a ``consoleSize``, which is looked at only where there is a terminal."""
    try:
        return _box_decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _located(str(error), pointer) from None


def _located(message: str, prefix: str = "") -> ConfigError:
    """Turn msgspec's "what - at `$.a[0].b`" into a pointer and a sentence."""
    what, _, place = message.partition(" - at `$")
    pointer = prefix
    for name, index in re.findall(r"\.([^.\[\]`]+)|\[([^\]]+)\]", place.rstrip("`")):
        pointer += "/" + (name or index).replace("~", "~0").replace("/", "~1")
    return ConfigError(pointer, what[:1].lower() + what[1:])
