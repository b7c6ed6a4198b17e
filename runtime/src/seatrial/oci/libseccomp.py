"""libseccomp by ctypes: seccomp.h's names and the few calls that make a filter."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any

from seatrial.oci import host
from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

#: SCMP_ACT_*: what seccomp(2) takes; ERRNO and TRACE carry a number in their lower 16 bits.
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
}
OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
ARCHITECTURES = tuple(
    f"SCMP_ARCH_{name}"
    for name in [
        "X86",
        "X86_64",
        "X32",
        "ARM",
        "AARCH64",
        "MIPS",
        "MIPS64",
        "MIPS64N32",
        "MIPSEL",
        "MIPSEL64",
        "MIPSEL64N32",
        "PPC",
        "PPC64",
        "PPC64LE",
        "S390",
        "S390X",
        "PARISC",
        "PARISC64",
        "RISCV64",
        "LOONGARCH64",
        "M68K",
        "SH",
        "SHEB",
    ]
)
_OPTIMIZE, _BINARY_TREE = 8, 2


class Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


_library: ctypes.CDLL | None = None


def library() -> Any:  # noqa: ANN401 - its functions have no types
    """Load libseccomp once; raises ``OCIError`` with a hint where there is none."""
    global _library  # noqa: PLW0603 - loaded only where a config asks for a filter
    if _library is None:
        try:
            found = ctypes.CDLL("libseccomp.so.2")
        except OSError:
            raise OCIError(
                "libseccomp.so.2 is needed for linux.seccomp (apt-get install libseccomp2)"
            ) from None
        found.seccomp_init.restype = ctypes.c_void_p
        found.seccomp_init.argtypes = [ctypes.c_uint32]
        found.seccomp_release.argtypes = [ctypes.c_void_p]
        found.seccomp_release.restype = None
        found.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
        found.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
        found.seccomp_arch_resolve_name.restype = ctypes.c_uint32
        found.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        found.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
        found.seccomp_rule_add_array.argtypes = [
            ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
            ctypes.POINTER(Comparison),
        ]  # fmt: skip
        found.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
        _library = found
    return _library


def _depend() -> None:
    """Note by what the dynamic linker came to this library and no other (ld.so(8))."""
    for variable in ("LD_LIBRARY_PATH", "LD_PRELOAD"):
        host.environ(variable)
    host.depend_on("/etc/ld.so.cache")
    with open("/proc/self/maps", encoding="utf-8") as lines:
        for path in {line.split(maxsplit=5)[-1].strip() for line in lines if "libseccomp" in line}:
            host.depend_on(path)


def syscall_number(name: str) -> int | None:
    """Return a system call's number here, below 0 if it is another architecture's."""
    number: int = library().seccomp_syscall_resolve_name(name.encode())
    return None if number == -1 else number


def kernel_knows(flags: int) -> bool:
    """Whether seccomp(2) takes these flags: if so it looks at the filter next, which is none."""
    set_mode_filter = 1
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(syscall_number("seccomp"), set_mode_filter, flags, None)
    return ctypes.get_errno() == errno.EFAULT


class Filter:
    """A filter in the making; every method raises ``OSError`` with libseccomp's errno."""

    def __init__(self, default: int, *, binary_tree: bool = True) -> None:
        self._library = library()
        _depend()
        self._context = self._library.seccomp_init(default)
        if not self._context:
            raise OSError(errno.EINVAL, "libseccomp takes no such default action")
        if binary_tree:
            # Since 2.5: the filter finds a call in some 9 steps instead of some 400. An older
            # library refuses, and its filter is only slower.
            self._library.seccomp_attr_set(self._context, _OPTIMIZE, _BINARY_TREE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.seccomp_release(self._context)

    def add_architecture(self, name: str) -> bool:
        """Filter another architecture's calls too; ``False`` if the library does not know it."""
        short = name.removeprefix("SCMP_ARCH_").lower()
        token = self._library.seccomp_arch_resolve_name(short.encode())
        if token == 0:
            return False
        code = self._library.seccomp_arch_add(self._context, token)
        if code == -errno.EEXIST:
            return True
        # EDOM: of the other byte order, so none that this machine could execute.
        if code in {-errno.EDOM, -errno.EINVAL}:
            return False
        _check(code)
        return True

    def add_rule(self, action: int, syscall: int, comparisons: Sequence[Comparison]) -> None:
        """Add one rule: all comparisons have to hold."""
        array = (Comparison * len(comparisons))(*comparisons)
        _check(
            self._library.seccomp_rule_add_array(
                self._context, action, syscall, len(comparisons), array
            )
        )

    def export(self) -> bytes:
        """Return the filter as the kernel takes it: an array of ``struct sock_filter``."""
        fd = os.memfd_create("filter", os.MFD_CLOEXEC)
        try:
            _check(self._library.seccomp_export_bpf(self._context, fd))
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)


def _check(code: int) -> None:
    if code < 0:
        raise OSError(-code, os.strerror(-code))
