// Fuzzes what reads a slot: slots that are kept, with bytes, words and lengths changed, and then
// made whole again, so that what is behind the sum is reached. The host is not asked anything.
#include "../../facts/facts.h"
#include "../../launcher/launcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SLOTS = 64, ROOM = 1 << 20, CHECKSUM = 16, BODY = 24 };

static uint64_t state;
static uint64_t asked, whole, bound, opened;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

// Instead of the host: any answer will do, and all that was passed is read.
int ask(struct asker *asker, uint32_t kind, uint32_t flags, const char *name) {
    (void)flags;
    asker->answer = (struct room){.at = (char *)(uintptr_t)name, .bytes = strlen(name)};
    asked++;
    return (int)(kind % 3);
}

void forget(struct asker *asker) {
    (void)asker;
}

int read_to_end(int fd, struct room *into) {
    (void)fd, (void)into;
    return 1;
}

bool find_caller(struct caller *caller) {
    (void)caller;
    return false;
}

const char *build_id(void) {
    return "";
}

const char *missing_call(void) {
    return NULL;
}

void execute_again(char **words) {
    (void)words;
}

static const uint64_t odd[] = {0, 1, 2, 7, 8, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 1u << 31};

static size_t change(unsigned char *bytes, size_t count) {
    for (uint64_t left = 1 + draw(6); left; left--) {
        size_t at = draw(count);
        switch (draw(5)) {
        case 0:
            bytes[at] ^= (unsigned char)(1 + draw(255));
            break;
        case 1:
        case 2: {
            // Most words that matter are in the first few hundred bytes, or are lengths of facts.
            uint32_t word = (uint32_t)(odd[draw(sizeof odd / sizeof *odd)] + draw(9) - 4);
            at = draw(2) ? draw(count < 128 ? count : 128) : at;
            at &= ~(size_t)3;
            if (at + sizeof word <= count)
                memcpy(bytes + at, &word, sizeof word);
            break;
        }
        case 3: {
            size_t from = draw(count), length = draw(64);
            if (from + length <= count && at + length <= count)
                memmove(bytes + at, bytes + from, length);
            break;
        }
        case 4:
            if (draw(8) == 0)
                count = 1 + draw(count);
            break;
        }
    }
    return count;
}

static void try(unsigned char *bytes, size_t count) {
    // Made whole again, mostly: then what is left to find is what the sum cannot show.
    if (count >= BODY && draw(16)) {
        uint32_t length = (uint32_t)count;
        memcpy(bytes + 8, &length, sizeof length);
        uint64_t sum = checksum(bytes + BODY, count - BODY);
        memcpy(bytes + CHECKSUM, &sum, sizeof sum);
    }
    // In memory of just that size, such that what is beyond is seen.
    void *slot = malloc(count);
    memcpy(slot, bytes, count);
    if (is_slot(slot, count)) {
        whole++;
        struct kept kept = {0};
        size_t facts = slot_facts_bytes(slot);
        facts_hold(slot_facts(slot), facts, "fuzz-id");
        // The first that is answered otherwise is the last: so begin at others too.
        for (int i = 0; facts && i < 4; i++) {
            size_t from = draw(facts) & ~(size_t)3;
            facts_hold(slot_facts(slot) + from, facts - from, "fuzz-id");
        }
        if (bind_plan(slot, "fuzz-id", &kept.plan)) {
            bound++;
            opened += kept.plan.header->ops;
            free((void *)(uintptr_t)kept.plan.header);
        }
    }
    free(slot);
}

int main(int count, char **words) {
    if (count < 4)
        return 2;
    static unsigned char *seeds[MOST_SLOTS];
    static size_t sizes[MOST_SLOTS];
    static unsigned char scratch[ROOM];
    uint64_t iterations = strtoull(words[1], NULL, 10), slots = 0;
    state = strtoull(words[2], NULL, 10) * 0x9e3779b97f4a7c15u | 1;
    for (int i = 3; i < count && slots < MOST_SLOTS; i++) {
        FILE *file = fopen(words[i], "rb");
        if (!file)
            return 2;
        sizes[slots] = fread(scratch, 1, ROOM, file);
        fclose(file);
        seeds[slots] = malloc(sizes[slots]);
        memcpy(seeds[slots], scratch, sizes[slots]);
        slots++;
    }
    for (uint64_t i = 0; i < iterations; i++) {
        size_t which = draw(slots), bytes = sizes[which];
        memcpy(scratch, seeds[which], bytes);
        if (i >= slots)
            bytes = change(scratch, bytes);
        try(scratch, bytes);
    }
    for (uint64_t i = 0; i < slots; i++)
        free(seeds[i]);
    printf("%llu slots: %llu whole, %llu questions, %llu plans of %llu operations\n",
           (unsigned long long)iterations, (unsigned long long)whole, (unsigned long long)asked,
           (unsigned long long)bound, (unsigned long long)opened);
    return 0;
}
