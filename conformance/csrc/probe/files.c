// Reading and writing files without hanging, and without being killed by SIGPIPE.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A descriptor that somebody else made non-blocking (stdin of a hook, say) must still be read to
// its end.
static void wait_until_ready(int fd, short events) {
    struct pollfd ready = {.fd = fd, .events = events};
    poll(&ready, 1, -1);
}

static ssize_t read_some(int fd, char *data, size_t len) {
    for (;;) {
        ssize_t got = read(fd, data, len);
        if (got >= 0)
            return got;
        if (errno == EAGAIN)
            wait_until_ready(fd, POLLIN);
        else if (errno != EINTR)
            return -1;
    }
}

bool read_up_to(int fd, struct text *into, size_t limit) {
    char chunk[4096];
    while (limit > 0) {
        ssize_t got = read_some(fd, chunk, limit < sizeof chunk ? limit : sizeof chunk);
        if (got < 0)
            return false;
        if (got == 0)
            return true;
        text_append(into, chunk, (size_t)got);
        limit -= (size_t)got;
    }
    return true;
}

// What goes beyond the limit is read too and dropped: a writer must not be met by a broken pipe.
bool read_to_end(int fd, struct text *into, size_t limit) {
    if (!read_up_to(fd, into, limit))
        return false;
    char chunk[4096];
    ssize_t got;
    do
        got = read_some(fd, chunk, sizeof chunk);
    while (got > 0);
    return got == 0;
}

// O_NONBLOCK: a bundle may put a FIFO where the probe expects a file of /proc.
bool read_file(const char *path, struct text *into) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool ok = read_up_to(fd, into, (size_t)16 * STDIN_LIMIT);
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

bool read_link(const char *path, struct text *into) {
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target);
    if (len < 0)
        return false;
    text_append(into, target, (size_t)len);
    return true;
}

static int is_entry(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

// alphasort(3) sorts as the locale says; these are bytes.
static int compare_entries(const struct dirent **left, const struct dirent **right) {
    return strcmp((*left)->d_name, (*right)->d_name);
}

bool read_directory(const char *path, struct directory *into) {
    into->count = scandir(path, &into->entries, is_entry, compare_entries);
    return into->count >= 0;
}

void directory_free(struct directory *directory) {
    for (int i = 0; i < directory->count; i++)
        free(directory->entries[i]);
    free(directory->entries);
}

// O_CREAT only for what isn't there: with fs.protected_fifos and fs.protected_regular the kernel
// refuses it on somebody else's FIFO or file in a sticky directory such as /tmp (proc_sys_fs(5)).
int open_for_writing(const char *path, int flags) {
    flags |= O_WRONLY | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags);
    if (fd < 0 && errno == ENOENT)
        fd = open(path, flags | O_CREAT, 0666);
    return fd;
}

// One write(2). A broken pipe is EPIPE and nothing more: the signal is held back and taken off the
// queue rather than ignored, because an ignored SIGPIPE would show in the report and in what we
// spawn.
ssize_t write_once(int fd, const void *data, size_t len) {
    sigset_t pending, blocked, only_pipe;
    sigemptyset(&pending);
    sigemptyset(&blocked);
    sigemptyset(&only_pipe);
    sigaddset(&only_pipe, SIGPIPE);
    sigpending(&pending);
    sigprocmask(SIG_BLOCK, &only_pipe, &blocked);
    ssize_t written = write(fd, data, len);
    int saved = errno;
    if (written < 0 && saved == EPIPE && !sigismember(&pending, SIGPIPE)) {
        struct timespec at_once = {0};
        sigtimedwait(&only_pipe, NULL, &at_once);
    }
    // Not SIG_SETMASK: glibc would leave out signals 32 and 33, which `catch` has blocked.
    if (!sigismember(&blocked, SIGPIPE))
        sigprocmask(SIG_UNBLOCK, &only_pipe, NULL);
    errno = saved;
    return written;
}

bool write_all(int fd, const void *data, size_t len) {
    const char *from = data;
    do {
        ssize_t written = write_once(fd, from, len);
        if (written >= 0) {
            from += written;
            len -= (size_t)written;
        } else if (errno == EAGAIN) {
            wait_until_ready(fd, POLLOUT);
        } else if (errno != EINTR) {
            return false;
        }
    } while (len > 0);
    return true;
}

const char *file_type(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFCHR:
        return "char";
    case S_IFBLK:
        return "block";
    case S_IFIFO:
        return "fifo";
    default:
        return "socket";
    }
}

void member_file(struct text *json, const char *key, const char *path) {
    struct text content = {0};
    if (read_file(path, &content))
        member_text(json, key, &content);
    else
        member_null(json, key);
    text_free(&content);
}

void member_link(struct text *json, const char *key, const char *path) {
    struct text target = {0};
    if (read_link(path, &target))
        member_text(json, key, &target);
    else
        member_null(json, key);
    text_free(&target);
}
