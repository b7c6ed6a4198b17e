// One sample: the steps of a container's life, one after the other.
#include "stopwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sample {
    const struct order *order;
    struct streams streams;
    int payload_reader;
    struct process processes[MOST_STEPS];
    int done;
    struct process container;
    struct clocks clocks;
    int64_t clocks_read;
    bool has_clocks;
    char error[256];
};

static void fail(struct sample *sample, const char *step, const char *what) {
    if (!sample->error[0])
        snprintf(sample->error, sizeof sample->error, "%s: %s", step, what);
}

// The command has ended well: the container's process is what it wrote, or what is known already.
static bool find_container(struct sample *sample, const struct step *step) {
    if (!sample->order->pid_file || sample->container.pid > 0)
        return true;
    int file = open(sample->order->pid_file, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return true; // a step that makes no container
    char text[32] = "";
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    long pid = size > 0 ? strtol(text, NULL, 10) : 0;
    if (pid <= 1) {
        fail(sample, step->name, "its pid file holds no process");
        return false;
    }
    watch(&sample->container, (pid_t)pid);
    if (sample->container.pidfd < 0) {
        fail(sample, step->name, "the container's process is not there");
        return false;
    }
    return true;
}

static void read_clocks(struct sample *sample, const struct step *step) {
    sample->clocks_read = now();
    ssize_t size = read(sample->payload_reader, &sample->clocks, sizeof sample->clocks);
    if (size == sizeof sample->clocks)
        sample->has_clocks = true;
    else
        fail(sample, step->name, "the payload ended without saying when it began");
}

static void container_ended(struct sample *sample) {
    struct process *container = &sample->container;
    container->end = now();
    container->ended = true;
    collect(container); // as a subreaper, unless the runtime still is its parent
}

// Wait for all that the step is to bring: its command's end, and what its flags say.
static bool wait_for(struct sample *sample, const struct step *step, struct process *process) {
    int64_t deadline = now() + (int64_t)sample->order->timeout_ms * 1000000;
    struct process *container = &sample->container;
    for (;;) {
        bool clocks = has_flag(step, 'p') && !sample->has_clocks;
        bool end = has_flag(step, 'x') && !container->ended;
        if (process->ended && !clocks && !end)
            return !sample->error[0];
        // A negative descriptor is not looked at. Nothing is asked of stdin but whether it is
        // hung up: then nobody is there any more to answer to.
        struct pollfd polled[] = {
            {process->ended ? -1 : process->pidfd, POLLIN, 0},
            {clocks ? sample->payload_reader : -1, POLLIN, 0},
            {end ? container->pidfd : -1, POLLIN, 0},
            {STDIN_FILENO, 0, 0},
        };
        int64_t left = (deadline - now()) / 1000000;
        int ready = left > 0 ? poll(polled, 4, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || (polled[3].revents & POLLHUP)) {
            fail(sample, step->name, ready ? "the driver has gone" : "not done within the timeout");
            return false;
        }
        if (polled[0].revents) {
            process->end = now();
            process->ended = true;
            collect(process);
            if (process->status != 0) {
                char text[64];
                const char *how = process->status < 0 ? "ended by signal" : "exit status";
                snprintf(text, sizeof text, "%s %d", how, abs(process->status));
                fail(sample, step->name, text);
                return false;
            }
            if (!find_container(sample, step))
                return false;
        }
        if (polled[1].revents)
            read_clocks(sample, step);
        if (polled[2].revents)
            container_ended(sample);
        if (sample->error[0])
            return false;
    }
}

static bool do_steps(struct sample *sample) {
    for (; sample->done < sample->order->count;) {
        const struct step *step = &sample->order->steps[sample->done];
        struct process *process = &sample->processes[sample->done++];
        if (!spawn(process, step, step->words, &sample->streams)) {
            fail(sample, step->name, strerror(errno));
            sample->done--;
            return false;
        }
        if (!wait_for(sample, step, process))
            return false;
    }
    return true;
}

static void print_process(const char *name, const struct process *process) {
    printf("\"name\":\"%s\",\"pid\":%d,\"start\":%lld,\"end\":%lld,\"status\":%d", name,
           process->pid, (long long)process->start, (long long)process->end, process->status);
    print_usage(&process->usage);
}

static void print_sample(struct sample *sample, struct counters *counters) {
    printf("{\"steps\":[");
    for (int i = 0; i < sample->done; i++) {
        printf(i ? ",{" : "{");
        print_process(sample->order->steps[i].name, &sample->processes[i]);
        printf("}");
    }
    printf("]");
    if (sample->has_clocks) {
        const struct clocks *clocks = &sample->clocks;
        printf(",\"payload\":{\"monotonic\":%lld,\"realtime\":%lld,\"read\":%lld}",
               (long long)(clocks->monotonic_s * 1000000000 + clocks->monotonic_ns),
               (long long)(clocks->realtime_s * 1000000000 + clocks->realtime_ns),
               (long long)sample->clocks_read);
    }
    if (sample->container.ended) {
        printf(",\"container\":{\"collected\":%s,", sample->container.collected ? "true" : "false");
        print_process("container", &sample->container);
        printf("}");
    }
    struct rusage sum = {0};
    printf(",\"strays\":{\"count\":%d", collect_strays(&sum));
    print_usage(&sum);
    printf("},\"clock_difference\":%lld", (long long)difference_of_clocks());
    if (counters)
        counters_print(counters);
    if (sample->error[0]) {
        char said[2000];
        print_text("error", sample->error, strlen(sample->error));
        ssize_t size = pread(sample->streams.errors, said, sizeof said, 0);
        print_text("stderr", said, size > 0 ? (size_t)size : 0);
    }
    printf("}\n");
    fflush(stdout);
}

void run_sample(const struct order *order, const struct streams *streams) {
    struct sample sample = {.order = order, .streams = *streams};
    sample.container.pidfd = -1;
    struct rusage earlier = {0}; // of what an earlier sample left and has ended since
    collect_strays(&earlier);
    int ends[2] = {-1, -1};
    if (order->pid_file)
        unlink(order->pid_file);
    if (ftruncate(streams->errors, 0) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        fail(&sample, "stopwatch", strerror(errno));
    sample.payload_reader = ends[0];
    sample.streams.payload = ends[1];
    struct counters counters;
    if (order->counters)
        counters_open(&counters);
    if (!sample.error[0] && !do_steps(&sample)) {
        for (int i = 0; i < sample.done; i++)
            kill_and_collect(&sample.processes[i]);
        // The container is left to the driver, which deletes it by its runtime.
    }
    if (sample.container.pidfd >= 0)
        close(sample.container.pidfd);
    print_sample(&sample, order->counters ? &counters : NULL);
    if (order->counters)
        counters_close(&counters);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
}
