// JSON, written into a growing buffer.
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void text_append(struct text *text, const void *data, size_t len) {
    if (len == 0)
        return;
    if (text->cap - text->len < len) {
        size_t cap = text->cap ? text->cap : 4096;
        while (cap - text->len < len)
            cap *= 2;
        char *grown = realloc(text->data, cap);
        if (!grown) {
            static const char message[] = "probe: out of memory\n";
            ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
            (void)ignored;
            _exit(EXIT_NO_MEMORY);
        }
        text->data = grown;
        text->cap = cap;
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

void text_free(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}

// No value ends in one of these bytes, so the last byte alone tells whether a value went before.
static void separate(struct text *json) {
    if (json->len == 0)
        return;
    char last = json->data[json->len - 1];
    if (last != '{' && last != '[' && last != ':')
        text_append(json, ",", 1);
}

static void literal(struct text *json, const char *value) {
    separate(json);
    text_append(json, value, strlen(value));
}

void json_open(struct text *json, char bracket) {
    separate(json);
    text_append(json, &bracket, 1);
}

void json_close(struct text *json, char bracket) {
    text_append(json, &bracket, 1);
}

void json_key(struct text *json, const char *key) {
    json_string(json, key);
    text_append(json, ":", 1);
}

void json_null(struct text *json) {
    literal(json, "null");
}

void json_bool(struct text *json, bool value) {
    literal(json, value ? "true" : "false");
}

void json_int(struct text *json, long long value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", value);
    literal(json, digits);
}

void json_uint(struct text *json, unsigned long long value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%llu", value);
    literal(json, digits);
}

void json_bytes(struct text *json, const char *data, size_t len) {
    separate(json);
    text_append(json, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte == '"' || byte == '\\') {
            char escaped[2] = {'\\', (char)byte};
            text_append(json, escaped, sizeof escaped);
        } else if (byte >= 0x20 && byte < 0x7f) {
            text_append(json, &byte, 1);
        } else {
            char escaped[8];
            snprintf(escaped, sizeof escaped, "\\u%04x", byte);
            text_append(json, escaped, 6);
        }
    }
    text_append(json, "\"", 1);
}

void json_string(struct text *json, const char *value) {
    if (value)
        json_bytes(json, value, strlen(value));
    else
        json_null(json);
}

void json_lines(struct text *json, const struct text *value) {
    json_open(json, '[');
    for (size_t start = 0; start < value->len;) {
        const char *line = value->data + start;
        const char *end = memchr(line, '\n', value->len - start);
        size_t len = end ? (size_t)(end - line) : value->len - start;
        json_bytes(json, line, len);
        start += len + 1;
    }
    json_close(json, ']');
}

void json_fragment(struct text *json, const struct text *fragment) {
    if (fragment->len == 0)
        return;
    separate(json);
    text_append(json, fragment->data, fragment->len);
}

void member_null(struct text *json, const char *key) {
    json_key(json, key);
    json_null(json);
}

void member_bool(struct text *json, const char *key, bool value) {
    json_key(json, key);
    json_bool(json, value);
}

void member_int(struct text *json, const char *key, long long value) {
    json_key(json, key);
    json_int(json, value);
}

void member_uint(struct text *json, const char *key, unsigned long long value) {
    json_key(json, key);
    json_uint(json, value);
}

void member_string(struct text *json, const char *key, const char *value) {
    json_key(json, key);
    json_string(json, value);
}

void member_text(struct text *json, const char *key, const struct text *value) {
    json_key(json, key);
    json_bytes(json, value->data, value->len);
}

// As /proc/self/mountinfo writes it, so that the two can be compared.
void member_device(struct text *json, const char *key, dev_t device) {
    char text[32];
    snprintf(text, sizeof text, "%u:%u", major(device), minor(device));
    member_string(json, key, text);
}
