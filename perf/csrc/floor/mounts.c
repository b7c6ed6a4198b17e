// The acts on mounts and files: the classic calls, which are the fewest for this.
#include "floor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { FOLDER_MODE = 0755, NODE_MODE = 0666 };

static unsigned long flags_of(const char *word) {
    return strtoul(word, NULL, 16);
}

int do_private(const struct order *order) {
    (void)order;
    return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

int do_root(const struct order *order) {
    const char *path = order->words[1];
    return mount(path, path, NULL, MS_BIND | MS_REC, NULL) != 0 ? -1 : chdir(path);
}

int do_mount(const struct order *order) {
    char *const *words = order->words;
    const char *data = order->count > 5 ? words[5] : NULL;
    return mount(words[1], words[2], words[3], flags_of(words[4]), data);
}

int do_bind(const struct order *order) {
    char *const *words = order->words;
    unsigned long flags = flags_of(words[3]);
    if (mount(words[1], words[2], NULL, MS_BIND | MS_REC, NULL) != 0)
        return -1;
    return flags ? mount(NULL, words[2], NULL, MS_BIND | MS_REMOUNT | flags, NULL) : 0;
}

int do_make(const struct order *order) {
    return mkdir(order->words[1], FOLDER_MODE);
}

int do_file(const struct order *order) {
    return mknod(order->words[1], S_IFREG | NODE_MODE, 0);
}

int do_node(const struct order *order) {
    unsigned major = (unsigned)strtoul(order->words[2], NULL, 10);
    unsigned minor = (unsigned)strtoul(order->words[3], NULL, 10);
    mode_t before = umask(0);
    int result = mknod(order->words[1], S_IFCHR | NODE_MODE, makedev(major, minor));
    umask(before);
    return result;
}

int do_link(const struct order *order) {
    return symlink(order->words[1], order->words[2]);
}

// A path that is not there needs no hiding (config-linux.md).
static int unless_missing(int result) {
    return result != 0 && errno == ENOENT ? 0 : result;
}

int do_readonly(const struct order *order) {
    const char *path = order->words[1];
    if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) != 0)
        return unless_missing(-1);
    return mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

int do_mask(const struct order *order) {
    const char *path = order->words[1];
    if (mount("/dev/null", path, NULL, MS_BIND, NULL) == 0)
        return 0;
    if (errno != ENOTDIR)
        return unless_missing(-1);
    return mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k");
}

// The old root ends up under the new one, at the same place (pivot_root(2), Notes).
int do_pivot(const struct order *order) {
    (void)order;
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
        return -1;
    return chdir("/");
}

int do_remount(const struct order *order) {
    return mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | flags_of(order->words[1]), NULL);
}

int do_go(const struct order *order) {
    return chdir(order->words[1]);
}
