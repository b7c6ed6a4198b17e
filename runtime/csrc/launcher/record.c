// What create wrote down, and what has become of the container since (seatrial.oci.store).
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int open_folder(const struct call *call) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", call->root, call->id);
    if (length < 0 || (size_t)length >= sizeof path)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// A file of the folder, ended by a NUL byte more than it has; NULL where there is none.
static char *read_whole(int folder, const char *name, size_t *bytes) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct stat status;
    char *content = NULL;
    if (fstat(fd, &status) == 0 && status.st_size < (64 << 20)) {
        *bytes = (size_t)status.st_size;
        content = aligned_alloc(16, (*bytes + 16) & ~(size_t)15);
    }
    if (content) {
        ssize_t done = read(fd, content, *bytes);
        if (done == (ssize_t)*bytes) {
            content[*bytes] = 0;
        } else {
            free(content);
            content = NULL;
        }
    }
    close(fd);
    return content;
}

static const char *field(const char *content, size_t bytes, const char *name) {
    size_t length = strlen(name);
    for (const char *at = content; at < content + bytes; at += strlen(at) + 1)
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return at + length + 1;
    return NULL;
}

bool read_record(int folder, struct record *record) {
    size_t bytes;
    char *content = read_whole(folder, "record", &bytes);
    if (!content)
        return false;
    const char *names[] = {"bundle", "annotations", "freezer", "pid",
                           "born",   "process",     "listener"};
    enum { COUNT = sizeof names / sizeof *names };
    const char *found[COUNT];
    for (int i = 0; i < COUNT; i++)
        if (!(found[i] = field(content, bytes, names[i]))) {
            free(content);
            return false;
        }
    *record = (struct record){
        .folder = folder,
        .content = content,
        .bundle = found[0],
        .annotations = found[1],
        .freezer = found[2],
        .pid = (pid_t)strtol(found[3], NULL, 10),
        .born = strtoull(found[4], NULL, 10),
        .has_process = found[5][0] != 0,
        .has_listener = found[6][0] != 0,
    };
    if (record->pid <= 0)
        free(content);
    return record->pid > 0;
}

// A pid alone may be another process's by now; with the time of its birth it is not (proc(5)).
bool is_alive(const struct record *record) {
    errno = 0;
    return record->born && born_of(record->pid) == record->born;
}

uint64_t born_of(pid_t pid) {
    char path[64], content[4096];
    errno = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t bytes = read(fd, content, sizeof content - 1);
    close(fd);
    if (bytes <= 0)
        return 0;
    content[bytes] = 0;
    // The name before it may hold anything, also parentheses.
    const char *at = strrchr(content, ')');
    if (!at || !at[1] || strchr("ZX", at[2]))
        return 0;
    enum { STATE = 3, STARTTIME = 22 };
    at += 2;
    for (int i = STATE; i < STARTTIME; i++) {
        at = strchr(at, ' ');
        if (!at)
            return 0;
        at++;
    }
    return strtoull(at, NULL, 10);
}

// After is_alive or born_of has said no: whether it could see.
bool is_known_dead(void) {
    return errno == 0 || errno == ENOENT || errno == ESRCH;
}

static bool is_frozen(const char *path) {
    if (!*path)
        return false;
    char word[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t bytes = read(fd, word, sizeof word - 1);
    close(fd);
    if (bytes <= 0)
        return false;
    return strncmp(word, "FROZEN", 6) == 0 || strncmp(word, "FREEZING", 8) == 0 || word[0] == '1';
}

enum status status_of(const struct record *record) {
    if (!is_alive(record))
        return is_known_dead() ? STOPPED : UNKNOWN;
    if (is_frozen(record->freezer))
        return PAUSED;
    return faccessat(record->folder, "start.sock", F_OK, 0) == 0 ? CREATED : RUNNING;
}

const char *word_of(enum status status) {
    static const char *const words[] = {"created", "running", "paused", "stopped"};
    return words[status];
}

bool read_plan(int folder, struct plan *plan) {
    size_t bytes;
    const char *why;
    char *content = read_whole(folder, "plan", &bytes);
    if (content && plan_open(content, bytes, plan, &why))
        return true;
    free(content);
    return false;
}

bool lock_folder(const struct call *call, int folder) {
    struct stat ours, now;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", call->root, call->id);
    // It may have been removed, and made anew, while we waited.
    if (flock(folder, LOCK_EX) != 0 || fstat(folder, &ours) != 0 || stat(path, &now) != 0)
        return false;
    errno = ESTALE;
    return ours.st_dev == now.st_dev && ours.st_ino == now.st_ino;
}

static int remove_entry(void *with, int folder, const char *name, bool is_folder) {
    (void)with, (void)is_folder;
    // The plan goes last: without it nobody knows what to undo.
    return strcmp(name, "plan") == 0 || unlinkat(folder, name, 0) == 0 ? 0 : errno;
}

bool remove_folder(const struct call *call, int folder) {
    int error = lseek(folder, 0, SEEK_SET) != 0 ? errno : 0;
    if (!error)
        error = for_each_entry(folder, remove_entry, NULL);
    if (!error && unlinkat(folder, "plan", 0) != 0 && errno != ENOENT)
        error = errno;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", call->root, call->id);
    if (!error && rmdir(path) != 0 && errno != ENOENT)
        error = errno;
    errno = error;
    return !error;
}
