"""Labels that confine the program: AppArmor and SELinux (config.md, "Linux Process")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import host
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Process

_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_PROFILES = "/sys/kernel/security/apparmor/profiles"
_SELINUX = "/sys/fs/selinux/enforce"


def apparmor_enabled() -> bool:
    """Whether this kernel confines by AppArmor."""
    try:
        return host.text(_APPARMOR).startswith("Y")
    except OSError:
        return False


def selinux_enabled() -> bool:
    """Whether this kernel confines by SELinux."""
    return host.exists(_SELINUX)


def check(process: Process) -> None:
    """Refuse a label that nothing here would enforce, and a profile that is not loaded."""
    profile, label = process.apparmor_profile, process.selinux_label
    if profile:
        pointer = "/process/apparmorProfile"
        if not apparmor_enabled():
            host.refuse(pointer, f"profile {profile}: AppArmor is not enabled on this host")
        elif (loaded := _loaded_profiles()) is not None and profile not in {*loaded, "unconfined"}:
            host.refuse(
                pointer, f"profile {profile} is not loaded (apparmor_parser -r FILE loads it)"
            )
    if label and not selinux_enabled():
        host.refuse("/process/selinuxLabel", f"label {label}: SELinux is not enabled on this host")


def _loaded_profiles() -> set[str] | None:
    try:
        # "name (mode)"; ":namespace://name" for those of other policy namespaces
        return {line.rpartition(" (")[0] for line in host.lines(_PROFILES)}
    except OSError:
        return None


def compile(process: Process) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield what makes the label come with exec (proc_pid_attr(5))."""
    if process.apparmor_profile:
        own = host.exists("/proc/self/attr/apparmor/exec")
        yield Op(
            Kind.ATTRIBUTE,
            Stage.START,
            f"be confined by AppArmor profile {process.apparmor_profile} from exec on",
            "/process/apparmorProfile",
            # The older place is that of the first security module, whichever it is.
            path="self/attr/apparmor/exec" if own else "self/attr/exec",
            text=f"exec {process.apparmor_profile}",
        )
    if process.selinux_label:
        yield Op(
            Kind.ATTRIBUTE,
            Stage.START,
            f"be labelled {process.selinux_label} from exec on",
            "/process/selinuxLabel",
            path="self/attr/exec",
            text=process.selinux_label,
        )
