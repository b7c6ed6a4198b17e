// Paths that the container may not read, or not write.
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <unistd.h>

static bool is_absent(int error) {
    return error == ENOENT || error == ENOTDIR;
}

// blob: options of the empty filesystem that hides a folder.
int op_mask(struct context *context, const struct op *op) {
    int target = open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (target < 0)
        return is_absent(errno) ? 0 : errno;
    const struct filesystem empty = {
        .type = "tmpfs",
        .source = "tmpfs",
        .options = context->plan->heap + op->blob,
        .bytes = op->blob_bytes,
        .read_only = true,
    };
    struct stat stat;
    int fd = -1;
    int error = fstat(target, &stat) != 0 ? errno : 0;
    if (!error) {
        fd = S_ISDIR(stat.st_mode) ? new_filesystem(&empty) : clone_tree(context->null, "", false);
        error = fd < 0 ? errno : set_attributes(fd, MOUNT_ATTR_RDONLY, 0, 0, false);
    }
    if (!error)
        error = put(fd, target);
    if (fd >= 0)
        close(fd);
    close(target);
    return error;
}

int op_readonly(struct context *context, const struct op *op) {
    int target = open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (target < 0)
        return is_absent(errno) ? 0 : errno;
    int fd = clone_tree(target, "", true);
    int error = fd < 0 ? errno : set_attributes(fd, MOUNT_ATTR_RDONLY, 0, 0, true);
    if (!error)
        error = put(fd, target);
    if (fd >= 0)
        close(fd);
    close(target);
    return error;
}
