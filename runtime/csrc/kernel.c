// What the kernel has to have: system calls that nothing else stands in for.
#include "executor.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

// The name of the first that is missing, or NULL. Each is called in a way that can do nothing.
const char *missing_call(void) {
    static const struct {
        long number;
        const char *name;
    } needed[] = {
        {SYS_fsopen, "fsopen"},           {SYS_fsconfig, "fsconfig"},
        {SYS_fsmount, "fsmount"},         {SYS_open_tree, "open_tree"},
        {SYS_move_mount, "move_mount"},   {SYS_pidfd_open, "pidfd_open"},
        {SYS_clone3, "clone3"},           {SYS_openat2, "openat2"},
        {SYS_close_range, "close_range"}, {SYS_mount_setattr, "mount_setattr"},
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        // No pointer, a size of 0, and a range that ends before it starts: EINVAL or EFAULT.
        if (syscall(needed[i].number, -1L, 0L, ~0L, 0L, 0L) < 0 && errno == ENOSYS)
            return needed[i].name;
    return NULL;
}
