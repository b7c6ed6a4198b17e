#include "kernel.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

struct kernel kernel;

// By names that only the renamed calls have.
#define CALL(type, name, ...)        \
    type kernel_##name(__VA_ARGS__); \
    type kernel_##name(__VA_ARGS__)

uint64_t kernel_random(void) {
    kernel.random ^= kernel.random << 13;
    kernel.random ^= kernel.random >> 7;
    kernel.random ^= kernel.random << 17;
    return kernel.random;
}

static bool one_in(unsigned count) {
    return count && kernel_random() % count == 0;
}

static void touch(const void *data, size_t bytes) {
    static volatile unsigned char sink;
    for (size_t i = 0; i < bytes; i++)
        sink = ((const unsigned char *)data)[i];
    (void)sink;
}

static void touch_text(const char *text) {
    if (text)
        touch(text, strlen(text) + 1);
}

static void touch_words(char *const *words) {
    for (; *words; words++)
        touch_text(*words);
}

// -1 with an errno, or what a call that succeeds returns.
static long done(long good) {
    static const int errors[] = {ENOENT, EPERM, EEXIST, EINVAL, EBUSY, EAGAIN, ENODEV, EACCES};
    if (kernel.calls_left-- == 0)
        longjmp(kernel.end, 1);
    if (!one_in(kernel.fail_one_in))
        return good;
    errno = errors[kernel_random() % (sizeof errors / sizeof *errors)];
    return -1;
}

static int plain(void) {
    return (int)done(0);
}

static int descriptor(void) {
    return (int)done(10 + (long)(kernel_random() % 500));
}

// --- Memory

static struct {
    void *at;
} mapped[64];

CALL(void *, mmap, void *at, size_t bytes, int protection, int flags, int fd, long offset) {
    (void)at, (void)protection, (void)flags, (void)offset;
    if (done(0) != 0)
        return MAP_FAILED;
    for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
        if (mapped[i].at)
            continue;
        // Exactly as much as was asked for, with the sanitizer's fences around it.
        mapped[i].at = calloc(1, bytes ? bytes : 1);
        // A page that is shared with another process (seccomp.c), which has answered.
        if (fd >= 0 && mapped[i].at)
            memset(mapped[i].at, 0, bytes),
                ((int *)mapped[i].at)[0] = 1,
                      ((int *)mapped[i].at)[1] = 1 + (int)(kernel_random() % 2);
        return mapped[i].at ? mapped[i].at : MAP_FAILED;
    }
    errno = ENOMEM;
    return MAP_FAILED;
}

CALL(int, munmap, void *at, size_t bytes) {
    (void)bytes;
    for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++)
        if (mapped[i].at == at) {
            free(at);
            mapped[i].at = NULL;
            return 0;
        }
    abort();
}

void kernel_forget(void) {
    for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
        free(mapped[i].at);
        mapped[i].at = NULL;
    }
}

// --- Processes

static pid_t process(bool child) {
    return (pid_t)done(child ? 0 : 100 + (long)(kernel_random() % 1000));
}

CALL(int, clone, int (*run)(void *), void *stack, int flags, void *argument) {
    (void)run, (void)stack, (void)flags, (void)argument;
    return process(false);
}

CALL(pid_t, waitpid, pid_t pid, int *status, int options) {
    (void)options;
    if (status)
        *status = one_in(4) ? 1 << 8 : 0;
    return (pid_t)done(pid);
}

CALL(_Noreturn void, _exit, int status) {
    (void)status;
    longjmp(kernel.end, 1);
}

CALL(int, execve, const char *path, char *const *argv, char *const *environment) {
    touch_text(path), touch_words(argv), touch_words(environment);
    errno = one_in(2) ? ENOENT : EACCES;
    return -1;
}

CALL(int, execv, const char *path, char *const *argv) {
    touch_text(path), touch_words(argv);
    return -1;
}

CALL(pid_t, getpid, void) {
    return 1;
}

CALL(uid_t, geteuid, void) {
    return (uid_t)kernel_random();
}

CALL(int, kill, pid_t pid, int number) {
    (void)pid, (void)number;
    return plain();
}

CALL(pid_t, setsid, void) {
    return plain();
}

CALL(mode_t, umask, mode_t mode) {
    return mode;
}

CALL(int, prctl, int option, ...) {
    (void)option;
    return (int)done((long)(kernel_random() % 2));
}

CALL(int, personality, unsigned long persona) {
    (void)persona;
    return plain();
}

CALL(int, unshare, int flags) {
    (void)flags;
    return plain();
}

CALL(int, setns, int fd, int type) {
    (void)fd, (void)type;
    return plain();
}

CALL(int, sigprocmask, int how, const sigset_t *set, sigset_t *old) {
    (void)how, (void)set;
    if (old)
        memset(old, 0, sizeof *old);
    return 0;
}

CALL(int, clock_gettime, clockid_t clock, struct timespec *now) {
    static long seconds;
    (void)clock;
    *now = (struct timespec){.tv_sec = seconds++};
    return 0;
}

CALL(int, nanosleep, const struct timespec *wanted, struct timespec *left) {
    (void)wanted, (void)left;
    return plain();
}

// --- Names

#define ON_A_PATH(name)                      \
    CALL(int, name, const char *path, ...) { \
        touch_text(path);                    \
        return plain();                      \
    }
#define AT_A_PATH(name)                                     \
    CALL(int, name, int directory, const char *path, ...) { \
        (void)directory;                                    \
        touch_text(path);                                   \
        return plain();                                     \
    }
ON_A_PATH(chdir)
ON_A_PATH(chmod)
ON_A_PATH(chroot)
ON_A_PATH(mkdir)
ON_A_PATH(rmdir)
ON_A_PATH(umount2)
AT_A_PATH(fchmodat)
AT_A_PATH(fchownat)
AT_A_PATH(mkdirat)
AT_A_PATH(mknodat)
AT_A_PATH(unlinkat)

CALL(int, open, const char *path, ...) {
    touch_text(path);
    return descriptor();
}

CALL(int, openat, int directory, const char *path, ...) {
    (void)directory;
    touch_text(path);
    return descriptor();
}

CALL(int, symlinkat, const char *text, int directory, const char *path) {
    (void)directory;
    touch_text(text), touch_text(path);
    return plain();
}

// Where a link may lead: out, on, in circles, to its own length.
static size_t some_text(char *into, size_t room) {
    static const char *const texts[] = {"", "a", "/", "../..", "/a/../b", "missing/below/", "."};
    const char *text = texts[kernel_random() % (sizeof texts / sizeof *texts)];
    size_t length = strlen(text);
    if (one_in(8)) {
        length = kernel_random() % (room + 1);
        memset(into, one_in(2) ? '/' : 'x', length);
        return length;
    }
    length = length < room ? length : room;
    memcpy(into, text, length);
    return length;
}

CALL(ssize_t, readlinkat, int directory, const char *path, char *into, size_t room) {
    (void)directory;
    touch_text(path);
    return done((long)some_text(into, room));
}

CALL(int, mount, const char *source, const char *target, const char *type, unsigned long flags,
     const void *data) {
    (void)flags;
    touch_text(source), touch_text(target), touch_text(type), touch_text(data);
    return plain();
}

static int status_of_a_file(struct stat *stat) {
    static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFCHR, S_IFLNK, S_IFIFO};
    memset(stat, 0, sizeof *stat);
    stat->st_mode = types[kernel_random() % (sizeof types / sizeof *types)] | 0644;
    stat->st_rdev = kernel_random() % 4;
    return plain();
}

CALL(int, stat, const char *path, struct stat *stat) {
    touch_text(path);
    return status_of_a_file(stat);
}

CALL(int, fstat, int fd, struct stat *stat) {
    (void)fd;
    return status_of_a_file(stat);
}

CALL(int, fstatat, int directory, const char *path, struct stat *stat, int flags) {
    (void)directory, (void)flags;
    touch_text(path);
    return status_of_a_file(stat);
}

CALL(int, sethostname, const char *name, size_t length) {
    touch(name, length);
    return plain();
}

CALL(int, setdomainname, const char *name, size_t length) {
    touch(name, length);
    return plain();
}

// --- Extended attributes

static ssize_t some_bytes(void *into, size_t room) {
    size_t count = room ? kernel_random() % (room < 300 ? room + 1 : 300) : 0;
    if (count)
        memset(into, (int)kernel_random(), count);
    return done((long)count);
}

CALL(ssize_t, getxattr, const char *path, const char *name, void *into, size_t room) {
    touch_text(path), touch_text(name);
    return some_bytes(into, room);
}

CALL(ssize_t, fgetxattr, int fd, const char *name, void *into, size_t room) {
    (void)fd;
    touch_text(name);
    return some_bytes(into, room);
}

CALL(ssize_t, flistxattr, int fd, char *into, size_t room) {
    static const char names[] = "user.a\0user.b";
    (void)fd;
    if (room < sizeof names)
        return -1;
    memcpy(into, names, sizeof names);
    return done((long)sizeof names);
}

CALL(int, setxattr, const char *path, const char *name, const void *value, size_t bytes,
     int flags) {
    (void)flags;
    touch_text(path), touch_text(name), touch(value, bytes);
    return plain();
}

CALL(int, fsetxattr, int fd, const char *name, const void *value, size_t bytes, int flags) {
    (void)fd, (void)flags;
    touch_text(name), touch(value, bytes);
    return plain();
}

CALL(int, removexattr, const char *path, const char *name) {
    touch_text(path), touch_text(name);
    return plain();
}

// --- Descriptors

CALL(int, close, int fd) {
    (void)fd;
    return 0;
}

CALL(int, dup2, int from, int to) {
    (void)from;
    return (int)done(to);
}

CALL(int, fcntl, int fd, int command, ...) {
    (void)fd, (void)command;
    return descriptor();
}

CALL(int, ioctl, int fd, unsigned long request, ...) {
    (void)fd, (void)request;
    if (kernel.namespace_count && !one_in(4))
        return (int)done((long)kernel.namespaces[kernel_random() % kernel.namespace_count]);
    return descriptor();
}

CALL(int, pipe2, int ends[2], int flags) {
    (void)flags;
    ends[0] = 20, ends[1] = 21;
    return plain();
}

CALL(ssize_t, read, int fd, void *into, size_t room) {
    (void)fd;
    if (one_in(2))
        return some_bytes(into, room);
    memset(into, 0, room);
    return done((long)room);
}

CALL(ssize_t, write, int fd, const void *data, size_t bytes) {
    (void)fd;
    touch(data, bytes);
    return done((long)bytes);
}

CALL(ssize_t, writev, int fd, const struct iovec *parts, int count) {
    (void)fd;
    long bytes = 0;
    for (int i = 0; i < count; i++) {
        touch(parts[i].iov_base, parts[i].iov_len);
        bytes += (long)parts[i].iov_len;
    }
    return done(bytes);
}

CALL(ssize_t, sendfile, int to, int from, long *offset, size_t bytes) {
    (void)to, (void)from, (void)offset;
    return done(one_in(2) ? 0 : (long)(kernel_random() % (bytes + 1)));
}

CALL(long, lseek, int fd, long offset, int whence) {
    (void)fd, (void)offset, (void)whence;
    return 0;
}

#define ON_A_FILE(name)            \
    CALL(int, name, int fd, ...) { \
        (void)fd;                  \
        return plain();            \
    }
ON_A_FILE(fchdir)
ON_A_FILE(fchmod)
ON_A_FILE(fchown)
ON_A_FILE(ftruncate)
ON_A_FILE(futimens)
ON_A_FILE(shutdown)

// --- Sockets

static uint32_t netlink_sequence;

CALL(int, poll, struct pollfd *polled, unsigned long count, int timeout) {
    (void)timeout;
    for (unsigned long i = 0; i < count; i++)
        polled[i].revents = POLLIN;
    return (int)done(one_in(8) ? 0 : 1);
}

CALL(int, socket, int domain, int type, int protocol) {
    (void)domain, (void)type, (void)protocol;
    return descriptor();
}

CALL(int, socketpair, int domain, int type, int protocol, int ends[2]) {
    (void)domain, (void)type, (void)protocol;
    ends[0] = 30, ends[1] = 31;
    return plain();
}

CALL(int, connect, int fd, const void *address, unsigned bytes) {
    (void)fd;
    touch(address, bytes);
    return plain();
}

CALL(int, accept4, int fd, void *address, void *bytes, int flags) {
    (void)fd, (void)address, (void)bytes, (void)flags;
    return descriptor();
}

CALL(ssize_t, send, int fd, const void *data, size_t bytes, int flags) {
    (void)fd, (void)flags;
    touch(data, bytes);
    if (bytes >= sizeof(struct nlmsghdr))
        netlink_sequence = ((const struct nlmsghdr *)data)->nlmsg_seq;
    return done((long)bytes);
}

CALL(ssize_t, sendmsg, int fd, const struct msghdr *message, int flags) {
    size_t bytes = 0;
    (void)fd, (void)flags;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        touch(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
        bytes += message->msg_iov[i].iov_len;
    }
    return done((long)(one_in(8) && bytes ? 1 + kernel_random() % bytes : bytes));
}

// An interface or an address, or the end of it all.
static size_t netlink_answer(char *into) {
    struct {
        struct nlmsghdr header;
        union {
            struct {
                struct ifinfomsg info;
                struct rtattr name;
                char text[16];
            } link;
            struct {
                struct ifaddrmsg info;
                struct rtattr flags;
                uint32_t value;
            } address;
            int error;
        } body;
    } answer = {.header = {.nlmsg_seq = netlink_sequence, .nlmsg_type = NLMSG_ERROR}};
    size_t bytes = sizeof answer.body.error;
    if (one_in(2)) {
        answer.header.nlmsg_type = RTM_NEWLINK;
        answer.body.link.info.ifi_index = 1 + (int)(kernel_random() % 4);
        answer.body.link.name.rta_type = IFLA_IFNAME;
        answer.body.link.name.rta_len = (unsigned short)(4 + kernel_random() % 17);
        bytes = sizeof answer.body.link;
    } else if (one_in(2)) {
        answer.header.nlmsg_type = RTM_NEWADDR;
        answer.body.address.info.ifa_index = 1 + (unsigned)(kernel_random() % 4);
        answer.body.address.flags.rta_type = IFA_FLAGS;
        answer.body.address.flags.rta_len = sizeof(struct rtattr) + 4;
        answer.body.address.value = IFA_F_PERMANENT;
        bytes = sizeof answer.body.address;
    } else if (one_in(2)) {
        answer.body.error = -ENODEV;
    }
    answer.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(bytes);
    memcpy(into, &answer, NLMSG_LENGTH(bytes));
    return NLMSG_LENGTH(bytes);
}

CALL(ssize_t, recv, int fd, void *into, size_t room, int flags) {
    static const unsigned char likely[] = {0, 1, 2, 3, 4, 5, 8, 'u', 's', 'g', 'o', 255};
    unsigned char *bytes = into;
    (void)fd, (void)flags;
    if (room == 32768) // netlink.c
        return done((long)netlink_answer(into));
    if (room == 8) { // an outcome that says "go"
        memset(into, 0, room);
        return done((long)room);
    }
    for (size_t i = 0; i < room; i++)
        bytes[i] = likely[kernel_random() % sizeof likely];
    if (room == 16) { // the head of a message of D-Bus
        uint32_t body = (uint32_t)(kernel_random() % 100),
                 fields = (uint32_t)(kernel_random() % 99);
        bytes[0] = 'l', bytes[1] = (unsigned char)(2 + kernel_random() % 3);
        memcpy(bytes + 4, &body, sizeof body);
        memcpy(bytes + 12, &fields, sizeof fields);
    }
    if (room == 1) // a line
        bytes[0] = (unsigned char)(one_in(4) ? '\n' : "OK "[kernel_random() % 3]);
    return done((long)(one_in(16) && room ? 1 + kernel_random() % room : room));
}

CALL(ssize_t, recvmsg, int fd, struct msghdr *message, int flags) {
    (void)fd, (void)flags;
    memset(message->msg_iov->iov_base, 0, message->msg_iov->iov_len);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (!header)
        abort();
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)(void *)CMSG_DATA(header) = one_in(2) ? 40 : -1;
    return done(one_in(4) ? 0 : (long)message->msg_iov->iov_len);
}

// --- The rest, by number

static long some_entries(char *into, size_t room) {
    static const char *const names[] = {".", "..", "a", "folder"};
    long used = 0;
    if (one_in(2))
        return done(0);
    for (size_t i = 0; i < 4; i++) {
        struct {
            uint64_t inode;
            int64_t offset;
            unsigned short bytes;
            unsigned char type;
            char name[13];
        } entry = {.bytes = sizeof entry, .type = 4 /* DT_DIR */};
        strcpy(entry.name, names[i]);
        if ((size_t)used + sizeof entry > room)
            break;
        memcpy(into + used, &entry, sizeof entry);
        used += (long)sizeof entry;
    }
    return done(used);
}

static void touch_filter(const struct sock_fprog *program) {
    touch(program->filter, program->len * sizeof *program->filter);
}

static long new_process_of(const struct clone_args *args) {
    // The container process has namespaces or a descriptor, or the helper as its maker.
    if (args->flags)
        return process(kernel.as_child);
    // After the process that enters namespaces come those that call programs.
    bool child = kernel.as_helper || one_in(8);
    kernel.as_helper = false;
    return process(child);
}

static long call_by_number(long number, const unsigned long *argument) {
    const void *pointer = (const void *)argument[1];
    switch (number) {
    case SYS_clone3:
        return new_process_of((const void *)argument[0]);
    case SYS_setgroups:
        touch(pointer, argument[0] * sizeof(gid_t));
        return plain();
    case SYS_sched_setaffinity:
        touch((const void *)argument[2], argument[1]);
        return plain();
    case SYS_set_mempolicy:
        if (argument[1] && argument[2])
            touch(pointer, (argument[2] - 1 + 63) / 64 * 8);
        return plain();
    case SYS_sched_setattr:
        touch(pointer, *(const uint32_t *)pointer);
        return plain();
    case SYS_seccomp:
        touch_filter((const void *)argument[2]);
        return descriptor();
    case SYS_bpf: {
        const union bpf_attr *attr = pointer;
        touch(attr, argument[2]);
        if (argument[0] == BPF_PROG_LOAD)
            touch((const void *)attr->insns, attr->insn_cnt * sizeof(struct bpf_insn));
        return descriptor();
    }
    case SYS_keyctl:
        if (argument[0] == 1)
            touch_text(pointer);
        return descriptor();
    case SYS_fsopen:
        touch_text((const char *)argument[0]);
        return descriptor();
    case SYS_fsconfig:
        touch_text((const char *)argument[2]), touch_text((const char *)argument[3]);
        return plain();
    case SYS_openat2:
        touch_text(pointer);
        if (one_in(4)) {
            errno = ENOENT;
            return -1;
        }
        return descriptor();
    case SYS_open_tree:
    case SYS_fspick:
        touch_text(pointer);
        return descriptor();
    case SYS_move_mount:
        touch_text(pointer), touch_text((const char *)argument[3]);
        return plain();
    case SYS_mount_setattr:
        touch_text(pointer), touch((const void *)argument[3], argument[4]);
        return plain();
    case SYS_pivot_root:
        touch_text((const char *)argument[0]), touch_text(pointer);
        return plain();
    case SYS_prlimit64:
        if (argument[2])
            touch((const void *)argument[2], 16);
        if (argument[3])
            memset((void *)argument[3], 0, 16);
        return plain();
    case SYS_capget:
        memset((void *)argument[1], 0, 24);
        return plain();
    case SYS_capset:
        touch(pointer, 24);
        return plain();
    case SYS_getcwd:
        if (argument[1] < 2)
            return -1;
        strcpy((char *)argument[0], "/");
        return done(2);
    case SYS_getdents64:
        return some_entries((char *)argument[1], argument[2]);
    case SYS_memfd_create:
        touch_text((const char *)argument[0]);
        return descriptor();
    case SYS_statx:
        memset((void *)argument[4], 1 + (int)(kernel_random() % 2), 256);
        return plain();
    case SYS_execveat:
        touch_text(pointer), touch_words((char *const *)argument[2]);
        return plain();
    case SYS_fsmount:
    case SYS_pidfd_open:
    case SYS_pidfd_getfd:
        return descriptor();
    case SYS_close_range:
        if (argument[0] > argument[1])
            abort();
        return 0;
    case 439: // faccessat2
        touch_text(pointer);
        return plain();
    case SYS_setresuid:
    case SYS_setresgid:
        // "No change" would be an id that nobody asked for.
        if ((uint32_t)argument[0] == UINT32_MAX || argument[0] > UINT32_MAX)
            abort();
        return plain();
    default:
        return plain();
    }
}

// Six whatever the call, as the kernel takes them from registers: those that were not passed are
// whatever is there.
long kernel_syscall(long number, ...);

__attribute__((no_sanitize_address)) long kernel_syscall(long number, ...) {
    unsigned long argument[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(list, unsigned long);
    va_end(list);
    // What is passed as an int has no upper half.
    if (number == SYS_close_range)
        argument[0] = (uint32_t)argument[0], argument[1] = (uint32_t)argument[1];
    return call_by_number(number, argument);
}
