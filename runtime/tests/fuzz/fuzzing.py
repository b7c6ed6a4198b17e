"""Builds and runs the fuzzer of the plan's decoder and of all that reads a plan (csrc/fuzz).

``make fuzz ITERATIONS=N SEED=N``.  The plans that it starts from are compiled here, at the time of
the test, from configs that differ.  With ``--libfuzzer`` clang's own engine takes them as corpus.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.oci import compiler, config, dbus, device_filter, device_rules, systemd
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan, strings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNTIME = Path(__file__).resolve().parents[2]
BUILD = RUNTIME.parent / "build" / "fuzz"
FLAGS = (
    "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fno-omit-frame-pointer", "-U_FORTIFY_SOURCE",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DSEATRIAL_COUNT_OPERATIONS",
)  # fmt: skip
#: What the executor may call of libc as it is; all else is a system call, or would be one.
PURE = {
    "__errno_location", "environ", "memchr", "memcmp", "memcpy", "memmove", "memset", "sigemptyset",
    "sigfillset", "strchr", "strcmp", "strcpy", "strcspn", "strlen", "strncmp", "strrchr", "strspn",
}  # fmt: skip

NAMESPACES = ("mount", "pid", "network", "ipc", "uts", "cgroup")
MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def configs() -> Iterator[dict[str, Any]]:
    """Yield configs that differ: between them they have every section."""

    def make(process: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
        linux = members.pop("linux", {})
        kinds = linux.pop("namespaces", [{"type": each} for each in NAMESPACES])
        return {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs", "readonly": bool(len(members) % 2)},
            "process": {"cwd": "/", "args": ["/bin/sh", "-c", "true"], **(process or {})},
            "linux": {"namespaces": kinds, "cgroupsPath": "/seatrial-fuzz/one", **linux},
            **members,
        }

    yield make()
    yield {"ociVersion": "1.0.0", "root": {"path": "rootfs"},
           "linux": {"namespaces": [{"type": "mount"}]}}  # fmt: skip
    yield make(
        {
            "terminal": True, "consoleSize": {"height": 24, "width": 80}, "noNewPrivileges": True,
            "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3, 4, 5]},
            "env": ["PATH=/bin:/usr/bin", "A=", "B=" + "b" * 5000], "args": ["sh", "", "x" * 300],
            "oomScoreAdj": 7, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 2**64 - 1, "hard": 2**64 - 1}],
            "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
            "capabilities": {name: ["CAP_KILL", "CAP_CHOWN"] for name in
                             ("bounding", "effective", "permitted", "inheritable", "ambient")},
        },
        hostname="host", domainname="domain",
        linux={
            "sysctl": {"net.ipv4.ip_forward": "1", "kernel.domainname": "x"},
            "maskedPaths": ["/proc/kcore", "/secret"], "readonlyPaths": ["/proc/sys", "/sys"],
            "rootfsPropagation": "rshared", "personality": {"domain": "LINUX32"},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "uid": 5},
                        {"path": "/run/fifo", "type": "p", "fileMode": 384}],
        },
    )  # fmt: skip
    yield make(
        mounts=[
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755", "size=65536k", "ro"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]},
            {"destination": "/bound", "source": "/usr", "options": ["rbind", "ro", "rslave"]},
            {"destination": "/mapped", "source": "/usr", "options": ["bind", "idmap"],
             "uidMappings": MAPPING, "gidMappings": MAPPING},
            {"destination": "/new", "type": "tmpfs", "source": "tmpfs", "options": ["ridmap"],
             "uidMappings": MAPPING, "gidMappings": MAPPING},
            {"destination": "/bound", "options": ["remount", "noexec", "nr_inodes=5"],
             "type": "tmpfs"},
            {"destination": "/layers", "type": "overlay", "source": "overlay",
             "options": ["lowerdir=" + ":".join(["/usr"] * 90)]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "ro"]},
        ],
        annotations={"a": "b"},
    )  # fmt: skip
    hook = {"path": "/bin/true", "args": ["true", "x"], "env": ["A=b"], "timeout": 5}
    yield make(
        hooks={
            "prestart": [hook], "createRuntime": [hook, {"path": "/bin/false"}],
            "createContainer": [hook], "startContainer": [hook], "poststart": [hook],
            "poststop": [hook, {"path": "/bin/true", "args": []}],
        },
        linux={"rootfsPropagation": "slave"},
    )  # fmt: skip
    yield make(
        {"scheduler": {"policy": "SCHED_FIFO", "priority": 5},
         "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 1}]},
        linux={
            "namespaces": [{"type": each} for each in (*NAMESPACES, "user", "time")],
            "uidMappings": MAPPING, "gidMappings": MAPPING,
            "timeOffsets": {"monotonic": {"secs": 7, "nanosecs": 8}},
            "resources": {
                "devices": [{"allow": False, "access": "rwm"},
                            {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}],
                "memory": {"limit": 2**28}, "pids": {"limit": 10}, "cpu": {"shares": 100},
            },
        },
    )  # fmt: skip
    yield make(
        linux={
            "namespaces": [{"type": "mount"}, {"type": "user", "path": "/proc/self/ns/user"},
                           {"type": "network", "path": "/proc/self/ns/net"},
                           {"type": "pid", "path": "/proc/self/ns/pid"}],
            "netDevices": {"eth9": {"name": "eth%d"}, "eth8": {}},
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                "listenerPath": "/run/agent", "listenerMetadata": "x",
                "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{"names": ["read", "write", "exit"], "action": "SCMP_ACT_ALLOW"},
                             {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
            },
        },
    )  # fmt: skip


def made_by_hand() -> Iterator[Op]:
    """Yield operations that no config has on some hosts: other cgroups, tools that are missing."""
    rules = device_rules.rules([config.DeviceCgroup(allow=False), config.DeviceCgroup(allow=True)])
    yield Op(Kind.MAKE_DIRECTORIES, Stage.BEFORE, "", path="/sys/fs/cgroup/a/b", text="id",
             flags=3, numbers=(0o755, 15))  # fmt: skip
    yield Op(Kind.ENABLE_CONTROLLERS, Stage.BEFORE, "", path="/a", text="+cpu +io", flags=1)
    yield Op(Kind.DEVICE_FILTER, Stage.BEFORE, "", path="/a", blob=device_filter.program(rules))
    yield Op(Kind.OWNER, Stage.BEFORE, "", path="/a", numbers=(5,), flags=1)
    yield Op(Kind.WRITE, Stage.BEFORE, "", path="/a", text="b", extra="c", flags=7)
    yield Op(Kind.AFFINITY, Stage.JOIN, "", blob=struct.pack("<Q", 1))
    yield Op(Kind.ATTACH, Stage.ADOPT, "", path="/sys/fs/cgroup/a/cgroup.procs", flags=1)
    yield Op(Kind.ATTACH_TASK, Stage.ADOPT, "", path="/sys/fs/resctrl/a/tasks")
    yield Op(Kind.ID_MAP, Stage.ADOPT, "", path="/bin/newuidmap", flags=1, blob=strings("123"))
    yield Op(Kind.PROCESS_FILE, Stage.ADOPT, "", path="setgroups", text="deny")
    yield Op(Kind.NET_DEVICE, Stage.ADOPT, "", path="eth0", text="e%d")
    calls = dbus.call(1, systemd.BUS, "Hello") + dbus.call(4, systemd.BUS, "X", "u", bytes(4))
    yield Op(Kind.SYSTEMD, Stage.ADOPT, "", path="/run/bus", text="a.scope", blob=calls,
             numbers=(len(calls) - 3, 4))  # fmt: skip
    yield Op(Kind.DEVICE, Stage.MOUNT, "", path="/dev/zero", flags=2,
             numbers=(stat.S_IFCHR | 0o666, 0x105, 0, 0))  # fmt: skip
    yield Op(Kind.ATTRIBUTE, Stage.START, "", path="self/attr/exec", text="label")
    yield Op(Kind.KEYRING, Stage.START, "", path="label", text="_ses.x")
    yield Op(Kind.CHROOT, Stage.JOIN, "", path="/run/fuzz")
    yield Op(Kind.CHROOT, Stage.ENTER, "")
    yield Op(Kind.UNMOUNT, Stage.DELETED, "", path="/run/fuzz")
    yield Op(Kind.REMOVE_CGROUP, Stage.DELETED, "", path="/a/b", text="id", flags=2)
    yield Op(Kind.REMOVE_CGROUP, Stage.DELETED, "", path="/a/b")


def plans(bundle: Path) -> Iterator[Plan]:
    """Yield the plans of the corpus; every kind of operation is in one of them."""
    bundle.joinpath("rootfs").mkdir(parents=True, exist_ok=True)
    whole: list[Op] = []
    for content in configs():
        spec = config.decode(msgspec.json.encode(content))
        plan = compiler.compile_plan(spec, bundle=str(bundle), identifier="fuzz", place="/run/fuzz")
        whole += plan.ops
        yield plan
    yield Plan(0, [])
    by_hand = list(made_by_hand())
    yield Plan(0x20000, sorted(by_hand, key=lambda op: op.stage))
    # Small ones too: where there is little, a mutation meets it.
    for kind in Kind:
        found = [op for op in (*by_hand, *whole) if op.kind == kind][:3]
        if not found:
            raise SystemExit(f"no plan of the corpus has an operation {kind.name}")
        yield Plan(0, sorted(found, key=lambda op: op.stage))


def write_corpus(folder: Path) -> list[Path]:
    """Write the corpus; return its files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = []
    for number, plan in enumerate(plans(folder.parent / "bundle")):
        files.append(folder / f"{number:03}.plan")
        files[-1].write_bytes(plan.encode())
    return files


def run(*command: str) -> str:
    """Run a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:500]}\n{done.stderr}")
    return done.stdout


def build(folder: Path, sources: Path, *, libfuzzer: bool) -> Path:
    """Build the fuzzer from the executor's sources; return the program."""
    folder.mkdir(parents=True, exist_ok=True)
    compiler_ = ["clang" if libfuzzer else "gcc", *FLAGS, f"-I{sources}"]
    engine = ["-fsanitize=fuzzer-no-link", "-DSEATRIAL_LIBFUZZER"] if libfuzzer else []
    files = sorted(sources.glob("*.c"))
    objects = [folder / f"{each.stem}.o" for each in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(
            lambda pair: run(*compiler_, *engine, "-c", str(pair[0]), "-o", str(pair[1])),
            zip(files, objects, strict=True),
        ))  # fmt: skip
    symbols = [line.split() for line in run("nm", *map(str, objects)).splitlines()]
    defined = {words[2] for words in symbols if len(words) == 3}
    used = {words[1] for words in symbols if len(words) == 2 and words[0] == "U"}
    calls = {each for each in used - defined - PURE
             if not each.startswith(("__asan", "__ubsan", "__sanitizer", "__sancov",
                                     "count_operation"))}  # fmt: skip
    renamed = folder / "calls"
    renamed.write_text("".join(f"{each} kernel_{each}\n" for each in sorted(calls)), "ascii")
    for each in objects:
        run("objcopy", f"--redefine-syms={renamed}", str(each))
    program = folder / "fuzz"
    run(
        *compiler_, *(["-fsanitize=fuzzer", "-DSEATRIAL_LIBFUZZER"] if libfuzzer else []),
        str(sources / "fuzz" / "fuzz.c"), str(sources / "fuzz" / "kernel.c"),
        *map(str, objects), "-o", str(program),
    )  # fmt: skip
    return program


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, run, say what was done; the exit status is the fuzzer's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", default="200000")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--sources", type=Path, default=RUNTIME / "csrc")
    parser.add_argument("--build", type=Path, default=BUILD)
    parser.add_argument("--libfuzzer", action="store_true")
    wanted = parser.parse_args(arguments)
    program = build(wanted.build, wanted.sources.resolve(), libfuzzer=wanted.libfuzzer)
    corpus = write_corpus(wanted.build / "corpus")
    crash = wanted.build / "crash"
    if wanted.libfuzzer:
        command = [f"-runs={wanted.iterations}", f"-seed={wanted.seed}", str(corpus[0].parent)]
    else:
        command = [wanted.seed, wanted.iterations, *map(str, corpus)]
    status = subprocess.run(
        [str(program), *command], env={**os.environ, "FUZZ_CRASH": str(crash)}, check=False
    ).returncode
    if status:
        print(f"again: {program} 0 0 {crash}", file=sys.stderr)  # noqa: T201 - a command's output
    return int(status != 0)


if __name__ == "__main__":
    sys.exit(main())
