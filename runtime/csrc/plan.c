// The plan's decoder: everything that is untrusted about a plan ends here.
#include "plan.h"

#include <string.h>

static bool string_fits(const struct plan *plan, uint32_t offset) {
    return offset < plan->heap_bytes &&
           memchr(plan->heap + offset, 0, plan->heap_bytes - offset) != NULL;
}

// A blob of strings is a run of NUL-terminated strings, so it has to end in one.
static bool blob_fits(const struct plan *plan, const struct op *op) {
    if (op->blob > plan->heap_bytes || op->blob_bytes > plan->heap_bytes - op->blob)
        return false;
    return op->blob_bytes == 0 || plan->heap[op->blob + op->blob_bytes - 1] == 0 ||
           op->kind == OP_SECCOMP || op->kind == OP_GROUPS || op->kind == OP_AFFINITY ||
           op->kind == OP_MEMORY_POLICY || op->kind == OP_SCHEDULER ||
           op->kind == OP_DEVICE_FILTER || op->kind == OP_SYSTEMD;
}

bool plan_open(const void *buffer, size_t bytes, struct plan *plan, const char **why) {
    const struct plan_header *header = buffer;
    *why = "is shorter than its header";
    if (bytes < sizeof *header)
        return false;
    *why = "is not aligned";
    if ((uintptr_t)buffer % _Alignof(struct op) != 0)
        return false;
    *why = "is not a plan";
    if (header->magic != PLAN_MAGIC)
        return false;
    *why = "is of another version";
    if (header->version != PLAN_VERSION)
        return false;
    *why = "is not as long as it says";
    if (header->bytes != bytes || header->heap > bytes)
        return false;
    *why = "has a table of operations that does not fit";
    if (header->heap < sizeof *header ||
        (uint64_t)header->ops * sizeof(struct op) != header->heap - sizeof *header)
        return false;
    plan->header = header;
    plan->ops = (const struct op *)(header + 1);
    plan->heap = (const char *)buffer + header->heap;
    plan->heap_bytes = (uint32_t)(bytes - header->heap);
    *why = "has no heap";
    if (plan->heap_bytes == 0 || plan->heap[0] != 0)
        return false;
    uint32_t stage = 0;
    for (uint32_t i = 0; i < header->ops; i++) {
        const struct op *op = &plan->ops[i];
        *why = "has an unknown operation";
        if (op->kind == OP_NONE || op->kind >= OP_COUNT)
            return false;
        *why = "has operations out of the order of their stages";
        if (op->stage >= STAGE_COUNT || op->stage < stage)
            return false;
        stage = op->stage;
        *why = "has a string outside of itself";
        if (!string_fits(plan, op->pointer) || !string_fits(plan, op->path) ||
            !string_fits(plan, op->text) || !string_fits(plan, op->extra) ||
            !string_fits(plan, op->says))
            return false;
        *why = "has bytes outside of itself";
        if (!blob_fits(plan, op))
            return false;
    }
    *why = "is good";
    return true;
}
