// Hooks: a program that reads the state from its standard input and has to end with 0 in time.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

// Whether it was written; a memory file takes all or, out of memory, nothing.
static bool add(int fd, const char *text) {
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

// A file in memory, not a pipe: a hook that does not read its input must not block us.
static int state_file(const struct context *context, bool own_view) {
    int fd = (int)syscall(SYS_memfd_create, "state", 1 /* MFD_CLOEXEC */);
    if (fd < 0)
        return -1;
    char digits[24];
    print_decimal(digits, (uint64_t)(own_view ? getpid() : context->pid));
    bool has_pid = strcmp(context->status, "stopped") != 0;
    if (add(fd, "{\"ociVersion\":\"1.3.0\",\"id\":") && add(fd, context->id) &&
        add(fd, ",\"status\":\"") && add(fd, context->status) &&
        add(fd, has_pid ? "\",\"pid\":" : "\"") && add(fd, has_pid ? digits : "") &&
        add(fd, ",\"bundle\":") && add(fd, context->bundle) && add(fd, context->members) &&
        add(fd, "}") && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Waits for the hook; -1 as timeout waits for ever. Returns 0, ETIMEDOUT, ECHILD, or what kept us
// from waiting: then it is killed.
static int wait_for(pid_t pid, long timeout_ms) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    long deadline = now_ms() + timeout_ms;
    int error = pidfd < 0 ? errno : 0;
    if (error)
        kill(pid, SIGKILL);
    while (!error) {
        struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
        long left = timeout_ms < 0 ? -1 : deadline - now_ms();
        // What is too long for poll(2) takes several turns.
        int turn = left > INT_MAX ? INT_MAX : (int)left;
        int ready = timeout_ms >= 0 && left <= 0 ? 0 : poll(&poll_fd, 1, turn);
        if (ready > 0)
            break;
        if ((ready < 0 && errno == EINTR) || (ready == 0 && left > turn))
            continue;
        kill(pid, SIGKILL);
        error = ETIMEDOUT;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pidfd >= 0)
        close(pidfd);
    if (error)
        return error;
    // ECHILD: the hook ran and did not end well; the caller knows that by this number alone.
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ECHILD;
}

static int warned(const struct context *context, const struct op *op, int error) {
    struct warnings *warnings = context->warnings;
    if (error && warnings && warnings->count < sizeof warnings->met / sizeof *warnings->met)
        warnings->met[warnings->count++] =
            (struct outcome){.error = error, .op = (uint32_t)(op - context->plan->ops)};
    return 0;
}

// Executes the hook, or says why not.
static int become(const struct context *context, const struct op *op, int input, char **argv,
                  char **environment) {
    const char *path = plan_string(context->plan, op->path);
    // The runtime may keep signals back for later (run).
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(input, 0) < 0)
        return errno;
    // One of the container's own programs has to be one.
    if (op->flags & 2 && is_ourselves(context, path))
        return EACCES;
    execve(path, argv, environment);
    return errno;
}

// path: the program; blob: argv and environ, number[0] bytes of it being argv; number[1]: timeout
// in seconds or 0. flag 1: no environ was given; 2: runs in the container process, which is pid in
// its own view; 4: a failure is only a warning.
int op_hook(struct context *context, const struct op *op) {
    const struct plan *plan = context->plan;
    uint32_t argv_bytes = (uint32_t)op->number[0];
    char **argv = context->pointers;
    char **environment = strings(plan, op->blob, argv_bytes, argv);
    strings(plan, op->blob + argv_bytes, op->blob_bytes - argv_bytes, environment);
    if (op->flags & 1 && !(op->flags & 2))
        environment = environ;
    int input = state_file(context, op->flags & 2);
    if (input < 0)
        return errno;
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        close(input);
        return errno;
    }
    pid_t pid = new_process();
    if (pid == 0) {
        int error = become(context, op, input, argv, environment);
        if (write(report[1], &error, sizeof error) < 0)
            _exit(126);
        _exit(127);
    }
    int error = pid < 0 ? errno : 0;
    close(input);
    close(report[1]);
    int not_executed = 0;
    if (!error) {
        ssize_t bytes;
        // Ends with exec, which closes the pipe.
        while ((bytes = read(report[0], &not_executed, sizeof not_executed)) < 0 && errno == EINTR)
            ;
        error = wait_for(pid, op->number[1] ? (long)(op->number[1] * 1000) : -1);
        if (bytes == sizeof not_executed)
            error = not_executed;
    }
    close(report[0]);
    return op->flags & 4 ? warned(context, op, error) : error;
}
