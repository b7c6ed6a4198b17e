// System calls and instructions of all that is started, counted by perf_event_open(2).
//
// Counting slows what is counted, so it is never done in a sample whose times are kept.
#include "stopwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SYSCALLS, INSTRUCTIONS, COUNTERS };

static const char *const names[COUNTERS] = {"syscalls", "instructions"};

// The number by which perf knows the tracepoint of all system calls; the caller found tracefs.
static int tracepoint(void) {
    const char *text = getenv("SEATRIAL_TRACEPOINT");
    return text ? atoi(text) : 0;
}

// Count in this process, or in it and in all that will descend from it.
static int open_counter(int which, bool descendants) {
    struct perf_event_attr attributes = {
        .size = sizeof attributes,
        .type = which == SYSCALLS ? PERF_TYPE_TRACEPOINT : PERF_TYPE_HARDWARE,
        .config = which == SYSCALLS ? (unsigned)tracepoint() : PERF_COUNT_HW_INSTRUCTIONS,
        .inherit = descendants,
    };
    if (which == SYSCALLS && tracepoint() == 0) {
        errno = ENOENT;
        return -1;
    }
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int64_t value(int descriptor) {
    int64_t count = 0;
    return read(descriptor, &count, sizeof count) == sizeof count ? count : -1;
}

void counters_open(struct counters *counters) {
    for (int i = 0; i < COUNTERS; i++) {
        counters->own[i] = open_counter(i, false);
        counters->all[i] = counters->own[i] < 0 ? -errno : open_counter(i, true);
    }
}

void counters_close(struct counters *counters) {
    for (int i = 0; i < COUNTERS; i++) {
        if (counters->own[i] >= 0)
            close(counters->own[i]);
        if (counters->all[i] >= 0)
            close(counters->all[i]);
    }
}

// Print what the descendants did: all less what this process did itself.
void counters_print(struct counters *counters) {
    printf(",\"counters\":{");
    for (int i = 0; i < COUNTERS; i++) {
        printf("%s\"%s\":", i ? "," : "", names[i]);
        if (counters->all[i] < 0)
            printf("null");
        else
            printf("%lld", (long long)(value(counters->all[i]) - value(counters->own[i])));
    }
    printf("}");
}
