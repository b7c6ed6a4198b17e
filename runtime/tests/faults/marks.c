// In the builds that faults.py injects faults into: which operation of the plan a process is doing,
// at an address that every such process has, and where the tracer reads it (inject.c).
#include "../../csrc/executor.h"
#include "marks.h"

#include <stdio.h>
#include <sys/mman.h>

static struct mark *mark;

// When it is loaded, so that it is there in every process that comes.
__attribute__((constructor)) static void make_mark(void) {
    void *page = mmap((void *)MARK_ADDRESS, sizeof *mark, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    mark = page == (void *)MARK_ADDRESS ? page : NULL;
}

void count_operation(const struct plan *plan, const struct op *op) {
    if (!mark)
        return;
    mark->kind = op ? op->kind : OP_NONE;
    mark->stage = op ? op->stage : STAGE_COUNT;
    mark->op = op ? (uint32_t)(op - plan->ops) : 0;
    const char *says = op ? plan_string(plan, op->says) : "";
    size_t i = 0;
    for (; says[i] && i < sizeof mark->says - 1; i++)
        mark->says[i] = says[i];
    mark->says[i] = 0;
}
