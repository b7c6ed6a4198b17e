"""The command line of one mutant: ``python command.py MUTANT ARGUMENT...``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from conformance.tests.mutants.catalogue import MUTANTS

from seatrial.oci.command import main

if __name__ == "__main__":
    MUTANTS[sys.argv[1]].apply()
    raise SystemExit(main(sys.argv[2:]))
