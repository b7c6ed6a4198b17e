"""The seccomp filter, made once by libseccomp and put into shape (config-linux.md, "Seccomp")."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from seatrial.oci import filter_shape, libseccomp
from seatrial.oci import listener as listeners
from seatrial.oci.errors import ConfigError
from seatrial.oci.libseccomp import ACTIONS, ARCHITECTURES, OPERATORS, Comparison, Filter
from seatrial.oci.log import warn
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, Seccomp, SeccompArg

#: seccomp(2) flags.
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1 << 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}
_NEW_LISTENER = 1 << 3
_WAIT_KILLABLE = FLAGS["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
_INSTRUCTION_BYTES, _MAX_INSTRUCTIONS = 8, 4096
#: The largest number that a system call can return as an error.
_MAX_ERRNO = 4095
WITH_LISTENER = 1
BASE = "/linux/seccomp"


def supported_flags() -> list[str]:
    """Return the flags that this kernel knows."""
    # What is waited for in a killable way is notifications, so that goes with a listener.
    asked = {name: flag | (_NEW_LISTENER if flag == _WAIT_KILLABLE else 0)
             for name, flag in FLAGS.items()}  # fmt: skip
    return [name for name, flags in asked.items() if libseccomp.kernel_knows(flags)]


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the load of the filter; raises ``ConfigError`` for a name that is not the spec's."""
    seccomp = config.linux.seccomp
    if seccomp is None:
        return
    if seccomp.listener_metadata and not seccomp.listener_path:
        raise ConfigError(f"{BASE}/listenerMetadata", "is set without listenerPath")
    listener = listeners.of(config) is not None
    if listener and not seccomp.listener_path:
        raise ConfigError(f"{BASE}/listenerPath", "SCMP_ACT_NOTIFY needs somebody to notify")
    flags = _flags(seccomp, listener=listener)
    program = build(seccomp)
    length = len(program) // _INSTRUCTION_BYTES
    yield Op(
        Kind.SECCOMP,
        Stage.START,
        f"load a filter of {length} instructions"
        + (f" and pass its listener to {seccomp.listener_path}" if listener else ""),
        f"{BASE}/listenerPath" if listener else BASE,
        flags=WITH_LISTENER if listener else 0,
        blob=program,
        numbers=(flags,),
    )


def _flags(seccomp: Seccomp, *, listener: bool) -> int:
    flags = 0
    for number, name in enumerate(seccomp.flags):
        if name not in FLAGS:
            raise ConfigError(f"{BASE}/flags/{number}", f"unknown flag {name!r}")
        if FLAGS[name] == _WAIT_KILLABLE and not listener:
            # The kernel takes it with a listener only, as without one there is nothing to wait for.
            at = f"config.json#{BASE}/flags/{number}"
            warn(f"{at}: {name} means nothing without SCMP_ACT_NOTIFY")
            continue
        flags |= FLAGS[name]
    return flags


def action_of(name: str, number: int | None, action_at: str, number_at: str) -> int:
    """Return an action with its errno; both pointers say where they came from."""
    if name not in ACTIONS:
        raise ConfigError(action_at, f"unknown action {name!r}")
    if name not in {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}:
        if number is not None:
            raise ConfigError(number_at, f"{name} takes no errno")
        return ACTIONS[name]
    highest = _MAX_ERRNO if name == "SCMP_ACT_ERRNO" else 0xFFFF
    if number is not None and number > highest:
        raise ConfigError(number_at, f"{number} is too large for {name}: {highest} is the largest")
    return ACTIONS[name] | (errno.EPERM if number is None else number)


def build(seccomp: Seccomp) -> bytes:
    """Return the filter program: ``struct sock_filter``, eight bytes each."""
    program = filter_shape.reshaped(made_by_libseccomp(seccomp))
    if len(program) > _MAX_INSTRUCTIONS * _INSTRUCTION_BYTES:
        raise ConfigError(
            f"{BASE}/syscalls",
            f"make a filter of {len(program) // _INSTRUCTION_BYTES} instructions, "
            f"the kernel takes {_MAX_INSTRUCTIONS}",
        )
    return program


def made_by_libseccomp(seccomp: Seccomp, *, binary_tree: bool = True) -> bytes:
    """Return libseccomp's own filter, as it is."""
    default = action_of(
        seccomp.default_action,
        seccomp.default_errno_ret,
        f"{BASE}/defaultAction",
        f"{BASE}/defaultErrnoRet",
    )
    for number, name in enumerate(seccomp.architectures):
        if name not in ARCHITECTURES:
            raise ConfigError(f"{BASE}/architectures/{number}", f"unknown architecture {name!r}")
    try:
        made = Filter(default, binary_tree=binary_tree)
    except OSError as error:
        raise ConfigError(f"{BASE}/defaultAction", f"{error.strerror}") from None
    with made as filter_:
        for number, name in enumerate(seccomp.architectures):
            if not filter_.add_architecture(name):
                warn(
                    f"config.json#{BASE}/architectures/{number}: {name} is left out, nothing here "
                    "could execute its programs"
                )
        for number in range(len(seccomp.syscalls)):
            _add(filter_, seccomp, number, default)
        return filter_.export()


def _add(filter_: Filter, seccomp: Seccomp, number: int, default: int) -> None:
    entry = seccomp.syscalls[number]
    pointer = f"{BASE}/syscalls/{number}"
    action = action_of(entry.action, entry.errno_ret, f"{pointer}/action", f"{pointer}/errnoRet")
    comparisons = [
        _comparison(argument, f"{pointer}/args/{index}")
        for index, argument in enumerate(entry.args)
    ]
    if action == default:
        return
    # All comparisons of an entry have to hold. libseccomp compares an argument once in a rule, so
    # like in runc and crun several comparisons of one argument are rules of their own: any will do.
    rules = [comparisons]
    if len({each.argument for each in comparisons}) < len(comparisons):
        rules = [[each] for each in comparisons]
    for place, name in enumerate(entry.names):
        syscall = libseccomp.syscall_number(name)
        if syscall is None:
            warn(f"config.json#{pointer}/names/{place}: unknown system call {name} is left out")
            continue
        for rule in rules:
            try:
                filter_.add_rule(action, syscall, rule)
            except OSError as error:
                why = (
                    "contradicts an entry before it"
                    if error.errno == errno.EEXIST
                    else f"libseccomp says {error.strerror}"
                )
                raise ConfigError(f"{pointer}/names/{place}", f"{name}: {why}") from None


def _comparison(argument: SeccompArg, pointer: str) -> Comparison:
    if argument.op not in OPERATORS:
        raise ConfigError(f"{pointer}/op", f"unknown operator {argument.op!r}")
    for name, value in (("value", argument.value), ("valueTwo", argument.value_two)):
        if value >= 2**64:
            raise ConfigError(f"{pointer}/{name}", f"{value} has more than 64 bits")
    return Comparison(argument.index, OPERATORS[argument.op], argument.value, argument.value_two)
