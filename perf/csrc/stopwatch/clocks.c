// The clocks.
#include "stopwatch.h"

#include <time.h>

static int64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

// How far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC now.
int64_t difference_of_clocks(void) {
    int64_t before = now();
    int64_t real = read_clock(CLOCK_REALTIME);
    int64_t after = now();
    return real - (before + (after - before) / 2);
}
