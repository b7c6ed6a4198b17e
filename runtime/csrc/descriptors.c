// Descriptors that are passed from process to process (unix(7), SCM_RIGHTS), and those that a
// process keeps.
#include "executor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CLOSE_ON_EXEC = 4 }; // CLOSE_RANGE_CLOEXEC

union control {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

int send_descriptor(int socket, const void *data, size_t bytes, int fd) {
    struct iovec iovec = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    union control control = {0};
    struct msghdr message = {.msg_iov = &iovec,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    ssize_t sent;
    while ((sent = sendmsg(socket, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    // A stream may take less than all; the descriptor went with the first byte.
    while (sent >= 0 && (size_t)sent < bytes) {
        ssize_t more = send(socket, (const char *)data + sent, bytes - (size_t)sent, MSG_NOSIGNAL);
        if (more < 0 && errno != EINTR)
            return errno;
        sent += more > 0 ? more : 0;
    }
    return sent < 0 ? errno : 0;
}

ssize_t receive_descriptor(int socket, void *data, size_t bytes, int *fd) {
    struct iovec iovec = {.iov_base = data, .iov_len = bytes};
    union control control = {0};
    struct msghdr message = {.msg_iov = &iovec,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.space};
    ssize_t got;
    while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    *fd = -1;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return got;
}

// The lowest of ours that is not below `from`, or -1.
static int next_of_ours(const struct context *context, const int *more, size_t count, int from) {
    int found = context->console >= from ? context->console : -1;
    for (size_t i = 0; i < count; i++)
        if (more[i] >= from && (found < 0 || more[i] < found))
            found = more[i];
    for (uint32_t slot = 0; slot < context->slot_count; slot++) {
        int fd = context->slots[slot] - 1;
        if (fd >= from && (found < 0 || fd < found))
            found = fd;
    }
    return found;
}

void close_others(const struct context *context, const int *more, size_t count) {
    int from = 3 + context->keep;
    // Nothing of the caller's is open in the container but what it asked for. What is ours ends
    // with exec, wherever it came from; all else now, as others may see us before exec.
    syscall(SYS_close_range, from, ~0u, CLOSE_ON_EXEC);
    for (;;) {
        int next = next_of_ours(context, more, count, from);
        if (next != from)
            syscall(SYS_close_range, from, next < 0 ? ~0u : (unsigned)next - 1, 0);
        if (next < 0)
            return;
        from = next + 1;
    }
}
