// The container's root: a mount of its own, entered by pivot_root(2).
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int op_propagation(struct context *context, const struct op *op) {
    (void)context;
    return mount("none", "/", NULL, op->number[0] | MS_RECURSIVE_, NULL) != 0 ? errno : 0;
}

static int root_tree(struct context *context, const struct op *op, int *error) {
    int fd = clone_tree(AT_FDCWD, plan_string(context->plan, op->path), true);
    *error = fd < 0 ? errno : set_attributes(fd, 0, 0, op->number[0], true);
    if (*error && fd >= 0)
        close(fd);
    return *error ? -1 : fd;
}

// In the runtime, whose rights may be needed to get there; without privilege the container does it.
int op_root_tree(struct context *context, const struct op *op) {
    int error;
    int fd = root_tree(context, op, &error);
    if (fd < 0)
        return error == EPERM ? 0 : error;
    return slot_keep(context, slot_number(op), fd);
}

// What is still to come that needs a procfs; others go without a second one.
static bool needs_proc(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        uint32_t kind = plan->ops[i].kind;
        if (kind == OP_SYSCTL || kind == OP_ATTRIBUTE ||
            (kind == OP_KEYRING && *plan_string(plan, plan->ops[i].path)))
            return true;
    }
    return false;
}

// What else is set up before pivot_root needs a procfs that the image cannot have put there, and
// the host's /dev/null.
int op_root(struct context *context, const struct op *op) {
    int error = 0;
    int fd = slot_take(context, slot_number(op));
    if (fd < 0)
        fd = root_tree(context, op, &error);
    if (fd < 0)
        return error;
    // At its own path, where hooks look for it; on the old root if a user namespace cannot get
    // there. Nothing looks that up: it is pivoted to by its descriptor.
    int target = open(plan_string(context->plan, op->path), O_PATH | O_CLOEXEC);
    if (target < 0 && errno == EACCES)
        target = open("/", O_PATH | O_CLOEXEC);
    error = target < 0 ? errno : put(fd, target);
    // Below a mount that is shared, as the host's may be, it has become shared too.
    if (!error)
        error = set_attributes(fd, 0, 0, op->number[0], true);
    if (target >= 0)
        close(target);
    if (error) {
        close(fd);
        return error;
    }
    context->root = fd;
    note_root(context);
    if (needs_proc(context->plan)) {
        const struct filesystem proc = {.type = "proc", .source = "proc", .options = ""};
        context->proc = new_filesystem(&proc);
        // A pid namespace of somebody else's, or a host that hides parts of its own /proc from us.
        if (context->proc < 0)
            context->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    context->null = open("/dev/null", O_PATH | O_CLOEXEC);
    return 0;
}

// Whether the old tree is the host's slave already, since before anything was mounted.
static bool is_apart(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind == OP_PROPAGATION && op->stage == STAGE_MOUNT)
            return op->number[0] == MS_SLAVE_ || op->number[0] == MS_PRIVATE_;
    }
    return false;
}

static int leave(const struct plan *plan, int old) {
    // By its descriptor: "." would still be the new root to mount(2), though not to umount(2).
    // What happens to the old tree must not reach the host's.
    if (fchdir(old) != 0 ||
        (!is_apart(plan) && mount("none", ".", NULL, MS_SLAVE_ | MS_RECURSIVE_, NULL) != 0) ||
        umount2(".", DETACH) != 0)
        return errno;
    return chdir("/") != 0 ? errno : 0;
}

int op_pivot(struct context *context, const struct op *op) {
    (void)op;
    int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0)
        return errno;
    // Old and new root stacked on one another, so that no folder for the old one is needed
    // (pivot_root(2), "pivot_root(".", ".")").
    int error = 0;
    if (fchdir(context->root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        error = errno;
    if (!error)
        error = leave(context->plan, old);
    close(old);
    return error;
}

// Where the mount namespace is the runtime's own nothing may be pivoted in it. path: the root;
// empty for the one that this process has set up.
int op_chroot(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    int root = *path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : context->root;
    if (root < 0)
        return errno;
    int error = fchdir(root) != 0 || chroot(".") != 0 || chdir("/") != 0 ? errno : 0;
    if (*path)
        close(root);
    return error;
}

// path: a folder of ours in the runtime's mount namespace. All that is mounted there goes, with
// what is mounted below it, and then the folder. It is never emptied: whatever happens, the image
// stays.
int op_unmount(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    while (umount2(path, DETACH | UNMOUNT_NO_FOLLOW) == 0)
        ;
    if (errno != EINVAL)
        return errno == ENOENT ? 0 : errno;
    return rmdir(path) == 0 || errno == ENOENT ? 0 : errno;
}

int op_root_readonly(struct context *context, const struct op *op) {
    (void)op;
    return set_attributes(context->root, MOUNT_ATTR_RDONLY, 0, 0, false);
}
