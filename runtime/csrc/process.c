// Operations on the container process itself, in the order in which the kernel lets it give up
// what it has.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

static int checked(long result) {
    return result < 0 ? errno : 0;
}

int op_hostname(struct context *context, const struct op *op) {
    const char *name = plan_string(context->plan, op->text);
    return checked(sethostname(name, strlen(name)));
}

int op_domainname(struct context *context, const struct op *op) {
    const char *name = plan_string(context->plan, op->text);
    return checked(setdomainname(name, strlen(name)));
}

int op_sysctl(struct context *context, const struct op *op) {
    const char *text = plan_string(context->plan, op->text);
    if (context->proc < 0)
        return ENOSYS;
    return write_file(context->proc, plan_string(context->plan, op->path), text, strlen(text), 0);
}

// Like a kernel parameter it goes to a procfs that nobody can have replaced; a process that enters
// a container has none yet.
int op_attribute(struct context *context, const struct op *op) {
    if (context->proc < 0) {
        int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
        if (fs < 0)
            return errno;
        if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
            context->proc = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
        int error = errno;
        close(fs);
        if (context->proc < 0)
            return error;
    }
    return op_sysctl(context, op);
}

int op_session(struct context *context, const struct op *op) {
    (void)context, (void)op;
    return setsid() < 0 && errno != EPERM ? errno : 0;
}

// text: the keyring's name. A keyring of that name is joined, so that exec finds it again; the
// caller's own is out of reach then. path: an SELinux label for it, or nothing.
int op_keyring(struct context *context, const struct op *op) {
    enum { JOIN_SESSION = 1, SET_PERMISSIONS = 5 };
    // All for who possesses it; view, read, search and link for the same user.
    const unsigned permissions = 0x3f000000 | 0x00010000 | 0x00020000 | 0x00080000 | 0x00100000;
    const char *label = plan_string(context->plan, op->path);
    if (*label) {
        int error = write_file(context->proc, "self/attr/keycreate", label, strlen(label), 0);
        if (error)
            return error;
    }
    long ring = syscall(SYS_keyctl, JOIN_SESSION, plan_string(context->plan, op->text));
    if (ring < 0)
        // A kernel without keys has none to leak.
        return errno == ENOSYS ? 0 : errno;
    return checked(syscall(SYS_keyctl, SET_PERMISSIONS, ring, permissions));
}

int op_umask(struct context *context, const struct op *op) {
    (void)context;
    umask((mode_t)op->number[0]);
    return 0;
}

// The process that an operation is about: another one where the runtime acts for it.
static pid_t target(const struct context *context, const struct op *op) {
    return op->stage == STAGE_ADOPT ? context->pid : 0;
}

// number: resource, soft, hard. flag 1: only raise the hard limit, if it is lower.
int op_rlimit(struct context *context, const struct op *op) {
    struct rlimit limit = {.rlim_cur = op->number[1], .rlim_max = op->number[2]};
    pid_t pid = target(context, op);
    if (op->flags & 1) {
        struct rlimit before;
        if (syscall(SYS_prlimit64, pid, op->number[0], NULL, &before) != 0)
            return errno;
        if (before.rlim_max >= limit.rlim_max)
            return 0;
        limit.rlim_cur = before.rlim_cur;
    }
    return checked(syscall(SYS_prlimit64, pid, op->number[0], &limit, NULL));
}

struct scheduler {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max; // the config has no values for them
};

// number: flags, runtime, deadline, period; op flags: policy; blob: nice and priority.
int op_scheduler(struct context *context, const struct op *op) {
    struct scheduler attr = {
        .size = sizeof attr,
        .policy = op->flags,
        .flags = op->number[0],
        .runtime = op->number[1],
        .deadline = op->number[2],
        .period = op->number[3],
    };
    int32_t pair[2] = {0};
    if (op->blob_bytes >= sizeof pair)
        memcpy(pair, context->plan->heap + op->blob, sizeof pair);
    attr.nice = pair[0];
    attr.priority = (uint32_t)pair[1];
    return checked(syscall(SYS_sched_setattr, target(context, op), &attr, 0));
}

// number[0]: class and level. Of the process group, which after setsid(2) is the container's own.
int op_io_priority(struct context *context, const struct op *op) {
    enum { WHO_PROCESS = 1, WHO_PGRP = 2 };
    // Before that, when the runtime acts, there is no group of its own but nobody else in it
    // either.
    int who = op->stage == STAGE_ADOPT ? WHO_PROCESS : WHO_PGRP;
    return checked(syscall(SYS_ioprio_set, who, target(context, op), op->number[0]));
}

int op_affinity(struct context *context, const struct op *op) {
    return checked(
        syscall(SYS_sched_setaffinity, 0, op->blob_bytes, context->plan->heap + op->blob));
}

int op_personality(struct context *context, const struct op *op) {
    (void)context;
    return checked(personality(op->number[0]));
}

int op_memory_policy(struct context *context, const struct op *op) {
    return checked(syscall(SYS_set_mempolicy, op->number[0],
                           op->blob_bytes ? context->plan->heap + op->blob : NULL,
                           op->blob_bytes ? (unsigned long)op->blob_bytes * 8 + 1 : 0));
}

int op_no_new_privileges(struct context *context, const struct op *op) {
    (void)context, (void)op;
    return checked(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

// number: the set to keep.
int op_bounding(struct context *context, const struct op *op) {
    (void)context;
    for (int number = 0; number < 64; number++) {
        if (op->number[0] >> number & 1 || prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL) // there is no such capability, nor any after it
            break;
        int error = errno;
        // Without the right to: well if it was not there.
        if (prctl(PR_CAPBSET_READ, number, 0, 0, 0) != 0)
            return error;
    }
    return 0;
}

int op_groups(struct context *context, const struct op *op) {
    return checked(
        syscall(SYS_setgroups, op->blob_bytes / sizeof(gid_t), context->plan->heap + op->blob));
}

int op_gid(struct context *context, const struct op *op) {
    (void)context;
    return checked(syscall(SYS_setresgid, op->number[0], op->number[0], op->number[0]));
}

int op_uid(struct context *context, const struct op *op) {
    (void)context;
    // Without this the permitted set is gone with uid 0, before it can be set (capabilities(7)).
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return errno;
    int error = checked(syscall(SYS_setresuid, op->number[0], op->number[0], op->number[0]));
    return error ? error : checked(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
}

// number: effective, permitted, inheritable. flag 1: added to what there is.
int op_capabilities(struct context *context, const struct op *op) {
    (void)context;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++) {
        data[i].effective = (uint32_t)(op->number[0] >> (32 * i));
        data[i].permitted = (uint32_t)(op->number[1] >> (32 * i));
        data[i].inheritable = (uint32_t)(op->number[2] >> (32 * i));
    }
    return checked(syscall(SYS_capset, &header, data));
}

int op_ambient(struct context *context, const struct op *op) {
    (void)context;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return errno;
    for (int number = 0; number < 64; number++)
        if (op->number[0] >> number & 1 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
            return errno;
    return 0;
}

int op_chdir(struct context *context, const struct op *op) {
    if (chdir(plan_string(context->plan, op->path)) != 0)
        return errno;
    // A working directory outside of the root, through a descriptor say, would be a way out.
    char where[4096];
    if (syscall(SYS_getcwd, where, sizeof where) < 0)
        return errno;
    return where[0] == '/' ? 0 : ENOENT;
}

// The terminal: made in the container's own devpts, its other end sent to the caller.
// number: rows, columns, uid.
int op_console(struct context *context, const struct op *op) {
    int controller = open_in_root(context, "/dev/ptmx", O_RDWR | O_NOCTTY);
    if (controller < 0)
        return errno;
    int unlocked = 0;
    int terminal = -1, error = 0;
    if (ioctl(controller, TIOCSPTLCK, &unlocked) != 0)
        error = errno;
    if (!error) {
        terminal = ioctl(controller, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        error = terminal < 0 ? errno : 0;
    }
    struct winsize size = {.ws_row = (unsigned short)op->number[0],
                           .ws_col = (unsigned short)op->number[1]};
    if (!error && (size.ws_row || size.ws_col) && ioctl(controller, TIOCSWINSZ, &size) != 0)
        error = errno;
    if (!error && fchown(terminal, (uid_t)op->number[2], (gid_t)-1) != 0)
        error = errno;
    const char byte = 0;
    if (!error)
        error = send_descriptor(context->console, &byte, sizeof byte, controller);
    for (int fd = 0; !error && fd < 3; fd++)
        error = checked(dup2(terminal, fd));
    if (!error && ioctl(0, TIOCSCTTY, 0) != 0)
        error = errno;
    if (terminal >= 0)
        close(terminal);
    close(controller);
    return error;
}

char **strings(const struct plan *plan, uint32_t blob, uint32_t bytes, char **into) {
    const char *at = plan->heap + blob;
    const char *end = at + bytes;
    for (; at < end; at += strlen(at) + 1)
        *into++ = (char *)(uintptr_t)at;
    *into++ = NULL;
    return into;
}

static const char *search_path(char **environment) {
    for (; *environment; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    return "/bin:/usr/bin";
}

static int execute(const struct context *context, const char *program, char **argv,
                   char **environment) {
    // Behind a filter nothing is asked any more: then it was before (op_program).
    if (!context->program[0] && is_ourselves(context, program))
        return EACCES;
    execve(program, argv, environment);
    return errno;
}

// path: the program; blob: argv and environ, number[0] bytes of it being argv. A name without a
// slash is looked up like execvp(3) does, in the program's own PATH.
int op_exec(struct context *context, const struct op *op) {
    const struct plan *plan = context->plan;
    const char *program = plan_string(plan, op->path);
    uint32_t argv_bytes = (uint32_t)op->number[0];
    char **argv = context->pointers;
    char **environment = strings(plan, op->blob, argv_bytes, argv);
    strings(plan, op->blob + argv_bytes, op->blob_bytes - argv_bytes, environment);
    // Found already (op_program), or to be taken as it is.
    if (context->program[0])
        program = context->program;
    if (strchr(program, '/'))
        return execute(context, program, argv, environment);
    size_t length = strlen(program);
    int error = ENOENT;
    for (const char *at = search_path(environment);; at++) {
        size_t folder = strcspn(at, ":");
        char candidate[4096];
        if (length && folder + length + 2 <= sizeof candidate) {
            memcpy(candidate, at, folder);
            size_t used = folder;
            if (used)
                candidate[used++] = '/';
            memcpy(candidate + used, program, length + 1);
            int failed = execute(context, candidate, argv, environment);
            if (failed == EACCES)
                error = EACCES;
            else if (failed != ENOENT && failed != ENOTDIR)
                return failed;
        }
        at += folder;
        if (!*at)
            return error;
    }
}
