// probe ACT [args] [+ ACT [args]]...
#include "probe.h"

int main(int argc, char **argv) {
    static char *report_only[] = {"report", NULL};
    command_line = (struct command_line){argc, argv};
    if (argc < 2)
        return run_acts(1, report_only);
    return run_acts(argc - 1, argv + 1);
}
