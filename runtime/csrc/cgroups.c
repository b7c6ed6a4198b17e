// Control groups: folders that are marked as ours, controllers, the process, device filters.
//
// A cgroup that create makes carries a mark, so that delete removes what create made and nothing
// else, however many containers share the folders above. The mark is the sticky bit, which means
// nothing there: mkdir(2) sets it with the folder, so whoever is killed in between leaves no folder
// without it, and it costs no further call.
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char container[] = "user.seatrial-oci.container";

// ENODATA: it has no value.
static int check_value(const char *path) {
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t bytes = read(fd, &byte, sizeof byte);
    int error = bytes < 0 ? errno : bytes == 0 || byte == '\n' ? ENODATA : 0;
    close(fd);
    return error;
}

// A new v1 cpuset is empty and takes no process until it has what its parent has (cpuset(7)).
// ENODATA: that is empty itself.
static int inherit(const char *folder, const char *file, bool is_new) {
    char path[4200], value[4096];
    size_t length = strlen(folder);
    memcpy(path, folder, length);
    path[length] = '/';
    strcpy(path + length + 1, file);
    int error = is_new ? ENODATA : check_value(path);
    if (error != ENODATA)
        return error == ENOENT ? 0 : error;
    size_t parent = length;
    while (parent && path[parent - 1] != '/')
        parent--;
    char above[4200];
    memcpy(above, path, parent);
    strcpy(above + parent, file);
    int fd = open(above, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return is_new && errno == ENOENT ? 0 : errno;
    ssize_t bytes = read(fd, value, sizeof value);
    error = errno;
    close(fd);
    if (bytes < 0)
        return error;
    return bytes <= 1 ? ENODATA : write_file(AT_FDCWD, path, value, (size_t)bytes, 0);
}

enum { CPUSET = 1, MARK = 2, ONLY_FAILED = 4 };

static bool is_marked(const struct stat *status) {
    return status->st_mode & S_ISVTX;
}

static int make_directory(const struct op *op, const char *path, bool *is_new) {
    const mode_t mark = op->flags & MARK ? S_ISVTX : 0;
    *is_new = mkdir(path, (mode_t)op->number[0] | mark) == 0;
    int error = *is_new || errno == EEXIST ? 0 : errno;
    if (!error && op->flags & CPUSET)
        error = inherit(path, "cpuset.cpus", *is_new);
    if (!error && op->flags & CPUSET)
        error = inherit(path, "cpuset.mems", *is_new);
    return error;
}

static int make_directories(const struct op *op, char *path, size_t length, bool *is_new) {
    // Most often all but the last are there, and set up; if not, it goes from the top.
    int error = make_directory(op, path, is_new);
    if (error != ENOENT && error != ENODATA)
        return error;
    for (size_t i = op->number[1] ? (size_t)op->number[1] : 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        char saved = path[i];
        path[i] = 0;
        error = make_directory(op, path, is_new);
        path[i] = saved;
        if (error)
            return error;
    }
    return 0;
}

// path: the folder. number: mode, how many bytes of the path are there for sure. flag 1: cpusets,
// which inherit; 2: mark those that are new, and the last, if it is not, as that of the container
// in text.
int op_make_directories(struct context *context, const struct op *op) {
    char path[4096];
    const char *whole = plan_string(context->plan, op->path);
    size_t length = strlen(whole);
    if (length >= sizeof path || op->number[1] > length)
        return ENAMETOOLONG;
    memcpy(path, whole, length + 1);
    int error = 0;
    bool is_new = false;
    // Another container's end may take a folder above away again in between, or, for who has a file
    // of it open already, the device (ENODEV).
    for (int tries = 0; tries < 100; tries++) {
        error = make_directories(op, path, length, &is_new);
        if (error != ENOENT && error != ENODEV)
            break;
    }
    // Who comes to a cgroup that is there says so; one that nobody came to is its maker's. Where a
    // cgroup takes no attributes (cgroups(7), before Linux 5.7) it just goes without.
    const char *owner = plan_string(context->plan, op->text);
    if (!error && op->flags & MARK && !is_new)
        setxattr(path, container, owner, strlen(owner), 0);
    return error;
}

struct removal {
    int depth;
    int error; // the first
};

static int remove_tree(int parent, const char *name, int depth);

// As many as can be: what keeps one of them is no reason to leave the others.
static int remove_below(void *with, int parent, const char *name, bool is_folder) {
    struct removal *removal = with;
    int error = is_folder ? remove_tree(parent, name, removal->depth) : 0;
    removal->error = removal->error ? removal->error : error;
    return 0;
}

// A container may have made cgroups of its own in its cgroup: they go first.
static int remove_tree(int parent, const char *name, int depth) {
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if ((errno != EBUSY && errno != ENOTEMPTY) || depth == 0)
        return errno;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    struct removal removal = {.depth = depth - 1};
    int error = for_each_entry(fd, remove_below, &removal);
    close(fd);
    if (removal.error)
        return removal.error;
    if (error)
        return error;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

// Whether the last container that came to be in this cgroup is another.
static bool is_anothers(const char *path, const char *owner, bool marked) {
    char value[256];
    ssize_t bytes = getxattr(path, container, value, sizeof value);
    // Nobody has come to it since it was made.
    if (bytes < 0)
        return errno == ENODATA && !marked;
    return (size_t)bytes != strlen(owner) || memcmp(value, owner, (size_t)bytes) != 0;
}

// path: the folder. flag 1: one above the container's, which others may have come to use; 2: only
// if it is marked as made by create, and, in text, as this container's; 4: never, unless the
// runtime takes the flag away as it undoes a create.
int op_remove_cgroup(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    const char *owner = plan_string(context->plan, op->text);
    if (op->flags & ONLY_FAILED)
        return 0;
    if (op->flags & MARK) {
        struct stat status;
        if (stat(path, &status) != 0)
            return errno == ENOENT ? 0 : errno;
        bool marked = is_marked(&status);
        if (*owner && is_anothers(path, owner, marked))
            return 0;
        if (!marked) {
            if (*owner)
                removexattr(path, container);
            return 0;
        }
    }
    if (!(op->flags & 1))
        return remove_tree(AT_FDCWD, path, 64);
    if (rmdir(path) == 0 || errno == ENOENT || errno == EBUSY || errno == ENOTEMPTY)
        return 0;
    return errno;
}

// path: cgroup.procs. flag 1: clone may have put the process there already; 2: it goes there
// itself.
int op_attach(struct context *context, const struct op *op) {
    if (op->flags & ATTACHES_ITSELF || (op->flags & 1 && context->in_cgroup))
        return 0;
    char digits[24];
    size_t bytes = print_decimal(digits, (uint64_t)context->pid);
    return write_file(AT_FDCWD, plan_string(context->plan, op->path), digits, bytes, 0);
}

// In the container process, first of all. A thread that moves nobody but itself, by a v1 cgroup's
// "tasks", is the one for which the kernel need not stop all forks and exits of the machine
// (cgroup_threadgroup_rwsem): that takes it milliseconds.
struct outcome attach_itself(struct context *context) {
    const struct plan *plan = context->plan;
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_ATTACH || op->stage != STAGE_ADOPT || !(op->flags & ATTACHES_ITSELF))
            continue;
#ifdef SEATRIAL_COUNT_OPERATIONS
        count_operation(plan, op);
#endif
        static const char tasks[] = "tasks";
        char path[4096];
        const char *procs = plan_string(plan, op->path);
        const char *name = strrchr(procs, '/');
        size_t length = name ? (size_t)(name + 1 - procs) : 0;
        int error = length + sizeof tasks > sizeof path ? ENAMETOOLONG : 0;
        if (!error) {
            memcpy(path, procs, length);
            memcpy(path + length, tasks, sizeof tasks);
            error = write_file(AT_FDCWD, path, "0", 1, 0);
        }
        if (error)
            return (struct outcome){.error = error, .op = i};
    }
    return (struct outcome){0};
}

// The cgroup that a file is one of.
static bool folder_of(const char *file, char folder[4096]) {
    const char *name = strrchr(file, '/');
    size_t length = name ? (size_t)(name - file) : 0;
    if (length == 0 || length >= 4096)
        return false;
    memcpy(folder, file, length);
    folder[length] = 0;
    return true;
}

// The v2 cgroup that the process can be cloned into, or -1.
int open_cgroup(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_ATTACH || !(op->flags & 1))
            continue;
        char folder[4096];
        if (!folder_of(plan_string(plan, op->path), folder))
            return -1;
        return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return -1;
}

// The root of a new cgroup namespace is where its maker is: so not before it is in its cgroups.
int op_cgroup_namespace(struct context *context, const struct op *op) {
    (void)context;
    (void)op;
    return unshare(CLONE_NEWCGROUP) == 0 ? 0 : errno;
}

// path: cgroup.subtree_control, text: "+one +other". flag 1: each of them only where possible.
int op_enable_controllers(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    const char *text = plan_string(context->plan, op->text);
    int error = write_file(AT_FDCWD, path, text, strlen(text), 0);
    if (!error || !(op->flags & 1))
        return error;
    while (*text) {
        size_t length = strcspn(text, " ");
        write_file(AT_FDCWD, path, text, length, 0);
        text += length + (text[length] == ' ');
    }
    return 0;
}

// path, number: uid. flag 1: it need not be there.
int op_owner(struct context *context, const struct op *op) {
    const char *path = plan_string(context->plan, op->path);
    if (fchownat(AT_FDCWD, path, (uid_t)op->number[0], (gid_t)-1, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return errno == ENOENT && op->flags & 1 ? 0 : errno;
}

static const char filter_name[] = "seatrial_device";

static int bpf(int command, union bpf_attr *attr, size_t bytes) {
    return (int)syscall(SYS_bpf, command, attr, bytes);
}

// The program of ours that is attached already, or -1.
static int attached_filter(int cgroup) {
    uint32_t ids[64];
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.query.target_fd = (uint32_t)cgroup;
    attr.query.attach_type = BPF_CGROUP_DEVICE;
    attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
    attr.query.prog_cnt = sizeof ids / sizeof *ids;
    if (bpf(BPF_PROG_QUERY, &attr, sizeof attr) < 0)
        return -1;
    uint32_t count = attr.query.prog_cnt;
    for (uint32_t i = 0; i < count; i++) {
        memset(&attr, 0, sizeof attr);
        attr.prog_id = ids[i];
        int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr, sizeof attr);
        struct bpf_prog_info info;
        memset(&info, 0, sizeof info);
        memset(&attr, 0, sizeof attr);
        attr.info.bpf_fd = (uint32_t)fd;
        attr.info.info_len = sizeof info;
        attr.info.info = (uint64_t)(uintptr_t)&info;
        if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 &&
            strncmp(info.name, filter_name, sizeof info.name) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static int load_filter(const void *program, size_t bytes) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insn_cnt = (uint32_t)(bytes / sizeof(struct bpf_insn));
    attr.insns = (uint64_t)(uintptr_t)program;
    attr.license = (uint64_t)(uintptr_t)"GPL";
    memcpy(attr.prog_name, filter_name, sizeof filter_name);
    return bpf(BPF_PROG_LOAD, &attr, sizeof attr);
}

// path: a v2 cgroup, blob: the program (cgroup device controller, bpf(2)). flag 1: in the place of
// the one that is there; 2: where we may.
int op_device_filter(struct context *context, const struct op *op) {
    int cgroup = open(plan_string(context->plan, op->path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroup < 0)
        return errno;
    int program = load_filter(context->plan->heap + op->blob, op->blob_bytes);
    int error = program < 0 ? errno : 0;
    if (!error) {
        int old = op->flags & 1 ? attached_filter(cgroup) : -1;
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.target_fd = (uint32_t)cgroup;
        attr.attach_bpf_fd = (uint32_t)program;
        attr.attach_type = BPF_CGROUP_DEVICE;
        attr.attach_flags = BPF_F_ALLOW_MULTI;
        if (old >= 0) {
            attr.attach_flags |= BPF_F_REPLACE;
            attr.replace_bpf_fd = (uint32_t)old;
        }
        if (bpf(BPF_PROG_ATTACH, &attr, sizeof attr) < 0)
            error = errno;
        if (old >= 0)
            close(old);
        close(program);
    }
    close(cgroup);
    return error == EPERM && op->flags & 2 ? 0 : error;
}

bool cgroups_are_empty(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_ATTACH)
            continue;
        const char *procs = plan_string(plan, op->path);
        char folder[4096], byte;
        struct stat status;
        if (!folder_of(procs, folder))
            return false;
        if (stat(folder, &status) != 0) {
            if (errno == ENOENT)
                continue;
            return false;
        }
        int fd = open(procs, O_RDONLY | O_CLOEXEC);
        if (status.st_nlink != 2 || fd < 0)
            return false;
        ssize_t bytes = read(fd, &byte, 1);
        close(fd);
        if (bytes != 0)
            return false;
    }
    return true;
}
