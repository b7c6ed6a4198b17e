// Acts on files and file systems.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int errno_if(bool failed) {
    return failed ? errno : 0;
}

static int write_text(const char *path, const char *text, int flags) {
    int fd = open_for_writing(path, flags);
    if (fd < 0)
        return errno;
    int error = errno_if(!write_all(fd, text, strlen(text)));
    close(fd);
    return error;
}

int act_write(struct act *act) {
    return write_text(act->argv[0], act->argv[1], O_TRUNC);
}

int act_append(struct act *act) {
    return write_text(act->argv[0], act->argv[1], O_APPEND);
}

static int read_content(struct act *act, size_t limit,
                        bool (*read_it)(int, struct text *, size_t)) {
    int fd = open(act->argv[0], O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno;
    struct text content = {0};
    int error = errno_if(!read_it(fd, &content, limit));
    close(fd);
    if (!error)
        member_text(act->members, "content", &content);
    text_free(&content);
    return error;
}

int act_read(struct act *act) {
    return read_content(act, READ_LIMIT, read_up_to);
}

int act_wait(struct act *act) {
    return read_content(act, STDIN_LIMIT, read_to_end);
}

int act_open(struct act *act) {
    static const struct {
        const char *name;
        int flags;
    } modes[] = {{"r", O_RDONLY}, {"w", O_WRONLY}, {"rw", O_RDWR}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(act->argv[1], modes[i].name) != 0)
            continue;
        int fd = open(act->argv[0], modes[i].flags | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return errno;
        close(fd);
        return 0;
    }
    return ACT_MISUSED;
}

static int stat_with(struct act *act, int flags) {
    struct stat file;
    if (fstatat(AT_FDCWD, act->argv[0], &file, flags) != 0)
        return errno;
    member_string(act->members, "type", file_type(file.st_mode));
    member_uint(act->members, "mode", file.st_mode & 07777);
    member_uint(act->members, "uid", file.st_uid);
    member_uint(act->members, "gid", file.st_gid);
    member_int(act->members, "size", file.st_size);
    member_uint(act->members, "major", major(file.st_rdev));
    member_uint(act->members, "minor", minor(file.st_rdev));
    member_uint(act->members, "inode", file.st_ino);
    member_device(act->members, "device", file.st_dev);
    return 0;
}

int act_stat(struct act *act) {
    return stat_with(act, AT_SYMLINK_NOFOLLOW);
}

// What a link leads to, where a runtime is free to supply a file by one.
int act_stat_target(struct act *act) {
    return stat_with(act, 0);
}

int act_list(struct act *act) {
    struct directory directory;
    if (!read_directory(act->argv[0], &directory))
        return errno;
    json_key(act->members, "entries");
    json_open(act->members, '[');
    for (int i = 0; i < directory.count; i++)
        json_string(act->members, directory.entries[i]->d_name);
    json_close(act->members, ']');
    directory_free(&directory);
    return 0;
}

int act_readlink(struct act *act) {
    struct text target = {0};
    int error = errno_if(!read_link(act->argv[0], &target));
    if (!error)
        member_text(act->members, "target", &target);
    text_free(&target);
    return error;
}

int act_mkdir(struct act *act) {
    return errno_if(mkdir(act->argv[0], 0777) != 0);
}

int act_unlink(struct act *act) {
    return errno_if(unlink(act->argv[0]) != 0);
}

int act_symlink(struct act *act) {
    return errno_if(symlink(act->argv[0], act->argv[1]) != 0);
}

int act_mknod(struct act *act) {
    unsigned int major_number, minor_number;
    if (strlen(act->argv[1]) != 1 || !parse_id(act->argv[2], &major_number) ||
        !parse_id(act->argv[3], &minor_number))
        return ACT_MISUSED;
    mode_t type;
    switch (*act->argv[1]) {
    case 'c':
        type = S_IFCHR;
        break;
    case 'b':
        type = S_IFBLK;
        break;
    case 'p':
        type = S_IFIFO;
        break;
    default:
        return ACT_MISUSED;
    }
    return errno_if(mknod(act->argv[0], type | 0666, makedev(major_number, minor_number)) != 0);
}

// An empty TYPE or DATA is none: a bind mount or a remount has neither.
int act_mount(struct act *act) {
    const char *type = *act->argv[2] ? act->argv[2] : NULL;
    const char *data = *act->argv[4] ? act->argv[4] : NULL;
    unsigned long flags;
    if (!parse_long(act->argv[3], &flags))
        return ACT_MISUSED;
    return errno_if(mount(act->argv[0], act->argv[1], type, flags, data) != 0);
}

int act_umount(struct act *act) {
    return errno_if(umount2(act->argv[0], 0) != 0);
}

int act_chdir(struct act *act) {
    return errno_if(chdir(act->argv[0]) != 0);
}

int act_chown(struct act *act) {
    uid_t uid;
    gid_t gid;
    if (!parse_id(act->argv[1], &uid) || !parse_id(act->argv[2], &gid))
        return ACT_MISUSED;
    return errno_if(chown(act->argv[0], uid, gid) != 0);
}

// Nothing but chroot(2): the working directory stays where it is, which is what a test may want to
// see.
int act_chroot(struct act *act) {
    // NOLINTNEXTLINE(clang-analyzer-unix.Chroot): the caller decides where to go next
    return errno_if(chroot(act->argv[0]) != 0);
}

int act_statvfs(struct act *act) {
    struct statvfs system;
    if (statvfs(act->argv[0], &system) != 0)
        return errno;
    member_uint(act->members, "flags", system.f_flag);
    member_bool(act->members, "read_only", (system.f_flag & ST_RDONLY) != 0);
    return 0;
}

int act_expect_fd(struct act *act) {
    for (int i = 0, fd; i < act->argc; i++)
        if (!parse_int(act->argv[i], &fd) || fd < 0)
            return ACT_MISUSED;
    json_key(act->members, "fds");
    json_open(act->members, '{');
    for (int i = 0, fd; i < act->argc; i++)
        if (parse_int(act->argv[i], &fd))
            member_bool(act->members, act->argv[i], fcntl(fd, F_GETFD) >= 0);
    json_close(act->members, '}');
    return 0;
}
