"""The Python API: a container in process, and the events of its life."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial.oci import Container, Event, _core, execution
from seatrial.oci.command import Usage
from seatrial.oci.errors import OCIError, OperationError, WrongStatus
from seatrial.oci.verbs import exec_

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSYBOX = shutil.which("busybox")
MAPPED = [{"containerID": 0, "hostID": 100000, "size": 65536}]
CREATE = [
    "creating", "compiled", "prepared", "cloned", "adopted", "mounted", "hooked", "entered",
    "created",
]  # fmt: skip


class Made:
    """A container of a test's, and what was told of it."""

    def __init__(self, bundle: Path, identifier: str) -> None:
        self.events: list[Event] = []
        self.bundle = bundle
        self.container = Container(
            identifier, bundle=str(bundle), root=str(bundle / "state"), on_event=self.events.append
        )

    def configure(self, *args: str, **more: Any) -> None:
        """Write its config; a shell's own words are in ``args``."""
        config = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["/bin/busybox", *args]},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": f"/seatrial-gaps/{self.container.id}",
                "namespaces": [{"type": "mount"}, {"type": "pid"}],
                "resources": {"pids": {"limit": 32}},
            },
        } | more
        (self.bundle / "config.json").write_bytes(msgspec.json.encode(config))

    def names(self) -> list[str]:
        """Return the names of the events so far."""
        return [event.name for event in self.events]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Return a container that sleeps, not created yet; it is deleted in the end."""
    if BUSYBOX is None:
        pytest.skip("there is no busybox to run")
    binaries = tmp_path / "rootfs" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(BUSYBOX, binaries / "busybox")
    found = Made(tmp_path, f"api{os.getpid()}")
    found.configure("sleep", "100")
    with found.container:
        yield found


def test_a_life_is_told_of_step_by_step(made: Made) -> None:
    made.configure("true")
    made.container.create().start()
    assert made.container.wait(timeout_s=30) == 0
    made.container.delete()
    assert made.names() == [*CREATE, "starting", "running", "stopped", "deleted"]
    times = [event.time_ns for event in made.events]
    assert times == sorted(times)
    assert times[-1] <= time.monotonic_ns()


def test_an_event_has_the_process_as_soon_as_there_is_one(made: Made) -> None:
    made.container.create()
    by_name = {event.name: event for event in made.events}
    assert by_name["prepared"].pid is None
    assert by_name["cloned"].pid == by_name["entered"].pid == made.container.pid
    assert {event.container for event in made.events} == {made.container.id}


def test_events_are_told_while_they_happen(made: Made) -> None:
    seen: dict[str, bool] = {}

    def look(event: Event) -> None:
        # Its own procfs, in its own root, is there once it has entered that.
        seen[event.name] = event.pid is not None and os.path.samefile(
            f"/proc/{event.pid}/root", made.bundle / "rootfs"
        )

    root = str(made.bundle / "state")
    with Container("looked-at", bundle=str(made.bundle), root=root, on_event=look) as container:
        container.create()
    assert [name for name, entered in seen.items() if entered] == ["entered", "created"]


def test_the_exit_status_is_told(made: Made) -> None:
    made.configure("sh", "-c", "exit 7")
    made.container.create().start()
    assert made.container.wait(timeout_s=30) == 7
    assert made.events[-1].status == 7


def test_who_is_told_can_give_the_create_up(made: Made) -> None:
    class Enough(Exception):  # noqa: N818 - reads as what it is
        pass

    for step in CREATE[1:-1]:
        seen: list[int] = []

        def refuse(event: Event, last: str = step, seen: list[int] = seen) -> None:
            seen += [event.pid] if event.pid else []
            if event.name == last:
                raise Enough(last)

        state = made.bundle / "state"
        container = Container("enough", bundle=str(made.bundle), root=str(state), on_event=refuse)
        with pytest.raises(Enough, match=step):
            container.create()
        assert not state.exists() or not list(state.iterdir())
        assert not os.path.exists(f"/sys/fs/cgroup/pids/seatrial-gaps/{made.container.id}")
        for pid in seen[-1:]:
            with pytest.raises(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def test_a_create_that_fails_tells_how_far_it_came(made: Made) -> None:
    nowhere = {"destination": "/x", "source": "/nonexistent", "options": ["bind"]}
    made.configure("true", mounts=[nowhere])
    with pytest.raises(OperationError, match=r"config.json#/mounts/0"):
        made.container.create()
    assert made.names() == CREATE[: CREATE.index("mounted")]


def test_it_is_paused_and_resumed(made: Made) -> None:
    made.container.create().start()
    made.container.pause()
    assert made.container.state()["status"] == "paused"
    with pytest.raises(WrongStatus, match="is paused, not created or running"):
        made.container.pause()
    made.container.resume()
    assert made.container.state()["status"] == "running"
    assert made.names()[-2:] == ["paused", "resumed"]


def test_its_limits_are_changed_and_its_use_is_told(made: Made) -> None:
    made.container.create().start()
    assert made.container.stats()["pids"]["limit"] == 32
    made.container.update({"pids": {"limit": 16}})
    used = made.container.stats()["pids"]
    assert (used["limit"], used["current"]) == (16, 1)
    assert made.names()[-1] == "updated"
    with pytest.raises(OCIError, match=r"config.json#/linux/resources/pids/limit"):
        made.container.update({"pids": {"limit": "many"}})


def test_nothing_is_executed_in_a_paused_container(made: Made) -> None:
    made.container.create().start()
    made.container.pause()
    with pytest.raises(WrongStatus, match=r"is paused, so nothing in it would run \(resume it"):
        made.container.execute(["/bin/busybox", "true"])


def test_an_exec_that_ignores_the_pause_waits_for_its_end(made: Made) -> None:
    if not os.path.isdir("/sys/fs/cgroup/freezer"):
        pytest.skip("there is no /sys/fs/cgroup/freezer: the host freezes by cgroup v2")
    made.container.create().start()
    made.container.pause()
    child = os.fork()
    if child == 0:
        wanted = execution.derived_of(made.container.id, ["/bin/busybox", "true"],
                                      root=made.container.root)  # fmt: skip
        done = execution.execute(
            made.container.id, wanted, root=made.container.root, ignore_paused=True
        )
        os.waitpid(done.pid, 0)
        os._exit(0)
    processes = Path(f"/sys/fs/cgroup/freezer/seatrial-gaps/{made.container.id}/cgroup.procs")
    deadline = time.monotonic() + 30
    while len(processes.read_text().split()) < 2:
        assert time.monotonic() < deadline
        os.sched_yield()
    # It is in the frozen cgroup and cannot have gone on.
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    made.container.resume()
    assert os.waitpid(child, 0)[1] == 0


def test_a_process_is_put_into_a_cgroup_below_the_containers(made: Made) -> None:
    made.container.create().start()
    path = f"/sys/fs/cgroup/pids/seatrial-gaps/{made.container.id}/below"
    if not os.path.isdir(os.path.dirname(path)):
        pytest.skip(f"there is no {os.path.dirname(path)}: the host has pids on cgroup v2")
    os.mkdir(path)
    wanted = execution.derived_of(made.container.id, ["/bin/busybox", "sleep", "100"],
                                  root=made.container.root)  # fmt: skip
    done = execution.execute(
        made.container.id, wanted, root=made.container.root, cgroup={"pids": "below"}
    )
    with open(f"{path}/cgroup.procs", encoding="ascii") as lines:
        assert lines.read().split() == [str(done.pid)]
    signal.pidfd_send_signal(done.pidfd, signal.SIGKILL)
    os.waitpid(done.pid, 0)
    os.close(done.pidfd)
    for cgroup, why in (
        ({"pids": "nowhere"}, "there is no cgroup /sys/fs/cgroup/pids/.*/nowhere of the container"),
        ({"sails": "below"}, "the container has no cgroup for the controller sails"),
        ({"pids": "../.."}, "there is no cgroup /sys/fs/cgroup/pids of the container"),
    ):
        with pytest.raises(OCIError, match=why):
            execution.execute(made.container.id, wanted, root=made.container.root, cgroup=cgroup)


def test_who_was_put_into_its_cgroup_from_outside_ends_with_it(made: Made) -> None:
    # It is not in the pid namespace, so it does not end with the first process of that.
    made.container.create().start()
    path = f"/sys/fs/cgroup/pids/seatrial-gaps/{made.container.id}/cgroup.procs"
    if not os.path.exists(path):
        pytest.skip(f"there is no {path}: the host has pids on cgroup v2")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        Path(path).write_text(f"{stranger.pid}\n", "ascii")
        made.container.kill(signal.SIGKILL)
        assert made.container.wait(timeout_s=30) == -signal.SIGKILL
        made.container.delete()
        assert stranger.wait(timeout=30) == -signal.SIGKILL
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], {}),
        (["a/b"], {"": "a/b"}),
        (["cpu,pids:a", "memory:b"], {"cpu": "a", "pids": "a", "memory": "b"}),
    ],
)
def test_cgroups_of_an_exec_are_given_by_controller(
    words: list[str], found: dict[str, str]
) -> None:
    assert exec_.cgroups_of(words) == found


@pytest.mark.parametrize("words", [["cpu:"], [":a"], ["a:b:c"], ["a", "cpu:b"], [""]])
def test_other_cgroups_of_an_exec_are_wrong_usage(words: list[str]) -> None:
    with pytest.raises(Usage, match="--cgroup"):
        exec_.cgroups_of(words)


def test_a_pipe_where_a_namespace_should_be_is_refused_and_not_waited_for(made: Made) -> None:
    os.mkfifo(made.bundle / "fifo")
    namespaces = [{"type": "mount"}, {"type": "network", "path": str(made.bundle / "fifo")}]
    made.configure("true", linux={"namespaces": namespaces})
    with pytest.raises(OperationError, match="fifo, which has to be a network namespace"):
        made.container.create()


def test_creates_in_two_threads_run_side_by_side(made: Made, tmp_path: Path) -> None:
    # The hook of each waits for that of the other: neither end of a FIFO opens without the other.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    containers = []
    for number, redirection in enumerate((f"> {fifo}", f"< {fifo}")):
        bundle = tmp_path / str(number)
        bundle.mkdir()
        each = Made(bundle, f"side{number}-{os.getpid()}")
        hook = {"path": BUSYBOX, "args": ["sh", "-c", f": {redirection}"], "timeout": 30}
        each.configure(
            "true", root={"path": str(made.bundle / "rootfs")}, hooks={"createRuntime": [hook]}
        )
        containers.append(Container(each.container.id, bundle=str(bundle), root=str(bundle / "s")))
    with ThreadPoolExecutor() as threads:
        try:
            for done in [threads.submit(each.create) for each in containers]:
                done.result(timeout=60)
        finally:
            for each in containers:
                each.delete(force=True)


BALLAST = """
import resource, sys
from seatrial.oci import Container

ballast = b"x" * (int(sys.argv[1]) << 20)
faults = []
for number in range(5):
    container = Container(f"{sys.argv[2]}-{number}", bundle=sys.argv[3], root=sys.argv[4])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    container.create()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    with open(f"/proc/{container.pid}/status") as lines:
        kept = {line.split()[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    container.delete(force=True)
print(min(faults), kept["VmSize:"], kept["VmPTE:"])
"""


def of_ballast(made: Made, megabytes: int) -> list[int]:
    """Return the caller's page faults in a create, and what its process holds, in kB."""
    words = [str(megabytes), made.container.id, str(made.bundle), str(made.bundle / "state")]
    done = subprocess.run(
        [sys.executable, "-c", BALLAST, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("members", [{}, {"uidMappings": MAPPED, "gidMappings": MAPPED}])
def test_a_large_interpreter_creates_as_a_small_one_does(
    made: Made, members: dict[str, Any]
) -> None:
    # No page of the caller's is copied, or marked to be, and no page table: that takes 10 ms.
    if not (Path(_core.__file__).parent / "bin" / "container").exists():
        pytest.skip("this build of the executor, with sanitizers, makes a copy of its caller")
    for each in (made.bundle, *made.bundle.parents):
        each.chmod(each.stat().st_mode | 0o111)
    namespaces = [{"type": kind} for kind in ("mount", "pid", *(("user",) if members else ()))]
    linux = {"cgroupsPath": f"/seatrial-gaps/{made.container.id}", "namespaces": namespaces}
    (made.bundle / "rootfs" / "dev").mkdir()
    made.configure(
        "true",
        mounts=[{"destination": "/dev", "type": "tmpfs", "source": "dev"}],
        linux=linux | members,
    )
    small, large = of_ballast(made, 1), of_ballast(made, 200)
    assert large[1] == small[1] < 4096, "the process has nothing of the interpreter"
    assert large[2] < 100
    assert abs(large[0] - small[0]) < 20
    assert large[0] < 40
