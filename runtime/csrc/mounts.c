// Operations on mounts, by the new mount API: a mount is complete before it is put in place.
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OPEN_TREE_ATTR = 467 }; // Linux 6.15, on every architecture

// One more than the descriptor is stored: zero, of which a new page is full, is none.
int slot_read(const struct context *context, uint32_t slot) {
    return slot < context->slot_count ? context->slots[slot] - 1 : -1;
}

int slot_take(struct context *context, uint32_t slot) {
    int fd = slot_read(context, slot);
    if (fd >= 0)
        context->slots[slot] = 0;
    return fd;
}

int slot_keep(struct context *context, uint32_t slot, int fd) {
    if (slot >= context->slot_count) {
        close(fd);
        return EOVERFLOW;
    }
    context->slots[slot] = fd + 1;
    return 0;
}

void close_slots(struct context *context) {
    for (uint32_t slot = 0; slot < context->slot_count; slot++) {
        int fd = slot_take(context, slot);
        if (fd >= 0)
            close(fd);
    }
}

int set_attributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive) {
    struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
    if (!set && !clear && !propagation)
        return 0;
    unsigned flags = EMPTY_PATH | (recursive ? RECURSIVE : 0);
    return syscall(SYS_mount_setattr, fd, "", flags, &attr, sizeof attr) != 0 ? errno : 0;
}

int set_id_mapping(int fd, int user_namespace, bool recursive) {
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_IDMAP,
        .userns_fd = (uint64_t)(unsigned)user_namespace,
    };
    unsigned flags = EMPTY_PATH | (recursive ? RECURSIVE : 0);
    return syscall(SYS_mount_setattr, fd, "", flags, &attr, sizeof attr) != 0 ? errno : 0;
}

int put(int mount_fd, int target) {
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    return syscall(SYS_move_mount, mount_fd, "", target, "", flags) != 0 ? errno : 0;
}

int put_at(struct context *context, int mount_fd, const char *path, bool directory) {
    int target = make_in_root(context, path, directory);
    if (target < 0)
        return errno;
    int error = put(mount_fd, target);
    close(target);
    // What is mounted on the root is the root from now on.
    if (!error && strcmp(path, "/") == 0) {
        int root = fcntl(mount_fd, F_DUPFD_CLOEXEC, 0);
        if (root < 0)
            return errno;
        close(context->root);
        context->root = root;
    }
    return error;
}

int clone_tree(int directory, const char *path, bool recursive) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | EMPTY_PATH | (recursive ? RECURSIVE : 0);
    return (int)syscall(SYS_open_tree, directory, path, flags);
}

// A copy of the mount at a path, as clone_tree makes it, with attributes; -1 with errno.
int clone_with(int directory, const char *path, uint64_t attributes, bool recursive) {
    struct mount_attr attr = {.attr_set = attributes};
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | EMPTY_PATH | (recursive ? RECURSIVE : 0);
    int copy = (int)syscall(OPEN_TREE_ATTR, directory, path, flags, &attr, sizeof attr);
    if (copy >= 0)
        return copy;
    // Before Linux 6.15.
    copy = clone_tree(directory, path, recursive);
    int error = copy < 0 ? errno : set_attributes(copy, attributes, 0, 0, recursive);
    if (error && copy >= 0) {
        close(copy);
        copy = -1;
    }
    errno = error;
    return copy;
}

int set_options(int filesystem, const char *options, size_t bytes) {
    for (size_t at = 0; at < bytes; at += strlen(options + at) + 1) {
        const char *option = options + at;
        const char *equals = strchr(option, '=');
        if (!equals) {
            if (syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_FLAG, option, NULL, 0) != 0)
                return errno;
            continue;
        }
        char key[256];
        size_t length = (size_t)(equals - option);
        if (length >= sizeof key)
            return EINVAL;
        memcpy(key, option, length);
        key[length] = 0;
        if (syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_STRING, key, equals + 1, 0) != 0)
            return errno;
    }
    return 0;
}

// A key and a value have 255 bytes each at most (fsconfig(2)); overlay's lowerdir is often longer.
bool is_long(const struct filesystem *wanted) {
    enum { MOST = 255 };
    for (size_t at = 0; at < wanted->bytes; at += strlen(wanted->options + at) + 1) {
        const char *equals = strchr(wanted->options + at, '=');
        if (equals && strlen(equals + 1) > MOST)
            return true;
    }
    return strlen(wanted->source) > MOST;
}

int new_filesystem(const struct filesystem *wanted) {
    int filesystem = (int)syscall(SYS_fsopen, wanted->type, FSOPEN_CLOEXEC);
    if (filesystem < 0)
        return -1;
    int fd = -1, error = 0;
    if (*wanted->source &&
        syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_STRING, "source", wanted->source, 0) != 0)
        error = errno;
    if (!error)
        error = set_options(filesystem, wanted->options, wanted->bytes);
    if (!error && wanted->read_only)
        error = set_options(filesystem, "ro", sizeof "ro");
    if (!error && syscall(SYS_fsconfig, filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        error = errno;
    if (!error && (fd = (int)syscall(SYS_fsmount, filesystem, FSMOUNT_CLOEXEC,
                                     (unsigned)wanted->attributes)) < 0)
        error = errno;
    close(filesystem);
    errno = error;
    return fd;
}

int old_filesystem(const struct filesystem *wanted, int target) {
    char data[4096]; // a page is what mount(2) takes
    if (wanted->bytes > sizeof data)
        return E2BIG;
    memcpy(data, wanted->options, wanted->bytes);
    for (size_t i = 0; i + 1 < wanted->bytes; i++)
        data[i] = data[i] ? data[i] : ',';
    int before = open(".", O_PATH | O_CLOEXEC);
    int error = fchdir(target) != 0 ? errno : 0;
    if (!error && mount(wanted->source, ".", wanted->type, wanted->read_only,
                        wanted->bytes ? data : NULL) != 0)
        error = errno;
    if (before >= 0) {
        if (fchdir(before) != 0 && !error)
            error = errno;
        close(before);
    }
    return error;
}

enum mount_flags { READ_ONLY = 1, COPY_UP = 2, KEEP = 4, OPTIONAL = 8, MAPPED = 16 };

static int finish(struct context *context, const struct op *op, int fd) {
    int error = 0;
    if (op->flags & MAPPED) {
        int mapping = slot_take(context, (uint32_t)op->number[2]);
        error = mapping < 0 ? EBADF : set_id_mapping(fd, mapping, false);
        if (mapping >= 0)
            close(mapping);
    }
    return error ? error : set_attributes(fd, op->number[0], op->number[1], 0, false);
}

static int mount_the_old_way(struct context *context, const struct op *op,
                             const struct filesystem *wanted) {
    const char *path = plan_string(context->plan, op->path);
    int target = make_in_root(context, path, true);
    if (target < 0)
        return errno;
    int error = old_filesystem(wanted, target);
    close(target);
    int fd = error ? -1 : open_in_root(context, path, O_PATH);
    if (!error)
        error = fd < 0 ? errno : finish(context, op, fd);
    if (fd >= 0)
        close(fd);
    return error;
}

static int copy_up(struct context *context, const char *path, int fd) {
    int from = open_in_root(context, path, O_RDONLY | O_DIRECTORY);
    if (from < 0)
        return errno == ENOENT ? 0 : errno;
    int to = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = to < 0 ? errno : copy_tree(from, to);
    if (to >= 0)
        close(to);
    close(from);
    return error;
}

static int do_mount(struct context *context, const struct op *op) {
    const struct plan *plan = context->plan;
    const char *path = plan_string(plan, op->path);
    const struct filesystem wanted = {
        .type = plan_string(plan, op->text),
        .source = plan_string(plan, op->extra),
        .options = plan->heap + op->blob,
        .bytes = op->blob_bytes,
        .read_only = op->flags & READ_ONLY,
        // What is copied into it comes first. There is nothing to be cleared on a new mount.
        .attributes = op->flags & COPY_UP ? 0 : op->number[0],
    };
    if (is_long(&wanted))
        return mount_the_old_way(context, op, &wanted);
    int fd = new_filesystem(&wanted);
    if (fd < 0)
        return errno;
    int error = op->flags & COPY_UP ? copy_up(context, path, fd) : 0;
    if (!error && op->flags & (COPY_UP | MAPPED))
        error = finish(context, op, fd);
    if (!error)
        error = put_at(context, fd, path, true);
    if (!error && op->flags & KEEP)
        return slot_keep(context, slot_number(op), fd);
    close(fd);
    return error;
}

// number: attributes set, cleared, slot of an id mapping.
int op_mount(struct context *context, const struct op *op) {
    int error = do_mount(context, op);
    return op->flags & OPTIONAL ? 0 : error;
}

// number: attributes set, cleared; of all mounts below too, set, cleared. flag 1: the blob's
// options are for the filesystem.
int op_remount(struct context *context, const struct op *op) {
    int fd = open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (fd < 0)
        return errno;
    int error = 0;
    if (op->flags & 1) {
        int filesystem = (int)syscall(SYS_fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
        error = filesystem < 0
                    ? errno
                    : set_options(filesystem, context->plan->heap + op->blob, op->blob_bytes);
        if (!error && syscall(SYS_fsconfig, filesystem, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
            error = errno;
        if (filesystem >= 0)
            close(filesystem);
    }
    if (!error)
        error = set_attributes(fd, op->number[2], op->number[3], 0, true);
    if (!error)
        error = set_attributes(fd, op->number[0], op->number[1], 0, false);
    close(fd);
    return error;
}

// number: attributes set, cleared. flag 1: of the mount in the slot, not of that at the path.
int op_mount_attributes(struct context *context, const struct op *op) {
    int fd = op->flags & 1 ? slot_take(context, slot_number(op))
                           : open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (fd < 0)
        return op->flags & 1 ? 0 : errno;
    int error = set_attributes(fd, op->number[0], op->number[1], 0, false);
    close(fd);
    return error;
}

// number: MS_SHARED and so on. flag 1: with all mounts below.
int op_mount_propagation(struct context *context, const struct op *op) {
    int fd = open_in_root(context, plan_string(context->plan, op->path), O_PATH);
    if (fd < 0)
        return errno;
    int error = set_attributes(fd, 0, 0, op->number[0], op->flags & 1);
    close(fd);
    return error;
}
