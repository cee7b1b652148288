/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

void die(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* Files name things; terminals are not to act on what they say. */
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    fprintf(stderr, "llm: %s\n", text);
    exit(1);
}

void need(q8k_status status, const char *what, const char *name) {
    if (status != Q8K_OK)
        die("%s %s: %s: %s", what, name, q8k_status_name(status), q8k_last_error());
}

void *allocate(size_t count, size_t size) {
    enum { ALIGNMENT = 64 };
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        die("no memory for %zu times %zu bytes", count, size);
    bytes = (bytes / ALIGNMENT + 1) * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, bytes);
    if (memory == NULL)
        die("no memory for %zu bytes", bytes);
    return memset(memory, 0, bytes);
}

FILE *create_file(const char *path) {
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        die("%s: %s", path, strerror(errno));
    return file;
}

void close_file(FILE *file, const char *path) {
    int failed = ferror(file);
    if (fclose(file) != 0 || failed)
        die("%s: %s", path, strerror(errno));
}
