// Acts that need another process.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A pipe whose ends are neither 0, 1 nor 2: these may be closed when a hook is started, and the
// child must be able to put its own there. Both ends close on exec.
static bool make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > STDERR_FILENO)
            continue;
        int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int saved = errno;
        close(ends[i]);
        ends[i] = moved;
        if (moved < 0) {
            close(ends[1 - i]);
            errno = saved;
            return false;
        }
    }
    return true;
}

static void close_pipe(int ends[2]) {
    close(ends[0]);
    close(ends[1]);
}

// Like the shell: the exit status, or minus the signal.
static int wait_for(pid_t pid, int *status) {
    int raw;
    while (waitpid(pid, &raw, 0) < 0)
        if (errno != EINTR)
            return errno;
    *status = WIFSIGNALED(raw) ? -WTERMSIG(raw) : WEXITSTATUS(raw);
    return 0;
}

// A caller may have left SIGCHLD ignored; the kernel would then reap children before we ask
// (wait(2)).
static struct sigaction keep_children(void) {
    struct sigaction by_default = {.sa_handler = SIG_DFL}, before = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &by_default, &before);
    return before;
}

// The line is the child's report; the act's own line appears only if that failed.
int act_fork_report(struct act *act) {
    struct sigaction before = keep_children();
    pid_t pid = fork();
    if (pid == 0) {
        sigaction(SIGCHLD, &before, NULL);
        struct text line = {0};
        report(&line);
        print_line(&line);
        text_free(&line);
        _exit(0);
    }
    int status = 0;
    int error = pid < 0 ? errno : wait_for(pid, &status);
    sigaction(SIGCHLD, &before, NULL);
    if (error)
        return error;
    if (status == 0)
        return ACT_SPOKE;
    member_int(act->members, "status", status);
    return ECHILD;
}

static _Noreturn void be_orphan(int pid_to) {
    setsid();
    pid_t pid = getpid();
    write_all(pid_to, &pid, sizeof pid);
    close(pid_to);
    for (;;)
        pause();
}

int act_orphan(struct act *act) {
    int ends[2];
    if (!make_pipe(ends))
        return errno;
    struct sigaction before = keep_children();
    pid_t parent = fork();
    if (parent == 0) {
        sigaction(SIGCHLD, &before, NULL);
        close(ends[0]);
        pid_t child = fork();
        if (child == 0)
            be_orphan(ends[1]);
        _exit(child < 0 ? errno : 0);
    }
    int error = parent < 0 ? errno : 0;
    int status = 0;
    close(ends[1]);
    if (!error)
        error = wait_for(parent, &status);
    sigaction(SIGCHLD, &before, NULL);
    pid_t pid = 0;
    if (!error && status != 0)
        error = status > 0 ? status : ECHILD;
    // Wait for the word that it has its own session; the pipe ends if it dies before that.
    if (!error && read(ends[0], &pid, sizeof pid) != sizeof pid)
        error = ECHILD;
    close(ends[0]);
    if (!error)
        member_int(act->members, "pid", pid);
    return error;
}

// Keeps what fits; returns false at the end of the stream.
static bool capture(int fd, struct text *into) {
    char chunk[4096];
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    size_t room = CAPTURE_LIMIT - into->len;
    text_append(into, chunk, (size_t)got < room ? (size_t)got : room);
    return got > 0;
}

// Until both streams end, or the process has ended and what it wrote is read: a process that it
// left behind may keep the streams open for ever.
static void capture_both(pid_t pid, const int fds[2], struct text texts[2]) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U); // -1 on old kernels, which poll(2) skips
    struct pollfd polled[3] = {{.fd = fds[0], .events = POLLIN},
                               {.fd = fds[1], .events = POLLIN},
                               {.fd = pidfd, .events = POLLIN}};
    while (polled[0].fd >= 0 || polled[1].fd >= 0) {
        if (poll(polled, 3, -1) < 0) {
            if (errno != EINTR)
                break;
            continue;
        }
        bool read_any = false;
        for (int i = 0; i < 2; i++) {
            if (polled[i].fd < 0 || !polled[i].revents)
                continue;
            read_any = true;
            if (!capture(fds[i], &texts[i]))
                polled[i].fd = -1;
        }
        if (polled[2].revents && !read_any)
            break;
    }
    if (pidfd >= 0)
        close(pidfd);
}

static _Noreturn void execute(char **argv, int out, int err, int errno_to) {
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execvp(argv[0], argv);
    int error = errno;
    write_all(errno_to, &error, sizeof error);
    _exit(127);
}

int act_spawn(struct act *act) {
    int out[2], err[2], errnos[2];
    if (!make_pipe(out))
        return errno;
    if (!make_pipe(err)) {
        int error = errno;
        close_pipe(out);
        return error;
    }
    if (!make_pipe(errnos)) {
        int error = errno;
        close_pipe(out);
        close_pipe(err);
        return error;
    }
    struct sigaction before = keep_children();
    pid_t pid = fork();
    if (pid == 0) {
        sigaction(SIGCHLD, &before, NULL);
        execute(act->argv, out[1], err[1], errnos[1]);
    }
    int error = pid < 0 ? errno : 0;
    close(out[1]);
    close(err[1]);
    close(errnos[1]);
    struct text texts[2] = {{0}, {0}};
    int status = 0;
    if (!error) {
        int failed_exec = 0;
        // Ends without a word when exec succeeds, because the other end closes on exec.
        bool exec_failed = read(errnos[0], &failed_exec, sizeof failed_exec) == sizeof failed_exec;
        capture_both(pid, (int[]){out[0], err[0]}, texts);
        error = wait_for(pid, &status);
        if (exec_failed)
            error = failed_exec;
    }
    sigaction(SIGCHLD, &before, NULL);
    close(out[0]);
    close(err[0]);
    close(errnos[0]);
    if (!error) {
        member_int(act->members, "status", status);
        member_text(act->members, "stdout", &texts[0]);
        member_text(act->members, "stderr", &texts[1]);
    }
    text_free(&texts[0]);
    text_free(&texts[1]);
    return error;
}
