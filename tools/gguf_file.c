/* SPDX-License-Identifier: MIT */
/* GGUF files that are read. How long a header is, is known only at its end: a growing part of the file is read until it
 * is whole. The bytes are read anew each time, so that the old ones are gone before there is room for the new ones. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gguf.h"
#include "gguf_parse.h"

enum { FIRST_BYTES = 65536 };

static bool refuse(const gguf_file *file, const char *text, char error[GGUF_ERROR_BYTES]) {
    return input_refuse(file->path, text, error);
}

static bool parse_mapping(gguf_file *file, uint64_t length, char error[GGUF_ERROR_BYTES]) {
    char text[GGUF_ERROR_BYTES];
    size_t needed;
    if (length == 0) {
        /* Nothing cannot be mapped. */
        return gguf_parse((const uint8_t *)"", 0, 0, &file->header, &needed, text) || refuse(file, text, error);
    }
    void *mapping = length <= SIZE_MAX ? mmap(NULL, (size_t)length, PROT_READ, MAP_PRIVATE, file->file, 0) : MAP_FAILED;
    if (mapping == MAP_FAILED) {
        snprintf(text, sizeof text, "cannot be mapped: %s", length <= SIZE_MAX ? strerror(errno) : "it is too large");
        return refuse(file, text, error);
    }
    if (!gguf_parse(mapping, (size_t)length, length, &file->header, &needed, text)) {
        munmap(mapping, (size_t)length);
        return refuse(file, text, error);
    }
    file->mapping = mapping;
    return true;
}

/* Whether the file's first bytes are all of its header; if not, *bytes becomes how many to read next, 0 for an error. */
static bool parse_start(gguf_file *file, uint64_t length, size_t *bytes, char error[GGUF_ERROR_BYTES]) {
    char text[GGUF_ERROR_BYTES];
    size_t needed = 0, available = *bytes;
    file->buffer = malloc(available > 0 ? available : 1);
    *bytes = 0;
    if (file->buffer == NULL) {
        return refuse(file, "no memory for its header", error);
    }
    if (input_read(file->file, file->path, file->buffer, available, 0, error)) {
        if (gguf_parse(file->buffer, available, length, &file->header, &needed, text)) {
            return true;
        }
        if (needed == 0) {
            refuse(file, text, error);
        } else {
            size_t twice = 2 * available < length ? 2 * available : (size_t)length;
            *bytes = needed > twice ? needed : twice;
        }
    }
    free(file->buffer);
    return false;
}

static bool parse_parts(gguf_file *file, uint64_t length, char error[GGUF_ERROR_BYTES]) {
    size_t bytes = length < FIRST_BYTES ? (size_t)length : FIRST_BYTES;
    do {
        if (parse_start(file, length, &bytes, error)) {
            return true;
        }
    } while (bytes > 0);
    return false;
}

bool gguf_open(gguf_file *file, const char *path, bool map, char error[GGUF_ERROR_BYTES]) {
    gguf_file opened = {.path = strdup(path)};
    uint64_t length;
    if (opened.path == NULL) {
        return input_refuse(path, "no memory for its name", error);
    }
    opened.file = input_open(path, &length, error);
    if (opened.file < 0) {
        free(opened.path);
        return false;
    }
    if (!(map ? parse_mapping(&opened, length, error) : parse_parts(&opened, length, error))) {
        close(opened.file);
        free(opened.path);
        return false;
    }
    *file = opened;
    return true;
}

bool gguf_read(const gguf_file *file, uint64_t offset, size_t bytes, void *to, char error[GGUF_ERROR_BYTES]) {
    if (offset > file->header.length || bytes > file->header.length - offset) {
        return refuse(file, "has no such bytes", error);
    }
    if (file->mapping == NULL) {
        return input_read(file->file, file->path, to, bytes, offset, error);
    }
    if (bytes > 0) {
        memcpy(to, file->mapping + offset, bytes);
    }
    return true;
}

const void *gguf_mapped(const gguf_file *file, uint64_t offset) {
    return file->mapping != NULL ? file->mapping + offset : NULL;
}

void gguf_close(gguf_file *file) {
    if (file->mapping != NULL) {
        munmap((void *)(uintptr_t)file->mapping, (size_t)file->header.length);
    }
    gguf_free(&file->header);
    free(file->buffer);
    free(file->path);
    close(file->file);
}
