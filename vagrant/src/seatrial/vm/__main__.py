"""``python -m seatrial.vm``: ``seatrial vm`` by itself, for where its libvirt is."""

from __future__ import annotations

import argparse
import sys

from seatrial.vm.cli import vm

parser = argparse.ArgumentParser(prog="seatrial vm")
vm.fill(parser)
arguments = parser.parse_args()
sys.exit(arguments.run(arguments))
