// Paths inside the container's root. What a path means there is decided by the kernel with
// RESOLVE_IN_ROOT, so neither a symbolic link of the image nor one that is swapped meanwhile leads
// out of it.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROOM = 4096, MOST_LINKS = 40 };

static int open_below(int root, const char *path, int flags) {
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT,
    };
    // EAGAIN: something was renamed while ".." was resolved (openat2(2)).
    for (int tries = 0; tries < 64; tries++) {
        int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            return fd;
    }
    return -1;
}

// Returns a descriptor, or -1 with errno.
int open_in_root(const struct context *context, const char *path, int flags) {
    if (context->root >= 0)
        return open_below(context->root, path, flags);
    // A further process of a container has the container's root as its own, since it entered the
    // mount namespace.
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = root < 0 ? -1 : open_below(root, path, flags);
    int error = errno;
    if (root >= 0)
        close(root);
    errno = error;
    return fd;
}

// Makes the component that begins at `start`, in the folder before it. Returns 0, or the length of
// the text of the link to nowhere that is there, or -1 with errno.
static ssize_t make_one(const struct context *context, char *path, size_t start, bool directory,
                        char *link) {
    int parent, root = context->root;
    if (start <= 1) {
        parent = open_below(root, "/", O_PATH | O_DIRECTORY);
    } else {
        path[start - 1] = 0;
        parent = open_below(root, path, O_PATH | O_DIRECTORY);
        path[start - 1] = '/';
    }
    if (parent < 0)
        return -1;
    const char *name = path + start;
    int result = directory ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0);
    ssize_t bytes = result;
    int error = errno;
    if (result == 0)
        note_made(context, parent, path, directory);
    if (result != 0 && error == EEXIST) {
        bytes = readlinkat(parent, name, link, ROOM - 1);
        error = bytes < 0 || bytes == ROOM - 1 ? EEXIST : 0;
        bytes = error ? -1 : bytes;
    }
    close(parent);
    errno = error;
    return bytes;
}

// Component by component: each is opened, made where it is missing, or, where it is a link to
// nowhere, replaced by what that says.
static int walk(const struct context *context, char path[ROOM], bool directory) {
    char link[ROOM];
    unsigned links = 0;
    size_t start = 0;
    // Most often all is there but the last.
    const char *last = strrchr(path, '/');
    if (last && make_one(context, path, (size_t)(last + 1 - path), directory, link) == 0)
        return open_below(context->root, path, O_PATH);
    for (;;) {
        start += strspn(path + start, "/");
        size_t end = start + strcspn(path + start, "/");
        char cut = path[end];
        path[end] = 0;
        int fd = open_below(context->root, start == end ? "/" : path, O_PATH);
        if (fd >= 0 && !cut)
            return fd;
        if (fd >= 0) {
            close(fd);
            path[end] = cut;
            start = end;
            continue;
        }
        ssize_t bytes =
            errno == ENOENT ? make_one(context, path, start, directory || cut, link) : -1;
        path[end] = cut;
        if (bytes < 0)
            return -1;
        if (bytes == 0)
            continue;
        size_t at = link[0] == '/' ? 0 : start, rest = strlen(path + end) + 1;
        if (++links > MOST_LINKS || at + (size_t)bytes + rest > ROOM) {
            errno = links > MOST_LINKS ? ELOOP : ENAMETOOLONG;
            return -1;
        }
        memmove(path + at + bytes, path + end, rest);
        memcpy(path + at, link, (size_t)bytes);
        start = at;
    }
}

// Opens `path` for mounting on it (O_PATH), making it, and the folders it is in, if it is missing.
int make_in_root(const struct context *context, const char *path, bool directory) {
    int fd = open_below(context->root, path, O_PATH);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    char whole[ROOM];
    size_t length = strlen(path);
    while (length && path[length - 1] == '/')
        length--;
    if (length >= sizeof whole) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(whole, path, length);
    whole[length] = 0;
    return walk(context, whole, directory);
}

// Opens the folder that `path` is in, making what is missing of it; `*name` is the last component.
int open_parent_in_root(const struct context *context, const char *path, const char **name) {
    char whole[ROOM];
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    size_t cut = (size_t)(*name - path);
    if (cut >= sizeof whole) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(whole, path, cut);
    whole[cut] = 0;
    return cut ? make_in_root(context, whole, true)
               : open_below(context->root, ".", O_PATH | O_DIRECTORY);
}
