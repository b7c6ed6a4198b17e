// What the containers of faults.py execute: ends with 7, or waits; as a hook it ends well. What
// holds namespaces says that it is there, and waits.
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "hold") == 0 && write(STDOUT_FILENO, "\n", 1) != 1)
        return 1;
    if (strcmp(what, "wait") == 0 || strcmp(what, "hold") == 0)
        pause();
    return strcmp(what, "hook") == 0 ? 0 : 7;
}
