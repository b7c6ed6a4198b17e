// Many starts, several at once.
#include "stopwatch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PARALLEL = 256, MOST_WORDS = 64, MOST_TEXT = 4096 };

struct burst {
    const struct step *step;
    const struct streams *streams;
    int parallel, total, started, ended;
    struct process running[MOST_PARALLEL];
};

// Write a word with @N@ and @SLOT@ replaced; returns where the next word goes.
static char *fill(char *out, const char *end, const char *word, int number, int slot) {
    while (*word && out + 16 < end) {
        if (strncmp(word, "@N@", 3) == 0) {
            out += snprintf(out, 16, "%d", number);
            word += 3;
        } else if (strncmp(word, "@SLOT@", 6) == 0) {
            out += snprintf(out, 16, "%d", slot);
            word += 6;
        } else
            *out++ = *word++;
    }
    *out++ = 0;
    return out;
}

static void print_one(struct burst *burst, int slot, const char *error) {
    const struct process *process = &burst->running[slot];
    printf("%s{\"slot\":%d,\"start\":%lld,\"end\":%lld,\"status\":%d", burst->ended ? "," : "",
           slot, (long long)process->start, (long long)process->end, process->status);
    print_usage(&process->usage);
    if (error)
        print_text("error", error, strlen(error));
    printf("}");
    burst->ended++;
}

static void start_one(struct burst *burst, int slot) {
    char text[MOST_TEXT];
    char *words[MOST_WORDS + 1] = {NULL};
    char *next = text;
    int number = burst->started++;
    for (int i = 0; i < MOST_WORDS && burst->step->words[i]; i++) {
        words[i] = next;
        next = fill(next, text + sizeof text, burst->step->words[i], number, slot);
    }
    struct process *process = &burst->running[slot];
    if (!spawn(process, burst->step, words, burst->streams)) {
        process->end = now();
        process->status = -SIGSYS;
        print_one(burst, slot, strerror(errno));
    }
}

static bool collect_ended(struct burst *burst, int64_t deadline) {
    struct pollfd polled[MOST_PARALLEL + 1];
    for (int slot = 0; slot < burst->parallel; slot++)
        polled[slot] = (struct pollfd){burst->running[slot].pidfd, POLLIN, 0};
    polled[burst->parallel] = (struct pollfd){STDIN_FILENO, 0, 0};
    int64_t left = (deadline - now()) / 1000000;
    int ready = left > 0 ? poll(polled, (nfds_t)burst->parallel + 1, (int)left) : 0;
    if (ready < 0 && errno == EINTR)
        return true;
    if (ready <= 0 || (polled[burst->parallel].revents & POLLHUP))
        return false;
    for (int slot = 0; slot < burst->parallel; slot++)
        if (polled[slot].revents) {
            burst->running[slot].end = now();
            collect(&burst->running[slot]);
            print_one(burst, slot, NULL);
        }
    return true;
}

static bool busy(const struct burst *burst) {
    for (int slot = 0; slot < burst->parallel; slot++)
        if (burst->running[slot].pidfd >= 0)
            return true;
    return false;
}

void run_burst(const struct order *order, int parallel, int total, const struct streams *streams) {
    struct burst burst = {&order->steps[0], streams, parallel, total, 0, 0, {{0}}};
    if (order->count != 1 || parallel < 1 || parallel > MOST_PARALLEL || total < 1) {
        printf("{\"error\":\"stopwatch: a burst has one step, and 1 to 256 at once\"}\n");
        fflush(stdout);
        return;
    }
    for (int slot = 0; slot < parallel; slot++)
        burst.running[slot].pidfd = -1;
    int64_t start = now();
    int64_t deadline = start + (int64_t)order->timeout_ms * 1000000;
    printf("{\"burst\":[");
    bool late = false;
    do {
        for (int slot = 0; slot < parallel && burst.started < total; slot++)
            if (burst.running[slot].pidfd < 0)
                start_one(&burst, slot);
        if (busy(&burst))
            late = !collect_ended(&burst, deadline);
    } while (!late && (busy(&burst) || burst.started < total));
    int64_t end = now();
    for (int slot = 0; slot < parallel; slot++)
        if (burst.running[slot].pidfd >= 0) {
            kill_and_collect(&burst.running[slot]);
            burst.running[slot].end = now();
            print_one(&burst, slot, "not done within the timeout");
        }
    struct rusage sum = {0};
    collect_strays(&sum);
    printf("],\"start\":%lld,\"end\":%lld,\"parallel\":%d}\n", (long long)start, (long long)end,
           parallel);
    fflush(stdout);
}
