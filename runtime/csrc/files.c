// Small files: decimal numbers and writes in one go, without stdio.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

size_t print_decimal(char *into, uint64_t value) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < count; i++)
        into[i] = digits[count - 1 - i];
    into[count] = 0;
    return count;
}

// Kernel files take a value by one write(2) or not at all.
int write_file(int directory, const char *path, const void *data, size_t bytes, int flags) {
    int fd = openat(directory, path, O_WRONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return errno;
    ssize_t done = write(fd, data, bytes);
    int error = done < 0 ? errno : (size_t)done != bytes ? EIO : 0;
    close(fd);
    return error;
}

// <prefix><pid>/<name>, such as /proc/17/uid_map.
int write_pid_file(const char *prefix, pid_t pid, const char *name, const void *data,
                   size_t bytes) {
    char path[128];
    size_t length = strlen(prefix);
    if (length + 20 + strlen(name) + 2 > sizeof path)
        return ENAMETOOLONG;
    memcpy(path, prefix, length);
    length += print_decimal(path + length, (uint64_t)pid);
    path[length++] = '/';
    strcpy(path + length, name);
    return write_file(AT_FDCWD, path, data, bytes, 0);
}

// path, text. flag 1: append; 2: the file need not be there; 4: only where possible. extra: what to
// write to where there is no such file (kernels with another name for it).
int op_write(struct context *context, const struct op *op) {
    const char *text = plan_string(context->plan, op->text);
    const char *other = plan_string(context->plan, op->extra);
    int flags = op->flags & 1 ? O_APPEND : 0;
    size_t bytes = strlen(text);
    int error = write_file(AT_FDCWD, plan_string(context->plan, op->path), text, bytes, flags);
    if (error == ENOENT && *other)
        error = write_file(AT_FDCWD, other, text, bytes, flags);
    return (error == ENOENT && op->flags & 2) || op->flags & 4 ? 0 : error;
}

int op_process_file(struct context *context, const struct op *op) {
    const char *text = plan_string(context->plan, op->text);
    return write_pid_file("/proc/", context->pid, plan_string(context->plan, op->path), text,
                          strlen(text));
}
