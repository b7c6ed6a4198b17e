// Paths that the container may not read, or not write.
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <unistd.h>

static bool is_absent(int error) {
    return error == ENOENT || error == ENOTDIR;
}

enum { OF_FILE, OF_FOLDER };

// The first of its sort is made, all others are copies of it. That one is mounted by then, which
// before Linux 6.15 it has to be.
static int new_mask(struct context *context, const struct op *op, int sort) {
    if (context->masks[sort])
        return clone_tree(context->masks[sort] - 1, "", false);
    if (sort == OF_FILE)
        return clone_with(context->null, "", MOUNT_ATTR_RDONLY, false);
    const struct filesystem empty = {
        .type = "tmpfs",
        .source = "tmpfs",
        .options = context->plan->heap + op->blob,
        .bytes = op->blob_bytes,
        .read_only = true,
        .attributes = MOUNT_ATTR_RDONLY,
    };
    return new_filesystem(&empty);
}

void close_masks(struct context *context) {
    for (int sort = OF_FILE; sort <= OF_FOLDER; sort++) {
        if (context->masks[sort])
            close(context->masks[sort] - 1);
        context->masks[sort] = 0;
    }
}

// blob: options of the empty filesystem that hides a folder, the same for all of a plan.
int op_mask(struct context *context, const struct op *op) {
    int target = open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (target < 0)
        return is_absent(errno) ? 0 : errno;
    struct stat stat;
    int fd = -1, sort = OF_FILE;
    int error = fstat(target, &stat) != 0 ? errno : 0;
    if (!error) {
        sort = S_ISDIR(stat.st_mode) ? OF_FOLDER : OF_FILE;
        fd = new_mask(context, op, sort);
        error = fd < 0 ? errno : put(fd, target);
    }
    close(target);
    if (!error && !context->masks[sort])
        context->masks[sort] = fd + 1;
    else if (fd >= 0)
        close(fd);
    return error;
}

int op_readonly(struct context *context, const struct op *op) {
    int target = open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (target < 0)
        return is_absent(errno) ? 0 : errno;
    int fd = clone_with(target, "", MOUNT_ATTR_RDONLY, true);
    int error = fd < 0 ? errno : put(fd, target);
    if (fd >= 0)
        close(fd);
    close(target);
    return error;
}
