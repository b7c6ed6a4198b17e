"""Fuzzes one of decoding.py's decoders by coverage, with libFuzzer (pip install atheris).

``guided.py NAME --seconds N --seed N``: inputs that reach what none did before are added to
build/fuzz/decoding/corpus-NAME, and the next run begins with them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

import atheris

# Only what is ours is watched: with all of Python's modules it takes gigabytes.
with atheris.instrument_imports(include=["seatrial.oci"]):
    import decoding

from seatrial.oci import log


def main() -> None:
    """Fuzz; libFuzzer says how much, and ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=decoding.DECODERS)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    folder = decoding.BUILD / f"corpus-{wanted.name}"
    inputs = decoding.corpus()[wanted.name] + decoding.found()[wanted.name]
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(inputs):
        (folder / f"{number:03}").write_bytes(decoding.encoded(each))
    log.open_file(os.devnull)  # what the compiler warns of

    def one(content: bytes) -> None:
        decoding.call(wanted.name, content)

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        """Change a document as a document, which bytes changed by chance seldom are."""
        mutator = decoding.Mutator(seed)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or mutator.random.randrange(8) == 0:
            changed: bytes = atheris.Mutate(content, most)
            return changed
        return decoding.encoded(mutator.document(document, inputs))[:most]

    options = [f"-max_total_time={wanted.seconds}", f"-seed={wanted.seed}", "-max_len=65536",
               "-timeout=5", f"-artifact_prefix={decoding.BUILD}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(folder)], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    os.chdir("/")
    main()
