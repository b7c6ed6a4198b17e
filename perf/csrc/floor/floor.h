// The floor: just the kernel's work of a config, as little as a container can take here.
//
//     floor run ORDERS                 do what the file says; the exit status is the program's
//     floor micro COUNT ORDERS OUTPUT  do it COUNT times; write how long each took, in nanoseconds
//
// An order is a line of words apart by tabs. These are done before the container's process:
//
//     cgroup FOLDER             make it; it is removed at the end
//     write FILE TEXT
//     clone FLAGS               of namespaces, in hexadecimal
//     maps UIDS GIDS            of the user namespace that clone makes
//
// and these by it, in the order of the file:
//
//     attach                    itself to all the cgroups
//     unshare FLAGS
//     loopback                  set the interface up
//     hostname NAME
//     private                   keep its mounts from propagating
//     root FOLDER               bind it to itself, and go there
//     mount SOURCE TARGET TYPE FLAGS [DATA]
//     bind SOURCE TARGET FLAGS  and again with FLAGS, where these are not 0
//     make FOLDER, file PATH
//     node PATH MAJOR MINOR
//     link TO PATH
//     readonly PATH, mask PATH  where it exists
//     pivot                     make the root the root, and take the old one off
//     remount FLAGS             of the root
//     go FOLDER
//     limit RESOURCE SOFT HARD
//     score TEXT                oom_score_adj
//     ids UID GID
//     capabilities MASK         bounding, effective, permitted; in hexadecimal
//     nothing-new               no_new_privs
//     seccomp FILE              with the filter's bytes
//     execute WORD...
//     end                       instead of a program
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { MOST_ORDERS = 512, MOST_WORDS = 16, MOST_CGROUPS = 32, MOST_FILTER_BYTES = 65536 };

struct order {
    char *words[MOST_WORDS + 1];
    int count;
    int (*act)(const struct order *order); // 0, or -1 with errno
};

struct orders {
    struct order all[MOST_ORDERS];
    int count;
    const char *cgroups[MOST_CGROUPS];
    int cgroup_count;
    unsigned long clone_flags;
    const char *uid_map, *gid_map;
    int ready[2]; // a pipe: the maps are written
};

extern struct orders orders;
extern unsigned char filter[MOST_FILTER_BYTES];
extern size_t filter_size;

// orders.c
void read_orders(const char *file);
_Noreturn void refuse(const char *what, const char *why);
void failed(const struct order *order);

// parent.c
int contain(void);

// The acts: mounts.c, process.c
typedef int act(const struct order *order);
act do_private, do_root, do_mount, do_bind, do_make, do_file, do_node, do_link, do_readonly,
    do_mask, do_pivot, do_remount, do_go;
act do_attach, do_unshare, do_loopback, do_hostname, do_limit, do_score, do_ids, do_capabilities,
    do_nothing_new, do_seccomp, do_execute, do_end;
act do_write;
