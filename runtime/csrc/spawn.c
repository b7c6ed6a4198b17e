// Creating and starting the container process: who does which stage, and who waits for whom.
//
//   runtime                              container process
//   BEFORE; clone  ───────────────────▶  attach itself
//   ADOPT          ─────── (go) ──────▶  MOUNT
//   CREATING       ◀────── (done) ─────  wait
//                  ─────── (go) ──────▶  ENTER
//   watch: keep    ◀─────── done ──────  wait, and end with the runtime if it does
//   return         ──────── go ───────▶  accept: wait for start
//
// What is in brackets is left out where nobody has to wait for it.
//
//   start: connect ──────── go ───────▶  START, exec
//                  ◀─────── end of file, or the operation that failed
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Messages are outcomes; one with error 0 says "go" or "done".
bool tell(int fd, struct outcome outcome) {
    return send(fd, &outcome, sizeof outcome, MSG_NOSIGNAL) == sizeof outcome;
}

struct outcome hear(int fd) {
    struct outcome outcome = {0};
    ssize_t bytes;
    while ((bytes = recv(fd, &outcome, sizeof outcome, 0)) < 0 && errno == EINTR)
        ;
    // The other side is gone without a word.
    if (bytes != sizeof outcome)
        return (struct outcome){.error = ESRCH, .op = UINT32_MAX};
    return outcome;
}

// Whether the container process can do nothing before the runtime has adopted it: not where that
// only limits it, as it does before create ends in any case.
bool waits_for_adoption(const struct context *context) {
    const struct plan *plan = context->plan;
    if (context->is_watched)
        return true;
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->stage != STAGE_ADOPT || op->kind == OP_WRITE || op->kind == OP_PROCESS_FILE)
            continue;
        if (op->kind == OP_ATTACH &&
            (op->flags & ATTACHES_ITSELF || (op->flags & 1 && context->in_cgroup)))
            continue;
        return true;
    }
    return false;
}

// Whether something happens in the runtime between the container's mounts and its root.
bool waits_for_hooks(const struct context *context) {
    return context->is_watched || has_stage(context->plan, STAGE_CREATING);
}

pid_t new_process(void) {
    struct clone_args args = {.exit_signal = SIGCHLD};
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static pid_t clone_either(struct clone_args *args, struct fresh *fresh) {
    if (!fresh)
        return (pid_t)syscall(SYS_clone3, args, sizeof *args);
    return clone_fresh(args, fresh);
}

// Into its v2 cgroup, if it has one. `fresh` is NULL for a copy of ourselves.
pid_t clone_process(struct context *context, struct clone_args *args, struct fresh *fresh) {
    const struct clone_args before = *args;
    int cgroup = open_cgroup(context->plan);
    if (cgroup >= 0) {
        args->flags |= CLONE_INTO_CGROUP;
        args->cgroup = (uint32_t)cgroup;
        context->in_cgroup = true;
    }
    pid_t pid = clone_either(args, fresh);
    if (pid < 0 && cgroup >= 0) {
        // Whatever it is that cgroup does not like, a write to cgroup.procs says it better.
        *args = before;
        context->in_cgroup = false;
        pid = clone_either(args, fresh);
    }
    if (cgroup >= 0 && pid != 0)
        close(cgroup);
    return pid;
}

// The container process is made by us.
static int make_ourselves(struct context *context, int sync[2], int listener, struct fresh *fresh,
                          int *pidfd) {
    struct clone_args args = {
        .flags = context->plan->header->namespaces | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    context->pid = clone_process(context, &args, fresh);
    if (context->pid == 0) {
        close(sync[0]);
        be_container(context, sync[1], listener);
    }
    return context->pid < 0 ? errno : 0;
}

static struct outcome make_by_helper(struct context *context, int sync[2], int listener,
                                     struct fresh *fresh, const int report[2], int *pidfd) {
    struct outcome outcome = {.op = UINT32_MAX};
    struct clone_args args = {.exit_signal = SIGCHLD};
    pid_t helper = clone_either(&args, fresh);
    if (helper == 0) {
        close(sync[0]);
        be_helper(context, sync[1], listener, report[1]);
    }
    outcome.error = helper < 0 ? errno : 0;
    close(report[1]);
    if (!outcome.error) {
        struct relay relay = {.outcome = {.error = ESRCH, .op = UINT32_MAX}};
        ssize_t bytes;
        while ((bytes = read(report[0], &relay, sizeof relay)) < 0 && errno == EINTR)
            ;
        int status;
        while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
            ;
        outcome = relay.outcome;
        context->pid = relay.pid;
        context->in_cgroup = relay.in_cgroup != 0;
        if (!outcome.error && (*pidfd = (int)syscall(SYS_pidfd_open, context->pid, 0)) < 0)
            outcome = (struct outcome){.error = errno, .op = UINT32_MAX};
    }
    close(report[0]);
    return outcome;
}

static struct outcome make_process(struct context *context, const struct create_request *request,
                                   int sync[2], struct fresh *fresh, int *pidfd) {
    const int listener = request->listener;
    const bool by_fresh = request->image >= 0;
    // From inside of a new user namespace, in which root is nobody yet, our privileges would not
    // stay as they are with exec.
    const bool by_helper = has_stage(context->plan, STAGE_JOIN) ||
                           (by_fresh && context->plan->header->namespaces & CLONE_NEWUSER);
    struct outcome outcome = {.op = UINT32_MAX};
    int report[2] = {-1, -1};
    if (by_helper && pipe2(report, O_CLOEXEC) != 0) {
        outcome.error = errno;
        return outcome;
    }
    if (by_fresh) {
        struct given given = {.sync = sync[1], .listener = listener, .report = report[1]};
        const int ours[] = {sync[1], listener, context->console, report[1]};
        memcpy(fresh->ours, ours, sizeof ours);
        outcome.error = write_given(fresh, &given);
    } else if (!open_made(context)) {
        outcome.error = ENOMEM;
    }
    if (by_helper && !outcome.error)
        return make_by_helper(context, sync, listener, by_fresh ? fresh : NULL, report, pidfd);
    if (!outcome.error)
        outcome.error = make_ourselves(context, sync, listener, by_fresh ? fresh : NULL, pidfd);
    if (by_helper) {
        close(report[0]);
        close(report[1]);
    }
    return outcome;
}

static struct outcome reached(const struct create_request *request, enum step step, pid_t pid) {
    if (!request->watch || (request->keeps_only && step != STEP_ENTERED) ||
        request->watch(request->watcher, step, pid))
        return (struct outcome){0};
    return (struct outcome){.error = ECANCELED, .op = UINT32_MAX};
}

// Lets the container process go on. What one that is gone had to say is heard all the same.
static struct outcome let_go(int sync) {
    const struct outcome go = {0};
    if (!tell(sync, go) && errno != EPIPE && errno != ECONNRESET)
        return (struct outcome){.error = errno, .op = UINT32_MAX};
    return go;
}

// Why the container process could not be adopted: if it was gone, it has said what it met itself.
static struct outcome why(int sync, struct outcome met) {
    struct outcome said = {0};
    if (recv(sync, &said, sizeof said, MSG_DONTWAIT) == sizeof said && said.error)
        return said;
    return met;
}

static struct outcome accompany(struct context *context, const struct create_request *request,
                                int sync) {
    struct outcome outcome = reached(request, STEP_CLONED, context->pid);
    if (!outcome.error && (outcome = run_stage(context, STAGE_ADOPT)).error)
        return why(sync, outcome);
    if (!outcome.error)
        outcome = reached(request, STEP_ADOPTED, context->pid);
    if (!outcome.error && waits_for_adoption(context))
        outcome = let_go(sync);
    if (!outcome.error && waits_for_hooks(context)) {
        outcome = hear(sync);
        if (!outcome.error)
            outcome = reached(request, STEP_MOUNTED, context->pid);
        if (!outcome.error)
            outcome = run_stage(context, STAGE_CREATING);
        if (!outcome.error)
            outcome = reached(request, STEP_HOOKED, context->pid);
        if (!outcome.error)
            outcome = let_go(sync);
    }
    if (!outcome.error)
        outcome = hear(sync);
    if (!outcome.error)
        outcome = reached(request, STEP_ENTERED, context->pid);
    if (!outcome.error && !tell(sync, outcome))
        outcome = (struct outcome){.error = ESRCH, .op = UINT32_MAX};
    return outcome;
}

static void create(const struct create_request *request, struct create_result *result) {
    const struct plan *plan = request->plan;
    struct context context = {
        .plan = plan,
        .root = -1,
        .proc = -1,
        .null = -1,
        .connection = -1,
        .console = request->console,
        .keep = request->keep,
        .id = request->id,
        .bundle = request->bundle,
        .status = "creating",
        .members = request->members,
        .is_watched = request->watch && !request->keeps_only,
        .own_mount = mount_of(AT_FDCWD, "/proc/self/exe", 0),
    };
    *result = (struct create_result){.pidfd = -1, .outcome = {.op = UINT32_MAX}};
    if (!context.own_mount) {
        // Without it a program of the container's could not be told from ourselves (programs.c).
        result->outcome.error = errno;
        return;
    }
    // Slots first: they are what is used of it in any case.
    context.slot_count = 2 * plan->header->ops + 2;
    size_t slots = (context.slot_count + 1) / 2 * 2 * sizeof(int);
    size_t room = slots + most_strings(plan) * sizeof(char *);
    context.slots = make_room(room);
    if (context.slots == MAP_FAILED) {
        result->outcome.error = errno;
        return;
    }
    context.pointers = (char **)(void *)((char *)context.slots + slots);
    struct fresh fresh = {.image = request->image, .context = &context, .file = -1};
    int sync[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) != 0) {
        result->outcome.error = errno;
        munmap(context.slots, room);
        return;
    }
    result->outcome = run_stage(&context, STAGE_BEFORE);
    if (!result->outcome.error)
        result->outcome = reached(request, STEP_PREPARED, 0);
    if (!result->outcome.error)
        result->outcome = make_process(&context, request, sync, &fresh, &result->pidfd);
    close(sync[1]);
    if (!result->outcome.error)
        result->outcome = accompany(&context, request, sync[0]);
    close(sync[0]);
    close_slots(&context);
    munmap(context.slots, room);
    settle_net_devices(&context, result->outcome.error != 0);
    result->pid = context.pid;
    if (result->outcome.error && context.pid > 0) {
        kill(context.pid, SIGKILL);
        while (waitpid(context.pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (result->pidfd >= 0)
            close(result->pidfd);
        result->pidfd = -1;
    }
    if (result->outcome.error) {
        if (!context.made)
            context.made = made_in(&fresh);
        unmake(&context);
    }
    if (fresh.file >= 0)
        close(fresh.file);
    close_made(&context);
}

void create_container(const struct create_request *request, struct create_result *result) {
    create(request, result);
    if (request->image >= 0)
        close(request->image);
}

struct outcome start_container(int connection, const struct listener_request *listener) {
    struct outcome outcome = {0};
    if (!tell(connection, outcome))
        return (struct outcome){.error = errno, .op = UINT32_MAX};
    int shared, error = 0;
    ssize_t bytes;
    while ((bytes = receive_descriptor(connection, &outcome, sizeof outcome, &shared)) > 0 &&
           shared >= 0) {
        error = pass_listener(shared, connection, listener);
        close(shared);
        if (error)
            return (struct outcome){.error = error, .op = outcome.op};
    }
    if (bytes < 0)
        return (struct outcome){.error = errno, .op = UINT32_MAX};
    // The end of the connection is the exec: it was the last to hold the other side.
    return bytes == 0 ? (struct outcome){0} : outcome;
}
