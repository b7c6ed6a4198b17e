// By what a slot shows that it is whole: not against who means ill, but against half of a file.
#include "facts.h"

#include <string.h>

uint64_t checksum(const void *data, size_t bytes) {
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (const char *)data + at, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    return sum;
}
