// Who the process is and what it may do: ids, capabilities, securebits. Nothing here needs /proc.
#include "probe.h"

#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void member_ids(struct text *json, const char *key, const unsigned int ids[4]) {
    static const char *const names[4] = {"real", "effective", "saved", "filesystem"};
    json_key(json, key);
    json_open(json, '{');
    for (int i = 0; i < 4; i++)
        member_uint(json, names[i], ids[i]);
    json_close(json, '}');
}

static void member_groups(struct text *json) {
    json_key(json, "groups");
    int count = getgroups(0, NULL);
    gid_t *groups = count > 0 ? calloc((size_t)count, sizeof *groups) : NULL;
    if (count > 0)
        count = groups ? getgroups(count, groups) : -1;
    if (count < 0) {
        json_null(json);
    } else {
        json_open(json, '[');
        for (int i = 0; i < count; i++)
            json_uint(json, groups[i]);
        json_close(json, ']');
    }
    free(groups);
}

// A kernel without the call has no such id: it goes by the effective one.
static unsigned int filesystem_id(int answer, unsigned int effective) {
    return answer == -1 ? effective : (unsigned int)answer;
}

void report_credentials(struct text *json) {
    unsigned int ids[4] = {0};
    getresuid(&ids[0], &ids[1], &ids[2]);
    // An id that can't exist changes nothing; the old one is returned in any case (setfsuid(2)).
    ids[3] = filesystem_id(setfsuid((uid_t)-1), ids[1]);
    member_ids(json, "uid", ids);
    getresgid(&ids[0], &ids[1], &ids[2]);
    ids[3] = filesystem_id(setfsgid((gid_t)-1), ids[1]);
    member_ids(json, "gid", ids);
    member_groups(json);
    mode_t mask = umask(0);
    umask(mask);
    member_uint(json, "umask", mask);
}

static void member_numbers(struct text *json, const char *key, bool known, uint64_t bits) {
    json_key(json, key);
    if (!known) {
        json_null(json);
        return;
    }
    json_open(json, '[');
    for (int number = 0; number < 64; number++)
        if (bits >> number & 1)
            json_int(json, number);
    json_close(json, ']');
}

// The kernel says EINVAL to the first capability that it doesn't know: that is where to stop.
static bool ask_each(int option, unsigned long command, uint64_t *bits) {
    *bits = 0;
    for (unsigned long number = 0; number < 64; number++) {
        int has = command ? prctl(option, command, number, 0UL, 0UL) : prctl(option, number);
        if (has < 0)
            return number > 0;
        *bits |= (uint64_t)(has > 0) << number;
    }
    return true;
}

static void member_prctl_bool(struct text *json, const char *key, int option) {
    int value = prctl(option, 0UL, 0UL, 0UL, 0UL);
    json_key(json, key);
    if (value < 0)
        json_null(json);
    else
        json_bool(json, value > 0);
}

static void member_prctl_int(struct text *json, const char *key, int option) {
    int value = prctl(option, 0UL, 0UL, 0UL, 0UL);
    json_key(json, key);
    if (value < 0)
        json_null(json);
    else
        json_int(json, value);
}

// These two return through a pointer.
static bool prctl_out(int option, int *value) {
    *value = 0;
    return prctl(option, value, 0UL, 0UL, 0UL) == 0;
}

void report_capabilities(struct text *json) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    bool known = syscall(SYS_capget, &header, data) == 0;
    uint64_t bounding = 0, ambient = 0;
    bool bounding_known = ask_each(PR_CAPBSET_READ, 0, &bounding);
    bool ambient_known = ask_each(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, &ambient);
    json_key(json, "capabilities");
    json_open(json, '{');
    member_numbers(json, "effective", known, (uint64_t)data[1].effective << 32 | data[0].effective);
    member_numbers(json, "permitted", known, (uint64_t)data[1].permitted << 32 | data[0].permitted);
    member_numbers(json, "inheritable", known,
                   (uint64_t)data[1].inheritable << 32 | data[0].inheritable);
    member_numbers(json, "bounding", bounding_known, bounding);
    member_numbers(json, "ambient", ambient_known, ambient);
    json_close(json, '}');

    int value = 0;
    member_prctl_bool(json, "no_new_privileges", PR_GET_NO_NEW_PRIVS);
    member_prctl_int(json, "secure_bits", PR_GET_SECUREBITS);
    member_prctl_int(json, "dumpable", PR_GET_DUMPABLE);
    if (prctl_out(PR_GET_PDEATHSIG, &value))
        member_int(json, "parent_death_signal", value);
    else
        member_null(json, "parent_death_signal");
    if (prctl_out(PR_GET_CHILD_SUBREAPER, &value))
        member_bool(json, "child_subreaper", value != 0);
    else
        member_null(json, "child_subreaper");
}
