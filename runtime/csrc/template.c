// A template is a plan for any container of a bundle: where a string has the id in it, a byte 1
// stands for it. A byte 2 says that the next one, 1 or 2, is as it is. Such strings are the last in
// the heap, from header->templates on; in a plan for one container there are none.
#include "plan.h"

#include <string.h>

enum { ID_HERE = 1, AS_IT_IS = 2 };

size_t plan_expand(const char *from, const char *id, char *into) {
    size_t bytes = 0, id_bytes = strlen(id);
    for (; *from; from++) {
        if (*from == ID_HERE) {
            if (into)
                memcpy(into + bytes, id, id_bytes);
            bytes += id_bytes;
            continue;
        }
        if (*from == AS_IT_IS && from[1])
            from++;
        if (into)
            into[bytes] = *from;
        bytes++;
    }
    if (into)
        into[bytes] = 0;
    return bytes + 1;
}

size_t plan_bind(const void *buffer, size_t bytes, const char *id, void *into, const char **why) {
    struct plan plan;
    *why = plan_open_table(buffer, bytes, &plan);
    if (*why)
        return 0;
    const uint32_t first = plan.header->templates;
    if (first > plan.heap_bytes || plan.heap[plan.heap_bytes - 1] != 0) {
        *why = "has strings for any id outside of itself";
        return 0;
    }
    // What no id is in stays where it is.
    size_t head = plan.header->heap + (first ? first : plan.heap_bytes), room = head;
    struct op *ops = NULL;
    if (into) {
        memcpy(into, buffer, head);
        ops = (struct op *)(void *)((char *)into + sizeof *plan.header);
    }
    for (uint32_t i = 0; first && i < plan.header->ops; i++) {
        const struct op *op = &plan.ops[i];
        const uint32_t strings[] = {op->pointer, op->path, op->text, op->extra, op->says};
        uint32_t bound[sizeof strings / sizeof *strings];
        for (size_t k = 0; k < sizeof strings / sizeof *strings; k++) {
            bound[k] = strings[k];
            if (strings[k] < first || strings[k] >= plan.heap_bytes)
                continue;
            bound[k] = (uint32_t)(room - plan.header->heap);
            room += plan_expand(plan.heap + strings[k], id, into ? (char *)into + room : NULL);
            if (room > PLAN_MOST) {
                *why = "is too large";
                return 0;
            }
        }
        if (!into)
            continue;
        ops[i].pointer = bound[0];
        ops[i].path = bound[1];
        ops[i].text = bound[2];
        ops[i].extra = bound[3];
        ops[i].says = bound[4];
    }
    if (into) {
        struct plan_header *header = into;
        header->templates = 0;
        header->bytes = (uint32_t)room;
    }
    return room;
}
