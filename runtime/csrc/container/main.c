// The program that a container process is until it executes its own, for runtimes that are larger
// than the launcher: the executor, and nothing else.
#include "../fresh.h"

int main(int argc, char **argv) {
    be_given(argc, argv);
}
