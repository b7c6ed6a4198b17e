"""Kill the engine's daemon and supervisors at random moments: ``make engine-crashes``.

Prints each moment that left something wrong, and exits with 1 if there was one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from daemons.crashes import Crashes, moments
from daemons.seatriald import Seatriald


def say(text: str) -> None:
    """Tell how it goes, as it goes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Kill; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runtime", default=str(Path(sys.executable).parent / "seatrial-oci"))
    arguments = parser.parse_args()
    found = 0
    with (
        tempfile.TemporaryDirectory() as name,
        Seatriald.in_a_room(Path(name), arguments.runtime) as engine,
    ):
        crashes = Crashes(engine)
        for number, moment in enumerate(moments(arguments.seed, arguments.moments)):
            wrong = crashes.at(moment)
            found += len(wrong)
            say(f"{number:3} {moment.verb:6} {moment.part:.2f} {' and '.join(moment.victims)}")
            for each in wrong:
                say(f"      {each}")
        left = crashes.left()
        say(f"{arguments.moments} moments, {found} complaints, left: {left or 'nothing'}")
    return 1 if found or left else 0


if __name__ == "__main__":
    sys.exit(main())
