// Acts that change what a process hands down, and become another program: with them the probe is
// the caller of a runtime, under conditions that the harness does not want for itself.
#include "probe.h"

#include <errno.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// From here on no line is printed: the streams belong to what is executed later.
int act_quiet(struct act *act) {
    (void)act;
    quiet = true;
    return ACT_SPOKE;
}

int act_exec(struct act *act) {
    execvp(act->argv[0], act->argv);
    return errno;
}

int act_nice(struct act *act) {
    int value;
    if (!parse_int(act->argv[0], &value))
        return ACT_MISUSED;
    return setpriority(PRIO_PROCESS, 0, value) != 0 ? errno : 0;
}

int act_drop_bounding(struct act *act) {
    for (int i = 0; i < act->argc; i++) {
        int capability;
        if (!parse_int(act->argv[i], &capability))
            return ACT_MISUSED;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return errno;
    }
    return 0;
}

int act_affinity(struct act *act) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (int i = 0; i < act->argc; i++) {
        int cpu;
        if (!parse_int(act->argv[i], &cpu) || cpu < 0 || cpu >= CPU_SETSIZE)
            return ACT_MISUSED;
        CPU_SET((size_t)cpu, &cpus);
    }
    return sched_setaffinity(0, sizeof cpus, &cpus) != 0 ? errno : 0;
}

int act_rlimit(struct act *act) {
    int resource;
    unsigned long soft, hard;
    if (!parse_int(act->argv[0], &resource) || !parse_long(act->argv[1], &soft) ||
        !parse_long(act->argv[2], &hard))
        return ACT_MISUSED;
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return setrlimit((__rlimit_resource_t)resource, &limit) != 0 ? errno : 0;
}

// set_mempolicy(2), which glibc leaves to libnuma.
int act_memory_policy(struct act *act) {
    enum { NODES = 8 * sizeof(unsigned long) };
    unsigned long nodes = 0;
    int mode;
    if (!parse_int(act->argv[0], &mode))
        return ACT_MISUSED;
    for (int i = 1, node; i < act->argc; i++) {
        if (!parse_int(act->argv[i], &node) || node < 0 || node >= NODES)
            return ACT_MISUSED;
        nodes |= 1UL << node;
    }
    // The kernel takes one bit less than it is told.
    return syscall(SYS_set_mempolicy, mode, &nodes, NODES + 1UL) != 0 ? errno : 0;
}

int act_personality(struct act *act) {
    unsigned long persona;
    if (!parse_long(act->argv[0], &persona))
        return ACT_MISUSED;
    return personality(persona) < 0 ? errno : 0;
}

int act_unshare(struct act *act) {
    int flags;
    if (!parse_int(act->argv[0], &flags))
        return ACT_MISUSED;
    return unshare(flags) != 0 ? errno : 0;
}
