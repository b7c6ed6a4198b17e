// What the operations on mounts share (mounts.c).
#ifndef SEATRIAL_MOUNTS_H
#define SEATRIAL_MOUNTS_H

#include "executor.h"

#include <sys/stat.h>

// linux/mount.h and linux/fcntl.h; glibc before 2.37 excludes its own headers beside them.
enum {
    RECURSIVE = 0x8000,
    EMPTY_PATH = 0x1000,
    NO_FOLLOW = 0x100,
    DETACH = 2,
    UNMOUNT_NO_FOLLOW = 8
};
enum { MS_UNBINDABLE_ = 1 << 17, MS_PRIVATE_ = 1 << 18, MS_SLAVE_ = 1 << 19, MS_SHARED_ = 1 << 20 };
enum { MS_RECURSIVE_ = 1 << 14 };
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);

// An operation's flags: what it does in the low byte, the number of a slot above.
static inline uint32_t slot_number(const struct op *op) {
    return op->flags >> 8;
}

// Descriptors that operations leave to later ones, in other stages and processes.
int slot_take(struct context *context, uint32_t slot); // or -1; the caller's to close
int slot_read(const struct context *context, uint32_t slot);
int slot_keep(struct context *context, uint32_t slot, int fd); // 0 or an errno; closes fd then

int clone_tree(int directory, const char *path, bool recursive);
int clone_with(int directory, const char *path, uint64_t attributes, bool recursive);
int set_attributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive);
int set_id_mapping(int fd, int user_namespace, bool recursive);
int put(int mount_fd, int target);
// In the container's root, made if it is missing.
int put_at(struct context *context, int mount_fd, const char *path, bool directory);

// The options are NUL-terminated strings: "key=value" or "flag". Returns a mount that is nowhere
// yet, or -1 with errno.
struct filesystem {
    const char *type;
    const char *source;
    const char *options;
    size_t bytes;
    bool read_only;      // the filesystem, not the mount
    uint64_t attributes; // of the mount
};
int new_filesystem(const struct filesystem *wanted);
// The same by mount(2), at `target`: for options that are too long for fsconfig(2).
int old_filesystem(const struct filesystem *wanted, int target);
bool is_long(const struct filesystem *wanted);
// fsconfig(2) of each option
int set_options(int filesystem, const char *options, size_t bytes);

// copies.c: the content of one directory into another, on whatever filesystems these are
int copy_tree(int from, int to);

#endif
