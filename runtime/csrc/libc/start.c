// Where a program begins: no loader, no relocation, a few pages of memory.
#include <stddef.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#if defined __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#elif defined __aarch64__
__asm__(".globl _start\n_start: mov x29, xzr\n mov x0, sp\n bl begin\n");
#else
#error "this program starts by itself, and knows how on x86_64 and aarch64"
#endif

extern int main(int argc, char **argv);
_Noreturn void begin(long *stack);

char **environ;

// The number of words, the words, NULL; the environment, NULL.
_Noreturn void begin(long *stack) {
    char **words = (char **)(stack + 1);
    environ = words + stack[0] + 1;
    _exit(main((int)stack[0], words));
}

char *getenv(const char *name) {
    const size_t length = strlen(name);
    for (char **each = environ; *each; each++)
        if (strncmp(*each, name, length) == 0 && (*each)[length] == '=')
            return *each + length + 1;
    return NULL;
}
