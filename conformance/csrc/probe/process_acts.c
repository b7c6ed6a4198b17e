// Acts of the process on itself and on others, and the two ways to wait for signals.
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int errno_if(bool failed) {
    return failed ? errno : 0;
}

int act_sethostname(struct act *act) {
    return errno_if(sethostname(act->argv[0], strlen(act->argv[0])) != 0);
}

int act_setuid(struct act *act) {
    uid_t uid;
    if (!parse_id(act->argv[0], &uid))
        return ACT_MISUSED;
    return errno_if(setuid(uid) != 0);
}

int act_kill(struct act *act) {
    int pid, number;
    if (!parse_int(act->argv[0], &pid) || !parse_int(act->argv[1], &number))
        return ACT_MISUSED;
    return errno_if(kill(pid, number) != 0);
}

// The line comes after the signal: that there is one shows that the process outlived it.
int act_raise(struct act *act) {
    int number;
    if (!parse_int(act->argv[0], &number))
        return ACT_MISUSED;
    return errno_if(kill(getpid(), number) != 0);
}

int act_syscall(struct act *act) {
    unsigned long numbers[7] = {0};
    for (int i = 0; i < act->argc; i++)
        if (!parse_long(act->argv[i], &numbers[i]))
            return ACT_MISUSED;
    errno = 0;
    long result = syscall((long)numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
                          numbers[5], numbers[6]);
    if (result == -1 && errno != 0)
        return errno;
    member_int(act->members, "result", result);
    return 0;
}

int act_exit(struct act *act) {
    int code;
    if (!parse_int(act->argv[0], &code) || code < 0 || code > 255)
        return ACT_MISUSED;
    member_int(act->members, "code", code);
    print_act(act->name, 0, act->members);
    _exit(code);
}

int act_say(struct act *act) {
    member_string(act->members, "text", act->argv[0]);
    return 0;
}

int act_pause(struct act *act) {
    member_int(act->members, "pid", getpid());
    print_act(act->name, 0, act->members);
    for (;;)
        pause();
}

static void print_caught(const siginfo_t *info) {
    struct text line = {0};
    json_open(&line, '{');
    member_string(&line, "act", "caught");
    member_int(&line, "signal", info->si_signo);
    member_int(&line, "sender", info->si_pid);
    json_close(&line, '}');
    print_line(&line);
    text_free(&line);
}

static const uint64_t all_signals = UINT64_MAX;

// Blocked signals are queued even where their default is to be ignored, and also for the init of a
// PID namespace, which is otherwise spared signals without a handler (pid_namespaces(7)). The raw
// system calls reach signals 32 and 33 as well, which glibc keeps to itself.
static int block_signals(void) {
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, NULL, sizeof all_signals) != 0)
        return errno;
    // With SIGCHLD ignored the kernel would not send it at all (wait(2)).
    signal(SIGCHLD, SIG_DFL);
    return 0;
}

static int take_signal(siginfo_t *info) {
    while (syscall(SYS_rt_sigtimedwait, &all_signals, info, NULL, sizeof all_signals) < 0)
        if (errno != EINTR && errno != EAGAIN) // stopped and continued
            return errno;
    return 0;
}

int act_catch(struct act *act) {
    const int refusal = block_signals();
    if (refusal != 0)
        return refusal;
    member_int(act->members, "pid", getpid());
    print_act(act->name, 0, act->members);
    for (;;) {
        siginfo_t info = {0};
        const int error = take_signal(&info);
        if (error != 0)
            return error;
        print_caught(&info);
        // An init inherits orphans and must bury them.
        while (info.si_signo == SIGCHLD && waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

// A place at which a test has the program wait: it prints a line when it is there, and another once
// a signal has come.
int act_await(struct act *act) {
    const int refusal = block_signals();
    if (refusal != 0)
        return refusal;
    print_act(act->name, 0, act->members);
    siginfo_t info = {0};
    return take_signal(&info);
}
