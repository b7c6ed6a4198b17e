// The path of what is open, in which the kernel leaves no link.
#include "facts.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool path_of(int fd, char path[PATH_ROOM]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, PATH_ROOM);
    if (bytes == PATH_ROOM)
        errno = ENAMETOOLONG;
    if (bytes < 0 || bytes == PATH_ROOM)
        return false;
    path[bytes] = 0;
    return true;
}
