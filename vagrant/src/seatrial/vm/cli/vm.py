"""``seatrial vm``: guests with other kernels and cgroup modes, and the suite in them."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

from seatrial.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from seatrial.vm.guests import Guest
    from seatrial.vm.machines import Machine

_RUNTIMES = ("crun", "runc", "seatrial-oci")
_BENCH_S = 3600
#: Without KVM a guest is ten to forty times slower than its host.
_SUITE_S = 4 * 3600
#: How long one command of a runtime may take in a guest.
_PATIENCE_S, _PATIENCE_WITHOUT_KVM_S = 10, 120
_DESCRIPTION = "Run the suite in virtual machines with other kernels and cgroup modes, by Vagrant."
_EPILOG = """\
A guest has a folder in vagrant/; without a name, cgroup2 is meant. `make box` makes a box of
Debian's packages where none can be downloaded. Where no libvirtd runs, one is started in namespaces
of its own (vagrant/host/libvirt), and `down` without a name stops it again. Exit status: 0 done;
1 the suite found a failure that is not known; 2 wrong usage; 3 no guest can be had;
130 interrupted."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vm`` and what it does."""
    parser = subparsers.add_parser(
        "vm", help="run the suite in virtual machines", description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    fill(parser)


def fill(parser: argparse.ArgumentParser) -> None:
    """Add the commands to ``parser``."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for function, text in (
        (_list, "list the guests and what there is of them"),
        (_up, "start guests, with this tree installed in them"),
        (_check, "check with testinfra that guests are what they say"),
        (_test, "run the suite in guests, and bring the results home"),
        (_bench, "take a quick look at the runtimes' times in guests, and bring the run home"),
        (_fetch, "bring home the results of a run that went on without us"),
        (_down, "remove guests; without a name all, and the libvirtd of our own"),
    ):
        name = function.__name__.removeprefix("_")
        each = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        each.add_argument("guest", nargs="*", metavar="GUEST", help="a folder of vagrant/")
        if function in (_test, _bench, _fetch):
            each.add_argument(
                "--runtime", action="append", metavar="NAME",
                help=f"repeatable (default: {', '.join(_RUNTIMES)})",
            )  # fmt: skip
        if function is _test:
            each.add_argument(
                "--profile", default="default", help="quick, default or thorough (default: default)"
            )
            each.add_argument(
                "--requirement", action="append", default=[], metavar="PREFIX",
                help="judge only requirements whose id begins with it; repeatable",
            )  # fmt: skip
            each.add_argument(
                "-n", "--workers", default="2", metavar="N", help="processes (default: 2)"
            )
        each.set_defaults(run=_reporting, does=function)


def _reporting(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.does(arguments))
    except VmError as error:
        print(f"seatrial vm: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"seatrial vm: {error.filename}: {error.strerror}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("seatrial vm: interrupted; `seatrial vm down` removes what runs", file=sys.stderr)
        return 130


@contextlib.contextmanager
def _machines(
    arguments: argparse.Namespace, *, installing: bool = False, stopping: bool = False
) -> Iterator[list[Machine]]:
    from seatrial.vm import files, guests, host

    root = guests.checkout()
    wanted = guests.named(root, arguments.guest)

    def prepare() -> None:
        if installing:
            host.check_room()
            for suite in sorted({guest.suite for guest in wanted}):
                files.gather(root, suite)

    host.enter(root, prepare, stopping=stopping)
    from seatrial.vm.machines import Machine

    with contextlib.ExitStack() as stack:
        found = []
        for guest in wanted:
            machine = Machine(root, guest)
            stack.callback(machine.close)
            found.append(machine)
        yield found


def _list(arguments: argparse.Namespace) -> int:
    from seatrial.vm import guests

    root = guests.checkout()
    wanted: Sequence[Guest] = (
        guests.named(root, arguments.guest)
        if arguments.guest
        else list(guests.every(root).values())
    )
    for guest in wanted:
        box = root / "build" / "vm" / f"seatrial-{guest.suite}.box"
        print(f"{guest.name:9} {guest.about}; box: {'local' if box.exists() else guest.public_box}")
    return 0


def _up(arguments: argparse.Namespace) -> int:
    from seatrial.vm import host

    with _machines(arguments, installing=True) as machines:
        if (why := host.without_kvm(machines[0].root)) is not None:
            print(f"== guests are emulated in software, ten to forty times slower: {why}")
        for machine in machines:
            print(f"== {machine.guest.name}: {machine.guest.about}", flush=True)
            machine.up()
    return 0


def _check(arguments: argparse.Namespace) -> int:
    with _machines(arguments) as machines:
        return max(_checked(machine) for machine in machines)


def _checked(machine: Machine) -> int:
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:seatrial",
        "--override-ini=addopts=", str(machine.root / "vagrant" / "tests" / "guest"),
        f"--hosts=ssh://{machine.guest.name}", f"--ssh-config={machine.ssh_config()}", "--sudo",
        f"--guest={machine.guest.name}",
    ]  # fmt: skip
    print(f"== {machine.guest.name}: is it what it says it is?", flush=True)
    return subprocess.run(command, cwd=machine.root, check=False).returncode


def _test(arguments: argparse.Namespace) -> int:
    from seatrial.vm import host

    with _machines(arguments) as machines:
        is_quick = host.without_kvm(machines[0].root) is None
        patience_s = _PATIENCE_S if is_quick else _PATIENCE_WITHOUT_KVM_S
        worst = 0
        for machine in machines:
            if _checked(machine) != 0:
                raise VmError(
                    f"{machine.guest.name} is not what it says it is",
                    hint="what was measured in it would not be believed; see above",
                )
            for runtime in arguments.runtime or _RUNTIMES:
                print(f"== {machine.guest.name}: {runtime}", flush=True)
                status = machine.run(
                    "seatrial", "test", "--runtime", runtime,
                    "--profile", arguments.profile,
                    *(f"--requirement={prefix}" for prefix in arguments.requirement),
                    "-n", arguments.workers, "--results", _there(runtime),
                    "--guest", machine.guest.name, "--runtime-timeout", str(patience_s),
                    seconds=_SUITE_S,
                )  # fmt: skip
                worst = max(worst, status)
                _bring(machine, runtime)
        return worst


def _bench(arguments: argparse.Namespace) -> int:
    there = "/var/tmp/seatrial-bench"  # noqa: S108 - in a guest of our own
    runtimes = [f"--runtime={runtime}" for runtime in arguments.runtime or _RUNTIMES]
    with _machines(arguments) as machines:
        worst = 0
        for machine in machines:
            print(f"== {machine.guest.name}: times, not to be compared with a host's", flush=True)
            machine.ask("rm", "-rf", there)
            status = machine.run(
                "seatrial", "bench", "run", "--quick", "--suite", "lifecycle", *runtimes,
                "--output", there, seconds=_BENCH_S,
            )  # fmt: skip
            folder = machine.root / "build" / "vm" / "bench" / machine.guest.name
            machine.fetch_folder(there, folder)
            print(f"run: {folder.relative_to(machine.root)}", flush=True)
            worst = max(worst, status)
        return worst


def _fetch(arguments: argparse.Namespace) -> int:
    with _machines(arguments) as machines:
        for machine in machines:
            for runtime in arguments.runtime or _RUNTIMES:
                _bring(machine, runtime)
    return 0


def _there(runtime: str) -> str:
    return f"/var/tmp/seatrial-{runtime}.jsonl"  # noqa: S108 - in a guest of our own


def _bring(machine: Machine, runtime: str) -> None:
    file = _home(machine.root, machine.guest.name) / f"{runtime}.jsonl"
    machine.fetch(_there(runtime), file)
    print(f"results: {file.relative_to(machine.root)}", flush=True)


def _home(root: Path, guest: str) -> Path:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    return root / "results" / "conformance" / f"{today}-{guest}"


def _down(arguments: argparse.Namespace) -> int:
    from seatrial.vm import guests

    everything = not arguments.guest
    if everything:
        arguments.guest = list(guests.every(guests.checkout()))
    complaints = []
    with _machines(arguments, stopping=everything) as machines:
        for machine in machines:
            try:
                machine.down()
            except VmError as error:
                complaints.append(error)  # the others are to go all the same
    if complaints:
        raise complaints[0]
    return 0
