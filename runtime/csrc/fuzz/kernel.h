// A kernel that does nothing: what the executor's system calls meet under the fuzzer.
//
// The executor's own object files are linked to it: whatever they call of libc that is not a pure
// function is renamed to kernel_<name> (fuzzing.py), so one that has no stand-in does not link, and
// no mutated plan can reach the real kernel. The stand-ins read all that the kernel would read, so
// that a sanitizer sees a call with too little memory behind it.
#ifndef SEATRIAL_KERNEL_H
#define SEATRIAL_KERNEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

struct kernel {
    uint64_t random;            // state of the pseudo-random numbers
    unsigned fail_one_in;       // calls that fail, or 0
    bool as_child;              // clone3(2) returns as the new process
    bool as_helper;             // and so does the first without flags
    unsigned calls_left;        // then the run is over: nothing waits for ever
    const uint32_t *namespaces; // types that files of namespaces are said to have
    unsigned namespace_count;
    jmp_buf end;
};

extern struct kernel kernel;

uint64_t kernel_random(void);
// Gives back what was mapped and not unmapped.
void kernel_forget(void);

#endif
