// Counts of operations by kind, in a file that all processes of a test share: SEATRIAL_COUNTS.
#include "../executor.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_ulong *counts;

// Mapped when it is loaded, so that it is there in every process and namespace that comes.
__attribute__((constructor)) static void open_counts(void) {
    const size_t bytes = OP_COUNT * sizeof *counts;
    const char *path = getenv("SEATRIAL_COUNTS");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    if (ftruncate(fd, (off_t)bytes) == 0) {
        void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        counts = shared == MAP_FAILED ? NULL : shared;
    }
    close(fd);
}

void count_operation(uint32_t kind) {
    if (counts && kind < OP_COUNT)
        atomic_fetch_add(&counts[kind], 1);
}
