// Open descriptors and terminals.
#include "probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

// Asked one by one, not listed in /proc/self/fd: this works without /proc and opens nothing itself.
void report_descriptors(struct text *json) {
    json_key(json, "fds");
    json_open(json, '[');
    for (int fd = 0; fd < DESCRIPTOR_LIMIT; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0)
            continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        json_open(json, '{');
        member_int(json, "fd", fd);
        member_link(json, "target", path);
        member_int(json, "flags", fcntl(fd, F_GETFL));
        member_bool(json, "cloexec", (flags & FD_CLOEXEC) != 0);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void report_terminal(struct text *json, int fd) {
    char number[16], path[64];
    snprintf(number, sizeof number, "%d", fd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct winsize size = {0};
    struct stat file;
    bool tty = isatty(fd) == 1;
    json_key(json, number);
    json_open(json, '{');
    member_bool(json, "tty", tty);
    if (tty)
        member_link(json, "name", path);
    else
        member_null(json, "name");
    if (tty && ioctl(fd, TIOCGWINSZ, &size) == 0) {
        member_uint(json, "rows", size.ws_row);
        member_uint(json, "columns", size.ws_col);
    } else {
        member_null(json, "rows");
        member_null(json, "columns");
    }
    if (tty && fstat(fd, &file) == 0)
        member_device(json, "device", file.st_rdev);
    else
        member_null(json, "device");
    pid_t foreground = tty ? tcgetpgrp(fd) : -1; // ENOTTY too if it is a terminal, but not ours
    if (foreground >= 0)
        member_int(json, "foreground_pgid", foreground);
    else
        member_null(json, "foreground_pgid");
    json_close(json, '}');
}

// /dev/tty may be missing, or be anything that a bundle puts there: only a terminal counts.
static bool has_controlling_terminal(void) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool found = false;
    if (fd >= 0) {
        found = isatty(fd) == 1;
        close(fd);
    }
    for (int standard = 0; standard <= 2 && !found; standard++)
        found = tcgetsid(standard) == getsid(0);
    return found;
}

void report_terminals(struct text *json) {
    json_key(json, "terminals");
    json_open(json, '{');
    for (int fd = 0; fd <= 2; fd++)
        report_terminal(json, fd);
    json_close(json, '}');
    member_bool(json, "controlling_terminal", has_controlling_terminal());
}
