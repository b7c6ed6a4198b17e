// Fuzzes what the launcher reads in a state folder: records, mutated, in a folder of its own.
//
// records SEED ITERATIONS FOLDER FILE...: each input is written to FOLDER/record and read as the
// launcher reads it; one that crashes is there to be tried again (`records 0 0 FOLDER FILE`).
#include "../launcher/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 1 << 16 };

static uint64_t state = 1;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

struct input {
    uint8_t data[ROOM];
    size_t size;
};

static void mutate(struct input *input) {
    static const uint8_t values[] = {0, '=', '"', '-', '9', 0xff, '\n', '/'};
    for (uint64_t times = 1 + next() % 4; times && input->size > 1; times--) {
        size_t at = next() % input->size, length = 1 + next() % 40;
        if (at + length > input->size)
            length = input->size - at;
        switch (next() % 5) {
        case 0:
            input->data[at] = (uint8_t)next();
            break;
        case 1:
            input->data[at] = values[next() % sizeof values];
            break;
        case 2:
            memmove(input->data + at, input->data + at + length, input->size - at - length);
            input->size -= length;
            break;
        case 3:
            if (input->size + length > ROOM)
                break;
            memmove(input->data + at + length, input->data + at, input->size - at);
            input->size += length;
            break;
        default:
            input->size = at;
        }
    }
}

static unsigned long taken;

static void try(int folder, const struct input *input) {
    int fd = openat(folder, "record", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, input->data, input->size) != (ssize_t)input->size) {
        perror("record");
        exit(2);
    }
    close(fd);
    struct record record;
    if (!read_record(folder, &record))
        return;
    taken++;
    // As the verbs use it: every text to its end.
    volatile size_t bytes = strlen(record.bundle) + strlen(record.annotations);
    (void)bytes;
    is_alive(&record);
    free(record.content);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: %s SEED ITERATIONS FOLDER FILE...\n", argv[0]);
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 10), iterations = strtoull(argv[2], NULL, 10);
    int folder = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t count = (size_t)argc - 4;
    struct input *corpus = calloc(count + 1, sizeof *corpus);
    if (folder < 0 || !corpus) {
        perror(argv[3]);
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        FILE *file = fopen(argv[4 + i], "rb");
        if (!file) {
            perror(argv[4 + i]);
            return 2;
        }
        corpus[i].size = fread(corpus[i].data, 1, ROOM, file);
        fclose(file);
        try(folder, &corpus[i]);
    }
    unsigned long whole = taken;
    struct input *input = &corpus[count];
    state = seed * 2654435769u + 1;
    for (uint64_t i = 0; i < iterations; i++) {
        const struct input *from = &corpus[next() % count];
        memcpy(input->data, from->data, from->size);
        input->size = from->size;
        mutate(input);
        try(folder, input);
    }
    printf("seed %llu: %zu records, %lu of them taken; %llu mutants read, %lu of them taken\n",
           (unsigned long long)seed, count, whole, (unsigned long long)iterations, taken - whole);
    free(corpus);
    return whole == count ? 0 : 1;
}
