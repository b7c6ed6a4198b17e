// What is printed, as JSON.
#include "stopwatch.h"

#include <stdio.h>

// Bytes that are not plain ASCII are written as the code points of the same numbers.
void print_text(const char *key, const char *text, size_t size) {
    printf(",\"%s\":\"", key);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < ' ' || byte > '~')
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

static long long nanoseconds(struct timeval time) {
    return (long long)time.tv_sec * 1000000000 + (long long)time.tv_usec * 1000;
}

void print_usage(const struct rusage *usage) {
    printf(",\"user_ns\":%lld,\"system_ns\":%lld,\"minor_faults\":%ld,\"major_faults\":%ld,"
           "\"voluntary_switches\":%ld,\"involuntary_switches\":%ld,\"peak_rss_bytes\":%ld",
           nanoseconds(usage->ru_utime), nanoseconds(usage->ru_stime), usage->ru_minflt,
           usage->ru_majflt, usage->ru_nvcsw, usage->ru_nivcsw, usage->ru_maxrss * 1024);
}
