// The questions of facts.h, each answered by few system calls.
#include "facts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SEATRIAL_BUILD
#define SEATRIAL_BUILD "unnamed"
#endif

enum { LEAST = 8192, MOST = 64 << 20 };

static bool make_room(struct room *room, size_t bytes) {
    if (bytes <= room->size)
        return true;
    size_t size = room->size ? room->size : LEAST;
    while (size < bytes)
        size *= 2;
    char *at = size > MOST ? NULL : realloc(room->at, size);
    if (!at)
        return false;
    room->at = at;
    room->size = size;
    return true;
}

static int add(struct room *room, const void *data, size_t bytes) {
    if (!make_room(room, room->bytes + bytes))
        return ENOMEM;
    memcpy(room->at + room->bytes, data, bytes);
    room->bytes += bytes;
    return 0;
}

int read_to_end(int fd, struct room *into) {
    into->bytes = 0;
    for (;;) {
        if (!make_room(into, into->bytes + LEAST / 2))
            return ENOMEM;
        ssize_t bytes = read(fd, into->at + into->bytes, into->size - into->bytes);
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0)
            return errno;
        if (bytes == 0)
            return 0;
        into->bytes += (size_t)bytes;
    }
}

static int read_file(const char *path, struct room *into) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = read_to_end(fd, into);
    close(fd);
    return error;
}

static int look(const char *path, uint32_t fields, struct room *into) {
    struct stat found;
    if (stat(path, &found) != 0)
        return errno;
    const int64_t second = 1000000000;
    int64_t values[FIELD_COUNT] = {
        [FIELD_TYPE] = found.st_mode & S_IFMT,
        [FIELD_RDEV] = (int64_t)found.st_rdev,
        [FIELD_DEV] = (int64_t)found.st_dev,
        [FIELD_INO] = (int64_t)found.st_ino,
        [FIELD_SIZE] = found.st_size,
        [FIELD_MTIME] = found.st_mtim.tv_sec * second + found.st_mtim.tv_nsec,
        [FIELD_CTIME] = found.st_ctim.tv_sec * second + found.st_ctim.tv_nsec,
    };
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!(fields >> i & 1))
            values[i] = 0;
    return add(into, values, sizeof values);
}

// The fifth word of a line is where the mount is (proc(5)).
static const char *target_of(const char *line, const char *end) {
    enum { BEFORE = 4 };
    for (int i = 0; i < BEFORE; i++) {
        line = memchr(line, ' ', (size_t)(end - line));
        if (!line)
            return NULL;
        line++;
    }
    return line;
}

static int find_mounts(struct asker *asker, const char *below) {
    if (!asker->has_mounts) {
        int error = read_file("/proc/self/mountinfo", &asker->mounts);
        if (error)
            return error;
        asker->has_mounts = true;
    }
    size_t length = strlen(below);
    while (length && below[length - 1] == '/')
        length--;
    const char *line = asker->mounts.at, *last = line + asker->mounts.bytes;
    int error = 0;
    while (!error && line < last) {
        const char *end = memchr(line, '\n', (size_t)(last - line));
        if (!end)
            break;
        const char *target = target_of(line, end);
        if (target && (size_t)(end - target) > length && memcmp(target, below, length) == 0 &&
            (target[length] == '/' || target[length] == ' '))
            error = add(&asker->answer, line, (size_t)(end + 1 - line));
        line = end + 1;
    }
    return error;
}

static int find_real(const char *path, struct room *into) {
    char found[PATH_ROOM];
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = path_of(fd, found) ? 0 : errno;
    close(fd);
    return error ? error : add(into, found, strlen(found));
}

static bool may_make_at(const char *path) {
    char above[4096];
    size_t length = strlen(path);
    if (length >= sizeof above)
        return false;
    memcpy(above, path, length + 1);
    while (access(above, F_OK) != 0) {
        char *slash = strrchr(above, '/');
        if (!slash || !above[1])
            return false;
        slash[slash == above] = 0;
    }
    return access(above, W_OK) == 0;
}

int ask(struct asker *asker, uint32_t kind, uint32_t flags, const char *name) {
    struct room *answer = &asker->answer;
    answer->bytes = 0;
    bool yes;
    switch (kind) {
    case ASK_READ:
        return read_file(name, answer);
    case ASK_STAT:
        return look(name, flags, answer);
    case ASK_MOUNTS:
        return find_mounts(asker, name);
    case ASK_REAL:
        return find_real(name, answer);
    case ASK_ENVIRON: {
        const char *value = getenv(name);
        int error = add(answer, value ? "\1" : "\0", 1);
        return error || !value ? error : add(answer, value, strlen(value));
    }
    case ASK_RELEASE: {
        struct utsname host;
        return uname(&host) != 0 ? errno : add(answer, host.release, strlen(host.release));
    }
    case ASK_ACCESS:
        yes = access(name, (int)flags) == 0;
        return add(answer, &yes, 1);
    case ASK_ABOVE:
        yes = may_make_at(name);
        return add(answer, &yes, 1);
    }
    return ENOSYS;
}

void forget(struct asker *asker) {
    free(asker->answer.at);
    free(asker->mounts.at);
    *asker = (struct asker){0};
}

bool find_caller(struct caller *caller) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    if (getresuid(&caller->uid[0], &caller->uid[1], &caller->uid[2]) != 0 ||
        getresgid(&caller->gid[0], &caller->gid[1], &caller->gid[2]) != 0 ||
        syscall(SYS_capget, &header, sets) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        caller->capabilities[3 * i] = sets[i].effective;
        caller->capabilities[3 * i + 1] = sets[i].permitted;
        caller->capabilities[3 * i + 2] = sets[i].inheritable;
    }
    return true;
}

const char *build_id(void) {
    return SEATRIAL_BUILD;
}
