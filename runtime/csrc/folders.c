// What is in a folder, without what opendir(3) needs memory for.
#include "executor.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

int for_each_entry(int folder, visit *call, void *with) {
    _Alignas(struct entry) char buffer[2048];
    for (;;) {
        long bytes = syscall(SYS_getdents64, folder, buffer, sizeof buffer);
        if (bytes <= 0)
            return bytes < 0 ? errno : 0;
        for (long at = 0; at < bytes;) {
            const struct entry *entry = (const struct entry *)(const void *)(buffer + at);
            at += entry->bytes;
            if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
                continue;
            int error = call(with, folder, entry->name, entry->type == DT_DIR);
            if (error)
                return error;
        }
    }
}
