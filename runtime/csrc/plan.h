// The spawn plan: what a container start does to the kernel, as data.
//
// One buffer without pointers: a header, a table of operations of equal size, and a heap of bytes.
// Strings are offsets of NUL-terminated bytes in the heap; offset 0 is the empty string. Python
// writes it (seatrial.oci.plan), `plan_open` checks every offset once, and from then on the
// executor walks it without looking back.
#ifndef SEATRIAL_PLAN_H
#define SEATRIAL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC 0x4e414c50u // "PLAN", little-endian
enum { PLAN_VERSION = 3, PLAN_MOST = 64 << 20 };

// Where and when an operation is done. Stages are in the order of a container's life.
enum stage {
    STAGE_BEFORE = 0, // runtime: before the container process exists (cgroups)
    STAGE_JOIN,       // intermediate process: enter existing namespaces
    STAGE_ADOPT,      // runtime: the container process exists (id maps, cgroup, oom score)
    STAGE_MOUNT,      // container process: its mounts
    STAGE_CREATING,   // runtime: prestart and createRuntime hooks
    STAGE_ENTER,      // container process: createContainer hooks, pivot_root, what is left
    STAGE_START,      // container process: after start was called, up to exec
    STAGE_STARTED,    // runtime: poststart hooks
    STAGE_DELETED,    // runtime: poststop hooks, removal of cgroups
    STAGE_COUNT
};

// Keep in step with seatrial.oci.operations.Kind.
enum kind {
    OP_NONE = 0,
    OP_SETNS,
    OP_WRITE,
    OP_MAKE_DIRECTORIES,
    OP_REMOVE_CGROUP,
    OP_ATTACH,
    OP_ID_MAP,
    OP_PROCESS_FILE,
    OP_BECOME_ROOT,
    OP_PROPAGATION,
    OP_ROOT,
    OP_MOUNT,
    OP_BIND,
    OP_MOUNT_PROPAGATION,
    OP_DEVICE,
    OP_SYMLINK,
    OP_HOOK,
    OP_PIVOT,
    OP_MASK,
    OP_READONLY,
    OP_ROOT_READONLY,
    OP_SYSCTL,
    OP_HOSTNAME,
    OP_DOMAINNAME,
    OP_CONSOLE,
    OP_SESSION,
    OP_UMASK,
    OP_RLIMIT,
    OP_SCHEDULER,
    OP_IO_PRIORITY,
    OP_AFFINITY,
    OP_PERSONALITY,
    OP_MEMORY_POLICY,
    OP_NO_NEW_PRIVILEGES,
    OP_BOUNDING,
    OP_GROUPS,
    OP_GID,
    OP_UID,
    OP_CAPABILITIES,
    OP_AMBIENT,
    OP_SECCOMP,
    OP_ATTRIBUTE,
    OP_CHDIR,
    OP_EXEC,
    OP_OPEN_NAMESPACE,
    OP_TIME_NAMESPACE,
    OP_LOOPBACK,
    OP_NET_DEVICE,
    OP_KEYRING,
    OP_PROGRAM,
    OP_ATTACH_TASK,
    OP_ROOT_TREE,
    OP_TREE,
    OP_ID_MAPPING,
    OP_REMOUNT,
    OP_MOUNT_ATTRIBUTES,
    OP_NODE_STORE,
    OP_NODE,
    OP_CONSOLE_MOUNT,
    OP_ENABLE_CONTROLLERS,
    OP_OWNER,
    OP_DEVICE_FILTER,
    OP_SYSTEMD,
    OP_CGROUP_NAMESPACE,
    OP_CHROOT,
    OP_UNMOUNT,
    // A new kind needs a row in plan.c, or no plan with it is accepted, and one in stages.c.
    OP_COUNT
};

struct op {
    uint32_t kind;
    uint32_t stage;
    uint32_t flags;
    uint32_t pointer; // the JSON pointer into config.json that it came from
    uint32_t path;
    uint32_t text;
    uint32_t extra;
    uint32_t blob;
    uint32_t blob_bytes;
    uint32_t says; // what it does, for people
    uint64_t number[4];
};

struct plan_header {
    uint32_t magic;
    uint32_t version;
    uint32_t bytes; // of the whole buffer
    uint32_t ops;
    uint32_t heap;       // offset of the heap
    uint32_t templates;  // offset in the heap of strings for any id; 0 in a plan for one container
    uint64_t namespaces; // clone(2) flags for the container process
};

struct plan {
    const struct plan_header *header;
    const struct op *ops;
    const char *heap;
    uint32_t heap_bytes;
};

// Checks the whole buffer, and all that a handler takes for granted about its operation; on false
// `*why` says what is wrong.
bool plan_open(const void *buffer, size_t bytes, struct plan *plan, const char **why);

// The part of it about the header: what is wrong, or NULL.
const char *plan_open_table(const void *buffer, size_t bytes, struct plan *plan);

// Writes a string of a template with the id in it, unless `into` is NULL; returns its bytes with
// the last NUL.
size_t plan_expand(const char *from, const char *id, char *into);

// Makes a plan for one container of a template (template.c), with room for it at `into`; returns
// its bytes, which with `into` NULL is all that it does. 0 if there is something wrong with the
// template, of which the strings are looked at here, and all else by plan_open.
size_t plan_bind(const void *buffer, size_t bytes, const char *id, void *into, const char **why);

static inline const char *plan_string(const struct plan *plan, uint32_t offset) {
    return plan->heap + offset;
}

#endif
