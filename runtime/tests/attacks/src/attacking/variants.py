"""The reference runtime with one defence taken out, so that an attack is seen to be one.

A variant is a whole installation in a scratch folder: launcher, extension module and package, made
of the sources as they are but for some text, or with plans that lack an operation.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from attacking.ground import CSRC

RUNTIME = CSRC.parent
OBJECTS = RUNTIME.parent / "build" / "attacks" / "objects"
PACKAGE = RUNTIME / "src" / "seatrial" / "oci"
#: Which plans are theirs.
BUILD = "variant"
FLAGS = (
    "-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", f"-I{sysconfig.get_path('include')}",
    f'-DSEATRIAL_BUILD="{BUILD}"',
)  # fmt: skip
#: Put behind the module that writes plans: what is executed is what is left of them.
LESS = """

_whole = Plan.encode


def _less(self: Plan) -> bytes:
    from msgspec.structs import replace

    from seatrial.oci.operations import Kind

    kept = [({change}) for op in self.ops]
    return _whole(Plan(self.namespaces, [op for op in kept if op is not None]))


Plan.encode = _less
"""


@dataclass(frozen=True)
class Variant:
    """A runtime without a defence against the attack ``number``.

    ``patches`` are file, text and what stands in its place; ``plan`` is an expression that has what
    becomes of an operation ``op``, ``None`` for nothing.
    """

    number: str
    says: str
    patches: tuple[tuple[str, str, str], ...] = ()
    plan: str = ""

    @property
    def name(self) -> str:
        """A name for a folder."""
        return f"{self.number}-{'-'.join(self.says.split())}"


def _dropped(*kinds: str, where: str = "True") -> str:
    names = ", ".join(f"Kind.{kind}" for kind in kinds)
    return f"None if op.kind in {{{names}}} and ({where}) else op"


_OUT_OF_ROOT = (
    ("csrc/paths.c", ".resolve = RESOLVE_IN_ROOT", ".resolve = 0"),
    ("csrc/paths.c", "(int)syscall(SYS_openat2, root, path,",
     '(int)syscall(SYS_openat2, root, path[strspn(path, "/")] ? path + strspn(path, "/") : ".",'),
)  # fmt: skip
_FOLDERS_STAY = """
#include <fcntl.h>
#include <sys/stat.h>

static int next_of_ours(const struct context *context, const int *more, size_t count, int from);

static void close_all_but_folders(const struct context *context, const int *more, size_t count) {
    for (int fd = 3; fd < 1024; fd++) {
        struct stat there;
        if (fstat(fd, &there) != 0)
            continue;
        if (next_of_ours(context, more, count, fd) == fd)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
        else if (!S_ISDIR(there.st_mode) || fcntl(fd, F_GETFD) & FD_CLOEXEC)
            close(fd);
    }
}
"""
_START = "    int from = 3 + context->keep;\n"


_HEADER = '#include "executor.h"\n'
#: The runtime's own lock must not be among them, or start would wait for ever.
_CALLED = "    close_all_but_folders(context, more, count);\n    return;\n"
_FOLDERS_STAY_OPEN = (
    ("csrc/descriptors.c", _HEADER, _HEADER + _FOLDERS_STAY),
    ("csrc/descriptors.c", _START, _CALLED + _START),
)
_ITS_OWN_PROC = (
    "csrc/process.c",
    "write_file(context->proc, plan_string(context->plan, op->path), text,",
    'write_file(open_in_root(context, "/proc", O_PATH), plan_string(context->plan, op->path),text,',
)
_NULL = ("csrc/masks.c", "clone_with(context->null, ",
         'clone_with(open_in_root(context, "/dev/null", O_PATH), ')  # fmt: skip
_ANYWHERE = ("csrc/process.c", "return where[0] == '/' ? 0 : ENOENT;", "return 0;")
_LATE = "    ops += hooks.compile(config.hooks, Stage.ENTER)\n"
_CONSOLE_BY_PATH = (
    ("csrc/devices.c", "    int fd = clone_tree(0, ",
     '    int fd = clone_tree(open_in_root(context, "/dev/pts/0", O_PATH), '),
    # Before the hooks, as some runtimes do: there is more time in between.
    ("src/seatrial/oci/compiler.py", "        ops += process.console(program)\n", ""),
    ("src/seatrial/oci/compiler.py", _LATE, f"    ops += process.console(program)\n{_LATE}"),
)  # fmt: skip
_LABELS = "    profile, label = process.apparmor_profile, process.selinux_label\n"
_ANY_LABEL = ("src/seatrial/oci/labels.py", _LABELS, f"    return\n{_LABELS}")
_BIND = """(listener.bind("\\0seatrial" + self.id),
                  open(os.path.join(self.path, f"{name}.sock"), "w").close())"""
_ABSTRACT = (
    ("src/seatrial/oci/store.py", 'self._at(listener.bind, f"{name}.sock")', _BIND),
    ("src/seatrial/oci/store.py", 'self._at(connection.connect, f"{name}.sock")',
     'connection.connect("\\0seatrial" + self.id)'),
    ("csrc/launcher/launcher.c", "if (understand(", "if (argc < 0 && understand("),
)  # fmt: skip
_WRITABLE = """replace(op, numbers=(op.numbers[0] & ~1, *op.numbers[1:])) if op.path.startswith(
        "/sys/fs/cgroup/") and op.kind in {Kind.TREE, Kind.BIND, Kind.MOUNT} else op"""
_INHERITED = """replace(op, numbers=(*op.numbers[:2], op.numbers[1] & ~(1 << 21)))
        if op.kind == Kind.CAPABILITIES and len(op.numbers) > 2 else op"""

VARIANTS = (
    Variant("A01", "executes Python from where it can be written to",
            (("csrc/launcher/launcher.c", "    execute_read_only(path, words);\n", ""),)),
    Variant("A01", "has it read-only only on the root's file system",
            (("csrc/launcher/launcher.c",
              "execute_in_clone(real, &wanted, RECURSIVE, words);", ";"),)),
    Variant("A02", "leaves open what the caller left open", _FOLDERS_STAY_OPEN),
    Variant("A03", "leaves open what the caller left open", _FOLDERS_STAY_OPEN),
    Variant("A03", "leaves it open and works anywhere", (*_FOLDERS_STAY_OPEN, _ANYWHERE)),
    Variant("A04", "mounts where links of the image lead", _OUT_OF_ROOT),
    Variant("A05", "makes folders where links of the image lead", _OUT_OF_ROOT),
    Variant("A06", "masks by what the image calls the null device", (_NULL,)),
    Variant("A07", "takes the console by its path", _CONSOLE_BY_PATH),
    Variant("A08", "writes kernel parameters to what the image has as procfs", (_ITS_OWN_PROC,)),
    Variant("A09", "makes devices where links of the image lead", _OUT_OF_ROOT),
    Variant("A10", "writes labels to what a volume has as procfs", (_ITS_OWN_PROC, _ANY_LABEL)),
    Variant("A11", "filters nothing", plan=_dropped("SECCOMP")),
    Variant("A11", "mounts cgroups to be written to", plan=_WRITABLE),
    Variant("A12", "lets capabilities be inherited", plan=_INHERITED),
    Variant("A13", "keeps the caller's groups", plan=_dropped("GROUPS")),
    Variant("A14", "waits for start at an abstract socket", _ABSTRACT),
    Variant("A15", "drops no capability and filters nothing",
            plan=_dropped("SECCOMP", "CAPABILITIES", "BOUNDING")),
    Variant("A16", "allows all devices",
            plan='None if op.kind == Kind.DEVICE_FILTER or "/devices." in op.path else op'),
    Variant("A17", "loads no filter", plan=_dropped("SECCOMP")),
    Variant("A18", "lets privileges be gained", plan=_dropped("NO_NEW_PRIVILEGES")),
    Variant("A19", "makes nothing read-only", plan=_dropped("READONLY")),
    Variant("A19", "masks nothing", plan=_dropped("MASK")),
    Variant("A20", "stays in the caller's session", plan=_dropped("SESSION")),
    Variant("A21", "limits no processes", plan=_dropped("WRITE", where='"/pids.max" in op.path')),
    Variant("A21", "limits no memory",
            plan=_dropped("WRITE", where='"/memory." in op.path')),
    Variant("A22", "follows links of procfs", _OUT_OF_ROOT),
    Variant("A23", "makes no kernel parameter read-only",
            plan=_dropped("READONLY", where='op.path == "/proc/sys"')),
    Variant("A23", "does not set the OOM score", plan=_dropped("PROCESS_FILE")),
)  # fmt: skip


def install(variant: Variant, folder: Path) -> list[str]:
    """Make a variant; return its command.  Raises ``LookupError`` where a text is not there."""
    sources = folder / "csrc"
    shutil.copytree(CSRC, sources)
    venv.create(folder, symlinks=True)
    package = folder / "src" / "seatrial" / "oci"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "*.so", "bin"))
    for name, text, instead in variant.patches:
        path = folder / name
        content = path.read_text("utf-8")
        if content.count(text) != 1:
            raise LookupError(f"{name} has this {content.count(text)} times, not once: {text}")
        path.write_text(content.replace(text, instead), "utf-8")
    if variant.plan:
        with (package / "plan.py").open("a", encoding="utf-8") as file:
            file.write(LESS.format(change=variant.plan))
    _link(package / "_core.abi3.so", [*_executor(sources), *sorted(sources.glob("python/*.c"))],
          "-shared")  # fmt: skip
    launcher = folder / "bin" / "seatrial-oci"
    link_launcher(sources, launcher)
    package.joinpath("bin").mkdir()
    shutil.copy(launcher, package / "bin")
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # The copy first, then all of ours.
    lines = [str(folder / "src"), *(each for each in sys.path if each.startswith("/"))]
    Path(site, "variant.pth").write_text("".join(f"{each}\n" for each in lines), "utf-8")
    return [str(launcher)]


def link_launcher(sources: Path, output: Path) -> None:
    """Make a launcher of sources, which may be spoiled."""
    _link(output, [*_executor(sources), *sorted(sources.glob("launcher/*.c"))], "-static")


def _executor(sources: Path) -> list[Path]:
    return [*sorted(sources.glob("*.c")), *sorted(sources.glob("facts/*.c"))]


def _link(output: Path, sources: list[Path], how: str) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(_compiled, sources))
    _run("gcc", how, "-o", str(output), *map(str, objects))


def _compiled(source: Path) -> Path:
    """Compile one file; what was compiled before is kept, by what it was made of."""
    digest = hashlib.sha256("".join(FLAGS).encode())
    for each in (*source.parent.glob("*.h"), *source.parent.parent.glob("**/*.h")):
        digest.update(each.read_bytes())
    digest.update(source.read_bytes() + source.parent.name.encode())
    made = OBJECTS / f"{source.stem}-{digest.hexdigest()[:16]}.o"
    if not made.exists():
        OBJECTS.mkdir(parents=True, exist_ok=True)
        fresh = made.with_suffix(f".{os.getpid()}.{source.parent.name}")
        _run("gcc", *FLAGS, "-c", "-o", str(fresh), str(source))
        fresh.replace(made)
    return made


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:500]}\n{done.stderr}")
