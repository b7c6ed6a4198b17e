// What a create makes in the root filesystem: mount points, nodes, links. It is noted in memory
// that the runtime shares with the container process, or in the file that it is given (fresh.h), so
// that a create that fails can take it away again, whoever died of what (runtime.md, "Errors").
#include "fresh.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct made {
    uint32_t bytes;
    char paths[65532]; // each after a 'd' for a folder or an 'f', and ended by a zero
};

bool open_made(struct context *context) {
    void *shared =
        mmap(NULL, sizeof(struct made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    context->made = shared == MAP_FAILED ? NULL : shared;
    return context->made;
}

size_t made_bytes(void) {
    return sizeof(struct made);
}

void *made_in(const struct fresh *fresh) {
    if (fresh->file < 0)
        return NULL;
    void *shared = mmap(NULL, sizeof(struct made), PROT_READ | PROT_WRITE, MAP_SHARED, fresh->file,
                        (off_t)fresh->made);
    return shared == MAP_FAILED ? NULL : shared;
}

void close_made(struct context *context) {
    if (context->made)
        munmap(context->made, sizeof(struct made));
    context->made = NULL;
}

void note_root(struct context *context) {
    context->root_mount = mount_of(context->root, "", EMPTY_PATH);
}

// `parent` is the folder that it was made in. What is made in the container's own mounts goes with
// them.
void note_made(const struct context *context, int parent, const char *path, bool directory) {
    struct made *made = context->made;
    size_t length = strlen(path) + 1;
    if (!made || mount_of(parent, "", EMPTY_PATH) != context->root_mount ||
        made->bytes + length + 1 > sizeof made->paths)
        return;
    made->paths[made->bytes++] = directory ? 'd' : 'f';
    memcpy(made->paths + made->bytes, path, length);
    made->bytes += (uint32_t)length;
}

static const char *root_of(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->header->ops; i++)
        if (plan->ops[i].kind == OP_ROOT_TREE)
            return plan_string(plan, plan->ops[i].path);
    return NULL;
}

// In the runtime, where none of the container's mounts is in the way, or not any more; the last
// made goes first.
void unmake(struct context *context) {
    for (uint32_t i = 0; i < context->plan->header->ops; i++)
        if (context->plan->ops[i].kind == OP_UNMOUNT)
            op_unmount(context, &context->plan->ops[i]);
    struct made *made = context->made;
    const char *path = made && made->bytes ? root_of(context->plan) : NULL;
    int root = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (root < 0)
        return;
    struct context there = {.root = root};
    for (uint32_t end = made->bytes; end;) {
        uint32_t start = end - 1;
        while (start && made->paths[start - 1])
            start--;
        end = start;
        const char *name = strrchr(made->paths + start, '/');
        if (!name)
            continue;
        char folder[4096];
        size_t length = (size_t)(name - (made->paths + start + 1));
        if (length >= sizeof folder)
            continue;
        memcpy(folder, made->paths + start + 1, length);
        folder[length] = 0;
        int parent = open_in_root(&there, length ? folder : "/", O_PATH | O_DIRECTORY);
        if (parent < 0)
            continue;
        unlinkat(parent, name + 1, made->paths[start] == 'd' ? AT_REMOVEDIR : 0);
        close(parent);
    }
    close(root);
}
