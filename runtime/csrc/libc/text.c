// Strings and memory: short ones, so no more than this. Compiled without the optimization that
// would make calls of themselves of them.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <stdlib.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    char *into = to;
    const char *at = from;
#if defined __x86_64__
    // What the processor does by itself, many bytes at a time.
    __asm__ volatile("rep movsb" : "+D"(into), "+S"(at), "+c"(bytes) : : "memory");
#else
    while (bytes--)
        *into++ = *at++;
#endif
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    char *into = to;
    const char *at = from;
    if (into < at)
        return memcpy(to, from, bytes);
    while (bytes--)
        into[bytes] = at[bytes];
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    char *into = to;
#if defined __x86_64__
    __asm__ volatile("rep stosb" : "+D"(into), "+c"(bytes) : "a"(value) : "memory");
#else
    while (bytes--)
        *into++ = (char)value;
#endif
    return to;
}

int memcmp(const void *one, const void *other, size_t bytes) {
    const unsigned char *a = one, *b = other;
    for (; bytes; bytes--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

void *memchr(const void *in, int value, size_t bytes) {
    for (const unsigned char *at = in; bytes; bytes--, at++)
        if (*at == (unsigned char)value)
            return (void *)(uintptr_t)at;
    return NULL;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

char *strcpy(char *restrict to, const char *restrict from) {
    memcpy(to, from, strlen(from) + 1);
    return to;
}

int strcmp(const char *one, const char *other) {
    for (; *one && *one == *other; one++, other++)
        ;
    return (unsigned char)*one - (unsigned char)*other;
}

int strncmp(const char *one, const char *other, size_t most) {
    for (; most && *one && *one == *other; most--, one++, other++)
        ;
    return most ? (unsigned char)*one - (unsigned char)*other : 0;
}

char *strchr(const char *text, int value) {
    for (;; text++) {
        if (*text == (char)value)
            return (char *)(uintptr_t)text;
        if (!*text)
            return NULL;
    }
}

char *strrchr(const char *text, int value) {
    char *found = NULL;
    for (;; text++) {
        if (*text == (char)value)
            found = (char *)(uintptr_t)text;
        if (!*text)
            return found;
    }
}

size_t strspn(const char *text, const char *of) {
    size_t length = 0;
    while (text[length] && strchr(of, text[length]))
        length++;
    return length;
}

size_t strcspn(const char *text, const char *of) {
    size_t length = 0;
    while (text[length] && !strchr(of, text[length]))
        length++;
    return length;
}

static int lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : (unsigned char)letter;
}

int strncasecmp(const char *one, const char *other, size_t most) {
    for (; most && *one && lower(*one) == lower(*other); most--, one++, other++)
        ;
    return most ? lower(*one) - lower(*other) : 0;
}

int strcasecmp(const char *one, const char *other) {
    return strncasecmp(one, other, SIZE_MAX);
}

// Of the digits that are there, all in base ten; nothing here is told of one that is too large.
unsigned long long strtoull(const char *text, char **end, int base) {
    unsigned long long value = 0;
    (void)base;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (unsigned long long)(*text - '0');
    if (end)
        *end = (char *)(uintptr_t)text;
    return value;
}

long strtol(const char *text, char **end, int base) {
    const bool negative = *text == '-';
    long value = (long)strtoull(text + negative, end, base);
    return negative ? -value : value;
}
