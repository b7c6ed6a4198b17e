"""The attack by every system call: a profile as engines have it, against what the kernel answers.

The profile's numbers of errors are moved by 2000, so that what the filter refuses is told from what
the kernel refuses: no system call returns such numbers by itself.
"""

from __future__ import annotations

import errno
import functools
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacking.attack import UNTRIED, Finding, attack, judged
from attacking.ground import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attacking.ground import Ground

#: Where podman's packages put theirs; it is read at the time of the test, and not ours to copy.
PROFILES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
LAST = 470
MOVED = 2000
#: The kernel asks no filter about these: uretprobe and uprobe, which only its own trampolines call
#: (__secure_computing in kernel/seccomp.c, since Linux 6.13 and 6.18).
UNFILTERED = {335, 336}
_WORD = 2**64 - 1


@functools.cache
def numbers() -> dict[str, int]:
    """Return the system calls that this system's headers know, by name."""
    done = subprocess.run(
        ["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name: int(number) for name, number
            in re.findall(r"#define __NR_(\w+) (\d+)$", done.stdout, re.MULTILINE)}  # fmt: skip


def _applies(rule: dict[str, Any]) -> bool:
    """Whether an engine takes a rule for these capabilities on this machine."""
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    kernel = includes.get("minKernel")
    return (
        (not includes.get("arches") or "amd64" in includes["arches"])
        and set(includes.get("caps") or ()) <= set(CAPABILITIES)
        and not set(excludes.get("caps") or ()) & set(CAPABILITIES)
        and "amd64" not in (excludes.get("arches") or ())
        and (kernel is None or [int(n) for n in kernel.split(".")] <= [6, 0])
    )


def _moved(number: int | None) -> int:
    return MOVED + (errno.EPERM if number is None else number)


def filter_of(profile: dict[str, Any]) -> dict[str, Any]:
    """Return an engine's profile as the runtime-spec's ``linux.seccomp``."""
    rules = []
    for rule in profile["syscalls"]:
        if not _applies(rule):
            continue
        made: dict[str, Any] = {
            "names": rule["names"] if "names" in rule else [rule["name"]],
            "action": rule["action"],
            "args": [{key: each[key] for key in ("index", "value", "valueTwo", "op")
                      if key in each} for each in rule.get("args") or ()],
        }  # fmt: skip
        if rule["action"] == "SCMP_ACT_ERRNO":
            made["errnoRet"] = _moved(rule.get("errnoRet"))
        rules.append(made)
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": _moved(profile.get("defaultErrnoRet")),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }


def _holds(comparison: dict[str, Any], argument: int) -> bool:
    value, second = comparison["value"], comparison.get("valueTwo", 0)
    outcomes: dict[str, bool] = {
        "SCMP_CMP_NE": argument != value,
        "SCMP_CMP_LT": argument < value,
        "SCMP_CMP_LE": argument <= value,
        "SCMP_CMP_EQ": argument == value,
        "SCMP_CMP_GE": argument >= value,
        "SCMP_CMP_GT": argument > value,
        "SCMP_CMP_MASKED_EQ": argument & value == second,
    }
    return outcomes[comparison["op"]]


def expected(wanted: dict[str, Any], number: int, argument: int) -> set[int]:
    """Return what a call may answer by the filter: moved errors, and 0 for "let through"."""
    names = {name for name, each in numbers().items() if each == number}
    found = set()
    for rule in wanted["syscalls"]:
        if names & set(rule["names"]) and all(_holds(each, argument) for each in rule["args"]):
            found.add(rule["errnoRet"] if rule["action"] == "SCMP_ACT_ERRNO" else 0)
    return found or {wanted["defaultErrnoRet"]}


def compare(wanted: dict[str, Any], said: str, argument: int) -> tuple[list[str], int]:
    """Return which calls answered otherwise than expected, and how many were refused."""
    named = {name for rule in wanted["syscalls"] for name in rule["names"]}
    newest = max(number for name, number in numbers().items() if name in named)
    wrong, refused = [], 0
    answers = dict(line.split() for line in said.splitlines() if re.match(r"\d+ \w+$", line))
    for number in range(LAST + 1):
        answer = answers.get(str(number))
        if answer is None or number in UNFILTERED:
            continue
        got = int(answer) if answer.isdigit() and int(answer) > MOVED else 0
        may = expected(wanted, number, argument)
        refused += got > 0
        # runc answers ENOSYS for what is newer than all that the profile names; that refuses too.
        if got not in may and not (number > newest and answer == str(errno.ENOSYS)):
            wrong.append(f"{number} answers {answer}, not {sorted(may)}")
    if len(answers) < LAST:
        wrong.append(f"only {len(answers)} calls were made: {said[-200:]}")
    return wrong, refused


@attack("A17", "call what the default profile refuses")
def every_call(ground: Ground) -> Iterator[Finding]:
    """Call all numbers up to 470, with all arguments 0, and -1."""
    path = next((each for each in PROFILES if each.exists()), None)
    if path is None:
        yield Finding(UNTRIED, f"no profile of an engine is installed ({PROFILES[1]})")
    else:
        wanted = filter_of(json.loads(path.read_text("utf-8")))
        for argument in (0, _WORD):
            bundle = ground.bundle()
            bundle.linux["seccomp"] = wanted
            done = bundle.run("matrix", str(LAST), hex(argument))
            wrong, refused = compare(wanted, done.said, argument)
            yield judged(harmed=bool(wrong), seen=f"arguments {argument:#x}: " + (
                f"{len(wrong)} differ: {'; '.join(wrong[:5])}" if wrong else
                f"{refused} of {LAST} calls are refused, each as the profile says"))  # fmt: skip
    steps = {"call:272": 1, "call:165": 1, "call:250": 1, "call:321": 1, "call:298": 1,
             "call:323": 1, "call:425": 1, "call:435": 1, "socket:40": 1}  # fmt: skip
    done = ground.bundle().run(*steps)
    wrong = [f"{step}: {done.step(step)}" for step, number in steps.items()
             if done.step(step) != f"errno {number}"]  # fmt: skip
    yield judged(harmed=bool(wrong), seen="; ".join(wrong) or (
        "unshare, mount, keyctl, bpf, perf_event_open, userfaultfd, io_uring_setup, clone3 and "
        "AF_VSOCK answer EPERM by a small profile"))  # fmt: skip
