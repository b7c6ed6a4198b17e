// Device nodes, the links beside them, and the console.
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum device_flags { BOUND = 1, PRESENT = 2, DEFAULT = 4 };
enum { NODES = 1 }; // the slot of the filesystem with nodes for a user namespace

static bool is_it(const struct stat *stat, const struct op *op) {
    mode_t mode = (mode_t)op->number[0];
    return (stat->st_mode & S_IFMT) == (mode & S_IFMT) &&
           (S_ISFIFO(mode) || stat->st_rdev == (dev_t)op->number[1]);
}

static bool is_owned(const struct stat *stat, const struct op *op) {
    return stat->st_uid == (uid_t)op->number[2] && stat->st_gid == (gid_t)op->number[3];
}

static bool has_mode(const struct stat *stat, const struct op *op) {
    return (stat->st_mode & 07777) == ((mode_t)op->number[0] & 07777);
}

// Makes what is not there. Owner and mode are set in any case: a node may be there already, and
// the umask may be anything.
static int make_node(const struct context *context, int parent, const char *name,
                     const struct op *op) {
    mode_t mode = (mode_t)op->number[0];
    if (mknodat(parent, name, mode, (dev_t)op->number[1]) == 0)
        note_made(context, parent, plan_string(context->plan, op->path), false);
    else if (errno != EEXIST)
        return errno;
    struct stat stat;
    if (fstatat(parent, name, &stat, NO_FOLLOW) == 0 && is_it(&stat, op) && is_owned(&stat, op) &&
        has_mode(&stat, op))
        return 0;
    // By its own descriptor: a link that stands there already is never followed.
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fstat(fd, &stat) != 0 ? errno : is_it(&stat, op) ? 0 : EEXIST;
    if (!error && !is_owned(&stat, op) &&
        fchownat(fd, "", (uid_t)op->number[2], (gid_t)op->number[3], EMPTY_PATH) != 0)
        error = errno;
    // Not by fd: fchmodat has no AT_EMPTY_PATH before 6.6. It is no link, and nothing else runs in
    // this mount namespace yet.
    if (!error && !has_mode(&stat, op) && fchmodat(parent, name, mode & 07777, 0) != 0)
        error = errno;
    close(fd);
    return error;
}

// In the runtime, for a user namespace, where mknod(2) makes no devices: a filesystem with all of
// them, each to be bound. Without privilege there is none, and the host's own nodes are bound.
int op_node_store(struct context *context, const struct op *op) {
    enum { MAKE, ATTACH, LEAVE };
    if (op->flags == MAKE) {
        static const char options[] = "mode=755";
        const struct filesystem wanted = {
            .type = "tmpfs", .source = "nodes", .options = options, .bytes = sizeof options};
        int fd = new_filesystem(&wanted);
        if (fd < 0)
            return errno == EPERM ? 0 : errno;
        return slot_keep(context, NODES, fd);
    }
    int store = slot_read(context, NODES);
    if (store < 0)
        return 0;
    // Parts of a mount can be cloned only while it is in our mount namespace (before Linux 6.15).
    if (op->flags == ATTACH) {
        int target = open("/", O_PATH | O_CLOEXEC);
        int error = target < 0 ? errno : put(store, target);
        if (target >= 0)
            close(target);
        return error;
    }
    // What the caller calls by a relative path is found from where it was only.
    int before = open(".", O_PATH | O_CLOEXEC);
    int error = before < 0 ? errno : 0;
    if (fchdir(store) != 0 || umount2(".", DETACH) != 0)
        error = errno;
    if (before >= 0 && fchdir(before) != 0)
        error = errno;
    if (before >= 0)
        close(before);
    close(slot_take(context, NODES));
    return error;
}

// text: its name there; number: mode with type, device, the host's ids of its owner.
int op_node(struct context *context, const struct op *op) {
    int store = slot_read(context, NODES);
    if (store < 0)
        return 0;
    int error = make_node(context, store, plan_string(context->plan, op->text), op);
    if (error == EPERM) // a runtime in a user namespace itself
        close(slot_take(context, NODES));
    return error == EPERM ? 0 : error;
}

// text: its name in the store; extra: the host's own node.
static int bind_node(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    struct stat stat;
    int target = open_in_root(context, path, O_PATH | O_NOFOLLOW);
    if (target >= 0) {
        int error = fstat(target, &stat) != 0 ? errno : 0;
        close(target);
        if (!error && !is_it(&stat, op) && !(op->flags & DEFAULT))
            error = EEXIST;
        if (error)
            return error;
    }
    int store = slot_read(context, NODES);
    const char *host = plan_string(context->plan, op->extra);
    if (store < 0 && !*host)
        return ENXIO;
    int fd = store >= 0 ? clone_tree(store, plan_string(context->plan, op->text), false)
                        : clone_tree(AT_FDCWD, host, false);
    if (fd < 0)
        return errno;
    int error = put_at(context, fd, path, false);
    close(fd);
    return error;
}

// number: mode with type, device, uid, gid. flag 1: bound, in a user namespace; 2: has to be there
// already, because /dev is somebody else's; 4: one of the default devices.
int op_device(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    if (op->flags & PRESENT) {
        struct stat stat;
        int fd = open_in_root(context, path, O_PATH);
        if (fd < 0)
            return errno;
        int error = fstat(fd, &stat) != 0 ? errno : is_it(&stat, op) ? 0 : EEXIST;
        close(fd);
        return error;
    }
    if (op->flags & BOUND)
        return bind_node(context, op);
    const char *name;
    int parent = open_parent_in_root(context, path, &name);
    if (parent < 0)
        return errno;
    int error = make_node(context, parent, name, op);
    close(parent);
    return error;
}

// path: the link, text: what it says. flag 1: in place of what is there now, unless a folder.
int op_symlink(struct context *context, const struct op *op) {
    const char *name, *text = plan_string(context->plan, op->text);
    const char *path = plan_string(context->plan, op->path);
    int parent = open_parent_in_root(context, path, &name);
    if (parent < 0)
        return errno;
    int error = symlinkat(text, parent, name) != 0 ? errno : 0;
    if (!error)
        note_made(context, parent, path, false);
    if (error == EEXIST && op->flags & 1) {
        char there[64];
        ssize_t bytes = readlinkat(parent, name, there, sizeof there);
        error = 0;
        if (bytes != (ssize_t)strlen(text) || memcmp(there, text, strlen(text)) != 0)
            error =
                unlinkat(parent, name, 0) != 0 || symlinkat(text, parent, name) != 0 ? errno : 0;
    }
    close(parent);
    return error == EEXIST ? 0 : error;
}

// The terminal that is our stdin, at path.
int op_console_mount(struct context *context, const struct op *op) {
    int fd = clone_tree(0, "", false);
    if (fd < 0)
        return errno;
    int error = put_at(context, fd, plan_string(context->plan, op->path), false);
    close(fd);
    return error;
}
