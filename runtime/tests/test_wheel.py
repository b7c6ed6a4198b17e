"""The wheel's commands: the launcher, which finds the Python beside it, and the suite's."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_of_a_wheel_in_a_fresh_environment_is_the_launcher(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("seatrial-*.whl")
    environment = tmp_path / "environment"
    venv.create(environment)
    install = [
        sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python3"), "install",
        "--quiet", "--no-deps", "--no-index", str(wheel),
    ]  # fmt: skip
    subprocess.run(install, check=True, capture_output=True)
    # What it depends on is here already; our own editable install is not followed.
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "here.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    command = environment / "bin" / "seatrial-oci"
    assert command.read_bytes()[:4] == b"\x7fELF"
    done = subprocess.run([str(command), "features"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ociVersionMax"] == "1.3.0"
    where = "import seatrial.oci; print(seatrial.oci.__file__)"
    found = subprocess.run(
        [str(environment / "bin" / "python3"), "-I", "-c", where],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.startswith(str(site))
    # The suite of the wheel is collected without the checkout's pyproject.toml.
    checked = subprocess.run(
        [str(environment / "bin" / "seatrial"), "requirements", "check"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert " 0 missing" in checked.stdout
