// Bind mounts, and the id mappings that they may have.
//
// A source is opened by the runtime, before there is a container: its rights reach what the
// container's do not (folders closed to a user namespace, mounts that are locked in there), and
// the mount's propagation still is the host's.
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum bind_flags {
    DEEP = 1,
    AS_SLAVE = 2,
    AS_PRIVATE = 4,
    MAPPED = 8,
    MAPPED_DEEP = 16,
    LOCKED = 32,
};

// number: attributes of all its mounts, set and cleared, then of the first, set and cleared.
static int prepare(struct context *context, const struct op *op, int fd) {
    uint64_t propagation = op->flags & AS_PRIVATE ? MS_PRIVATE_
                           : op->flags & AS_SLAVE ? MS_SLAVE_
                                                  : 0;
    int error = set_attributes(fd, 0, 0, propagation, true);
    if (!error && op->flags & (MAPPED | MAPPED_DEEP)) {
        int mapping = slot_take(context, slot_number(op) + 1);
        error = mapping < 0 ? EBADF : set_id_mapping(fd, mapping, op->flags & MAPPED_DEEP);
        if (mapping >= 0)
            close(mapping);
    }
    if (!error)
        error = set_attributes(fd, op->number[2], op->number[3], 0, true);
    return error ? error : set_attributes(fd, op->number[0], op->number[1], 0, false);
}

static int source_of(struct context *context, const struct op *op, int *error) {
    int fd = clone_tree(AT_FDCWD, plan_string(context->plan, op->extra), op->flags & DEEP);
    if (fd < 0) {
        *error = errno;
        return -1;
    }
    if ((*error = prepare(context, op, fd))) {
        close(fd);
        return -1;
    }
    return fd;
}

// In the runtime. Without the privilege, or where the source is only there once the container's
// mounts are, the container process does it.
int op_tree(struct context *context, const struct op *op) {
    int error;
    int fd = source_of(context, op, &error);
    if (fd < 0)
        return error == EPERM || error == ENOENT ? 0 : error;
    return slot_keep(context, slot_number(op), fd);
}

static bool is_same(int one, int other) {
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

// In a user namespace the host's mounts are locked: nobody in there can take away what they have of
// ro, nosuid, nodev, noexec (mount_namespaces(7)). What the runtime has opened is free of that. So
// where this process gets to the same source, it binds what it sees itself.
static void prefer_locked(struct context *context, const struct op *op, int *fd) {
    int error;
    int own = source_of(context, op, &error);
    if (own < 0)
        return;
    if (is_same(own, *fd)) {
        int free = *fd;
        *fd = own;
        own = free;
    }
    close(own);
}

int op_bind(struct context *context, const struct op *op) {
    int error = 0;
    int fd = slot_take(context, slot_number(op));
    if (fd >= 0 && op->flags & LOCKED)
        prefer_locked(context, op, &fd);
    if (fd < 0)
        fd = source_of(context, op, &error);
    if (fd < 0)
        return error;
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        error = errno;
    if (!error)
        error = put_at(context, fd, plan_string(context->plan, op->path), S_ISDIR(stat.st_mode));
    close(fd);
    return error;
}

static int wait_for_end(void *pipe) {
    const int *ends = pipe;
    char byte;
    syscall(SYS_close, ends[1]);
    while (syscall(SYS_read, ends[0], &byte, 1) < 0)
        ;
    syscall(SYS_exit, 0);
    return 0;
}

// A user namespace with the mappings text (uids) and extra (gids), or that of the file `path`. It
// lives on in its descriptor only: mount_setattr(2) takes mappings in no other form.
int op_id_mapping(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    const char *uids = plan_string(context->plan, op->text);
    const char *gids = plan_string(context->plan, op->extra);
    if (*path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? errno : slot_keep(context, slot_number(op), fd);
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    // It shares our memory, so none of our signal handlers may run in it.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    _Alignas(16) char stack[8192];
    pid_t pid = clone(wait_for_end, stack + sizeof stack, CLONE_VM | CLONE_NEWUSER, ends);
    int error = pid < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    if (!error)
        error = write_pid_file("/proc/", pid, "uid_map", uids, strlen(uids));
    if (!error)
        error = write_pid_file("/proc/", pid, "gid_map", gids, strlen(gids));
    int fd = -1;
    if (!error) {
        char name[64] = "/proc/";
        size_t length = 6 + print_decimal(name + 6, (uint64_t)pid);
        const char rest[] = "/ns/user";
        for (size_t i = 0; i < sizeof rest; i++)
            name[length + i] = rest[i];
        fd = open(name, O_RDONLY | O_CLOEXEC);
        error = fd < 0 ? errno : 0;
    }
    close(ends[1]);
    while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return error ? error : slot_keep(context, slot_number(op), fd);
}
