// The program that the containers of runtime/tests/attacks run: it tries what an attacker would
// try, one step per word of its command line, and says what came of each. It judges nothing.
#ifndef SEATRIAL_ATTACKER_H
#define SEATRIAL_ATTACKER_H

// "STEP ok" or "STEP errno NUMBER", and what a step has to tell besides, on one line.
void say(const char *step, long result, const char *more);

// race.c: these go on until they are killed; the last two say what they saw at SIGUSR1, and end
_Noreturn void swap_names(char **pair); // two names, exchanged for ever (renameat2(2))
_Noreturn void flicker(const char *path);
_Noreturn void spy(const char *marker);
_Noreturn void overwrite(void);

// matrix.c: calls every system call up to `last`, in a process each, with all arguments `argument`
int call_all(long last, unsigned long argument);

#endif
