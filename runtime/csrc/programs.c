// Programs of the container: whether they can be executed, and whether they are the container's.
//
// A container whose program is /proc/self/exe, or a script with that as its interpreter, would have
// what we are executed in our place: a file of the host, which the container could then open by the
// same name, and, as root, write to.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EXECVE_CHECK = 0x10000, EFFECTIVE_IDS = 0x200, FACCESSAT2 = 439 };
enum { FIRST_LINE = 256, DEEPEST = 5 }; // of scripts whose interpreters are scripts (execve(2))

uint64_t mount_of(int directory, const char *path, int flags) {
    struct {
        struct statx known;
        char more[256]; // of kernels that know more than our headers
    } found = {0};
    unsigned mask = STATX_MNT_ID;
    if (syscall(SYS_statx, directory, path, flags, mask, &found) != 0)
        return 0;
    return found.known.stx_mnt_id;
}

// The interpreter in a script's first line, or nothing.
static bool find_interpreter(const char *path, char interpreter[FIRST_LINE]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    ssize_t bytes = read(fd, interpreter, FIRST_LINE - 1);
    close(fd);
    if (bytes < 3 || interpreter[0] != '#' || interpreter[1] != '!')
        return false;
    interpreter[bytes] = 0;
    size_t start = 2 + strspn(interpreter + 2, " \t");
    size_t length = strcspn(interpreter + start, " \t\n");
    memmove(interpreter, interpreter + start, length);
    interpreter[length] = 0;
    return length > 0;
}

// Whether who cannot look at a file for this reason cannot execute it either.
static bool is_refused_anyway(int error) {
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP ||
           error == ENAMETOOLONG;
}

bool is_ourselves(const struct context *context, const char *path) {
    char line[FIRST_LINE];
    // All of the container's mounts are its own, so what is on the mount that we were executed from
    // is not the container's.
    for (int depth = 0; context->own_mount && depth <= DEEPEST; depth++) {
        uint64_t mount = mount_of(AT_FDCWD, path, 0);
        if (mount == context->own_mount || (mount && mount == context->runtime_mount) ||
            (!mount && !is_refused_anyway(errno)))
            return true;
        if (!find_interpreter(path, line))
            return false;
        path = line;
    }
    return false;
}

static int may_execute(const char *path) {
    return syscall(FACCESSAT2, AT_FDCWD, path, X_OK, EFFECTIVE_IDS) != 0 ? errno : 0;
}

// Can this be executed? Asked before the filter is loaded, after which there may be no way left to
// say that it cannot.
static int can_execute(const struct context *context, const char *path) {
    static char *none[] = {NULL};
    if (is_ourselves(context, path))
        return EACCES;
    if (syscall(SYS_execveat, AT_FDCWD, path, none, none, EXECVE_CHECK) == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    // Before Linux 6.14.
    return may_execute(path);
}

// Is it certain already that this cannot be executed? Not where only root may not look: the
// program's user may (NFS, FUSE). The kernel's own check (EXECVE_CHECK) prepares an execution,
// which takes it a hundred times as long as this.
static int never_executes(const struct context *context, const char *path) {
    struct {
        struct statx known;
        char more[256];
    } found = {0};
    int error = is_ourselves(context, path) ? EACCES : may_execute(path);
    if (error && error != EACCES)
        return error == ENOENT || error == ENOTDIR || error == ELOOP ? error : 0;
    if (syscall(SYS_statx, AT_FDCWD, path, 0, STATX_TYPE, &found) != 0)
        return !error || errno == EACCES ? 0 : errno;
    return error || !S_ISREG(found.known.stx_mode) ? EACCES : 0;
}

// path: the program; text: where a name without a slash is looked for, as execvp(3) does. flag 1:
// this is create, so only refuse what start could not execute either.
int op_program(struct context *context, const struct op *op) {
    const char *program = plan_string(context->plan, op->path);
    char unused[sizeof context->program];
    char *into = op->flags & 1 ? unused : context->program;
    int (*const asked)(const struct context *, const char *) =
        op->flags & 1 ? never_executes : can_execute;
    size_t length = strlen(program);
    if (length >= sizeof context->program)
        return ENAMETOOLONG;
    memcpy(into, program, length + 1);
    if (strchr(program, '/'))
        return asked(context, into);
    int error = ENOENT;
    for (const char *at = plan_string(context->plan, op->text);; at++) {
        size_t folder = strcspn(at, ":");
        if (length && folder + length + 2 <= sizeof context->program) {
            memcpy(into, at, folder);
            size_t used = folder;
            if (used)
                into[used++] = '/';
            memcpy(into + used, program, length + 1);
            int now = asked(context, into);
            if (!now)
                return 0;
            if (now == EACCES)
                error = EACCES;
            else if (now != ENOENT && now != ENOTDIR)
                return now;
        }
        at += folder;
        if (!*at)
            return error;
    }
}
