"""Why some binding rows that have tests have no mutant."""

from __future__ import annotations

#: By the beginning of the rows' ids.
WITHOUT_MUTANT = {
    "vm.": "the reference runtime boots no virtual machines, so nothing of that can be wrong in it;"
    " the rows' tests are for runtimes whose adapter says that they do",
}
