// The plan's decoder: everything that is untrusted about a plan ends here. First that all offsets
// are inside of it, then that each operation has the arguments, and stands in a stage, that its
// handler takes for granted. Nothing that is checked here is looked at again.
#include "plan.h"

#include <string.h>

enum {
    STAGES_OF_RUNTIME = 1 << STAGE_BEFORE | 1 << STAGE_ADOPT | 1 << STAGE_CREATING |
    1 << STAGE_STARTED | 1 << STAGE_DELETED
};
enum { STAGES_OF_CONTAINER = 1 << STAGE_MOUNT | 1 << STAGE_ENTER | 1 << STAGE_START };
// setresuid(2) and chown(2) take the last number for "no change".
static const uint64_t ids_end = 0xffffffff;
enum { RESOURCES_END = 16 };
#define SECONDS_END (1ull << 32)
enum { KNOWN_NAMESPACES = 0x7e020080 }; // clone(2)

enum blob {
    BLOB_NONE = 0,
    BLOB_STRINGS, // a run of NUL-terminated strings, so it ends in one
    BLOB_VECTORS, // the same; number[0] bytes of it are argv, of one word at least, the rest
                  // environ
    BLOB_ARRAY,   // of elements of `unit` bytes, `least` to `most` of them
    BLOB_MESSAGE, // number[0] is 0, or where in it a number of four bytes belongs, plus one
};

// What the handler of a kind relies on.
struct shape {
    unsigned stages; // those that it may stand in
    enum blob blob;
    uint32_t unit, least, most;
    unsigned ids;     // bits of the numbers that are ids of users and groups
    bool namespaces;  // flags are one type of namespace
    uint64_t ends[2]; // number[0] and number[1] are below; 0 is any
};

#define IN_RUNTIME .stages = STAGES_OF_RUNTIME
#define IN_CONTAINER .stages = STAGES_OF_CONTAINER
#define IN_HELPER .stages = 1 << STAGE_JOIN

static const struct shape shapes[OP_COUNT] = {
    [OP_SETNS] = {IN_HELPER, .namespaces = true},
    [OP_OPEN_NAMESPACE] = {IN_HELPER, .namespaces = true},
    [OP_WRITE] = {IN_RUNTIME},
    [OP_MAKE_DIRECTORIES] = {IN_RUNTIME},
    [OP_REMOVE_CGROUP] = {IN_RUNTIME},
    [OP_ATTACH] = {IN_RUNTIME},
    [OP_ATTACH_TASK] = {IN_RUNTIME},
    [OP_ENABLE_CONTROLLERS] = {IN_RUNTIME},
    [OP_OWNER] = {IN_RUNTIME, .ids = 1 << 0},
    [OP_DEVICE_FILTER] = {IN_RUNTIME, .blob = BLOB_ARRAY, .unit = 8, .least = 1, .most = 1000000},
    [OP_SYSTEMD] = {IN_RUNTIME, .blob = BLOB_MESSAGE},
    [OP_ID_MAP] = {IN_RUNTIME, .blob = BLOB_STRINGS},
    [OP_PROCESS_FILE] = {IN_RUNTIME},
    [OP_NET_DEVICE] = {.stages = 1 << STAGE_ADOPT},
    [OP_ROOT_TREE] = {IN_RUNTIME},
    [OP_TREE] = {IN_RUNTIME},
    [OP_ID_MAPPING] = {IN_RUNTIME},
    [OP_NODE] = {IN_RUNTIME, .ids = 1 << 2 | 1 << 3},
    [OP_NODE_STORE] = {.stages = STAGES_OF_RUNTIME | STAGES_OF_CONTAINER},
    [OP_HOOK] = {.stages = STAGES_OF_RUNTIME | STAGES_OF_CONTAINER,
                 .blob = BLOB_VECTORS,
                 .ends = {0, SECONDS_END}},
    [OP_RLIMIT] = {.stages = STAGES_OF_CONTAINER | 1 << STAGE_ADOPT, .ends = {RESOURCES_END}},
    [OP_SCHEDULER] = {.stages = STAGES_OF_CONTAINER | 1 << STAGE_ADOPT,
                      .blob = BLOB_ARRAY,
                      .unit = 4,
                      .least = 2,
                      .most = 2},
    [OP_IO_PRIORITY] = {.stages = STAGES_OF_CONTAINER | 1 << STAGE_ADOPT},
    [OP_AFFINITY] = {.stages = STAGES_OF_CONTAINER | 1 << STAGE_JOIN,
                     .blob = BLOB_ARRAY,
                     .unit = 8,
                     .least = 1,
                     .most = 8192},
    [OP_BECOME_ROOT] = {IN_CONTAINER, .ids = 1 << 0 | 1 << 1},
    [OP_PROPAGATION] = {IN_CONTAINER},
    [OP_ROOT] = {IN_CONTAINER},
    [OP_MOUNT] = {IN_CONTAINER, .blob = BLOB_STRINGS},
    [OP_BIND] = {IN_CONTAINER},
    [OP_MOUNT_PROPAGATION] = {IN_CONTAINER},
    [OP_MOUNT_ATTRIBUTES] = {IN_CONTAINER},
    [OP_REMOUNT] = {IN_CONTAINER, .blob = BLOB_STRINGS},
    [OP_DEVICE] = {IN_CONTAINER, .ids = 1 << 2 | 1 << 3},
    [OP_SYMLINK] = {IN_CONTAINER},
    [OP_PIVOT] = {IN_CONTAINER},
    [OP_MASK] = {IN_CONTAINER, .blob = BLOB_STRINGS},
    [OP_READONLY] = {IN_CONTAINER},
    [OP_ROOT_READONLY] = {IN_CONTAINER},
    [OP_SYSCTL] = {IN_CONTAINER},
    [OP_HOSTNAME] = {IN_CONTAINER},
    [OP_DOMAINNAME] = {IN_CONTAINER},
    [OP_LOOPBACK] = {IN_CONTAINER},
    [OP_TIME_NAMESPACE] = {IN_CONTAINER},
    [OP_CGROUP_NAMESPACE] = {IN_CONTAINER},
    [OP_CONSOLE] = {IN_CONTAINER, .ids = 1 << 2},
    [OP_CONSOLE_MOUNT] = {IN_CONTAINER},
    [OP_SESSION] = {IN_CONTAINER},
    [OP_KEYRING] = {IN_CONTAINER},
    [OP_UMASK] = {IN_CONTAINER, .ends = {01000}},
    [OP_PERSONALITY] = {IN_CONTAINER},
    [OP_MEMORY_POLICY] = {IN_CONTAINER, .blob = BLOB_ARRAY, .unit = 8, .least = 0, .most = 8192},
    [OP_NO_NEW_PRIVILEGES] = {IN_CONTAINER},
    [OP_BOUNDING] = {IN_CONTAINER},
    [OP_GROUPS] = {IN_CONTAINER, .blob = BLOB_ARRAY, .unit = 4, .least = 0, .most = 65536},
    [OP_GID] = {IN_CONTAINER, .ids = 1 << 0},
    [OP_UID] = {IN_CONTAINER, .ids = 1 << 0},
    [OP_CAPABILITIES] = {IN_CONTAINER},
    [OP_AMBIENT] = {IN_CONTAINER},
    [OP_SECCOMP] = {IN_CONTAINER, .blob = BLOB_ARRAY, .unit = 8, .least = 1, .most = 4096},
    [OP_ATTRIBUTE] = {IN_CONTAINER},
    [OP_CHROOT] = {.stages = STAGES_OF_CONTAINER | 1 << STAGE_JOIN},
    [OP_UNMOUNT] = {IN_RUNTIME},
    [OP_CHDIR] = {IN_CONTAINER},
    [OP_PROGRAM] = {IN_CONTAINER},
    [OP_EXEC] = {IN_CONTAINER, .blob = BLOB_VECTORS},
};

static bool string_fits(const struct plan *plan, uint32_t offset) {
    return offset < plan->heap_bytes &&
           memchr(plan->heap + offset, 0, plan->heap_bytes - offset) != NULL;
}

static bool ends_in_zero(const char *bytes, uint64_t count) {
    return count == 0 || bytes[count - 1] == 0;
}

static bool blob_fits(const struct plan *plan, const struct op *op) {
    const struct shape *shape = &shapes[op->kind];
    const uint64_t cut = op->number[0], bytes = op->blob_bytes;
    if (op->blob > plan->heap_bytes || bytes > plan->heap_bytes - op->blob)
        return false;
    const char *blob = plan->heap + op->blob;
    switch (shape->blob) {
    case BLOB_NONE:
        return bytes == 0;
    case BLOB_STRINGS:
        return ends_in_zero(blob, bytes);
    case BLOB_VECTORS:
        return cut > 0 && cut <= bytes && ends_in_zero(blob, cut) && ends_in_zero(blob, bytes);
    case BLOB_ARRAY:
        return bytes % shape->unit == 0 && bytes / shape->unit >= shape->least &&
               bytes / shape->unit <= shape->most;
    case BLOB_MESSAGE:
        return cut == 0 || (cut <= bytes && bytes - cut >= 3);
    }
    return false;
}

static bool numbers_fit(const struct op *op) {
    const struct shape *shape = &shapes[op->kind];
    for (unsigned i = 0; i < sizeof op->number / sizeof *op->number; i++)
        if (shape->ids >> i & 1 && op->number[i] >= ids_end)
            return false;
    if (shape->namespaces &&
        (op->flags & ~(uint32_t)KNOWN_NAMESPACES || !op->flags || op->flags & (op->flags - 1)))
        return false;
    for (unsigned i = 0; i < sizeof shape->ends / sizeof *shape->ends; i++)
        if (shape->ends[i] && op->number[i] >= shape->ends[i])
            return false;
    return true;
}

static const char *check(const struct plan *plan, const struct op *op, uint32_t stage) {
    if (op->kind >= OP_COUNT || !shapes[op->kind].stages)
        return "has an operation of an unknown kind";
    if (op->stage >= STAGE_COUNT || op->stage < stage)
        return "has operations out of the order of their stages";
    if (!(shapes[op->kind].stages >> op->stage & 1))
        return "has an operation in a stage that is not its own";
    if (!string_fits(plan, op->pointer) || !string_fits(plan, op->path) ||
        !string_fits(plan, op->text) || !string_fits(plan, op->extra) ||
        !string_fits(plan, op->says))
        return "has a string outside of itself";
    if (!blob_fits(plan, op))
        return "has bytes outside of itself, or not as the operation needs them";
    if (!numbers_fit(op))
        return "has a number that the operation cannot have";
    return NULL;
}

const char *plan_open_table(const void *buffer, size_t bytes, struct plan *plan) {
    const struct plan_header *header = buffer;
    if (bytes < sizeof *header)
        return "is shorter than its header";
    if (bytes > PLAN_MOST)
        return "is too large";
    if ((uintptr_t)buffer % _Alignof(struct op) != 0)
        return "is not aligned";
    if (header->magic != PLAN_MAGIC)
        return "is not a plan";
    if (header->version != PLAN_VERSION)
        return "is of another version";
    if (header->bytes != bytes || header->heap > bytes)
        return "is not as long as it says";
    if (header->heap < sizeof *header ||
        (uint64_t)header->ops * sizeof(struct op) != header->heap - sizeof *header)
        return "has a table of operations that does not fit";
    if (header->namespaces & ~(uint64_t)KNOWN_NAMESPACES)
        return "makes namespaces of an unknown type";
    plan->header = header;
    plan->ops = (const struct op *)(header + 1);
    plan->heap = (const char *)buffer + header->heap;
    plan->heap_bytes = (uint32_t)(bytes - header->heap);
    return plan->heap_bytes == 0 || plan->heap[0] != 0 ? "has no heap" : NULL;
}

bool plan_open(const void *buffer, size_t bytes, struct plan *plan, const char **why) {
    *why = plan_open_table(buffer, bytes, plan);
    if (!*why && plan->header->templates)
        *why = "is for any container, and not for one";
    uint32_t stage = 0;
    for (uint32_t i = 0; !*why && i < plan->header->ops; i++) {
        *why = check(plan, &plan->ops[i], stage);
        stage = plan->ops[i].stage;
    }
    return !*why;
}
