// Starting processes and collecting them.
#include "stopwatch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_pidfd(struct process *process) {
    if (process->pidfd >= 0)
        close(process->pidfd);
    process->pidfd = -1;
}

void watch(struct process *process, pid_t pid) {
    process->pid = pid;
    process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

bool has_flag(const struct step *step, char flag) {
    return strchr(step->flags, flag) != NULL;
}

// The calls themselves: glibc's would set the ids of every thread of our parent.
static bool drop_privileges(void) {
    return syscall(SYS_setgroups, 0, NULL) == 0 &&
           syscall(SYS_setresgid, UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) == 0 &&
           syscall(SYS_setresuid, UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) == 0;
}

// In the memory of its parent, which waits: nothing but system calls.
static _Noreturn void become(const struct step *step, char **words, const struct streams *streams,
                             volatile int *error) {
    bool to_stdout = has_flag(step, 'o');
    if (dup2(streams->null, STDIN_FILENO) >= 0 &&
        dup2(to_stdout ? streams->payload : streams->null, STDOUT_FILENO) >= 0 &&
        dup2(streams->errors, STDERR_FILENO) >= 0 &&
        (to_stdout || dup2(streams->payload, PAYLOAD_FD) >= 0) &&
        (!has_flag(step, 'u') || drop_privileges()))
        execve(words[0], words, step->environment);
    *error = errno;
    _exit(127);
}

// Start a command by vfork and exec; posix_spawn(3) would do the same and look at 64 signals
// before. No handler is set here and no signal blocked, so there is nothing to be put back. Returns
// false with errno where it fails.
bool spawn(struct process *process, const struct step *step, char **words,
           const struct streams *streams) {
    volatile int error = 0;
    *process = (struct process){.pidfd = -1};
    process->start = now();
    pid_t pid = vfork();
    if (pid == 0)
        become(step, words, streams, &error);
    if (pid < 0)
        return false;
    // It cannot be another's: its number is free only when it was waited for.
    watch(process, pid);
    if (error == 0 && process->pidfd >= 0)
        return true;
    int why = error ? error : errno;
    kill(pid, SIGKILL);
    collect(process);
    errno = why;
    return false;
}

// Wait for a child that has ended, or will.
void collect(struct process *process) {
    int status = 0;
    pid_t pid;
    do
        pid = wait4(process->pid, &status, 0, &process->usage);
    while (pid < 0 && errno == EINTR);
    process->collected = pid == process->pid;
    if (process->collected)
        process->status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    close_pidfd(process);
}

void kill_and_collect(struct process *process) {
    if (process->pid <= 0 || process->collected)
        return;
    if (process->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
    // One that is not our child cannot be waited for, and need not be.
    collect(process);
}

static void add(struct timeval *sum, struct timeval time) {
    sum->tv_sec += time.tv_sec;
    sum->tv_usec += time.tv_usec;
}

// Collect what has ended of those that lost their parent and so became ours (we are a subreaper).
int collect_strays(struct rusage *sum) {
    int count = 0;
    struct rusage usage;
    while (wait4(-1, NULL, WNOHANG, &usage) > 0) {
        count++;
        add(&sum->ru_utime, usage.ru_utime);
        add(&sum->ru_stime, usage.ru_stime);
        sum->ru_minflt += usage.ru_minflt;
        sum->ru_majflt += usage.ru_majflt;
        sum->ru_nvcsw += usage.ru_nvcsw;
        sum->ru_nivcsw += usage.ru_nivcsw;
        if (usage.ru_maxrss > sum->ru_maxrss)
            sum->ru_maxrss = usage.ru_maxrss;
    }
    return count;
}
