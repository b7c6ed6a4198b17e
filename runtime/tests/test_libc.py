"""What the launcher has in place of glibc (runtime/csrc/libc), against Python, which has glibc."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

TREE = Path(__file__).resolve().parents[2]
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void print_formats(void) {
    char cut[8];
    const int all = snprintf(cut, sizeof cut, "%s-%s", "four", "five");
    dprintf(1, "%s %d\n", cut, all);
    dprintf(1, "[%.*s] [%s] %c %%\n", 3, "abcdef", "", 'x');
    dprintf(1, "%d %d %d %u\n", 0, -7, -2147483647 - 1, 4294967295u);
    dprintf(1, "%llu %lld %zu\n", 18446744073709551615ull, -9223372036854775807ll - 1, (size_t)5);
    dprintf(1, "%016llx %04x %02lld %06ld\n", 0xabcdefull, 0x1fu, 7ll, 123l);
}

static void print_memory(void) {
    char *grown = realloc(NULL, 3);
    memcpy(grown, "ab", 3);
    char *between = strdup("between");
    grown = realloc(grown, 1 << 20);
    memset(grown + 2, 'c', 5);
    grown[7] = 0;
    dprintf(1, "%s %s\n", grown, between);
}

int main(int argc, char **argv) {
    for (int error = 0; error < 140; error++)
        dprintf(1, "%s\n", strerror(error));
    print_formats();
    print_memory();
    dprintf(1, "%s %d %s\n", getenv("GIVEN"), getenv("GIV") != NULL, argv[argc - 1]);
    dprintf(1, "%ld %llu %d %d\n", strtol("-12x", NULL, 10), strtoull("99", NULL, 10),
            strcasecmp("SigTerm", "SIGTERM"), strncasecmp("sigX", "SIGY", 3));
    char folded[] = "overlapping";
    memmove(folded + 1, folded, 5);
    dprintf(1, "%s\n", folded);
    return 3;
}
"""
EXPECTED = r"""four-fi 9
[abc] [] x %
0 -7 -2147483648 4294967295
18446744073709551615 -9223372036854775808 5
0000000000abcdef 001f 07 000123
abccccc between
this 0 last
-12 99 0 0
ooverlpping
"""


def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", TREE / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="the launcher has glibc there"
)
def test_errors_formats_and_memory_are_as_glibc_has_them(tmp_path: Path) -> None:
    source, program = tmp_path / "main.c", tmp_path / "main"
    source.write_text(PROGRAM)
    build = recipe()
    files = [each for folder in build.OWN_LIBC for each in sorted((TREE / folder).glob("*.c"))]
    # The program calls what it names, and is not told that a text is cut off.
    flags = [*build.FLAGS, *build.BARE, "-fno-builtin", "-Wno-format-truncation"]
    subprocess.run(["cc", *flags, "-o", program, source, *files], check=True)
    done = subprocess.run(
        [program, "last"], env={"GIVEN": "this"}, capture_output=True, text=True, check=False
    )
    errors = done.stdout.splitlines(keepends=True)[:140]
    assert errors == [f"{os.strerror(number)}\n" for number in range(140)]
    assert done.stdout.removeprefix("".join(errors)) == EXPECTED
    assert done.returncode == 3
