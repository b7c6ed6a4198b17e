// The table of acts, and how a command line is cut into them.
#include "probe.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANY = INT_MAX };

static const struct {
    const char *name;
    int least;
    int most;
    int (*run)(struct act *act);
    const char *arguments;
} table[] = {
    {"write", 2, 2, act_write, "PATH TEXT"},
    {"append", 2, 2, act_append, "PATH TEXT"},
    {"read", 1, 1, act_read, "PATH"},
    {"open", 2, 2, act_open, "PATH r|w|rw"},
    {"stat", 1, 1, act_stat, "PATH"},
    {"stat-target", 1, 1, act_stat_target, "PATH"},
    {"list", 1, 1, act_list, "PATH"},
    {"readlink", 1, 1, act_readlink, "PATH"},
    {"mkdir", 1, 1, act_mkdir, "PATH"},
    {"unlink", 1, 1, act_unlink, "PATH"},
    {"symlink", 2, 2, act_symlink, "TARGET PATH"},
    {"mknod", 4, 4, act_mknod, "PATH c|b|p MAJOR MINOR"},
    {"mount", 5, 5, act_mount, "SOURCE TARGET TYPE FLAGS DATA"},
    {"umount", 1, 1, act_umount, "PATH"},
    {"chdir", 1, 1, act_chdir, "PATH"},
    {"chown", 3, 3, act_chown, "PATH UID GID"},
    {"chroot", 1, 1, act_chroot, "PATH"},
    {"statvfs", 1, 1, act_statvfs, "PATH"},
    {"wait", 1, 1, act_wait, "PATH"},
    {"expect-fd", 1, ANY, act_expect_fd, "N..."},
    {"sethostname", 1, 1, act_sethostname, "NAME"},
    {"setuid", 1, 1, act_setuid, "UID"},
    {"kill", 2, 2, act_kill, "PID SIG"},
    {"raise", 1, 1, act_raise, "SIG"},
    {"syscall", 1, 7, act_syscall, "NR [ARG...]"},
    {"trapped", 1, 7, act_trapped, "NR [ARG...]"},
    {"thread", 1, 7, act_thread, "NR [ARG...]"},
    {"traced", 1, 7, act_traced, "NR [ARG...]"},
    {"int80", 1, 6, act_int80, "NR [ARG...]"},
    {"logged", 1, 7, act_logged, "NR [ARG...]"},
    {"handle", 1, 1, act_handle, "SIG"},
    {"exit", 1, 1, act_exit, "CODE"},
    {"say", 1, 1, act_say, "TEXT"},
    {"pause", 0, 0, act_pause, ""},
    {"catch", 0, 0, act_catch, ""},
    {"await", 0, 0, act_await, ""},
    {"fork-report", 0, 0, act_fork_report, ""},
    {"orphan", 0, 0, act_orphan, ""},
    {"spawn", 1, ANY, act_spawn, "ARGV..."},
    {"log", 2, ANY, act_log, "TAG PATH..."},
    {"hook", 2, ANY, act_hook, "TAG PATH..."},
    {"mark", 2, ANY, act_mark, "TAG PATH..."},
    {"quiet", 0, 0, act_quiet, ""},
    {"exec", 1, ANY, act_exec, "ARGV..."},
    {"nice", 1, 1, act_nice, "N"},
    {"drop-bounding", 1, ANY, act_drop_bounding, "CAPABILITY..."},
    {"affinity", 1, ANY, act_affinity, "CPU..."},
    {"rlimit", 3, 3, act_rlimit, "RESOURCE SOFT HARD"},
    {"memory-policy", 1, ANY, act_memory_policy, "MODE [NODE...]"},
    {"personality", 1, 1, act_personality, "PERSONA"},
    {"unshare", 1, 1, act_unshare, "FLAGS"},
};

bool quiet;

// One write(2) per line where the kernel allows it, so that lines of several processes don't
// mingle. Errors are nobody's business: a hook may be started with its stdout closed or broken.
void print_line(struct text *json) {
    if (quiet)
        return;
    text_append(json, "\n", 1);
    write_all(STDOUT_FILENO, json->data, json->len);
}

void print_act(const char *name, int error, const struct text *members) {
    struct text line = {0};
    json_open(&line, '{');
    member_string(&line, "act", name);
    member_bool(&line, "ok", error == 0);
    if (error > 0) {
        // A seccomp filter can return any number as an errno, also one without a name.
        char number[16];
        const char *symbol = strerrorname_np(error);
        snprintf(number, sizeof number, "%d", error);
        member_string(&line, "errno", symbol ? symbol : number);
    }
    if (members)
        json_fragment(&line, members);
    json_close(&line, '}');
    print_line(&line);
    text_free(&line);
}

static void print_misuse(const char *name, const char *usage, const char *arguments) {
    struct text members = {0};
    char message[256];
    snprintf(message, sizeof message, "usage: %s%s%s", usage, *arguments ? " " : "", arguments);
    member_string(&members, "error", message);
    print_act(name, ACT_MISUSED, &members);
    text_free(&members);
}

static int run_act(const char *name, int argc, char **argv) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        struct text members = {0};
        struct act act = {name, argc, argv, &members};
        int outcome = ACT_MISUSED;
        if (argc >= table[i].least && argc <= table[i].most)
            outcome = table[i].run(&act);
        if (outcome == ACT_MISUSED)
            print_misuse(name, name, table[i].arguments);
        else if (outcome != ACT_SPOKE)
            print_act(name, outcome, &members);
        text_free(&members);
        if (outcome == ACT_MISUSED)
            return EXIT_USAGE;
        if (!quiet || outcome <= 0)
            return 0;
        // What is executed later would run under other conditions than were asked for.
        dprintf(STDERR_FILENO, "probe: %s: %s\n", name, strerror(outcome));
        return EXIT_UNSAID;
    }
    print_misuse(name, "probe ACT [args] [+ ACT [args]]...", "");
    return EXIT_USAGE;
}

int run_acts(int argc, char **argv) {
    // A copy, because acts want their arguments NULL-terminated and the report wants argv
    // untouched.
    char **words = calloc((size_t)argc + 1, sizeof *words);
    if (!words)
        return EXIT_NO_MEMORY;
    memcpy(words, argv, (size_t)argc * sizeof *words);
    int status = 0;
    for (int start = 0; start <= argc && status == 0;) {
        int end = start;
        // What is executed has the rest of the command line, `+` and all, and comes last anyway.
        bool rest = start < argc && strcmp(words[start], "exec") == 0;
        while (end < argc && (rest || strcmp(words[end], "+") != 0))
            end++;
        if (start < argc && strcmp(words[start], "report") == 0) {
            struct text line = {0};
            report(&line);
            print_line(&line);
            text_free(&line);
            break; // the rest of the command line, `+` and all, belongs to the report
        }
        words[end] = NULL;
        if (start == end)
            status = run_act("", 0, words + end);
        else
            status = run_act(words[start], end - start - 1, words + start + 1);
        start = end + 1;
    }
    free(words);
    return status;
}

static bool parse(const char *text, long long least, long long most, long long *value) {
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 0);
    return !errno && end != text && *end == '\0' && *value >= least && *value <= most;
}

bool parse_int(const char *text, int *value) {
    long long number;
    if (!parse(text, INT_MIN, INT_MAX, &number))
        return false;
    *value = (int)number;
    return true;
}

// -1 is allowed: to chown(2) it means "leave as it is".
bool parse_id(const char *text, unsigned int *value) {
    long long number;
    if (!parse(text, -1, UINT_MAX, &number))
        return false;
    *value = (unsigned int)number;
    return true;
}

bool parse_long(const char *text, unsigned long *value) {
    long long number;
    if (parse(text, LLONG_MIN, LLONG_MAX, &number)) {
        *value = (unsigned long)number;
        return true;
    }
    char *end;
    errno = 0;
    *value = strtoul(text, &end, 0);
    return !errno && end != text && *end == '\0' && *text != '-';
}
