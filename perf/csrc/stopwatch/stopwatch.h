// The stopwatch: starts commands, holds their pidfds, reads the clocks and what they used.
//
// It takes orders on stdin, words apart by tabs, and answers "go" and "burst" by one line of JSON:
//
//     pidfile PATH            where a step's command writes the container's process
//     timeout MILLISECONDS    of each step
//     step NAME FLAGS WORD... a command by its path; FLAGS, or "-", are what has to come before the
//     next step:
//                             p  the payload's clocks     x  the end of the container's process
//                             o  its stdout is where the payload writes, instead of descriptor 3
//                             u  it runs as UNPRIVILEGED, without any group
//     and words before the command that have a = are its environment's, beside the stopwatch's own
//     count                   count system calls and instructions while this sample lasts
//     go                      do the steps
//     burst PARALLEL TOTAL    do the one step TOTAL times, PARALLEL at once; in its words @N@ is
//                             the number of the start and @SLOT@ which of PARALLEL it is
//
// Times are of CLOCK_MONOTONIC, in nanoseconds.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum {
    MOST_STEPS = 8,
    PAYLOAD_FD = 3, // the first that --preserve-fds passes on
    UNPRIVILEGED = 64123,
};

struct step {
    const char *name;
    const char *flags;
    char **words;       // ends with NULL
    char **environment; // the same
};

struct order {
    struct step steps[MOST_STEPS];
    int count;
    const char *pid_file;
    int timeout_ms;
    bool counters;
};

// A process that was started, and what came of it.
struct process {
    pid_t pid;
    int pidfd;
    int64_t start, end;
    int status; // its exit status, or minus the signal that ended it
    bool ended, collected;
    struct rusage usage;
};

// What the payload writes.
struct clocks {
    int64_t monotonic_s, monotonic_ns, realtime_s, realtime_ns;
};

// Descriptors that a command is started with.
struct streams {
    int null, errors, payload;
};

// clocks.c
int64_t now(void);
int64_t difference_of_clocks(void);

// spawn.c
bool has_flag(const struct step *step, char flag);
bool spawn(struct process *process, const struct step *step, char **words,
           const struct streams *streams);
void collect(struct process *process);
void watch(struct process *process, pid_t pid);
void kill_and_collect(struct process *process);
int collect_strays(struct rusage *sum);

// counters.c
struct counters {
    int all[2], own[2];
};
void counters_open(struct counters *counters);
void counters_close(struct counters *counters);
void counters_print(struct counters *counters);

// sample.c, burst.c
void run_sample(const struct order *order, const struct streams *streams);
void run_burst(const struct order *order, int parallel, int total, const struct streams *streams);

// json.c
void print_text(const char *key, const char *text, size_t size);
void print_usage(const struct rusage *usage);
