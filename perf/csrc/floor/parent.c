// What is done around the container's process.
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 65536, FOLDER_MODE = 0755 };

static char stack[STACK_BYTES] __attribute__((aligned(16)));

static bool before(const struct order *order) {
    return order->act == do_write;
}

static int child(void *unused) {
    (void)unused;
    if (orders.uid_map) {
        char byte;
        close(orders.ready[1]);
        if (read(orders.ready[0], &byte, 1) != 1)
            _exit(1);
    }
    for (int i = 0; i < orders.count; i++)
        if (!before(&orders.all[i]) && orders.all[i].act(&orders.all[i]) != 0)
            failed(&orders.all[i]);
    _exit(0);
}

static void write_map(pid_t pid, const char *name, const char *map) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, map, strlen(map)) < 0)
        refuse(path, strerror(errno));
    close(file);
}

static pid_t start(void) {
    unsigned long flags = orders.clone_flags | SIGCHLD;
    // With a user namespace someone has to write the maps meanwhile, so it cannot wait for the
    // exec; and memory is not shared with a process of other privileges.
    if (!orders.uid_map)
        flags |= CLONE_VM | CLONE_VFORK;
    else if (pipe2(orders.ready, O_CLOEXEC) != 0)
        refuse("pipe", strerror(errno));
    pid_t pid = clone(child, stack + sizeof stack, (int)flags, NULL);
    if (pid < 0)
        refuse("clone", strerror(errno));
    if (orders.uid_map) {
        write_map(pid, "uid_map", orders.uid_map);
        // Without privileges the group cannot be mapped before this (user_namespaces(7)).
        if (geteuid() != 0)
            write_map(pid, "setgroups", "deny");
        write_map(pid, "gid_map", orders.gid_map);
        if (write(orders.ready[1], "", 1) != 1)
            refuse("pipe", strerror(errno));
        close(orders.ready[0]);
        close(orders.ready[1]);
    }
    return pid;
}

// Make the cgroups, start the process, wait for its end, remove the cgroups; its exit status.
int contain(void) {
    for (int i = 0; i < orders.cgroup_count; i++)
        if (mkdir(orders.cgroups[i], FOLDER_MODE) != 0)
            refuse(orders.cgroups[i], strerror(errno));
    for (int i = 0; i < orders.count; i++)
        if (before(&orders.all[i]) && orders.all[i].act(&orders.all[i]) != 0)
            failed(&orders.all[i]);
    int status = 0;
    pid_t pid = start();
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            refuse("waitpid", strerror(errno));
    for (int i = 0; i < orders.cgroup_count; i++)
        if (rmdir(orders.cgroups[i]) != 0)
            refuse(orders.cgroups[i], strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
