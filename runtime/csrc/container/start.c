// The program that a container process is until it executes its own: the executor, and little else.
//
//     container FILE [WHERE]    the number of a descriptor: what it is given (fresh.h); with WHERE
//                               it has been cloned into its v2 cgroup
//
// Without libc's start: no loader, no relocation, a few pages of memory.
#include "../fresh.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#if defined __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call enter\n");
#elif defined __aarch64__
__asm__(".globl _start\n_start: mov x29, xzr\n mov x0, sp\n bl enter\n");
#else
#error "this program starts by itself, and knows how on x86_64 and aarch64"
#endif

_Noreturn void enter(long *stack);

static const void *at(const struct given *given, uint32_t offset) {
    return (const char *)given + offset;
}

static void hold(int fd, int from) {
    // Above are those that the executor looks after by itself.
    if (fd >= 0 && fd < from)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

_Noreturn void enter(long *stack) {
    const char *digits = stack[0] >= 2 ? (const char *)stack[2] : "";
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
        .in_cgroup = stack[0] >= 3,
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
    if (!context.pointers)
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
