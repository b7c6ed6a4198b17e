// Acts that show what a seccomp filter does to a call besides giving it an errno: signals, the end
// of a thread, a tracer's event, the entry points of other architectures.
#include "probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NUMBERS = 7 };

static bool parse_call(const struct act *act, unsigned long numbers[NUMBERS]) {
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = 0;
    for (int i = 0; i < act->argc; i++)
        if (!parse_long(act->argv[i], &numbers[i]))
            return false;
    return true;
}

static long call(const unsigned long numbers[NUMBERS]) {
    return syscall((long)numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
                   numbers[6]);
}

static volatile sig_atomic_t trapped;
static int trap_code;
static int trap_errno;
static int trap_call;

static void note_trap(int number, siginfo_t *info, void *context) {
    (void)context;
    trapped = number;
    trap_code = info->si_code;
    trap_errno = info->si_errno;
    trap_call = info->si_syscall;
}

// The call, with a handler for the signal that SECCOMP_RET_TRAP sends (seccomp(2)).
int act_trapped(struct act *act) {
    unsigned long numbers[NUMBERS];
    if (!parse_call(act, numbers))
        return ACT_MISUSED;
    struct sigaction action = {.sa_sigaction = note_trap, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGSYS, &action, NULL) != 0)
        return errno;
    trapped = 0;
    long result = call(numbers);
    if (!trapped) {
        member_int(act->members, "result", result);
        return result == -1 ? errno : 0;
    }
    member_int(act->members, "signal", trapped);
    member_int(act->members, "code", trap_code);
    member_int(act->members, "errno", trap_errno);
    member_int(act->members, "syscall", trap_call);
    return 0;
}

struct thread {
    const unsigned long *numbers;
    bool returned;
};

static void *run_thread(void *argument) {
    struct thread *thread = argument;
    call(thread->numbers);
    thread->returned = true;
    return NULL;
}

// The call, in a thread of its own: whether it comes back, and whether the process lives on.
int act_thread(struct act *act) {
    unsigned long numbers[NUMBERS];
    if (!parse_call(act, numbers))
        return ACT_MISUSED;
    struct thread thread = {.numbers = numbers};
    pthread_t id;
    int error = pthread_create(&id, NULL, run_thread, &thread);
    if (error)
        return error;
    // The kernel announces a thread's end whatever ends it (CLONE_CHILD_CLEARTID).
    pthread_join(id, NULL);
    member_bool(act->members, "returned", thread.returned);
    return 0;
}

// The call, in a child that we trace: what SECCOMP_RET_TRACE tells a tracer (ptrace(2)).
int act_traced(struct act *act) {
    unsigned long numbers[NUMBERS];
    if (!parse_call(act, numbers))
        return ACT_MISUSED;
    pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(EXIT_UNSAID);
        raise(SIGSTOP);
        call(numbers);
        _exit(0);
    }
    int status, error = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL) != 0)
        error = errno ? errno : ECHILD;
    unsigned long message = 0;
    bool event = false;
    while (!error && ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
           WIFSTOPPED(status)) {
        if (status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
            continue;
        event = true;
        ptrace(PTRACE_GETEVENTMSG, pid, NULL, &message);
    }
    if (error) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return error;
    }
    member_bool(act->members, "event", event);
    member_uint(act->members, "message", message);
    return 0;
}

// The call by the entry point for 32-bit programs. Where there is none it ends the process.
int act_int80(struct act *act) {
    unsigned long numbers[NUMBERS];
    if (!parse_call(act, numbers))
        return ACT_MISUSED;
#if defined __x86_64__
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(numbers[0]), "b"(numbers[1]), "c"(numbers[2]), "d"(numbers[3]),
                       "S"(numbers[4]), "D"(numbers[5])
                     : "memory");
    if ((int)result < 0 && (int)result >= -4095)
        return -(int)result;
    member_int(act->members, "result", (int)result);
    return 0;
#else
    return ENOSYS;
#endif
}

static void do_nothing(int number) {
    (void)number;
}

// From here on the signal interrupts a call that waits, which is not begun anew.
int act_handle(struct act *act) {
    int number;
    if (!parse_int(act->argv[0], &number))
        return ACT_MISUSED;
    struct sigaction action = {.sa_handler = do_nothing};
    return sigaction(number, &action, NULL) != 0 ? errno : 0;
}

// The call under a filter of our own that has the kernel log it: to see who reads that log.
int act_logged(struct act *act) {
    unsigned long numbers[NUMBERS];
    if (!parse_call(act, numbers))
        return ACT_MISUSED;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)numbers[0], 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_LOG),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return errno;
    member_int(act->members, "result", call(numbers));
    return 0;
}
