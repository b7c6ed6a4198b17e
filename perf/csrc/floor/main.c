// floor run ORDERS | floor micro COUNT ORDERS OUTPUT
#include "floor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (long long)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "run") == 0) {
        read_orders(argv[2]);
        return contain();
    }
    if (argc != 5 || strcmp(argv[1], "micro") != 0)
        refuse("usage", "floor run ORDERS, or floor micro COUNT ORDERS OUTPUT");
    read_orders(argv[3]);
    FILE *output = fopen(argv[4], "we");
    if (!output)
        refuse(argv[4], strerror(errno));
    for (long left = strtol(argv[2], NULL, 10); left > 0; left--) {
        long long start = now();
        int status = contain();
        long long end = now();
        if (status != 0)
            refuse("the container's process", "it failed");
        fprintf(output, "%lld\n", end - start);
    }
    return fclose(output) == 0 ? 0 : 1;
}
