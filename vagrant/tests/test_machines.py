"""What Vagrant may come up with, and what is told of it: with a Vagrant of ours on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from seatrial.vm import guests, host, machines
from seatrial.vm.errors import VmError
from seatrial.vm.machines import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    Fake = Callable[[str], Path]

ROOT = Path(__file__).resolve().parents[2]
#: A command that never ends by itself.
HANGS = "exec tail -f /dev/null"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a Vagrant on PATH, of which ``cases`` are a shell's; return the log of its calls."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VAGRANT_DEFAULT_PROVIDER", "fake")
    log = tmp_path / "log"

    def make(cases: str) -> Path:
        vagrant = tmp_path / "vagrant"
        vagrant.write_text(
            f'#!/bin/sh\necho "$@" >>{log}\ncase $1 in\n{cases}\n'
            "status) echo 1,cgroup2,provider-name,fake; echo 1,cgroup2,state,running;;\n"
            "esac\n",
            "ascii",
        )
        vagrant.chmod(0o755)
        return log

    return make


@pytest.fixture
def machine() -> Machine:
    return Machine(ROOT, guests.named(ROOT, ["cgroup2"])[0])


def call(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Whoever started the tests in the background had SIGINT ignored.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "seatrial.vm", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_a_box_that_does_not_boot_is_told_with_what_removes_it(
    fake: Fake, machine: Machine
) -> None:
    fake("status) echo 1,cgroup2,state,not_created;;\nup) exit 1;;")
    with pytest.raises(VmError, match=r"^vagrant up cgroup2 failed$") as caught:
        machine.up()
    assert caught.value.hint == "seatrial vm down cgroup2 removes what there is of it"


def test_a_boot_that_hangs_is_ended(
    fake: Fake, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(f"status) echo 1,cgroup2,state,not_created;;\nup) {HANGS};;")
    monkeypatch.setattr(machines, "UP_S", 0.1)
    with pytest.raises(VmError, match=r"^vagrant up cgroup2 took more than 0 s and was ended$"):
        machine.up()


def test_a_vagrant_that_ignores_the_end_of_patience_is_killed(
    fake: Fake, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(f"up) trap '' INT; {HANGS};;\nsnapshot) echo none;;")
    monkeypatch.setattr(machines, "UP_S", 0.1)
    monkeypatch.setattr(machine, "_answer", lambda *_: b"1,cgroup2,state,running")
    monkeypatch.setattr(machines, "STEP_S", 0.1)
    with pytest.raises(VmError, match=r"was ended$"):
        machine.up()


def test_a_vagrant_that_does_not_answer_is_given_up(
    fake: Fake, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(f"status) {HANGS};;")
    monkeypatch.setattr(machines, "STEP_S", 0.1)
    with pytest.raises(VmError, match=r"^vagrant status did not answer within 0\.1 s$"):
        _ = machine.state


def test_what_vagrant_tells_machines_is_told_to_people(fake: Fake, machine: Machine) -> None:
    said = "1,,error-exit,Some::Error,No box%!(VAGRANT_COMMA)\\nno guest."
    fake(f"status) printf %s '{said}'; exit 1;;")
    with pytest.raises(VmError, match=r"^vagrant status failed: No box, no guest\.$"):
        _ = machine.state


def test_a_guest_that_vagrant_does_not_know_is_told(fake: Fake, machine: Machine) -> None:
    fake("status) ;;")
    with pytest.raises(VmError, match=r"^vagrant does not say how cgroup2 is$"):
        _ = machine.state


def test_the_second_time_it_goes_on_from_the_snapshot(
    fake: Fake, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = fake("snapshot) echo installed;;")
    monkeypatch.setattr(machine, "ask", lambda *_: "")
    machine.up()
    assert log.read_text("ascii").splitlines() == [
        "status --machine-readable cgroup2",
        "snapshot list cgroup2",
        "snapshot restore --no-provision cgroup2 installed --no-tty",
        "rsync cgroup2 --no-tty",
        "provision cgroup2 --no-tty",
        "snapshot save --force cgroup2 installed --no-tty",
    ]


def test_ctrl_c_ends_vagrant_and_tells_what_removes_the_rest(fake: Fake, tmp_path: Path) -> None:
    # Vagrant's shell sends it to `seatrial vm`, which hands it on.
    told = tmp_path / "told"
    fake(
        "destroy) tail -f /dev/null &\n"
        f'trap "kill $!; echo told >{told}; exit 1" INT; kill -INT $PPID; wait;;'
    )
    done = call("down", "cgroup2")
    assert done.returncode == 130
    assert done.stderr == "seatrial vm: interrupted; `seatrial vm down` removes what runs\n"
    assert told.read_text("ascii") == "told\n"


def test_one_guest_that_cannot_be_removed_keeps_no_other(fake: Fake) -> None:
    log = fake('destroy) [ "$3" != cgroup1 ] || exit 1;;')
    done = call("down")
    assert done.returncode == 3
    assert done.stderr.startswith("seatrial vm: vagrant destroy cgroup1 failed\n")
    destroyed = [line for line in log.read_text("ascii").splitlines() if line.startswith("destroy")]
    assert [line.split()[2] for line in destroyed] == ["cgroup1", "cgroup2", "hybrid", "newest"]


def test_a_disk_without_room_for_a_guest_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATRIAL_VM_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    with pytest.raises(VmError, match=r"/state has room for 5 MiB, and a guest takes up to 6144$"):
        host.check_room()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose results are nobody's, with the guests of this one."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "Vagrantfile").touch()
    (folder / "vagrant").symlink_to(ROOT / "vagrant")
    return folder


def test_results_that_cannot_be_written_are_named(fake: Fake, checkout: Path) -> None:
    fake("")
    (checkout / "results").touch()
    done = call("fetch", "cgroup2", cwd=checkout)
    assert done.returncode == 3
    assert done.stderr.startswith(f"seatrial vm: {checkout}/results")
    assert done.stderr.endswith("Not a directory\n")


def test_a_bench_in_a_guest_is_brought_home_in_place_of_the_last(
    fake: Fake, checkout: Path, tmp_path: Path
) -> None:
    log = fake("ssh-config) echo Host cgroup2;;")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "samples").write_text("new", "ascii")
    old = checkout / "build" / "vm" / "bench" / "cgroup2"
    old.mkdir(parents=True)
    (old / "old").touch()
    ssh = tmp_path / "ssh"
    pack = f'case "$*" in *" tar "*) tar -C {tmp_path}/there -c .;; esac'
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{log}\n{pack}\n')
    ssh.chmod(0o755)
    done = call("bench", "cgroup2", "--runtime", "crun", cwd=checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "== cgroup2: times, not to be compared with a host's\nrun: build/vm/bench/cgroup2\n"
    )
    assert [file.name for file in old.iterdir()] == ["samples"]
    assert "seatrial bench run --quick --suite lifecycle --runtime=crun" in log.read_text("ascii")
