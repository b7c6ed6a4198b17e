// Copies of folders, for tmpfs mounts that start with what they cover (tmpcopyup).
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DEEPEST = 256 };

static int copy_attributes(int from, int to) {
    char names[4096], value[4096];
    ssize_t bytes = flistxattr(from, names, sizeof names);
    for (ssize_t at = 0; at < bytes; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t size = fgetxattr(from, names + at, value, sizeof value);
        // What a tmpfs does not take stays behind, as it does with cp(1).
        if (size >= 0)
            fsetxattr(to, names + at, value, (size_t)size, 0);
    }
    return 0;
}

static int copy_owner_and_mode(int from, int to) {
    struct stat stat;
    if (fstat(from, &stat) != 0 || fchown(to, stat.st_uid, stat.st_gid) != 0 ||
        fchmod(to, stat.st_mode & 07777) != 0)
        return errno;
    copy_attributes(from, to);
    const struct timespec times[2] = {stat.st_atim, stat.st_mtim};
    return futimens(to, times) != 0 ? errno : 0;
}

static int copy_file(int from, int directory, const char *name) {
    int to = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return errno;
    int error = 0;
    for (;;) {
        ssize_t bytes = sendfile(to, from, NULL, 1 << 30);
        if (bytes == 0)
            break;
        if (bytes < 0 && errno != EINTR) {
            error = errno;
            break;
        }
    }
    if (!error)
        error = copy_owner_and_mode(from, to);
    close(to);
    return error;
}

static int copy_other(int from, int to, const char *name, const struct stat *stat) {
    char text[4096];
    if (S_ISLNK(stat->st_mode)) {
        ssize_t bytes = readlinkat(from, name, text, sizeof text - 1);
        if (bytes < 0)
            return errno;
        text[bytes] = 0;
        if (symlinkat(text, to, name) != 0)
            return errno;
    } else if (mknodat(to, name, stat->st_mode, stat->st_rdev) != 0) {
        return errno;
    }
    return fchownat(to, name, stat->st_uid, stat->st_gid, NO_FOLLOW) != 0 ? errno : 0;
}

static int copy_folder(int from, int to, int depth);

static int copy_entry(int from, int to, const char *name, int depth) {
    struct stat stat;
    if (fstatat(from, name, &stat, NO_FOLLOW) != 0)
        return errno;
    if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
        return copy_other(from, to, name, &stat);
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0)
        return errno;
    int error;
    if (S_ISREG(stat.st_mode)) {
        error = copy_file(source, to, name);
    } else {
        error = mkdirat(to, name, 0700) != 0 ? errno : 0;
        int made = error ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (!error)
            error = made < 0 ? errno : copy_folder(source, made, depth + 1);
        if (made >= 0)
            close(made);
    }
    close(source);
    return error;
}

struct copying {
    int to;
    int depth;
};

static int copy_into(void *with, int from, const char *name, bool is_folder) {
    const struct copying *copying = with;
    (void)is_folder;
    return copy_entry(from, copying->to, name, copying->depth);
}

static int copy_folder(int from, int to, int depth) {
    if (depth > DEEPEST)
        return ENAMETOOLONG;
    struct copying copying = {.to = to, .depth = depth};
    int error = for_each_entry(from, copy_into, &copying);
    return error ? error : copy_owner_and_mode(from, to);
}

int copy_tree(int from, int to) {
    return copy_folder(from, to, 0);
}
