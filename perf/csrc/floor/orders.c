// Reading the orders: all before the first act, so that nothing is left to do but the acts.
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TEXT = 1 << 17, STATUS_FAILED = 125 };

struct orders orders;
unsigned char filter[MOST_FILTER_BYTES];
size_t filter_size;
static char text[MOST_TEXT];

static const struct {
    const char *name;
    act *act;
} acts[] = {
    {"write", do_write},
    {"attach", do_attach},
    {"unshare", do_unshare},
    {"loopback", do_loopback},
    {"hostname", do_hostname},
    {"private", do_private},
    {"root", do_root},
    {"mount", do_mount},
    {"bind", do_bind},
    {"make", do_make},
    {"file", do_file},
    {"node", do_node},
    {"link", do_link},
    {"readonly", do_readonly},
    {"mask", do_mask},
    {"pivot", do_pivot},
    {"remount", do_remount},
    {"go", do_go},
    {"limit", do_limit},
    {"score", do_score},
    {"ids", do_ids},
    {"capabilities", do_capabilities},
    {"nothing-new", do_nothing_new},
    {"seccomp", do_seccomp},
    {"execute", do_execute},
    {"end", do_end},
};

_Noreturn void refuse(const char *what, const char *why) {
    dprintf(STDERR_FILENO, "floor: %s: %s\n", what, why);
    _exit(STATUS_FAILED);
}

// Called between clone and exec: it shares memory with its parent, so it must not exit(3).
void failed(const struct order *order) {
    dprintf(STDERR_FILENO, "floor: %s %s: %s\n", order->words[0],
            order->count > 1 ? order->words[1] : "", strerror(errno));
    _exit(STATUS_FAILED);
}

static size_t read_file(const char *path, void *bytes, size_t most) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        refuse(path, strerror(errno));
    size_t size = 0;
    for (ssize_t more; (more = read(file, (char *)bytes + size, most - size)) != 0;) {
        if (more < 0 || size + (size_t)more == most)
            refuse(path, more < 0 ? strerror(errno) : "too long");
        size += (size_t)more;
    }
    close(file);
    return size;
}

static void split(char *line, struct order *order) {
    for (char *rest = line; rest;) {
        if (order->count == MOST_WORDS)
            refuse(order->words[0], "too many words");
        order->words[order->count++] = strsep(&rest, "\t");
    }
}

static void keep(const struct order *order) {
    char *const *words = order->words;
    if (strcmp(words[0], "cgroup") == 0 && order->count == 2) {
        if (orders.cgroup_count == MOST_CGROUPS)
            refuse(words[0], "too many");
        orders.cgroups[orders.cgroup_count++] = words[1];
    } else if (strcmp(words[0], "clone") == 0 && order->count == 2)
        orders.clone_flags = strtoul(words[1], NULL, 16);
    else if (strcmp(words[0], "maps") == 0 && order->count == 3) {
        orders.uid_map = words[1];
        orders.gid_map = words[2];
    } else {
        if (orders.count == MOST_ORDERS)
            refuse(words[0], "too many orders");
        struct order *kept = &orders.all[orders.count++];
        *kept = *order;
        for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
            if (strcmp(words[0], acts[i].name) == 0)
                kept->act = acts[i].act;
        if (!kept->act)
            refuse(words[0], "no such order");
        if (strcmp(words[0], "seccomp") == 0)
            filter_size = read_file(words[1], filter, sizeof filter);
    }
}

void read_orders(const char *file) {
    text[read_file(file, text, sizeof text - 1)] = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        struct order order = {.count = 0};
        if (!*line)
            continue;
        split(line, &order);
        keep(&order);
    }
}
