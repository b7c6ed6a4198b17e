#include "attacker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

void say(const char *step, long result, const char *more) {
    int error = errno;
    if (result < 0)
        printf("%s errno %d%s%s\n", step, error, *more ? " " : "", more);
    else
        printf("%s ok%s%s\n", step, *more ? " " : "", more);
    fflush(stdout);
}

static void open_it(const char *step, const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    say(step, fd, "");
    if (fd >= 0)
        close(fd);
}

static void read_it(const char *step, const char *path) {
    char text[4096] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int error = errno;
    for (ssize_t i = 0; i < bytes; i++)
        text[i] = text[i] == '\n' || !text[i] ? ' ' : text[i];
    errno = error;
    say(step, bytes, text);
    if (fd >= 0)
        close(fd);
}

static void stat_it(const char *step, const char *path) {
    struct stat found = {0};
    char text[128];
    int result = lstat(path, &found);
    snprintf(text, sizeof text, "%o %u:%u %u %u", found.st_mode, major(found.st_rdev),
             minor(found.st_rdev), found.st_uid, found.st_gid);
    say(step, result, result < 0 ? "" : text);
}

static void list_it(const char *step, const char *path) {
    char text[4096] = "";
    DIR *folder = opendir(path);
    const struct dirent *entry;
    size_t used = 0;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && used + strlen(entry->d_name) + 2 < sizeof text)
            used += (size_t)sprintf(text + used, "%s ", entry->d_name);
    say(step, folder ? 0 : -1, text);
    if (folder)
        closedir(folder);
}

// b or c, MAJOR:MINOR: makes the node, and opens it for reading.
static void read_device(const char *step, const char *words) {
    char *end;
    if (!*words || words[1] != ':')
        return;
    unsigned first = (unsigned)strtoul(words + 2, &end, 10);
    unsigned second = *end ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
    mode_t type = *words == 'b' ? S_IFBLK : S_IFCHR;
    if (mknod("/tmp/device", type | 0600, makedev(first, second)) != 0 && errno != EEXIST) {
        say(step, -1, "mknod");
        return;
    }
    int fd = open("/tmp/device", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    say(step, fd, "open");
    if (fd >= 0)
        close(fd);
}

// The file by its handle, with no path: it may be any file of the filesystem that PATH is on.
static void by_handle(const char *step, const char *path) {
    struct {
        struct file_handle handle;
        unsigned char bytes[128];
    } found = {.handle = {.handle_bytes = 128}};
    int mount_id;
    if (syscall(SYS_name_to_handle_at, AT_FDCWD, path, &found.handle, &mount_id, 0) != 0) {
        say(step, -1, "name_to_handle_at");
        return;
    }
    int place = open(path, O_RDONLY | O_CLOEXEC);
    long fd = syscall(SYS_open_by_handle_at, place, &found.handle, O_RDONLY | O_CLOEXEC);
    say(step, fd, "open_by_handle_at");
    if (fd >= 0)
        close((int)fd);
    if (place >= 0)
        close(place);
}

// A user namespace, in which one may mount; then the first hierarchy's release_agent is opened, and
// nothing is written to it. The child process has that alone.
static void release_agent(const char *step, const char *controller) {
    pid_t pid = fork();
    if (pid == 0) {
        int result = unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP);
        say(step, result, "unshare");
        if (result == 0) {
            result = mount("cgroup", "/tmp", "cgroup", 0, controller);
            say(step, result, "mount");
        }
        if (result == 0)
            open_it(step, "/tmp/release_agent", O_WRONLY);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void terminal(const char *step) {
    char text[128];
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    int opened = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    int pushed = ioctl(0, TIOCSTI, "") != 0 ? errno : 0;
    snprintf(text, sizeof text, "sid=%d pid=%d tty=%d tiocsti=%d", getsid(0), getpid(), opened,
             pushed);
    say(step, 0, text);
}

static void resize(const char *step) {
    struct winsize size = {.ws_row = 4000, .ws_col = 4000};
    say(step, ioctl(0, TIOCSWINSZ, &size), "");
}

// Where we are by the kernel's word, and whether the marker can be reached by going up.
static void where(const char *step, const char *marker) {
    char here[4096] = "", path[8192], text[8300];
    if (syscall(SYS_getcwd, here, sizeof here) < 0)
        here[0] = 0;
    const char *found = "";
    for (int depth = 0; depth < 40 && !*found; depth++) {
        int used = 0;
        for (int up = 0; up < depth; up++)
            used += sprintf(path + used, "../");
        snprintf(path + used, sizeof path - (size_t)used, "%s", marker + 1);
        if (access(path, F_OK) == 0)
            found = "REACHED";
    }
    snprintf(text, sizeof text, "%s %s", here, found);
    say(step, 0, text);
}

static void descriptors(const char *step) {
    char text[4096] = "", name[32], target[256];
    size_t used = 0;
    for (int fd = 0; fd < 1024; fd++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t bytes = readlink(name, target, sizeof target - 1);
        if (bytes < 0 || used + (size_t)bytes + 16 > sizeof text)
            continue;
        target[bytes] = 0;
        used += (size_t)sprintf(text + used, "%d=%s ", fd, target);
    }
    say(step, 0, text);
}

static void identity(const char *step) {
    char text[4096];
    uid_t real, effective, saved;
    gid_t group, effective_group, saved_group, more[64];
    if (getresuid(&real, &effective, &saved) != 0 ||
        getresgid(&group, &effective_group, &saved_group) != 0)
        return;
    int count = getgroups(64, more);
    int used = sprintf(text, "uid=%u,%u,%u gid=%u,%u,%u groups=", real, effective, saved, group,
                       effective_group, saved_group);
    for (int i = 0; i < count; i++)
        used += sprintf(text + used, "%s%u", i ? "," : "", more[i]);
    say(step, 0, text);
}

// Lines of /proc/self/status that begin with one of these.
static void status(const char *step) {
    char line[256], text[2048] = "";
    size_t used = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNew", 5) == 0 ||
            strncmp(line, "Seccomp:", 8) == 0) {
            line[strcspn(line, "\n")] = 0;
            line[strcspn(line, "\t")] = ' ';
            if (used + strlen(line) + 2 < sizeof text)
                used += (size_t)sprintf(text + used, "%s ", line);
        }
    if (file)
        fclose(file);
    say(step, 0, text);
}

// As many processes as there may be, 300 at most; they end with us.
static void bomb(const char *step) {
    enum { MOST = 300 };
    pid_t children[MOST];
    int count = 0, error = 0;
    for (; count < MOST && !error; count++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (;;)
                pause();
        }
        if (pid < 0)
            error = errno;
        else
            children[count] = pid;
    }
    char text[64];
    snprintf(text, sizeof text, "%d", error ? count - 1 : count);
    for (int i = 0; i < (error ? count - 1 : count); i++)
        kill(children[i], 9);
    errno = error;
    say(step, error ? -1 : 0, text);
}

static void hog(const char *step, const char *mebibytes) {
    size_t bytes = strtoul(mebibytes, NULL, 10) << 20;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        say(step, -1, "mmap");
        return;
    }
    for (size_t at = 0; at < bytes; at += 4096)
        ((volatile char *)memory)[at] = 1;
    say(step, 0, "touched it all");
}

static void abstract_sockets(const char *step) {
    char line[512], text[4096] = "";
    size_t used = 0;
    FILE *file = fopen("/proc/net/unix", "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *name = strchr(line, '@');
        line[strcspn(line, "\n")] = 0;
        if (name && used + strlen(name) + 2 < sizeof text)
            used += (size_t)sprintf(text + used, "%s ", name);
    }
    if (file)
        fclose(file);
    say(step, 0, text);
}

static void raw_call(const char *step, const char *number) {
    long result = syscall(strtol(number, NULL, 10), 0, 0, 0, 0, 0, 0);
    say(step, result, "");
}

static void new_socket(const char *step, const char *family) {
    int fd = socket((int)strtol(family, NULL, 10), SOCK_STREAM, 0);
    say(step, fd, "");
    if (fd >= 0)
        close(fd);
}

static void copy_file(const char *step, const char *from_and_to) {
    char from[256];
    size_t length = strcspn(from_and_to, ",");
    if (length >= sizeof from || !from_and_to[length])
        return;
    memcpy(from, from_and_to, length);
    from[length] = 0;
    FILE *in = fopen(from, "r"), *out = fopen(from_and_to + length + 1, "w");
    int byte;
    while (in && out && (byte = getc(in)) != EOF)
        putc(byte, out);
    say(step, in && out ? 0 : -1, "");
    if (in)
        fclose(in);
    if (out)
        fclose(out);
}

static void execute(const char *path, char **words) {
    fflush(stdout);
    execv(path, words);
    say("execute", -1, "");
}

// One step: its name, a colon and its argument.
static int do_step(const char *word) {
    static const struct {
        const char *name;
        void (*act)(const char *step, const char *argument);
    } with[] = {
        {"read", read_it},       {"stat", stat_it},     {"list", list_it},
        {"device", read_device}, {"handle", by_handle}, {"release-agent", release_agent},
        {"where", where},        {"hog", hog},          {"call", raw_call},
        {"socket", new_socket},  {"copy", copy_file},
    };
    static const struct {
        const char *name;
        void (*act)(const char *step);
    } without[] = {
        {"terminal", terminal},         {"resize", resize}, {"descriptors", descriptors},
        {"identity", identity},         {"status", status}, {"bomb", bomb},
        {"abstract", abstract_sockets},
    };
    const char *colon = strchr(word, ':');
    const char *argument = colon ? colon + 1 : "";
    size_t length = colon ? (size_t)(colon - word) : strlen(word);
    if (strncmp(word, "writable:", 9) == 0) {
        open_it(word, argument, O_WRONLY);
        return 0;
    }
    if (strncmp(word, "readable:", 9) == 0) {
        open_it(word, argument, O_RDONLY);
        return 0;
    }
    if (strncmp(word, "create:", 7) == 0) {
        int fd = open(argument, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        say(word, fd, "");
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (length == strlen(with[i].name) && strncmp(word, with[i].name, length) == 0) {
            with[i].act(word, argument);
            return 0;
        }
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (strcmp(word, without[i].name) == 0) {
            without[i].act(word);
            return 0;
        }
    fprintf(stderr, "attacker: no such step: %s\n", word);
    return 2;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int left = argc - i - 1;
        if (strcmp(word, "swap") == 0 && left >= 2)
            swap_names(argv + i + 1);
        if (strcmp(word, "flicker") == 0 && left)
            flicker(argv[i + 1]);
        if (strcmp(word, "spy") == 0 && left)
            spy(argv[i + 1]);
        if (strcmp(word, "overwrite") == 0)
            overwrite();
        if (strcmp(word, "pause") == 0)
            for (;;)
                pause();
        if (strcmp(word, "matrix") == 0 && left >= 2)
            return call_all(strtol(argv[i + 1], NULL, 10), strtoul(argv[i + 2], NULL, 0));
        if (strcmp(word, "execute") == 0 && left) {
            execute(argv[i + 1], argv + i + 1);
            return 1;
        }
        // Of the host's: a session of its own whose terminal is stdin, and a command in it.
        if (strcmp(word, "on-terminal") == 0 && left) {
            if (setsid() < 0 || ioctl(0, TIOCSCTTY, 1) != 0)
                say(word, -1, "");
            // In the session, but not the leader of it.
            pid_t pid = fork();
            if (pid == 0) {
                execute(argv[i + 1], argv + i + 1);
                _exit(1);
            }
            int ended;
            return pid < 0 || waitpid(pid, &ended, 0) < 0 || ended;
        }
        int status = do_step(word);
        if (status)
            return status;
    }
    return 0;
}
