// Errors and warnings, on stderr and in the log, in the words of seatrial.oci (log.py, runtime.py).
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 8192 };

// In lower case, like errors.reason.
const char *reason(int error) {
    static char text[128];
    snprintf(text, sizeof text, "%s", strerror(error));
    if (text[0] >= 'A' && text[0] <= 'Z')
        text[0] = (char)(text[0] - 'A' + 'a');
    return text;
}

// What clone(2) may have meant (runtime._hint).
static const char *hint(const struct plan *plan, int error) {
    if (error == ENOSPC || error == EUSERS)
        return " (hint: a limit below /proc/sys/user is reached, see namespaces(7))";
    if (error == EPERM && plan->header->namespaces & CLONE_NEWUSER)
        return " (hint: this host may not let others than root make user namespaces, see "
               "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)";
    return "";
}

const char *explain(const struct plan *plan, struct outcome outcome) {
    static char text[MESSAGE];
    const char *why = reason(outcome.error);
    if (outcome.op >= plan->header->ops) {
        snprintf(text, sizeof text, "cannot make the container process: %s%s", why,
                 hint(plan, outcome.error));
        return text;
    }
    const struct op *op = &plan->ops[outcome.op];
    if (op->kind == OP_HOOK && outcome.error == ECHILD)
        why = "it failed";
    if (op->kind == OP_HOOK && outcome.error == ETIMEDOUT)
        why = "it was not done in time";
    const char *pointer = plan_string(plan, op->pointer);
    snprintf(text, sizeof text, "%s: %s%s%s%s", plan_string(plan, op->says), why,
             *pointer ? " (config.json#" : "", pointer, *pointer ? ")" : "");
    return text;
}

// As a JSON string; bytes that are not ASCII go through as they are.
static void quote(char *into, size_t room, const char *text) {
    size_t at = 0;
    into[at++] = '"';
    for (; *text && at + 8 < room; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            into[at++] = '\\';
            into[at++] = (char)byte;
        } else if (byte < 0x20) {
            at += (size_t)snprintf(into + at, room - at, "\\u%04x", byte);
        } else {
            into[at++] = (char)byte;
        }
    }
    into[at++] = '"';
    into[at] = 0;
}

// By the days since 1970-01-01: no time zone is read.
void print_moment(char *into, size_t room, time_t moment, const char *rest) {
    // Years begin in March: then a leap day is the last one. An era is 400 years, of 146097 days.
    int64_t days = moment / 86400 + 719468, seconds = moment % 86400;
    int64_t era = days / 146097, day = days % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    year += era * 400 + (month >= 10);
    month += month < 10 ? 3 : -9;
    snprintf(into, room, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld%s", (long long)year,
             (long long)month, (long long)day + 1, (long long)seconds / 3600,
             (long long)seconds / 60 % 60, (long long)seconds % 60, rest);
}

static void log_line(const struct call *call, const char *level, const char *message) {
    if (!call->log)
        return;
    char quoted[MESSAGE], line[MESSAGE + 128], when[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    print_moment(when, sizeof when, now.tv_sec, "Z");
    quote(quoted, sizeof quoted, message);
    int bytes;
    if (strcmp(call->log_format, "json") == 0)
        bytes = snprintf(line, sizeof line, "{\"level\": \"%s\", \"msg\": %s, \"time\": \"%s\"}\n",
                         level, quoted, when);
    else
        bytes = snprintf(line, sizeof line, "time=\"%s\" level=%s msg=%s\n", when, level, quoted);
    int fd = open(call->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0 && bytes > 0 && write(fd, line, (size_t)bytes) < 0)
        dprintf(STDERR_FILENO, "seatrial-oci: %s: %s\n", call->log, reason(errno));
    if (fd >= 0)
        close(fd);
}

int fail(const struct call *call, const char *message) {
    dprintf(STDERR_FILENO, "seatrial-oci: %s\n", message);
    log_line(call, "error", message);
    return 1;
}

void warn(const struct call *call, const char *message) {
    if (!call->log)
        dprintf(STDERR_FILENO, "seatrial-oci: warning: %s\n", message);
    log_line(call, "warning", message);
}
