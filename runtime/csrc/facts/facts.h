// What the compiler asks the host (seatrial.oci.host), and what the launcher asks again to see
// whether a plan that was kept still holds: the same code answers both.
#ifndef SEATRIAL_FACTS_H
#define SEATRIAL_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Keep in step with seatrial.oci.host.Ask.
enum ask {
    ASK_NONE = 0,
    ASK_READ,    // the content of a file
    ASK_ACCESS,  // access(2) with flags as its mode: a byte, 1 or 0
    ASK_STAT,    // stat(2), the fields that flags has bits for: enum field
    ASK_MOUNTS,  // lines of /proc/self/mountinfo for mounts at a path and below it
    ASK_REAL,    // a path without links in it
    ASK_ENVIRON, // a variable of the environment: a byte 1 and its value, or a byte 0
    ASK_RELEASE, // of the kernel (uname(2))
    ASK_ABOVE,   // whether the nearest that there is, at a path or above, may be written to
    ASK_COUNT
};

enum field {
    FIELD_TYPE,
    FIELD_RDEV,
    FIELD_DEV,
    FIELD_INO,
    FIELD_SIZE,
    FIELD_MTIME,
    FIELD_CTIME,
    FIELD_COUNT
};

// Room that grows, from malloc(3).
struct room {
    char *at;
    size_t bytes; // that are used
    size_t size;
};

// What is asked in one go: the mount table is read once for all questions about it.
struct asker {
    struct room answer;
    struct room mounts;
    bool has_mounts;
};

// Answers into asker->answer; returns 0 or an errno.
int ask(struct asker *asker, uint32_t kind, uint32_t flags, const char *name);
void forget(struct asker *asker);

// Whether all these questions, in which 1 stands for the id, are answered as they were before.
bool facts_hold(const char *facts, size_t bytes, const char *id);

// Reads to the end; returns 0 or an errno.
int read_to_end(int fd, struct room *into);

// The path without links in it of what is open, as os.path.realpath has it; false with errno.
enum { PATH_ROOM = 4096 };
bool path_of(int fd, char path[PATH_ROOM]);

// Who asks, which a plan depends on too: ids and capabilities.
struct caller {
    uint32_t uid[3]; // real, effective, saved
    uint32_t gid[3];
    uint32_t capabilities[6]; // effective, permitted, inheritable; then their upper halves
};

bool find_caller(struct caller *caller);

// By what a slot shows that it is whole; of `bytes`, a multiple of eight.
uint64_t checksum(const void *data, size_t bytes);

// Names the sources of the executor: a plan is for one that reads it as it was meant.
const char *build_id(void);

#endif
