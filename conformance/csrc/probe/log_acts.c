// Acts that record themselves in a file: hooks, and whatever must be ordered among processes.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static long long nanoseconds(clockid_t clock) {
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// One write(2) to an O_APPEND descriptor: lines of concurrent processes stay whole and in order.
static int append_line(struct act *act, const struct text *rest, long long time_ns,
                       long long boottime_ns) {
    int fd = -1;
    const char *path = NULL;
    for (int i = 1; i < act->argc && fd < 0; i++) {
        path = act->argv[i];
        fd = open_for_writing(path, O_APPEND);
    }
    if (fd < 0)
        return errno;
    struct text line = {0};
    json_open(&line, '{');
    member_string(&line, "tag", act->argv[0]);
    member_string(&line, "path", path);
    member_int(&line, "time_ns", time_ns);
    member_int(&line, "boottime_ns", boottime_ns);
    json_fragment(&line, rest);
    json_close(&line, '}');
    text_append(&line, "\n", 1);
    ssize_t written = write_once(fd, line.data, line.len);
    int error = written < 0 ? errno : (size_t)written < line.len ? EIO : 0;
    close(fd);
    text_free(&line);
    member_string(act->members, "path", path);
    return error;
}

static void member_stdin(struct text *json) {
    struct text content = {0};
    if (read_to_end(STDIN_FILENO, &content, STDIN_LIMIT))
        member_text(json, "stdin", &content);
    else
        member_null(json, "stdin");
    text_free(&content);
}

static int record(struct act *act, bool with_stdin, bool with_report) {
    // The clocks are read first: the line tells when the act began. The report is made before the
    // log is opened, so that the log isn't among its descriptors.
    long long time_ns = nanoseconds(CLOCK_MONOTONIC);
    long long boottime_ns = nanoseconds(CLOCK_BOOTTIME);
    struct text rest = {0};
    if (with_stdin)
        member_stdin(&rest);
    if (with_report) {
        json_key(&rest, "report");
        report(&rest);
    }
    int error = append_line(act, &rest, time_ns, boottime_ns);
    text_free(&rest);
    return error;
}

int act_log(struct act *act) {
    return record(act, false, true);
}

int act_hook(struct act *act) {
    return record(act, true, true);
}

int act_mark(struct act *act) {
    return record(act, false, false);
}
