// The acts on the process itself.
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int write_text(const char *path, const char *value) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t written = write(file, value, strlen(value));
    close(file);
    return written < 0 ? -1 : 0;
}

int do_write(const struct order *order) {
    return write_text(order->words[1], order->words[2]);
}

int do_attach(const struct order *order) {
    (void)order;
    for (int i = 0; i < orders.cgroup_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/cgroup.procs", orders.cgroups[i]);
        if (write_text(path, "0") != 0)
            return -1;
    }
    return 0;
}

int do_unshare(const struct order *order) {
    return unshare((int)strtoul(order->words[1], NULL, 16));
}

int do_loopback(const struct order *order) {
    (void)order;
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0)
        return -1;
    int result = ioctl(any, SIOCSIFFLAGS, &request);
    close(any);
    return result;
}

int do_hostname(const struct order *order) {
    return sethostname(order->words[1], strlen(order->words[1]));
}

int do_limit(const struct order *order) {
    const struct rlimit limit = {strtoull(order->words[2], NULL, 10),
                                 strtoull(order->words[3], NULL, 10)};
    return setrlimit((__rlimit_resource_t)atoi(order->words[1]), &limit);
}

int do_score(const struct order *order) {
    return write_text("/proc/self/oom_score_adj", order->words[1]);
}

// The calls themselves: glibc's would do it for all threads, and look for them.
int do_ids(const struct order *order) {
    unsigned uid = (unsigned)strtoul(order->words[1], NULL, 10);
    unsigned gid = (unsigned)strtoul(order->words[2], NULL, 10);
    if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, gid, gid, gid) != 0)
        return -1;
    return (int)syscall(SYS_setresuid, uid, uid, uid);
}

int do_capabilities(const struct order *order) {
    unsigned long long mask = strtoull(order->words[1], NULL, 16);
    for (unsigned long i = 0; i < 64; i++)
        if (!(mask >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) {
            if (errno == EINVAL)
                break; // the kernel has no more
            return -1;
        }
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted = (unsigned)(mask >> 32 * i);
    return (int)syscall(SYS_capset, &header, data);
}

int do_nothing_new(const struct order *order) {
    (void)order;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int do_seccomp(const struct order *order) {
    (void)order;
    struct sock_fprog program = {(unsigned short)(filter_size / sizeof(struct sock_filter)),
                                 (struct sock_filter *)(void *)filter};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int do_execute(const struct order *order) {
    static char *const nothing[] = {NULL};
    return execve(order->words[1], order->words + 1, nothing);
}

int do_end(const struct order *order) {
    (void)order;
    _exit(0);
}
