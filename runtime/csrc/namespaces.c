// Namespaces: those that exist are all opened before the first is entered, because afterwards
// neither their paths nor the right to open them may be there.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int checked(long result) {
    return result < 0 ? errno : 0;
}

// Each type of namespace is one bit of clone(2)'s flags: its place in the context.
static int *slot_of(struct context *context, const struct op *op) {
    // The eight flags differ in the last four binary digits of their bit numbers.
    return &context->namespaces[__builtin_ctz(op->flags | 0x80000000u) & 15];
}

// path: the file; flags: the type's clone(2) flag. A file of another type is refused here, before
// any namespace is entered, and nobody waits for the other end of a FIFO.
int op_open_namespace(struct context *context, const struct op *op) {
    int fd = open(plan_string(context->plan, op->path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno;
    int type = ioctl(fd, NS_GET_NSTYPE);
    if (type != (int)op->flags) {
        int error = type < 0 ? errno : EINVAL;
        close(fd);
        return error == ENOTTY ? EINVAL : error;
    }
    // Nobody can enter the user namespace that he is in already (setns(2)).
    struct stat there, here;
    if (op->flags == CLONE_NEWUSER && fstat(fd, &there) == 0 &&
        stat("/proc/self/ns/user", &here) == 0 && there.st_ino == here.st_ino)
        return close(fd);
    *slot_of(context, op) = fd + 1;
    return 0;
}

// flags: the type. number[0] 1: one that may have to wait until the user namespace that owns it is
// entered; it is tried again then.
int op_setns(struct context *context, const struct op *op) {
    int *slot = slot_of(context, op);
    if (!*slot)
        return 0;
    if (setns(*slot - 1, (int)op->flags) != 0)
        return op->number[0] && errno == EPERM ? 0 : errno;
    close(*slot - 1);
    *slot = 0;
    return 0;
}

// In a new user namespace the process has no mapped id until it takes one. number: uid, gid. flag
// 1: a user namespace of somebody else, in which these may not be mapped.
int op_become_root(struct context *context, const struct op *op) {
    (void)context;
    uint64_t uid = op->number[0], gid = op->number[1];
    int error = checked(syscall(SYS_setresgid, gid, gid, gid));
    if (!error)
        error = checked(syscall(SYS_setresuid, uid, uid, uid));
    return error == EINVAL && op->flags & 1 ? 0 : error;
}

// text: lines for timens_offsets. Offsets can be set only while nobody is in the namespace, so it
// is made empty, set up, and then entered like any other (time_namespaces(7)).
int op_time_namespace(struct context *context, const struct op *op) {
    enum { NEW_TIME = 0x80 };
    const char *text = plan_string(context->plan, op->text);
    int error = checked(unshare(NEW_TIME));
    if (!error)
        error = write_file(AT_FDCWD, "/proc/self/timens_offsets", text, strlen(text), 0);
    if (error)
        return error;
    int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    error = checked(setns(fd, NEW_TIME));
    close(fd);
    return error;
}

// newuidmap or newgidmap, with the pid and then the numbers of the blob.
static int map_by_program(struct context *context, const struct op *op) {
    char digits[24];
    char **argv = context->pointers;
    print_decimal(digits, (uint64_t)context->pid);
    argv[0] = (char *)(uintptr_t)plan_string(context->plan, op->path);
    argv[1] = digits;
    strings(context->plan, op->blob, op->blob_bytes, argv + 2);
    pid_t pid = new_process();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    // It says on our stderr what it did not like: most often that /etc/subuid does not allow it.
    return pid < 0 ? errno : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EPERM;
}

// path: the file, text: its lines. flag 1: path is a program that may write them, blob the numbers.
int op_id_map(struct context *context, const struct op *op) {
    return op->flags & 1 ? map_by_program(context, op) : op_process_file(context, op);
}
