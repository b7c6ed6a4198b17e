// The report: everything observable from inside as one JSON object. schema/probe.json describes it.
#include "probe.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

struct command_line command_line;

static void member_strings(struct text *json, const char *key, char *const *strings) {
    json_key(json, key);
    json_open(json, '[');
    for (; strings && *strings; strings++)
        json_string(json, *strings);
    json_close(json, ']');
}

// The raw system call: glibc hides "(unreachable)/...", which is how the kernel says that the
// working directory is outside the root. A runtime that leaks a host directory must be seen doing
// it.
static void member_working_directory(struct text *json) {
    char path[PATH_MAX];
    long len = syscall(SYS_getcwd, path, sizeof path);
    member_string(json, "cwd", len > 0 ? path : NULL);
}

static void member_namespaces(struct text *json) {
    static const char *const names[] = {
        "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children",
        "user",   "uts"};
    json_key(json, "namespaces");
    json_open(json, '{');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        member_link(json, names[i], path);
    }
    json_close(json, '}');
}

static void member_file_lines(struct text *json, const char *key, const char *path) {
    struct text content = {0};
    bool known = read_file(path, &content);
    json_key(json, key);
    if (known)
        json_lines(json, &content);
    else
        json_null(json);
    text_free(&content);
}

static void member_oom_score_adj(struct text *json) {
    struct text content = {0};
    if (read_file("/proc/self/oom_score_adj", &content) && content.len > 0) {
        text_append(&content, "", 1); // strtol wants a terminator
        member_int(json, "oom_score_adj", strtol(content.data, NULL, 10));
    } else {
        member_null(json, "oom_score_adj");
    }
    text_free(&content);
}

static void member_personality(struct text *json) {
    long value = syscall(SYS_personality, 0xffffffffUL);
    if (value < 0)
        member_null(json, "personality");
    else
        member_int(json, "personality", value);
}

static void member_root(struct text *json) {
    struct statvfs system;
    struct stat file;
    bool system_known = statvfs("/", &system) == 0;
    bool file_known = stat("/", &file) == 0;
    json_key(json, "root");
    if (!system_known || !file_known) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    member_bool(json, "read_only", (system.f_flag & ST_RDONLY) != 0);
    member_uint(json, "flags", system.f_flag);
    member_uint(json, "inode", file.st_ino);
    member_device(json, "device", file.st_dev);
    json_close(json, '}');
}

// The first path is the module's own; the second belongs to whichever module came first.
static void member_apparmor(struct text *json) {
    static const char own[] = "/proc/self/attr/apparmor/current";
    bool found = access(own, R_OK) == 0;
    member_file(json, "apparmor", found ? own : "/proc/self/attr/current");
}

static void member_clock(struct text *json, const char *key, clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) == 0)
        member_int(json, key, now.tv_sec * 1000000000LL + now.tv_nsec);
    else
        member_null(json, key);
}

void report(struct text *json) {
    struct utsname host;
    bool host_known = uname(&host) == 0;

    json_open(json, '{');
    member_int(json, "probe", PROBE_VERSION);
    member_strings(json, "argv", command_line.argv);
    member_strings(json, "environ", environ);
    member_working_directory(json);
    member_link(json, "exe", "/proc/self/exe");
    member_int(json, "pid", getpid());
    member_int(json, "ppid", getppid());
    member_int(json, "pgid", getpgrp());
    member_int(json, "sid", getsid(0));
    report_credentials(json);
    report_capabilities(json);
    report_scheduling(json);
    member_namespaces(json);
    member_string(json, "hostname", host_known ? host.nodename : NULL);
    member_string(json, "domainname", host_known ? host.domainname : NULL);
    member_string(json, "machine", host_known ? host.machine : NULL);
    member_oom_score_adj(json);
    member_personality(json);
    member_file(json, "time_offsets", "/proc/self/timens_offsets");
    member_file(json, "uid_map", "/proc/self/uid_map");
    member_file(json, "gid_map", "/proc/self/gid_map");
    member_file(json, "setgroups", "/proc/self/setgroups");
    member_file_lines(json, "cgroup", "/proc/self/cgroup");
    member_file_lines(json, "mountinfo", "/proc/self/mountinfo");
    report_status(json);
    report_descriptors(json);
    report_terminals(json);
    member_root(json);
    report_devices(json);
    member_apparmor(json);
    json_key(json, "clock");
    json_open(json, '{');
    member_clock(json, "monotonic_ns", CLOCK_MONOTONIC);
    member_clock(json, "boottime_ns", CLOCK_BOOTTIME);
    json_close(json, '}');
    json_key(json, "aux");
    json_open(json, '{');
    member_uint(json, "secure", getauxval(AT_SECURE));
    json_close(json, '}');
    json_close(json, '}');
}
