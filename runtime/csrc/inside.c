// The container process up to its exec, and what makes it where namespaces are entered before
// (spawn.c draws who waits for whom).
#include "spawn.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// By the system call: glibc keeps two signals for itself and will not touch them, but a caller may
// have left them ignored, and that outlives exec.
static void default_signals(void) {
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } by_default = {0};
    for (int number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, &by_default, NULL, sizeof by_default.mask);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void be_container(struct context *context, int sync, int listener) {
    default_signals();
    const int ours[] = {sync, listener};
    close_others(context, ours, sizeof ours / sizeof *ours);
    mode_t umask_before = umask(0);
    if (waits_for_adoption(context) && hear(sync).error)
        _exit(1);
    struct outcome outcome = attach_itself(context);
    if (!outcome.error)
        outcome = run_stage(context, STAGE_MOUNT);
    if (outcome.error || waits_for_hooks(context)) {
        if (!tell(sync, outcome) || outcome.error || hear(sync).error)
            _exit(1);
    }
    context->status = "creating";
    outcome = run_stage(context, STAGE_ENTER);
    close_masks(context);
    if (!tell(sync, outcome) || outcome.error)
        _exit(1);
    // Until it is kept that we are there, nobody could find us: so we do not outlive the runtime.
    if (hear(sync).error)
        _exit(1);
    close(sync);
    umask(umask_before);
    context->status = "created";
    while ((context->connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        ;
    // Nobody else connects: who starts us takes the socket's name away (seatrial.oci.store).
    outcome = hear(context->connection);
    if (!outcome.error)
        outcome = run_stage(context, STAGE_START);
    tell(context->connection, outcome);
    _exit(1);
}

// Enters the existing namespaces, then makes the container process, as a sibling of itself so that
// it is the runtime's child.
_Noreturn void be_helper(struct context *context, int sync, int listener, int report) {
    const bool enters = has_stage(context->plan, STAGE_JOIN);
    // Who is in there already may look at us, our memory and what is open, up to exec: not any
    // more. Only when entering, because a process that cannot be dumped has a /proc of root's,
    // where a runtime without privilege could not write its id maps (prctl(2)).
    if (enters && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        _exit(1);
    const int ours[] = {sync, listener, report};
    close_others(context, ours, sizeof ours / sizeof *ours);
    struct relay relay = {.outcome = run_stage(context, STAGE_JOIN)};
    if (!relay.outcome.error) {
        struct clone_args args = {
            .flags = context->plan->header->namespaces | CLONE_PARENT,
        };
        // From inside, the path of the cgroup may lead elsewhere.
        relay.pid = enters ? (pid_t)syscall(SYS_clone3, &args, sizeof args)
                           : clone_process(context, &args, NULL);
        if (relay.pid == 0)
            be_container(context, sync, listener);
        relay.in_cgroup = context->in_cgroup;
        if (relay.pid < 0)
            relay.outcome = (struct outcome){.error = errno, .op = UINT32_MAX};
    }
    if (write(report, &relay, sizeof relay) < 0)
        _exit(1);
    _exit(0);
}
