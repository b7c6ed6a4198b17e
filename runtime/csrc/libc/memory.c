// Memory: a program that is gone in two milliseconds gives none back.
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 16, FIRST = 1 << 18 };

// Before each block, so that it can grow.
struct block {
    alignas(LINE) size_t bytes;
};

static alignas(LINE) char first[FIRST]; // pages that are not touched cost nothing
static size_t used;

static void *room(size_t bytes) {
    if (bytes <= FIRST - used) {
        used += bytes;
        return first + used - bytes;
    }
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static void *new_block(size_t bytes) {
    if (bytes > PTRDIFF_MAX - 2 * LINE) {
        errno = ENOMEM;
        return NULL;
    }
    bytes = (bytes + LINE - 1) / LINE * LINE;
    struct block *block = room(sizeof *block + bytes);
    if (!block)
        return NULL;
    block->bytes = bytes;
    return block + 1;
}

void *malloc(size_t bytes) {
    return new_block(bytes);
}

// All blocks are aligned as much as anything here needs.
void *aligned_alloc(size_t alignment, size_t bytes) {
    if (alignment > LINE) {
        errno = EINVAL;
        return NULL;
    }
    return new_block(bytes);
}

void free(void *memory) {
    (void)memory;
}

void *realloc(void *memory, size_t bytes) {
    const size_t before = memory ? ((struct block *)memory - 1)->bytes : 0;
    if (bytes <= before)
        return memory;
    void *more = new_block(bytes);
    if (more && memory)
        memcpy(more, memory, before);
    return more;
}

char *strdup(const char *text) {
    const size_t bytes = strlen(text) + 1;
    char *copy = new_block(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}
