// What the two sides of a create share: the runtime's (spawn.c) and the container process's
// (inside.c).
#ifndef SEATRIAL_SPAWN_H
#define SEATRIAL_SPAWN_H

#include "fresh.h"

// Messages are outcomes; one with error 0 says "go" or "done".
bool tell(int fd, struct outcome outcome);
struct outcome hear(int fd);

// Whether the container process can do nothing before the runtime has adopted it.
bool waits_for_adoption(const struct context *context);
// Whether something happens in the runtime between the container's mounts and its root.
bool waits_for_hooks(const struct context *context);

// Into its v2 cgroup, if it has one. `fresh` is NULL for a copy of ourselves.
pid_t clone_process(struct context *context, struct clone_args *args, struct fresh *fresh);

// What a helper says of the container process that it has made.
struct relay {
    struct outcome outcome;
    pid_t pid;
    int32_t in_cgroup;
};

#endif
