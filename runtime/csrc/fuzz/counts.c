// Counts of operations by kind, in a file that all processes of a test share.
#include "../executor.h"

#ifndef SEATRIAL_COUNTS
#define SEATRIAL_COUNTS "/dev/null"
#endif

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_ulong *counts;

// Mapped when it is loaded, so that it is there in every process and namespace that comes.
__attribute__((constructor)) static void open_counts(void) {
    const size_t bytes = OP_COUNT * sizeof *counts;
    int fd = open(SEATRIAL_COUNTS, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (ftruncate(fd, (off_t)bytes) == 0) {
        void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        counts = shared == MAP_FAILED ? NULL : shared;
    }
    close(fd);
}

void count_operation(const struct plan *plan, const struct op *op) {
    (void)plan;
    if (counts && op && op->kind < OP_COUNT)
        atomic_fetch_add(&counts[op->kind], 1);
}

#ifdef __SANITIZE_ADDRESS__
// The launcher is done when it exits, and leaves its memory to that. Python does too.
const char *__asan_default_options(void);

const char *__asan_default_options(void) {
    return "detect_leaks=0";
}
#endif
