// Reads orders, line by line.
#include "stopwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { MOST_WORDS = 64, HIGH_FD = 16 };

// The lines that an order is made of, kept until it is done.
struct memory {
    char *lines[MOST_STEPS + 4];
    char **words[MOST_STEPS]; // each step's words, and its environment after them
    int line_count, word_count;
};

static void forget(struct order *order, struct memory *memory) {
    for (int i = 0; i < memory->line_count; i++)
        free(memory->lines[i]);
    for (int i = 0; i < memory->word_count; i++)
        free(memory->words[i]);
    *memory = (struct memory){0};
    *order = (struct order){.timeout_ms = 60000};
}

static _Noreturn void refuse(const char *what, const char *why) {
    fprintf(stderr, "stopwatch: %s: %s\n", what, why);
    exit(2);
}

static void add_step(struct order *order, struct memory *memory, char **words, int count) {
    int own = 3, inherited = 0;
    while (own < count && words[own][0] != '/' && strchr(words[own], '='))
        own++;
    while (environ[inherited])
        inherited++;
    if (own == count || count < 4 || order->count == MOST_STEPS)
        refuse("step",
               own == count || count < 4 ? "needs a name, flags and a command" : "too many");
    size_t words_here = (size_t)(count - own), variables = (size_t)(own - 3 + inherited);
    char **copy = calloc(words_here + 1 + variables + 1, sizeof *copy);
    if (!copy)
        refuse("step", strerror(errno));
    memcpy(copy, words + own, words_here * sizeof *copy);
    char **environment = copy + words_here + 1;
    memcpy(environment, words + 3, (size_t)(own - 3) * sizeof *copy);
    memcpy(environment + own - 3, environ, (size_t)inherited * sizeof *copy);
    memory->words[memory->word_count++] = copy;
    order->steps[order->count++] = (struct step){words[1], words[2], copy, environment};
}

static int split(char *line, char **words) {
    int count = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *rest = line; rest;) {
        if (count == MOST_WORDS)
            refuse("an order", "too many words");
        words[count++] = strsep(&rest, "\t");
    }
    return count;
}

static struct streams open_streams(void) {
    // Above what is passed on to commands, so that dup2 never meets itself.
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int errors = memfd_create("stderr", MFD_CLOEXEC);
    struct streams streams = {.null = fcntl(null, F_DUPFD_CLOEXEC, HIGH_FD),
                              .errors = fcntl(errors, F_DUPFD_CLOEXEC, HIGH_FD)};
    if (streams.null < 0 || streams.errors < 0)
        refuse("/dev/null", strerror(errno));
    fcntl(streams.errors, F_SETFL, O_APPEND);
    // 3 to HIGH_FD are taken, so that pipes and pidfds come above too.
    for (int i = PAYLOAD_FD; i < HIGH_FD; i++)
        if (fcntl(i, F_GETFD) < 0 && dup3(streams.null, i, O_CLOEXEC) < 0)
            refuse("dup3", strerror(errno));
    streams.payload = streams.null;
    return streams;
}

int main(void) {
    struct order order;
    struct memory memory = {0};
    forget(&order, &memory);
    struct streams streams = open_streams();
    signal(SIGPIPE, SIG_DFL); // Python ignores it, and commands would inherit that
    // Containers whose creator has ended become our children: their end and use can be told.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        refuse("prctl", strerror(errno));
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        char *words[MOST_WORDS];
        int count = split(line, words);
        if (memory.line_count == MOST_STEPS + 4)
            refuse("an order", "too many lines");
        memory.lines[memory.line_count++] = line;
        line = NULL;
        if (strcmp(words[0], "step") == 0)
            add_step(&order, &memory, words, count);
        else if (strcmp(words[0], "pidfile") == 0 && count == 2)
            order.pid_file = words[1];
        else if (strcmp(words[0], "timeout") == 0 && count == 2)
            order.timeout_ms = atoi(words[1]);
        else if (strcmp(words[0], "count") == 0)
            order.counters = true;
        else if (strcmp(words[0], "go") == 0) {
            run_sample(&order, &streams);
            forget(&order, &memory);
        } else if (strcmp(words[0], "burst") == 0 && count == 3) {
            run_burst(&order, atoi(words[1]), atoi(words[2]), &streams);
            forget(&order, &memory);
        } else
            refuse(words[0], "no such order");
    }
    free(line);
    forget(&order, &memory);
    return 0;
}
