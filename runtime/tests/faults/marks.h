// What a process of the runtime is doing, as marks.c notes it and inject.c reads it.
#ifndef SEATRIAL_MARKS_H
#define SEATRIAL_MARKS_H

#include <stdint.h>

// Far from where the kernel puts programs, libraries, heaps and stacks.
#define MARK_ADDRESS 0x100000000000ull

struct mark {
    uint32_t kind; // 0: none of the plan's operations
    uint32_t stage;
    uint32_t op;
    char says[500];
};

#endif
