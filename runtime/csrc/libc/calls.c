// System calls, with errno, as the executor and the launcher take them from libc.
//
// A program that starts a container lives for two milliseconds, of which glibc's start would be a
// third: it asks the processor what it is, which a virtual machine answers by leaving the guest
// some dozens of times, and touches 25 pages. What is linked with this folder has none of that.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// sys/mount.h does not go along with linux/mount.h, which the executor has.
int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data);
int umount2(const char *target, int flags);

static int last_error; // there is one thread

int *__errno_location(void) {
    return &last_error;
}

static long raw(long number, long a, long b, long c, long d, long e, long f) {
#if defined __x86_64__
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
#endif
}

static long checked(long result) {
    if (result >= 0 || result < -4095)
        return result;
    last_error = (int)-result;
    return -1;
}

long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    return checked(raw(number, a, b, c, d, e, f));
}

#define L(value) ((long)(value))
#define CALL(number, ...) CALL_(number, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, f, ...) \
    checked(raw(number, L(a), L(b), L(c), L(d), L(e), L(f)))

void _exit(int status) {
    for (;;)
        raw(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

// Files

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    return (int)CALL(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    return (int)CALL(SYS_openat, directory, path, flags, mode);
}

int close(int fd) {
    return (int)CALL(SYS_close, fd);
}

ssize_t read(int fd, void *into, size_t bytes) {
    return CALL(SYS_read, fd, into, bytes);
}

ssize_t write(int fd, const void *from, size_t bytes) {
    return CALL(SYS_write, fd, from, bytes);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return CALL(SYS_writev, fd, parts, count);
}

off_t lseek(int fd, off_t offset, int whence) {
    return CALL(SYS_lseek, fd, offset, whence);
}

int ftruncate(int fd, off_t bytes) {
    return (int)CALL(SYS_ftruncate, fd, bytes);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t bytes) {
    return CALL(SYS_sendfile, to, from, offset, bytes);
}

int fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    return (int)CALL(SYS_fcntl, fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    long argument = va_arg(list, long);
    va_end(list);
    return (int)CALL(SYS_ioctl, fd, request, argument);
}

int dup2(int from, int to) {
    if (from == to)
        return fcntl(from, F_GETFD, 0L) < 0 ? -1 : to;
    return (int)CALL(SYS_dup3, from, to, 0);
}

int pipe2(int ends[2], int flags) {
    return (int)CALL(SYS_pipe2, ends, flags);
}

int fstatat(int directory, const char *path, struct stat *into, int flags) {
    return (int)CALL(SYS_newfstatat, directory, path, into, flags);
}

int stat(const char *path, struct stat *into) {
    return fstatat(AT_FDCWD, path, into, 0);
}

int statfs(const char *path, struct statfs *into) {
    return (int)CALL(SYS_statfs, path, into);
}

// As the system call has it: for the real ids. It takes no flags; none are asked for.
int faccessat(int directory, const char *path, int mode, int flags) {
    (void)flags;
    return (int)CALL(SYS_faccessat, directory, path, mode);
}

int access(const char *path, int mode) {
    return faccessat(AT_FDCWD, path, mode, 0);
}

int renameat(int from, const char *path, int to, const char *name) {
    return (int)CALL(SYS_renameat2, from, path, to, name, 0);
}

int flock(int fd, int operation) {
    return (int)CALL(SYS_flock, fd, operation);
}

int fstat(int fd, struct stat *into) {
    return (int)CALL(SYS_fstat, fd, into);
}

int mkdirat(int directory, const char *path, mode_t mode) {
    return (int)CALL(SYS_mkdirat, directory, path, mode);
}

int mkdir(const char *path, mode_t mode) {
    return mkdirat(AT_FDCWD, path, mode);
}

int mknodat(int directory, const char *path, mode_t mode, dev_t device) {
    return (int)CALL(SYS_mknodat, directory, path, mode, device);
}

int unlinkat(int directory, const char *path, int flags) {
    return (int)CALL(SYS_unlinkat, directory, path, flags);
}

int rmdir(const char *path) {
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int symlinkat(const char *text, int directory, const char *path) {
    return (int)CALL(SYS_symlinkat, text, directory, path);
}

ssize_t readlinkat(int directory, const char *path, char *into, size_t bytes) {
    return CALL(SYS_readlinkat, directory, path, into, bytes);
}

ssize_t readlink(const char *path, char *into, size_t bytes) {
    return readlinkat(AT_FDCWD, path, into, bytes);
}

int fchmod(int fd, mode_t mode) {
    return (int)CALL(SYS_fchmod, fd, mode);
}

// The system call takes no flags; none are asked for.
int fchmodat(int directory, const char *path, mode_t mode, int flags) {
    (void)flags;
    return (int)CALL(SYS_fchmodat, directory, path, mode);
}

int fchown(int fd, uid_t uid, gid_t gid) {
    return (int)CALL(SYS_fchown, fd, uid, gid);
}

int fchownat(int directory, const char *path, uid_t uid, gid_t gid, int flags) {
    return (int)CALL(SYS_fchownat, directory, path, uid, gid, flags);
}

int futimens(int fd, const struct timespec times[2]) {
    return (int)CALL(SYS_utimensat, fd, NULL, times, 0);
}

int chdir(const char *path) {
    return (int)CALL(SYS_chdir, path);
}

int fchdir(int fd) {
    return (int)CALL(SYS_fchdir, fd);
}

int chroot(const char *path) {
    return (int)CALL(SYS_chroot, path);
}

mode_t umask(mode_t mask) {
    return (mode_t)CALL(SYS_umask, mask);
}

ssize_t getxattr(const char *path, const char *name, void *into, size_t bytes) {
    return CALL(SYS_getxattr, path, name, into, bytes);
}

int setxattr(const char *path, const char *name, const void *value, size_t bytes, int flags) {
    return (int)CALL(SYS_setxattr, path, name, value, bytes, flags);
}

int removexattr(const char *path, const char *name) {
    return (int)CALL(SYS_removexattr, path, name);
}

ssize_t fgetxattr(int fd, const char *name, void *into, size_t bytes) {
    return CALL(SYS_fgetxattr, fd, name, into, bytes);
}

int fsetxattr(int fd, const char *name, const void *value, size_t bytes, int flags) {
    return (int)CALL(SYS_fsetxattr, fd, name, value, bytes, flags);
}

ssize_t flistxattr(int fd, char *into, size_t bytes) {
    return CALL(SYS_flistxattr, fd, into, bytes);
}

int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data) {
    return (int)CALL(SYS_mount, source, target, type, flags, data);
}

int umount2(const char *target, int flags) {
    return (int)CALL(SYS_umount2, target, flags);
}

// Memory

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return (void *)CALL(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

int munmap(void *at, size_t bytes) {
    return (int)CALL(SYS_munmap, at, bytes);
}

// Processes

pid_t getpid(void) {
    return (pid_t)raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

uid_t geteuid(void) {
    return (uid_t)raw(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

int getresuid(uid_t *real, uid_t *effective, uid_t *saved) {
    return (int)CALL(SYS_getresuid, real, effective, saved);
}

int getresgid(gid_t *real, gid_t *effective, gid_t *saved) {
    return (int)CALL(SYS_getresgid, real, effective, saved);
}

int uname(struct utsname *into) {
    return (int)CALL(SYS_uname, into);
}

int sched_yield(void) {
    return (int)CALL(SYS_sched_yield, 0);
}

pid_t setsid(void) {
    return (pid_t)CALL(SYS_setsid, 0);
}

int kill(pid_t pid, int number) {
    return (int)CALL(SYS_kill, pid, number);
}

pid_t waitpid(pid_t pid, int *status, int options) {
    return (pid_t)CALL(SYS_wait4, pid, status, options, NULL);
}

int execve(const char *path, char *const argv[], char *const environment[]) {
    return (int)CALL(SYS_execve, path, argv, environment);
}

int execv(const char *path, char *const argv[]) {
    return execve(path, argv, environ);
}

int prctl(int option, ...) {
    va_list list;
    va_start(list, option);
    long b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long);
    va_end(list);
    return (int)CALL(SYS_prctl, option, b, c, d, e);
}

int personality(unsigned long persona) {
    return (int)CALL(SYS_personality, persona);
}

int setns(int fd, int type) {
    return (int)CALL(SYS_setns, fd, type);
}

int unshare(int flags) {
    return (int)CALL(SYS_unshare, flags);
}

// Only the runtime makes processes in this way (binds.c).
int clone(int (*run)(void *), void *stack, int flags, void *argument, ...) {
    (void)run, (void)stack, (void)flags, (void)argument;
    last_error = ENOSYS;
    return -1;
}

int sethostname(const char *name, size_t bytes) {
    return (int)CALL(SYS_sethostname, name, bytes);
}

int setdomainname(const char *name, size_t bytes) {
    return (int)CALL(SYS_setdomainname, name, bytes);
}

int sigemptyset(sigset_t *set) {
    memset(set, 0, sizeof *set);
    return 0;
}

int sigfillset(sigset_t *set) {
    memset(set, 0xff, sizeof *set);
    return 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before) {
    return (int)CALL(SYS_rt_sigprocmask, how, set, before, sizeof(uint64_t));
}

int sigdelset(sigset_t *set, int number) {
    set->__val[0] &= ~(1ul << (number - 1));
    return 0;
}

int sigwaitinfo(const sigset_t *set, siginfo_t *into) {
    return (int)CALL(SYS_rt_sigtimedwait, set, into, NULL, sizeof(uint64_t));
}

// SIG_DFL or SIG_IGN: a handler would need a way back.
sighandler_t signal(int number, sighandler_t action) {
    struct {
        sighandler_t handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } new = {.handler = action}, old = {0};
    return CALL(SYS_rt_sigaction, number, &new, &old, sizeof new.mask) < 0 ? SIG_ERR : old.handler;
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    return (int)CALL(SYS_nanosleep, time, left);
}

int clock_gettime(clockid_t clock, struct timespec *into) {
    return (int)CALL(SYS_clock_gettime, clock, into);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    struct timespec time = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
    return (int)CALL(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &time, NULL, 0);
}

// Sockets

int socket(int domain, int type, int protocol) {
    return (int)CALL(SYS_socket, domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int ends[2]) {
    return (int)CALL(SYS_socketpair, domain, type, protocol, ends);
}

int connect(int fd, const struct sockaddr *address, socklen_t bytes) {
    return (int)CALL(SYS_connect, fd, address, bytes);
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes) {
    return (int)CALL(SYS_bind, fd, address, bytes);
}

int listen(int fd, int waiting) {
    return (int)CALL(SYS_listen, fd, waiting);
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags) {
    return (int)CALL(SYS_accept4, fd, address, bytes, flags);
}

int shutdown(int fd, int how) {
    return (int)CALL(SYS_shutdown, fd, how);
}

ssize_t send(int fd, const void *from, size_t bytes, int flags) {
    return CALL(SYS_sendto, fd, from, bytes, flags, NULL, 0);
}

ssize_t recv(int fd, void *into, size_t bytes, int flags) {
    return CALL(SYS_recvfrom, fd, into, bytes, flags, NULL, NULL);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    return CALL(SYS_sendmsg, fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    return CALL(SYS_recvmsg, fd, message, flags);
}
