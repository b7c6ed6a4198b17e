// What only /proc/self/status tells, or tells best.
#include "probe.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

// The value of a line such as "SigBlk:\t0000000000000000", or NULL; the caller frees it.
static char *status_field(const struct text *status, const char *name) {
    size_t name_len = strlen(name);
    for (size_t start = 0; start < status->len;) {
        const char *line = status->data + start;
        const char *end = memchr(line, '\n', status->len - start);
        size_t len = end ? (size_t)(end - line) : status->len - start;
        if (len > name_len && memcmp(line, name, name_len) == 0 && line[name_len] == ':') {
            size_t from = name_len + 1;
            while (from < len && (line[from] == '\t' || line[from] == ' '))
                from++;
            return strndup(line + from, len - from);
        }
        start += len + 1;
    }
    return NULL;
}

// PR_GET_SECCOMP kills a process in strict mode (PR_SET_SECCOMP(2const)), but such a process could
// not have got as far as here. A filter that kills on prctl has done so before this question, too.
static void member_seccomp_mode(struct text *json, const struct text *status) {
    char *field = status_field(status, "Seccomp");
    int mode = field ? (int)strtol(field, NULL, 10) : prctl(PR_GET_SECCOMP, 0UL, 0UL, 0UL, 0UL);
    free(field);
    if (mode < 0)
        member_null(json, "seccomp_mode");
    else
        member_int(json, "seccomp_mode", mode);
}

static void member_field(struct text *json, const char *key, const struct text *status,
                         const char *name) {
    char *field = status_field(status, name);
    member_string(json, key, field);
    free(field);
}

void report_status(struct text *json) {
    struct text status = {0};
    bool known = read_file("/proc/self/status", &status);
    member_seccomp_mode(json, &status);
    json_key(json, "status");
    if (known)
        json_lines(json, &status);
    else
        json_null(json);
    json_key(json, "signals");
    json_open(json, '{');
    member_field(json, "blocked", &status, "SigBlk");
    member_field(json, "ignored", &status, "SigIgn");
    member_field(json, "caught", &status, "SigCgt");
    json_close(json, '}');
    text_free(&status);
}
