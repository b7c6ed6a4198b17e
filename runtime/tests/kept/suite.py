"""Runs the suite with no plan kept, and with every plan kept before it is needed; compares.

``make suite-warm ARGS="--profile quick -k mounts"``: arguments are those of ``seatrial test``.

A command of our own stands before the launcher: where a container is to be created it has the plan
kept first, and forgotten afterwards.  A Python of our own stands beside the launcher and counts how
often it is started after all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from seatrial.oci import _core, kept

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "warm"
LAUNCHER = Path(_core.__file__).parent / "bin" / "seatrial-oci"
COMMAND = """\
#!/bin/bash
before=() after=() verb=
words=("$@")
while [ $# -gt 0 ]; do
    case $1 in
        --root | --log | --log-format) before+=("$1" "$2"); shift ;;
        --bundle) after+=("$1" "$2"); shift ;;
        --no-new-keyring) after+=("$1") ;;
        create | run) [ -n "$verb" ] || verb=$1 ;;
        --*) ;;
        *) [ -n "$verb" ] || verb=other ;;
    esac
    shift
done
export {switch}={state}
if [ {state} = off ] || [ "$verb" = other ] || [ -z "$verb" ]; then
    exec {folder}/seatrial-oci "${{words[@]}}"
fi
{python} -I -c 'from seatrial.oci.command import main; main()' \\
    "${{before[@]}}" keep "${{after[@]}}" </dev/null >/dev/null 2>&1
echo asked >>{folder}/log
exec {folder}/seatrial-oci "${{words[@]}}"
"""
COUNTING = """\
#!/bin/bash
for word; do
    case $word in create | run) echo "python $word" >>{folder}/log; break ;; esac
done
exec {python} "$@"
"""


def make(state: str) -> Path:
    """Make a runtime with plans kept (on) or not (off); return its command."""
    folder = BUILD / state
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "command").mkdir(parents=True)
    shutil.copy(LAUNCHER, folder)
    values = {
        "folder": folder, "python": sys.executable, "state": state,
        "switch": kept.SWITCH,
    }  # fmt: skip
    for path, text in (
        (folder / "command" / "seatrial-oci", COMMAND), (folder / "python3", COUNTING)
    ):  # fmt: skip
        path.write_text(text.format(**values), "utf-8")
        path.chmod(0o755)
    return folder / "command" / "seatrial-oci"


def verdicts(state: str, arguments: list[str]) -> dict[str, str]:
    """Run the suite; return the status of each test."""
    command, results = make(state), BUILD / f"{state}.jsonl"
    subprocess.run(
        [Path(sys.executable).parent / "seatrial", "test", "--runtime", command, "-q",
         "--results", results, *arguments],
        check=False, cwd=ROOT, stdout=(BUILD / f"{state}.txt").open("w"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    if lines[-1]["type"] != "footer":
        raise SystemExit(f"the suite did not come to its end, see {BUILD / state}.txt")
    return {line["test"]: line["status"] for line in lines if line["type"] == "verdict"}


def main() -> int:
    """Compare; return 1 where they differ."""
    off, on = (verdicts(state, sys.argv[1:]) for state in ("off", "on"))
    print(f"off: {dict(Counter(off.values()))}\non:  {dict(Counter(on.values()))}")
    log = Counter((BUILD / "on" / "log").read_text().splitlines())
    asked = log["asked"]
    print(f"of {asked} containers {2 * asked - log.total()} were made without Python")
    differ = sorted(test for test in off.keys() | on.keys() if off.get(test) != on.get(test))
    for test in differ:
        print(f"{test}: off {off.get(test)}, on {on.get(test)}")
    return 1 if differ or not off else 0


if __name__ == "__main__":
    sys.exit(main())
