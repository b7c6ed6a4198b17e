// A container process that is not a copy of the runtime.
//
// fork(2) copies the page tables of whoever calls, and each page that either side writes to
// afterwards is copied in a fault of its own: microseconds each, milliseconds for an interpreter of
// 200 MB. So the process borrows our memory for the moment that it takes it to execute a program of
// a few pages (given.c), and is given its plan in a file in memory. What it holds while it waits
// for start is its own too, and nothing of ours can be read there.
#include "fresh.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

// With a stack of its own, or what it calls would lie where we return to.
static long clone_and_call(struct clone_args *args, void (*call)(void *), void *with) {
#if defined __x86_64__
    long result;
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\t"
                     "mov %[with], %%rdi\n\tcall *%[call]\n\thlt\n1:"
                     : "=a"(result)
                     : "0"((long)SYS_clone3), "D"(args),
                       "S"(sizeof *args), [call] "r"(call), [with] "r"(with)
                     : "rcx", "r11", "memory");
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
#elif defined __aarch64__
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = (long)sizeof *args;
    __asm__ volatile("svc 0\n\tcbnz x0, 1f\n\tmov x0, %[with]\n\tblr %[call]\n\t"
                     "brk 1\n1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), [call] "r"(call), [with] "r"(with)
                     : "memory", "x30");
    if (x0 >= 0)
        return x0;
    errno = (int)-x0;
    return -1;
#else
    (void)args, (void)call, (void)with;
    errno = ENOSYS;
    return -1;
#endif
}

// In our own table of descriptors by now, not the runtime's.
static void let_survive_exec(struct fresh *fresh, int fd) {
    if (fd < 0 || fcntl(fd, F_SETFD, 0) == 0)
        return;
    fresh->error = errno;
    _exit(127);
}

static void execute(void *with) {
    struct fresh *fresh = with;
    const struct context *context = fresh->context;
    let_survive_exec(fresh, fresh->file);
    for (size_t i = 0; i < sizeof fresh->ours / sizeof *fresh->ours; i++)
        let_survive_exec(fresh, fresh->ours[i]);
    for (uint32_t slot = 0; slot < context->slot_count; slot++)
        let_survive_exec(fresh, context->slots[slot] - 1);
    char name[] = FRESH_NAME, where[] = "in its cgroup";
    char *argv[] = {name, fresh->number, context->in_cgroup ? where : NULL, NULL};
    char *environment[] = {NULL};
    syscall(SYS_execveat, fresh->image, "", argv, environment, EMPTY_PATH);
    fresh->error = errno;
    _exit(127);
}

pid_t clone_fresh(struct clone_args *args, struct fresh *fresh) {
    _Alignas(16) char stack[8192];
    // None of our signal handlers may run in it.
    args->flags |= CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND;
    args->stack = (uint64_t)(uintptr_t)stack;
    args->stack_size = sizeof stack;
    fresh->error = 0;
    pid_t pid = (pid_t)clone_and_call(args, execute, fresh);
    if (pid > 0 && fresh->error) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        errno = fresh->error;
        return -1;
    }
    return pid;
}

// In a mount that is nowhere and cannot be written to. Who enters a container can be looked at
// there, and what it is executing can be opened by /proc/<pid>/exe (CVE-2019-5736).
//
// By executing a program our privileges stay as they are only if they come from being root.
int open_image(const char *program) {
#if defined __SANITIZE_ADDRESS__
    (void)program; // it may be without it
    return -1;
#else
    return geteuid() == 0 ? clone_with(AT_FDCWD, program, MOUNT_ATTR_RDONLY, false) : -1;
#endif
}
