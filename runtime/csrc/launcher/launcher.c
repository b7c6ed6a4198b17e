// Does what it can, and hands over to Python what it can not.
//
// It stands beside the Python that the package is installed for (in <environment>/bin), so that
// its own place says which that is.
#include "launcher.h"

#include "../facts/facts.h"
#include "../fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EMPTY_PATH = 0x1000, RECURSIVE = 0x8000 };

static int refuse(const char *what, const char *path) {
    dprintf(STDERR_FILENO, "seatrial-oci: %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

// Executes `path` from a mount that is nowhere, a clone of the root that cannot be written to. A
// process of ours that enters a container can be looked at there, and what it is executing can be
// opened by /proc/<pid>/exe, or executed again by way of /proc/self/exe: by who may do that, the
// file on the host could be written to. Through this mount it cannot (EROFS). Returns with an errno
// where that cannot be had.
static void execute_in_clone(const char *real, const struct stat *wanted, unsigned below,
                             char **words) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    struct stat found;
    // The whole root, not the file: then the path of what is executed, which the dynamic loader
    // reads, is the same as ever.
    int root =
        (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | below);
    if (root < 0)
        return;
    int file = -1;
    if (syscall(SYS_mount_setattr, root, "", EMPTY_PATH | below, &attr, sizeof attr) == 0)
        file = openat(root, real + 1, O_PATH | O_CLOEXEC);
    if (file >= 0 && fstat(file, &found) == 0) {
        errno = ENOENT; // another file has its place there
        if (found.st_dev == wanted->st_dev && found.st_ino == wanted->st_ino)
            syscall(SYS_execveat, file, "", words, environ, EMPTY_PATH);
    }
    const int error = errno;
    if (file >= 0)
        close(file);
    close(root);
    errno = error;
}

// Whether this host, or who calls, cannot do it at all. Without privilege a container has none over
// the file either.
static bool is_not_to_be_had(int error) {
    return error == EPERM || error == EACCES || error == ENOSYS || error == EINVAL ||
           error == ENOENT;
}

static void execute_read_only(const char *path, char **words) {
    struct stat wanted;
    char real[PATH_MAX];
    int file = open(path, O_PATH | O_CLOEXEC);
    if (file >= 0 && fstat(file, &wanted) == 0 && path_of(file, real)) {
        execute_in_clone(real, &wanted, 0, words);
        // It is on another file system than that of the root: then with all that is mounted there.
        if (is_not_to_be_had(errno))
            execute_in_clone(real, &wanted, RECURSIVE, words);
    }
    // What goes wrong otherwise must not take the protection away.
    if (!is_not_to_be_had(errno))
        _exit(refuse("cannot execute, where nobody can write to it,", path));
}

void execute_again(char **words) {
    enum { READ_ONLY = 1 }; // ST_RDONLY; its header does not go along with linux/mount.h
    struct statfs found;
    if (statfs("/proc/self/exe", &found) == 0 && found.f_flags & READ_ONLY)
        return;
    execute_read_only("/proc/self/exe", words);
}

int hand_over(int argc, char **argv) {
    static const char python[] = "python3";
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof python);
    if (length < 0)
        return refuse("cannot read", "/proc/self/exe");
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        return refuse("cannot find the folder of", path);
    strcpy(slash + 1, python);

    // -I: nothing of the caller's environment or working directory is imported.
    static char program[] = "from seatrial.oci.command import command; command()";
    char *head[] = {path, "-I", "-c", program};
    enum { HEAD = sizeof head / sizeof *head };
    char *words[argc + HEAD];
    memcpy(words, head, sizeof head);
    for (int i = 1; i < argc; i++)
        words[HEAD + i - 1] = argv[i];
    words[HEAD + (argc > 0 ? argc - 1 : 0)] = NULL;
    execute_read_only(path, words);
    execv(path, words);
    return refuse("cannot execute", path);
}

int main(int argc, char **argv) {
    static const struct {
        const char *verb;
        int (*call)(const struct call *call);
    } verbs[] = {{"state", do_state},   {"start", do_start},   {"kill", do_kill},
                 {"delete", do_delete}, {"create", do_create}, {"run", do_run}};
    // What we are executed as by ourselves, in a process that is to be a container's.
    if (argc > 0 && strcmp(argv[0], FRESH_NAME) == 0)
        be_given(argc, argv);
    struct call call;
    if (understand(argc, argv, &call))
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
            if (strcmp(call.verb, verbs[i].verb) == 0) {
                int status = verbs[i].call(&call);
                if (status != HAND_OVER)
                    return status;
            }
    return hand_over(argc, argv);
}
