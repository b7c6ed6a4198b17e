// When and where the process may run: scheduler, priorities, CPUs, memory nodes, resource limits.
// Raw system calls, because glibc has no wrapper for most of these and rewrites the results of
// others.
#include "probe.h"

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// struct sched_attr of linux/sched/types.h, which can't be included beside glibc's sched.h.
struct scheduler {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
    uint32_t util_min;
    uint32_t util_max;
};

static void member_scheduler(struct text *json) {
    struct scheduler it = {0};
    json_key(json, "scheduler");
    if (syscall(SYS_sched_getattr, 0, &it, (unsigned int)sizeof it, 0U) != 0) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    member_uint(json, "policy", it.policy);
    member_uint(json, "flags", it.flags);
    member_int(json, "nice", it.nice);
    member_uint(json, "priority", it.priority);
    member_uint(json, "runtime_ns", it.runtime_ns);
    member_uint(json, "deadline_ns", it.deadline_ns);
    member_uint(json, "period_ns", it.period_ns);
    member_uint(json, "util_min", it.util_min);
    member_uint(json, "util_max", it.util_max);
    json_close(json, '}');
}

// ioprio_get(2): class above bit 13, level in the low three bits, hints between them.
static void members_of_priority(struct text *json, long value) {
    member_int(json, "class", value >> 13);
    member_int(json, "level", value & 7);
}

static void member_io_priority(struct text *json) {
    enum { WHO_PROCESS = 1, WHO_GROUP = 2 };
    long process = syscall(SYS_ioprio_get, WHO_PROCESS, 0);
    long group = syscall(SYS_ioprio_get, WHO_GROUP, 0);
    json_key(json, "io_priority");
    if (process < 0) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    members_of_priority(json, process);
    json_key(json, "group");
    if (group < 0) {
        json_null(json);
    } else {
        json_open(json, '{');
        members_of_priority(json, group);
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void json_bits(struct text *json, const unsigned long *words, size_t bytes) {
    size_t bits_per_word = 8 * sizeof *words;
    json_open(json, '[');
    for (size_t bit = 0; bit < 8 * bytes; bit++)
        if (words[bit / bits_per_word] >> bit % bits_per_word & 1)
            json_uint(json, bit);
    json_close(json, ']');
}

static void member_affinity(struct text *json) {
    unsigned long cpus[1024 / sizeof(unsigned long)] = {
        0}; // 8192 CPUs, the most Linux can be built for
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof cpus, cpus);
    json_key(json, "affinity");
    if (bytes < 0)
        json_null(json);
    else
        json_bits(json, cpus, (size_t)bytes);
}

static void member_memory_policy(struct text *json) {
    enum { MODE_FLAGS = 0xe000 }; // MPOL_F_STATIC_NODES | _RELATIVE_NODES | _NUMA_BALANCING
    unsigned long nodes[512 / sizeof(unsigned long)] = {0};
    int mode = 0;
    json_key(json, "memory_policy");
    if (syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof nodes, NULL, 0UL) != 0) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    member_int(json, "mode", mode & ~MODE_FLAGS);
    member_int(json, "flags", mode & MODE_FLAGS);
    json_key(json, "nodes");
    json_bits(json, nodes, sizeof nodes);
    json_close(json, '}');
}

static void member_limits(struct text *json) {
    static const struct {
        const char *name;
        enum __rlimit_resource resource; // what glibc's getrlimit takes with _GNU_SOURCE
    } limits[] = {
        {"RLIMIT_AS", RLIMIT_AS},
        {"RLIMIT_CORE", RLIMIT_CORE},
        {"RLIMIT_CPU", RLIMIT_CPU},
        {"RLIMIT_DATA", RLIMIT_DATA},
        {"RLIMIT_FSIZE", RLIMIT_FSIZE},
        {"RLIMIT_LOCKS", RLIMIT_LOCKS},
        {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
        {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
        {"RLIMIT_NICE", RLIMIT_NICE},
        {"RLIMIT_NOFILE", RLIMIT_NOFILE},
        {"RLIMIT_NPROC", RLIMIT_NPROC},
        {"RLIMIT_RSS", RLIMIT_RSS},
        {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
        {"RLIMIT_RTTIME", RLIMIT_RTTIME},
        {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
        {"RLIMIT_STACK", RLIMIT_STACK},
    };
    json_key(json, "rlimits");
    json_open(json, '{');
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit = {0};
        json_key(json, limits[i].name);
        if (getrlimit(limits[i].resource, &limit) != 0) {
            json_null(json);
            continue;
        }
        json_open(json, '{');
        member_uint(json, "soft", limit.rlim_cur);
        member_uint(json, "hard", limit.rlim_max);
        json_close(json, '}');
    }
    json_close(json, '}');
}

void report_scheduling(struct text *json) {
    member_limits(json);
    member_scheduler(json);
    errno = 0; // -1 is a nice value too
    int nice_value = getpriority(PRIO_PROCESS, 0);
    if (errno)
        member_null(json, "nice");
    else
        member_int(json, "nice", nice_value);
    member_io_priority(json);
    member_affinity(json);
    member_memory_policy(json);
}
