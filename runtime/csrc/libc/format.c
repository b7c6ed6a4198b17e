// Text made of formats: %s, %c, %d, %u, %x and %%, with 0, a width, .* and the lengths l, ll and z.
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output {
    char *into;
    size_t room;
    size_t bytes; // there would be with room for all
};

static void put(struct output *output, char letter) {
    if (output->bytes + 1 < output->room)
        output->into[output->bytes] = letter;
    output->bytes++;
}

struct conversion {
    char fill;
    int width;
    int most; // of a string's bytes, or -1
    int longs;
    char letter;
};

static const char *read_conversion(const char *at, struct conversion *found, va_list *list) {
    *found = (struct conversion){.fill = ' ', .most = -1};
    if (*at == '0')
        found->fill = *at++;
    while (*at >= '0' && *at <= '9')
        found->width = found->width * 10 + (*at++ - '0');
    if (at[0] == '.' && at[1] == '*') {
        found->most = va_arg(*list, int);
        at += 2;
    }
    for (; *at == 'l' || *at == 'z'; at++)
        found->longs++;
    found->letter = *at;
    return at;
}

static void put_number(struct output *output, const struct conversion *how, uint64_t value,
                       bool negative) {
    char digits[20];
    const unsigned base = how->letter == 'x' ? 16 : 10;
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        put(output, '-');
    for (int i = count + negative; i < how->width; i++)
        put(output, how->fill);
    while (count)
        put(output, digits[--count]);
}

static void convert(struct output *output, const struct conversion *how, va_list *list) {
    if (how->letter == 's') {
        const char *text = va_arg(*list, const char *);
        for (int i = 0; (how->most < 0 || i < how->most) && text[i]; i++)
            put(output, text[i]);
    } else if (how->letter == 'c') {
        put(output, (char)va_arg(*list, int));
    } else if (how->letter == 'd') {
        const int64_t value = how->longs ? va_arg(*list, long) : va_arg(*list, int);
        put_number(output, how, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
    } else if (how->letter == 'u' || how->letter == 'x') {
        put_number(output, how, how->longs ? va_arg(*list, unsigned long) : va_arg(*list, unsigned),
                   false);
    } else {
        put(output, how->letter);
    }
}

int vsnprintf(char *into, size_t room, const char *format, va_list given) {
    struct output output = {.into = into, .room = room};
    va_list list;
    va_copy(list, given);
    for (const char *at = format; *at; at++) {
        struct conversion how;
        if (*at != '%') {
            put(&output, *at);
            continue;
        }
        at = read_conversion(at + 1, &how, &list);
        convert(&output, &how, &list);
    }
    va_end(list);
    if (room)
        into[output.bytes < room ? output.bytes : room - 1] = 0;
    return (int)output.bytes;
}

int snprintf(char *into, size_t room, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int bytes = vsnprintf(into, room, format, list);
    va_end(list);
    return bytes;
}

static int print(char **into, const char *format, va_list list) {
    int bytes = vsnprintf(NULL, 0, format, list);
    *into = malloc((size_t)bytes + 1);
    return *into ? vsnprintf(*into, (size_t)bytes + 1, format, list) : -1;
}

int asprintf(char **into, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int bytes = print(into, format, list);
    va_end(list);
    return bytes;
}

int dprintf(int fd, const char *format, ...) {
    char *text;
    va_list list;
    va_start(list, format);
    int bytes = print(&text, format, list);
    va_end(list);
    for (int at = 0; at < bytes;) {
        ssize_t done = write(fd, text + at, (size_t)(bytes - at));
        if (done < 0)
            return -1;
        at += (int)done;
    }
    return bytes;
}
