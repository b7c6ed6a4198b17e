// What a container process that is no copy of the runtime is given: who makes it writes it to a
// file in memory, and the program that it executes reads it there.
//
//     container FILE [WHERE]    the number of that file's descriptor; with WHERE the process has
//                               been cloned into its v2 cgroup
#include "fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int write_given(struct fresh *fresh, struct given *given) {
    enum { ALIGNED = 8, PAGE = 65536 }; // the largest page there is
    static const char nothing[ALIGNED];
    const struct context *context = fresh->context;
    struct iovec parts[16];
    int count = 0;
    uint32_t at = 0;
    const struct {
        uint32_t *offset;
        const void *bytes;
        size_t size;
    } all[] = {
        {NULL, given, sizeof *given},
        {&given->slots, context->slots, context->slot_count * sizeof *context->slots},
        {&given->plan, context->plan->header, context->plan->header->bytes},
        {&given->id, context->id, strlen(context->id) + 1},
        {&given->bundle, context->bundle, strlen(context->bundle) + 1},
        {&given->members, context->members, strlen(context->members) + 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].offset)
            *all[i].offset = at;
        parts[count++] = (struct iovec){(void *)(uintptr_t)all[i].bytes, all[i].size};
        at += (uint32_t)all[i].size;
        uint32_t gap = -at % ALIGNED;
        parts[count++] = (struct iovec){(void *)(uintptr_t)nothing, gap};
        at += gap;
    }
    given->bytes = sizeof *given;
    given->console = context->console;
    given->keep = context->keep;
    given->is_watched = context->is_watched;
    given->runtime_mount = context->own_mount;
    given->slot_count = context->slot_count;
    given->plan_bytes = context->plan->header->bytes;
    given->made = (at + PAGE - 1) / PAGE * PAGE;
    int file = (int)syscall(SYS_memfd_create, "container", 1 /* MFD_CLOEXEC */);
    if (file < 0)
        return errno;
    ssize_t written = -1;
    if (ftruncate(file, (off_t)(given->made + made_bytes())) == 0)
        written = writev(file, parts, count);
    if (written != (ssize_t)at) {
        int error = written < 0 ? errno : EIO;
        close(file);
        return error;
    }
    fresh->file = file;
    fresh->made = given->made;
    print_decimal(fresh->number, (uint64_t)file);
    return 0;
}

static const void *at(const struct given *given, uint32_t offset) {
    return (const char *)given + offset;
}

static void hold(int fd, int from) {
    // Above are those that the executor looks after by itself.
    if (fd >= 0 && fd < from)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

_Noreturn void be_given(int argc, char **argv) {
    const char *digits = argc >= 2 ? argv[1] : "";
    int file = 0;
    while (*digits >= '0' && *digits <= '9')
        file = file * 10 + (*digits++ - '0');
    struct stat stat;
    if (file < 3 || fstat(file, &stat) != 0)
        _exit(1);
    size_t size = (size_t)stat.st_size;
    struct given *given = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (given == MAP_FAILED || size < sizeof *given || given->bytes != sizeof *given)
        _exit(1);
    close(file);
    // It was checked by who gave it.
    const struct plan_header *header = at(given, given->plan);
    const struct plan plan = {
        .header = header,
        .ops = (const struct op *)(header + 1),
        .heap = (const char *)header + header->heap,
        .heap_bytes = given->plan_bytes - header->heap,
    };
    struct context context = {
        .plan = &plan,
        .root = -1,
        .proc = -1,
        .null = -1,
        .connection = -1,
        .console = given->console,
        .keep = given->keep,
        .in_cgroup = argc >= 3,
        .is_watched = given->is_watched,
        .own_mount = mount_of(AT_FDCWD, "/proc/self/exe", 0),
        .runtime_mount = given->runtime_mount,
        .slots = (int *)(uintptr_t)at(given, given->slots),
        .slot_count = given->slot_count,
        .made = (void *)(uintptr_t)at(given, given->made),
        .pointers = room_for_strings(&plan),
        .id = at(given, given->id),
        .bundle = at(given, given->bundle),
        .members = at(given, given->members),
        .status = "creating",
    };
    // Without its mount a program of the container's could not be told from ourselves (programs.c).
    if (!context.pointers || !context.own_mount)
        _exit(1);
    const int from = 3 + given->keep;
    hold(given->sync, from);
    hold(given->listener, from);
    hold(given->console, from);
    hold(given->report, from);
    for (uint32_t slot = 0; slot < context.slot_count; slot++)
        hold(context.slots[slot] - 1, from);
    if (given->report >= 0)
        be_helper(&context, given->sync, given->listener, given->report);
    be_container(&context, given->sync, given->listener);
}
