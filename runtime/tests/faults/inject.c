// Runs a command of the runtime and, at one system call of one of its processes, lets that call
// fail without being done, or kills; without either it lists the calls. By ptrace(2), so there is
// nothing of it in the runtime.
//
//   inject [--attach PID] [--at PROCESS.CALL fail ERRNO|kill WHOM] REPORT MARKER COMMAND...
//
// WHOM is command, self, all, or torn: all, once one half of what a write(2) has to write is
// written. PROCESS is 0 for the command, then come its children in the order in which they are made
// (1 is the process of --attach, where there is one); CALL counts what it calls, from 1, without
// what cannot fail and what Python does for itself. Python begins to count at the first path with
// MARKER in it. A process that executes a program that is not the runtime's is let go.
//
// In the report each call is a line: process, call, launcher or python, m (makes or changes
// something) or r (reads), kind and stage of the plan's operation, its number, number and argument
// of the system call, what the operation says; the injected one begins with a star. Where the
// command executes Python after that, the next line says so. The last line is the end: exit status.
#include "marks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "registers are named as x86-64 has them"
#endif

enum {
    MOST = 512,
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
        PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL
};

struct process {
    pid_t pid;
    int number; // -1: its parent's word of it is still to come
    int calls;
    bool counting, is_python, gone, waits, fails, torn, detached;
};

static struct process processes[MOST];
static int count, numbers;

static struct {
    int process, call, error;
    const char *whom; // to kill, or NULL
    bool is_done;
} wanted;
static FILE *report;
static const char *marker;
static struct stat command;

static struct process *find(pid_t pid) {
    for (int i = 0; i < count; i++)
        if (processes[i].pid == pid && !processes[i].gone)
            return &processes[i];
    if (count == MOST)
        exit(99);
    processes[count] = (struct process){.pid = pid, .number = -1};
    return &processes[count++];
}

// --- What a call is

struct known {
    long number;
    int path, fd; // its arguments, or -1
    char how;     // m or r, or 0: not counted
};

static const struct known known[] = {
    {SYS_close, -1, -1, 0},
    {SYS_close_range, -1, -1, 0},
    {SYS_munmap, -1, -1, 0},
    {SYS_mprotect, -1, -1, 0},
    {SYS_madvise, -1, -1, 0},
    {SYS_brk, -1, -1, 0},
    {SYS_futex, -1, -1, 0},
    {SYS_rt_sigaction, -1, -1, 0},
    {SYS_rt_sigprocmask, -1, -1, 0},
    {SYS_rt_sigreturn, -1, -1, 0},
    {SYS_getpid, -1, -1, 0},
    {SYS_gettid, -1, -1, 0},
    {SYS_getuid, -1, -1, 0},
    {SYS_geteuid, -1, -1, 0},
    {SYS_getgid, -1, -1, 0},
    {SYS_getegid, -1, -1, 0},
    {SYS_sched_yield, -1, -1, 0},
    {SYS_exit, -1, -1, 0},
    {SYS_exit_group, -1, -1, 0},
    {SYS_lseek, -1, -1, 0},
    {SYS_fstat, -1, -1, 0},
    {SYS_poll, -1, -1, 0},
    {SYS_clock_gettime, -1, -1, 0},
    {SYS_nanosleep, -1, -1, 0},
    {SYS_clock_nanosleep, -1, -1, 0},
    {SYS_getrandom, -1, -1, 0},
    {SYS_set_robust_list, -1, -1, 0},
    {SYS_rseq, -1, -1, 0},
    {SYS_arch_prctl, -1, -1, 0},
    {SYS_uname, -1, -1, 0},
    {SYS_umask, -1, -1, 'm'},
    {SYS_sigaltstack, -1, -1, 0},
    {SYS_getcwd, -1, -1, 0},
    {SYS_wait4, -1, -1, 0},
    {SYS_set_tid_address, -1, -1, 0},
    {SYS_sysinfo, -1, -1, 0},
    {SYS_time, -1, -1, 0},
    {SYS_gettimeofday, -1, -1, 0},
    {SYS_restart_syscall, -1, -1, 0},
    {SYS_accept4, -1, -1, 0},
    {SYS_getppid, -1, -1, 0},
    {SYS_pread64, -1, 0, 'r'},
    {SYS_read, -1, 0, 'r'},
    {SYS_write, -1, 0, 'm'},
    {SYS_getdents64, -1, 0, 'r'},
    {SYS_ioctl, -1, 0, 'r'},
    {SYS_fcntl, -1, 0, 'r'},
    {SYS_open, 0, -1, 'r'},
    {SYS_openat, 1, -1, 'r'},
    {SYS_openat2, 1, -1, 'r'},
    {SYS_stat, 0, -1, 'r'},
    {SYS_lstat, 0, -1, 'r'},
    {SYS_newfstatat, 1, -1, 'r'},
    {SYS_statx, 1, -1, 'r'},
    {SYS_statfs, 0, -1, 'r'},
    {SYS_fstatfs, -1, 0, 'r'},
    {SYS_readlink, 0, -1, 'r'},
    {SYS_readlinkat, 1, -1, 'r'},
    {SYS_access, 0, -1, 'r'},
    {SYS_faccessat, 1, -1, 'r'},
    {SYS_faccessat2, 1, -1, 'r'},
    {SYS_getxattr, 0, -1, 'r'},
    {SYS_prlimit64, -1, -1, 'r'},
    {SYS_recvfrom, -1, 0, 'r'},
    {SYS_recvmsg, -1, 0, 'r'},
    {SYS_pidfd_open, -1, -1, 'r'},
    {SYS_getsockopt, -1, 0, 'r'},
    {SYS_getsockname, -1, 0, 'r'},
    {SYS_capget, -1, -1, 'r'},
    {SYS_sched_getaffinity, -1, -1, 'r'},
    {SYS_dup, -1, 0, 'r'},
    {SYS_socket, -1, -1, 'r'},
    {SYS_socketpair, -1, -1, 'r'},
    {SYS_pipe2, -1, -1, 'r'},
    {SYS_memfd_create, -1, -1, 'r'},
    {SYS_execve, 0, -1, 'm'},
    {SYS_execveat, 1, -1, 'm'},
    {SYS_mkdir, 0, -1, 'm'},
    {SYS_mkdirat, 1, -1, 'm'},
    {SYS_rmdir, 0, -1, 'm'},
    {SYS_unlink, 0, -1, 'm'},
    {SYS_unlinkat, 1, -1, 'm'},
    {SYS_rename, 1, -1, 'm'},
    {SYS_renameat, 3, -1, 'm'},
    {SYS_chmod, 0, -1, 'm'},
    {SYS_fchmodat, 1, -1, 'm'},
    {SYS_fchownat, 1, -1, 'm'},
    {SYS_mknodat, 1, -1, 'm'},
    {SYS_symlinkat, 2, -1, 'm'},
    {SYS_linkat, 3, -1, 'm'},
    {SYS_setxattr, 0, -1, 'm'},
    {SYS_removexattr, 0, -1, 'm'},
    {SYS_chdir, 0, -1, 'm'},
    {SYS_fchdir, -1, 0, 'm'},
    {SYS_chroot, 0, -1, 'm'},
    {SYS_mount, 1, -1, 'm'},
    {SYS_umount2, 0, -1, 'm'},
    {SYS_open_tree, 1, -1, 'm'},
    {SYS_move_mount, 3, -1, 'm'},
    {SYS_mount_setattr, 1, -1, 'm'},
    {SYS_fsopen, 0, -1, 'm'},
    {SYS_fsconfig, 2, -1, 'm'},
    {SYS_pivot_root, 0, -1, 'm'},
    {SYS_sendto, -1, 0, 'm'},
    {SYS_sendmsg, -1, 0, 'm'},
    {SYS_connect, -1, 0, 'm'},
    {SYS_bind, -1, 0, 'm'},
    {SYS_flock, -1, 0, 'r'},
};

static const struct known *look_up(long number) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == number)
            return &known[i];
    return NULL;
}

static void read_text(pid_t pid, uint64_t address, char *into, size_t room) {
    size_t at = 0;
    // By pieces, because the page after the text may not be there.
    while (at < room - 1) {
        size_t piece = 32 - (address + at) % 32;
        if (piece > room - 1 - at)
            piece = room - 1 - at;
        struct iovec here = {into + at, piece}, there = {(void *)(uintptr_t)(address + at), piece};
        ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (got <= 0)
            break;
        if (memchr(into + at, 0, (size_t)got))
            return;
        at += (size_t)got;
    }
    into[at] = 0;
}

static void read_link(pid_t pid, const char *what, char *into, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    ssize_t length = readlink(path, into, room - 1);
    into[length > 0 ? length : 0] = 0;
}

// What Python reads to be Python.
static bool is_pythons(const char *path) {
    static const char *const parts[] = {
        ".py",        "/lib/python",  "/site-packages", "/src/seatrial", "/lib/x86_64-linux-gnu",
        "/etc/ld.so", "/usr/lib/ssl", "/locale",        "python3"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(path, parts[i]))
            return true;
    return false;
}

static char how(const struct known *call, const uint64_t *args, long number) {
    const uint64_t creates = O_CREAT | O_TRUNC;
    if (number == SYS_mmap)
        return args[3] & 1 /* MAP_SHARED */ ? 'r' : 0;
    if (number == SYS_ioctl && (args[1] == 0x5401 /* TCGETS */ || args[1] == 0x5451 /* FIOCLEX */))
        return 0;
    if (number == SYS_openat && args[2] & creates)
        return 'm';
    if (number == SYS_newfstatat && args[3] & 0x1000 /* AT_EMPTY_PATH */)
        return 0;
    if (number == SYS_prlimit64 && args[2])
        return 'm';
    return call ? call->how : 'm';
}

// --- Faults

static void set_call(pid_t pid, long number) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0)
        return;
    // A filter for system calls that is loaded already would see -1: so this one is asked for a
    // program without a name.
    if (number == SYS_execve)
        registers.rdi = 0;
    else
        registers.orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, pid, NULL, &registers);
}

static void set_result(pid_t pid, int error) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0)
        return;
    registers.rax = (unsigned long long)-(long long)error;
    ptrace(PTRACE_SETREGS, pid, NULL, &registers);
}

static void kill_all(void) {
    for (int i = 0; i < count; i++)
        if (!processes[i].gone && !processes[i].detached)
            kill(processes[i].pid, SIGKILL);
}

static void halve_write(pid_t pid) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0)
        return;
    registers.rdx /= 2;
    ptrace(PTRACE_SETREGS, pid, NULL, &registers);
}

static void inject(struct process *process, long number) {
    wanted.is_done = true;
    if (!wanted.whom) {
        process->fails = true;
        set_call(process->pid, number);
    } else if (strcmp(wanted.whom, "torn") == 0) {
        process->torn = true;
        halve_write(process->pid);
    } else if (strcmp(wanted.whom, "self") == 0) {
        kill(process->pid, SIGKILL);
    } else if (strcmp(wanted.whom, "command") == 0) {
        kill(processes[0].pid, SIGKILL);
    } else {
        kill_all();
    }
}

static void tell(const struct process *process, char kind, long number, const char *argument,
                 bool injected) {
    struct mark mark = {0};
    struct iovec here = {&mark, sizeof mark}, there = {(void *)MARK_ADDRESS, sizeof mark};
    if (process_vm_readv(process->pid, &here, 1, &there, 1, 0) != (ssize_t)sizeof mark)
        mark = (struct mark){0};
    mark.says[sizeof mark.says - 1] = 0;
    fprintf(report, "%s%d\t%d\t%s\t%c\t%u\t%u\t%u\t%ld\t%s\t%s\n", injected ? "*" : "",
            process->number, process->calls, process->is_python ? "python" : "launcher", kind,
            mark.kind, mark.stage, mark.op, number, argument, mark.says);
}

static void on_entry(struct process *process, const struct __ptrace_syscall_info *info) {
    const struct known *call = look_up((long)info->entry.nr);
    const uint64_t *args = (const uint64_t *)info->entry.args;
    char argument[300] = "";
    if (call && call->path >= 0)
        read_text(process->pid, args[call->path], argument, sizeof argument);
    if (call && call->fd >= 0) {
        char name[32];
        snprintf(name, sizeof name, "fd/%d", (int)args[call->fd]);
        read_link(process->pid, name, argument, sizeof argument);
    }
    for (char *at = argument; *at; at++)
        if (*at == '\t' || *at == '\n')
            *at = ' ';
    if (process->is_python && !process->counting && strstr(argument, marker))
        process->counting = true;
    char kind = how(call, args, (long)info->entry.nr);
    if (!process->counting || !kind || (process->is_python && is_pythons(argument)))
        return;
    process->calls++;
    bool is_it = wanted.call && process->number == wanted.process && process->calls == wanted.call;
    if (is_it || !wanted.call)
        tell(process, kind, (long)info->entry.nr, argument, is_it);
    if (is_it)
        inject(process, (long)info->entry.nr);
}

static void on_syscall(struct process *process) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY && !wanted.is_done)
        on_entry(process, &info);
    if (info.op != PTRACE_SYSCALL_INFO_EXIT)
        return;
    if (process->torn)
        kill_all();
    if (process->fails)
        set_result(process->pid, wanted.error);
    process->fails = process->torn = false;
}

// --- Processes

static void go_on(struct process *process, int number) {
    // Once it is done, nothing has to be seen but the ends, and the exit of the call that fails.
    bool is_seen = !wanted.is_done || process->fails || process->torn;
    ptrace(is_seen ? PTRACE_SYSCALL : PTRACE_CONT, process->pid, NULL, (void *)(intptr_t)number);
}

static void let_go(struct process *process, int number) {
    ptrace(PTRACE_DETACH, process->pid, NULL, (void *)(intptr_t)number);
    process->detached = process->gone = true;
}

static void on_child(struct process *parent) {
    unsigned long pid = 0;
    ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &pid);
    struct process *child = find((pid_t)pid);
    child->number = numbers++;
    child->counting = parent->counting;
    child->is_python = parent->is_python;
    if (child->waits)
        go_on(child, 0);
    child->waits = false;
}

// Whether it goes on.
static bool on_exec(struct process *process) {
    char path[4096];
    struct stat now;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)process->pid);
    // What a container is until start is the command's own file, in a mount without a name.
    const bool is_ours =
        stat(path, &now) == 0 && now.st_dev == command.st_dev && now.st_ino == command.st_ino;
    if (process != &processes[0] && !is_ours) {
        let_go(process, 0);
        return false;
    }
    read_link(process->pid, "exe", path, sizeof path);
    const char *name = strrchr(path, '/');
    process->is_python = name && strncmp(name, "/python", 7) == 0;
    process->counting = !process->is_python;
    if (process->is_python && wanted.is_done)
        fprintf(report, "python\n");
    return true;
}

static void on_stop(struct process *process, int status) {
    int number = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_STOP) {
        if (process->number < 0) {
            process->waits = true;
            return;
        }
        if (number != SIGTRAP) {
            ptrace(PTRACE_LISTEN, process->pid, NULL, NULL);
            return;
        }
        number = 0;
    } else if (event) {
        if (event == PTRACE_EVENT_EXEC) {
            if (!on_exec(process))
                return;
        } else {
            on_child(process);
        }
        number = 0;
    } else if (number == (SIGTRAP | 0x80)) {
        on_syscall(process);
        number = 0;
    }
    go_on(process, number);
}

static void trace(void) {
    int status;
    while (!processes[0].gone) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            exit(98);
        struct process *process = find(pid);
        if (WIFSTOPPED(status)) {
            on_stop(process, status);
            continue;
        }
        process->gone = true;
        if (process == &processes[0])
            fprintf(report, "end\t%d\n",
                    WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    }
}

// All that is left is let go where it is.
static void release(void) {
    for (int i = 0; i < count; i++)
        if (!processes[i].gone)
            ptrace(processes[i].waits ? PTRACE_DETACH : PTRACE_INTERRUPT, processes[i].pid, NULL,
                   NULL);
    for (;;) {
        int left = 0, status;
        for (int i = 0; i < count; i++)
            left += !processes[i].gone && !processes[i].waits;
        if (!left)
            return;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            return;
        struct process *process = find(pid);
        if (!WIFSTOPPED(status)) {
            process->gone = true;
            continue;
        }
        bool is_signal = !(status >> 16) && WSTOPSIG(status) != (SIGTRAP | 0x80);
        if (process->fails)
            set_result(process->pid, wanted.error);
        let_go(process, is_signal ? WSTOPSIG(status) : 0);
    }
}

static void start(char **words) {
    int ready[2];
    char byte = 0;
    if (pipe2(ready, O_CLOEXEC) != 0)
        exit(97);
    pid_t pid = fork();
    if (pid == 0) {
        if (read(ready[0], &byte, 1) == 1)
            execv(words[0], words);
        _exit(127);
    }
    if (pid < 0 || ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)OPTIONS) != 0) {
        perror("inject: cannot trace");
        exit(97);
    }
    find(pid)->number = 0;
    if (write(ready[1], &byte, 1) != 1)
        exit(97);
    close(ready[0]), close(ready[1]);
}

int main(int argc, char **argv) {
    pid_t attached = 0;
    int at = 1;
    if (at + 1 < argc && strcmp(argv[at], "--attach") == 0)
        attached = (pid_t)atoi(argv[at + 1]), at += 2;
    if (at + 3 < argc && strcmp(argv[at], "--at") == 0) {
        if (sscanf(argv[at + 1], "%d.%d", &wanted.process, &wanted.call) != 2)
            return 96;
        if (strcmp(argv[at + 2], "fail") == 0)
            wanted.error = atoi(argv[at + 3]);
        else
            wanted.whom = argv[at + 3];
        at += 4;
    }
    if (at + 2 >= argc || !(report = fopen(argv[at], "we")))
        return 96;
    marker = argv[at + 1];
    if (stat(argv[at + 2], &command) != 0)
        return 96;
    start(argv + at + 2);
    numbers = 1;
    if (attached) {
        if (ptrace(PTRACE_SEIZE, attached, NULL, (void *)(intptr_t)OPTIONS) != 0 ||
            ptrace(PTRACE_INTERRUPT, attached, NULL, NULL) != 0)
            return 97;
        struct process *process = find(attached);
        process->number = numbers++;
        process->counting = true;
    }
    trace();
    release();
    fclose(report);
    return 0;
}
