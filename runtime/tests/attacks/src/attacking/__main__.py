"""Attacks runtimes and says what came of it: ``python -m attacking --runtime crun``."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacking.attack import OPEN, worst
from attacking.catalogue import ATTACKS
from attacking.ground import Ground

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attacking.attack import Attack


def attacked(
    command: list[str], wanted: Sequence[Attack], seconds: float, *, keeps: bool = False
) -> dict[str, Any]:
    """Try attacks on one runtime, say each as it is done; return the document of the results."""
    path = shutil.which(command[0]) or command[0]
    found: dict[str, Any] = {
        "runtime": Path(path).name,
        "version": version(command),
        "package": package(path),
        "seconds": seconds,
        "attacks": [],
    }
    with Ground([path, *command[1:]], seconds=seconds, keeps=keeps) as ground:
        why = ground.fits()
        if why:
            raise SystemExit(f"{command[0]} cannot run one container here: {why}")
        found["view"] = ground.view
        for each in wanted:
            findings = each.on(ground)
            outcome = worst(findings)
            found["attacks"].append(
                {"number": each.number, "cves": [*each.cves], "says": each.says,
                 "outcome": outcome, "findings": [list(one) for one in findings]}
            )  # fmt: skip
            print(f"  {each.number} {outcome:9} {each.says}", flush=True)  # noqa: T201
            for one in findings:
                print(f"        {one.outcome:9} {one.seen}", flush=True)  # noqa: T201
        if keeps:
            found["plans kept"] = len(ground.kept)
    return found


def version(command: list[str]) -> str:
    """Return what a runtime says that it is."""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().partition("\n")[0]


def package(path: str) -> str:
    """Return Debian's package and version of a file: fixes are put into old versions there."""
    owner = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False)
    name = owner.stdout.partition(":")[0]
    if owner.returncode or not name:
        return ""
    asked = ["dpkg-query", "-W", "-f", "${Package} ${Version}", name]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def main() -> int:
    """Attack the runtimes; 1 where an attack on one of them succeeded."""
    parser = argparse.ArgumentParser(prog="attacking", description=__doc__)
    parser.add_argument("--runtime", action="append", metavar="COMMAND")
    parser.add_argument("--seconds", type=float, default=10, help="how long each race goes on")
    parser.add_argument("--kept", action="store_true",
                        help="keep the plan of each bundle first (seatrial-oci only)")  # fmt: skip
    parser.add_argument("--output", type=Path, help="a folder for a results file per runtime")
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="A01 and so on; all of them")
    wanted = parser.parse_args()
    default = str(Path(sys.executable).parent / "seatrial-oci")
    attacks = [ATTACKS[number] for number in wanted.numbers or sorted(ATTACKS)]
    status = 0
    for words in wanted.runtime or [default]:
        command = shlex.split(words)
        print(f"{command[0]}", flush=True)  # noqa: T201 - a command's output
        found = attacked(command, attacks, wanted.seconds, keeps=wanted.kept)
        outcomes = [each["outcome"] for each in found["attacks"]]
        counts = ", ".join(f"{outcomes.count(each)} {each}" for each in sorted(set(outcomes)))
        print(f"{found['runtime']}: {counts}", flush=True)  # noqa: T201
        status |= OPEN in outcomes
        if wanted.output:
            wanted.output.mkdir(parents=True, exist_ok=True)
            text = json.dumps(found, indent=1, ensure_ascii=False)
            name = f"{found['runtime']}{'-kept' if wanted.kept else ''}"
            (wanted.output / f"{name}.json").write_text(f"{text}\n", "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
