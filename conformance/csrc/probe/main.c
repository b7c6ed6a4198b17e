// probe ACT [args] [+ ACT [args]]...
#include "probe.h"

#include <sys/stat.h>
#include <unistd.h>

// A hook whose args a runtime has lost is called without any, and reads the state all the same: a
// runtime that writes to a pipe that nobody reads is another matter.
static void read_state(void) {
    struct stat file;
    struct text state = {0};
    if (fstat(STDIN_FILENO, &file) == 0 && S_ISFIFO(file.st_mode))
        read_to_end(STDIN_FILENO, &state, STDIN_LIMIT);
    text_free(&state);
}

int main(int argc, char **argv) {
    static char *report_only[] = {"report", NULL};
    command_line = (struct command_line){argc, argv};
    if (argc < 2) {
        read_state();
        return run_acts(1, report_only);
    }
    return run_acts(argc - 1, argv + 1);
}
