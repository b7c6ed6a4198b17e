// A container process that is not a copy of the runtime (fresh.c, given.c).
#ifndef SEATRIAL_FRESH_H
#define SEATRIAL_FRESH_H

#include "executor.h"

#include <linux/sched.h>

// What the program is called; the launcher is it too.
#define FRESH_NAME "container"

// What it is given, in a file in memory; offsets are from its start. Texts end in a zero.
struct given {
    uint32_t bytes; // of this, so that what belongs to another build is noticed
    int32_t sync, listener, console, keep;
    int32_t report; // where the pid goes if it is to make the container process, or -1
    uint32_t is_watched;
    uint32_t id, bundle, members;
    uint32_t slots, slot_count;
    uint32_t plan, plan_bytes;
    uint32_t made;
    uint64_t runtime_mount;
};

struct fresh {
    int image; // the program, or -1
    const struct context *context;
    int file;      // or -1
    uint32_t made; // where in it the notes are of what it makes
    int ours[4];   // more descriptors that it needs, or -1
    int error;
    char number[24];
};

// given.c: writes the file; 0 or an errno. `given` has what is not in the context.
int write_given(struct fresh *fresh, struct given *given);
// Becomes the container process, or what makes it, by what the file says.
_Noreturn void be_given(int argc, char **argv);

// clone3(2) of a process that executes the program in a moment, and until then uses our memory.
// Returns when it does, with its pid, or -1 with errno.
pid_t clone_fresh(struct clone_args *args, struct fresh *fresh);

// made.c: the notes of what it has made, for the runtime; NULL if there are none.
void *made_in(const struct fresh *fresh);
size_t made_bytes(void);

#endif
