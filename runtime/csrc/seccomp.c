// Seccomp: the filter is the last thing that happens before exec, so that it need not allow
// anything of ours; after it there is only execve(2).
//
// With a listener (SCMP_ACT_NOTIFY) even that call may be one that waits for the agent's word, and
// the agent has to have the listener first. So the container process says by memory, not by a
// system call, which descriptor it is, and the runtime takes that out of it:
//
//   container process                     runtime (start)                    agent
//   shared page  ─── SCM_RIGHTS ───────▶  maps it
//   seccomp(2), page.listener = fd
//   spins                                 pidfd_getfd(2) ─── state, fd ───▶
//                                         page.answer = GO
//   execve(2)
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WITH_LISTENER = 1 };
enum { WAITING = 0, GO = 1, STOP = 2 };
#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif

struct page {
    atomic_int listener; // plus one; 0 while there is none
    atomic_int answer;
};

static struct page *share_page(int fd) {
    void *page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

static int load_with_listener(struct context *context, const struct sock_fprog *program,
                              uint64_t flags, uint32_t index) {
    int fd = (int)syscall(SYS_memfd_create, "listener", 1 /* MFD_CLOEXEC */);
    if (fd < 0)
        return errno;
    struct page *page = ftruncate(fd, sizeof *page) == 0 ? share_page(fd) : NULL;
    if (!page)
        return errno;
    struct outcome here = {.op = index};
    int error = send_descriptor(context->connection, &here, sizeof here, fd);
    if (error)
        return error;
    close(fd);
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                            flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, program);
    if (listener < 0)
        return errno;
    atomic_store(&page->listener, (int)listener + 1);
    // No system call until the agent has the listener: it takes the runtime microseconds. Should
    // the runtime have died we must not spin for ever.
    for (uint64_t turns = 0; turns < 1ull << 31; turns++) {
        int answer = atomic_load_explicit(&page->answer, memory_order_acquire);
        if (answer != WAITING)
            return answer == GO ? 0 : ECANCELED;
#if defined __x86_64__ || defined __i386__
        __builtin_ia32_pause();
#endif
    }
    return ETIMEDOUT;
}

// blob: the filter; number[0]: seccomp(2) flags. flag 1: with a listener.
int op_seccomp(struct context *context, const struct op *op) {
    struct sock_fprog program = {
        .len = (unsigned short)(op->blob_bytes / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(uintptr_t)(context->plan->heap + op->blob),
    };
    uint64_t flags = op->number[0];
    if (op->flags & WITH_LISTENER) {
        // With both, a positive return could be a thread that could not follow (seccomp(2)).
        if (flags & SECCOMP_FILTER_FLAG_TSYNC)
            flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
        return load_with_listener(context, &program, flags, (uint32_t)(op - context->plan->ops));
    }
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0 ? errno : 0;
}

static bool ended(int connection) {
    struct pollfd pollfd = {.fd = connection, .events = POLLIN};
    return poll(&pollfd, 1, 0) > 0;
}

// The runtime's side: `shared` came from the container process, which has said that it is about to
// load a filter with a listener. Returns 0 or an errno; what the container process itself says
// remains on the connection.
int pass_listener(int shared, int connection, const struct listener_request *request) {
    struct page *page = share_page(shared);
    if (!page)
        return errno;
    int error = 0, taken = -1, listener;
    int pidfd = (int)syscall(SYS_pidfd_open, request->pid, 0);
    if (pidfd < 0)
        error = errno;
    while (!error && !(listener = atomic_load(&page->listener))) {
        if (ended(connection))
            goto out;
        struct timespec pause = {.tv_nsec = 20000};
        nanosleep(&pause, NULL);
    }
    if (!error) {
        taken = (int)syscall(SYS_pidfd_getfd, pidfd, listener - 1, 0);
        error = taken < 0 ? errno : 0;
    }
    if (!error)
        error = send_descriptor(request->agent, request->state, request->bytes, taken);
    // The agent may read to the end before it answers anything, our exec included.
    if (!error && shutdown(request->agent, SHUT_RDWR) != 0)
        error = errno;
    atomic_store(&page->answer, error ? STOP : GO);
    if (error)
        // Its own way out may be closed to it by the filter.
        syscall(SYS_pidfd_send_signal, pidfd, 9, NULL, 0);
out:
    if (taken >= 0)
        close(taken);
    if (pidfd >= 0)
        close(pidfd);
    munmap(page, sizeof *page);
    return error;
}
