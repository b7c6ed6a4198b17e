/*
 * The first process of a container that was asked to have one (`docker run --init`).
 *
 * It starts the program, hands on every signal that it gets, and waits for whatever ends: processes
 * whose parents have gone become its children (pid_namespaces(7)), and nobody else would reap them.
 * It ends as the program does: with its status, or with 128 and the number of the signal.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_BE_RUN = 126, NOT_FOUND = 127, BY_SIGNAL = 128 };

/* What the kernel sends for a mistake of ours, or to stop us in the background, is not handed on.
 */
static const int own_signals[] = {SIGFPE,  SIGILL, SIGSEGV, SIGBUS, SIGABRT,
                                  SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

static void hold_signals(sigset_t *held, sigset_t *before) {
    sigfillset(held);
    for (size_t i = 0; i < sizeof own_signals / sizeof *own_signals; i++)
        sigdelset(held, own_signals[i]);
    sigprocmask(SIG_SETMASK, held, before);
}

/* The program leads a group of its own, in the foreground of the terminal if there is one. */
static int run(char **argv, const sigset_t *mask) {
    setpgid(0, 0);
    if (isatty(STDIN_FILENO)) {
        signal(SIGTTOU, SIG_IGN); /* tcsetpgrp(3) from the background stops its caller */
        tcsetpgrp(STDIN_FILENO, getpgrp());
        signal(SIGTTOU, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    int error = errno;
    fprintf(stderr, "init: %s: %s\n", argv[0], strerror(error));
    return error == ENOENT ? NOT_FOUND : CANNOT_BE_RUN;
}

/* Wait for all that has ended; return the program's status once it is among them, or -1. */
static int reap(pid_t program) {
    int found = -1, status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == program)
            found = WIFSIGNALED(status) ? BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    return found;
}

int main(int argc, char **argv) {
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (first >= argc) {
        fprintf(stderr, "usage: init [--] PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    sigset_t held, before;
    hold_signals(&held, &before);
    pid_t program = fork();
    if (program < 0) {
        perror("init: fork");
        return 1;
    }
    if (program == 0)
        _exit(run(argv + first, &before));
    for (;;) {
        int sent = sigwaitinfo(&held, NULL);
        if (sent < 0)
            continue; /* EINTR: stopped and continued */
        if (sent != SIGCHLD) {
            kill(program, sent);
            continue;
        }
        int status = reap(program);
        if (status >= 0)
            return status;
    }
}
