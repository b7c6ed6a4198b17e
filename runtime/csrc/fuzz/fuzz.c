// Fuzzes what reads a plan: each input is opened as the extension module opens it, and one that is
// accepted is executed by the executor itself, as runtime and as container process, on a kernel
// that does nothing (kernel.h).
//
// With libFuzzer the entry is LLVMFuzzerTestOneInput. Without it main mutates a corpus of plans:
// fuzz SEED ITERATIONS FILE...; an input that crashes is left in $FUZZ_CRASH, and `fuzz 0 0 FILE`
// runs it again.
#include "../executor.h"
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long accepted, executed[OP_COUNT];

void count_operation(const struct plan *plan, const struct op *op) {
    (void)plan;
    if (op)
        executed[op->kind]++;
}

static void as(const struct plan *plan, bool child, uint64_t seed) {
    static const unsigned rates[] = {0, 64, 8};
    static uint32_t namespaces[16];
    kernel.random = seed | 1;
    kernel.fail_one_in = rates[kernel_random() % 3];
    kernel.as_child = child;
    kernel.calls_left = 20000;
    kernel.namespaces = namespaces;
    kernel.namespace_count = 0;
    bool joins = false;
    for (uint32_t i = 0; i < plan->header->ops; i++) {
        joins = joins || plan->ops[i].stage == STAGE_JOIN;
        if (plan->ops[i].kind == OP_OPEN_NAMESPACE && kernel.namespace_count < 16)
            namespaces[kernel.namespace_count++] = plan->ops[i].flags;
    }
    kernel.as_helper = child && joins;
}

static void create(const struct plan *plan) {
    struct create_request request = {
        .image = -1,
        .plan = plan,
        .listener = 5,
        .console = kernel_random() % 2 ? 6 : -1,
        .keep = (int)(kernel_random() % 3),
        .id = "\"id\"",
        .bundle = "\"/bundle\"",
        .members = "",
    };
    struct create_result result;
    create_container(&request, &result);
}

static void alone(const struct plan *plan, enum stage stage) {
    const struct names names = {.id = "\"id\"", .bundle = "\"/bundle\"", .members = ""};
    run_later(plan, stage, 7, stage == STAGE_DELETED ? "stopped" : "running", &names, NULL);
}

static void start(void) {
    static const char state[] = "{}";
    const struct listener_request request = {
        .pid = 7, .agent = 8, .state = state, .bytes = sizeof state};
    start_container(5, &request);
}

static void execute(const struct plan *plan, uint64_t seed) {
    for (int step = 0; step < 6; step++) {
        as(plan, step == 1, seed + (uint64_t)step);
        if (setjmp(kernel.end) == 0) {
            if (step < 2)
                create(plan);
            else if (step == 2)
                alone(plan, STAGE_STARTED);
            else if (step == 3)
                alone(plan, STAGE_DELETED);
            else if (step == 4)
                alone(plan, STAGE_BEFORE); // update
            else
                start();
        }
        kernel.calls_left = ~0u;
        kernel.fail_one_in = 0;
        kernel_forget();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // Memory of exactly this size: what is read beyond it is seen.
    uint8_t *input = malloc(size ? size : 1);
    if (!input)
        return 0;
    uint64_t seed = 1469598103934665603ull;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 1099511628211ull;
    if (size)
        memcpy(input, data, size);
    struct plan plan;
    const char *why;
    if (plan_open(input, size, &plan, &why)) {
        accepted++;
        execute(&plan, seed);
    }
    free(input);
    return 0;
}

#ifndef SEATRIAL_LIBFUZZER

enum { ROOM = 1 << 20 };

struct input {
    uint8_t *data;
    size_t size;
};

static uint64_t state = 1;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t interesting(const struct input *input) {
    static const uint64_t values[] = {
        0,     1,          2,          3,          4,          7,     8,          255,       4096,
        65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, ~0ull, 1ull << 32, 1ull << 63};
    uint64_t choice = next() % 4;
    if (choice == 0)
        return next() % (input->size + 8);
    if (choice == 1)
        return next();
    return values[next() % (sizeof values / sizeof *values)];
}

static uint32_t ops_of(const struct input *input) {
    const struct plan_header *header = (const void *)input->data;
    if (input->size < sizeof *header)
        return 0;
    size_t most = (input->size - sizeof *header) / sizeof(struct op);
    return header->ops < most ? header->ops : (uint32_t)most;
}

// One of an operation's arguments, as they are laid out.
static void change_field(struct input *input, uint32_t ops) {
    struct op *op = (struct op *)(void *)(input->data + sizeof(struct plan_header)) + next() % ops;
    uint64_t value = interesting(input);
    uint64_t field = next() % 14;
    if (next() % 3 == 0 && field < 10) // near what it was
        value = ((uint32_t *)op)[field] + (next() % 9) - 4;
    else if (next() % 3 == 0 && field >= 10)
        value = op->number[field - 10] + (next() % 9) - 4;
    if (field < 10)
        ((uint32_t *)op)[field] = (uint32_t)value;
    else
        op->number[field - 10] = value;
}

// Operations of another plan, or of this, in the place of some of these, with what they point to.
static void splice(struct input *input, uint32_t ops, const struct input *other) {
    uint32_t others = ops_of(other);
    if (!others)
        return;
    struct op *op = (struct op *)(void *)(input->data + sizeof(struct plan_header)) + next() % ops;
    const struct op *from =
        (const struct op *)(const void *)(other->data + sizeof(struct plan_header)) +
        next() % others;
    uint32_t stage = op->stage;
    *op = *from;
    if (next() % 2)
        op->stage = stage;
    struct plan_header *header = (void *)input->data;
    const struct plan_header *there = (const void *)other->data;
    uint64_t begin = (uint64_t)there->heap + from->blob, bytes = from->blob_bytes;
    if (begin + bytes > other->size || input->size + bytes > ROOM || header->heap > input->size)
        return;
    op->blob = (uint32_t)(input->size - header->heap);
    memcpy(input->data + input->size, other->data + begin, bytes);
    input->size += bytes;
    op->path = op->text = op->extra = op->pointer = 0;
    header->bytes = (uint32_t)input->size;
}

static void resize(struct input *input) {
    struct plan_header *header = (void *)input->data;
    size_t wanted = next() % 2 ? next() % (input->size + 1) : input->size + next() % 64;
    if (wanted > ROOM)
        return;
    for (size_t i = input->size; i < wanted; i++)
        input->data[i] = (uint8_t)next();
    input->size = wanted;
    // Most often with a header that agrees, as else nothing is looked at.
    if (wanted >= sizeof *header && next() % 8)
        header->bytes = (uint32_t)wanted;
}

static void mutate(struct input *input, const struct input *corpus, size_t count) {
    for (uint64_t times = 1 + next() % 4; times && input->size; times--) {
        uint32_t ops = ops_of(input);
        uint64_t how = next() % 16;
        if (how < 8 && ops)
            change_field(input, ops);
        else if (how < 11 && ops)
            splice(input, ops, &corpus[next() % count]);
        else if (how < 12)
            resize(input);
        else if (how < 14)
            input->data[next() % input->size] ^= (uint8_t)(1 << next() % 8);
        else
            input->data[next() % input->size] = (uint8_t)interesting(input);
    }
}

static bool load(const char *path, struct input *input) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    input->size = fread(input->data, 1, ROOM, file);
    return fclose(file) == 0;
}

static const struct input *current;

static void try(const struct input *input) {
    current = input;
    LLVMFuzzerTestOneInput(input->data, input->size);
}

// Leaves the input that is being tried, in $FUZZ_CRASH.
static void keep(void) {
    const char *path = getenv("FUZZ_CRASH");
    FILE *file = path && current ? fopen(path, "wb") : NULL;
    if (!file)
        return;
    fwrite(current->data, 1, current->size, file);
    fclose(file);
}

extern void __sanitizer_set_death_callback(void (*)(void));
const char *__asan_default_options(void);

const char *__asan_default_options(void) {
    return "handle_abort=1";
}

static _Noreturn void fail(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s SEED ITERATIONS FILE...\n", argv[0]);
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 10), iterations = strtoull(argv[2], NULL, 10);
    size_t count = (size_t)argc - 3;
    struct input *corpus = calloc(count, sizeof *corpus);
    uint8_t *rooms = malloc((count + 1) * ROOM);
    if (!corpus || !rooms)
        fail(argv[0]);
    struct input input = {.data = rooms + count * ROOM};
    __sanitizer_set_death_callback(keep);
    for (size_t i = 0; i < count; i++) {
        corpus[i].data = rooms + i * ROOM;
        if (!load(argv[3 + i], &corpus[i]))
            fail(argv[3 + i]);
        try(&corpus[i]);
    }
    unsigned long whole = accepted;
    state = seed * 2654435769u + 1;
    for (uint64_t i = 0; i < iterations; i++) {
        const struct input *from = &corpus[next() % count];
        memcpy(input.data, from->data, from->size);
        input.size = from->size;
        mutate(&input, corpus, count);
        try(&input);
    }
    unsigned kinds = 0;
    for (unsigned kind = 1; kind < OP_COUNT; kind++) {
        kinds += executed[kind] > 0;
        if (!executed[kind])
            printf("kind %u was never executed\n", kind);
    }
    printf("seed %llu: %zu plans, %lu of them accepted; %llu mutants executed, %lu of them "
           "accepted; %u of %u kinds of operations\n",
           (unsigned long long)seed, count, whole, (unsigned long long)iterations, accepted - whole,
           kinds, OP_COUNT - 1);
    free(corpus);
    free(rooms);
    return whole == count ? 0 : 1;
}

#endif
