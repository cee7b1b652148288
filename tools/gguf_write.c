/* SPDX-License-Identifier: MIT */
/* GGUF files that are written. The header is put together in memory and held against the parser before there is a file
 * at all, so that no file can come about that the reader would refuse. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf.h"
#include "gguf_parse.h"

enum { WRITTEN_VERSION = 3, ZEROS = 4096 };

/* ---- bytes ---- */

static void append(gguf_bytes *to, const void *bytes, size_t count) {
    if (!to->failed && count > to->room - to->used) {
        size_t wanted = to->used + count, room = wanted > 2 * to->room ? wanted : 2 * to->room;
        uint8_t *grown = wanted < count ? NULL : realloc(to->bytes, room);
        to->failed = grown == NULL;
        if (grown != NULL) {
            to->bytes = grown;
            to->room = room;
        }
    }
    if (!to->failed && count > 0) {
        memcpy(to->bytes + to->used, bytes, count);
        to->used += count;
    }
}

static void append_number(gguf_bytes *to, uint64_t number, size_t count) {
    uint8_t bytes[8];
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i));
    }
    append(to, bytes, count);
}

static void append_text(gguf_bytes *to, gguf_text text) {
    append_number(to, text.length, 8);
    append(to, text.bytes, text.length);
}

/* ---- what the file is to hold ---- */

void gguf_writer_begin(gguf_writer *writer) {
    *writer = (gguf_writer){.alignment = GGUF_DEFAULT_ALIGNMENT};
}

static bool describes_tensor(gguf_text key) {
    size_t length = strlen(GGUF_TENSOR_KEY);
    return key.length > length && memcmp(key.bytes, GGUF_TENSOR_KEY, length) == 0;
}

void gguf_copy_keys(gguf_writer *writer, const gguf *source, bool (*leave_out)(const gguf_key *key, void *data),
                    void *data) {
    for (size_t i = 0; i < source->key_count; i++) {
        gguf_key key = gguf_key_at(source, i);
        if (describes_tensor(key.name) || (leave_out != NULL && leave_out(&key, data))) {
            continue;
        }
        append(&writer->keys, source->bytes + key.position, key.length);
        writer->key_count++;
        if (gguf_text_is(key.name, GGUF_ALIGNMENT_KEY)) {
            writer->alignment = source->alignment;
        }
    }
}

static void add_key(gguf_writer *writer, gguf_text key, gguf_value_type type) {
    append_text(&writer->keys, key);
    append_number(&writer->keys, type, 4);
    writer->key_count++;
}

static gguf_text text_of(const char *string) {
    return (gguf_text){string, strlen(string)};
}

void gguf_add_string(gguf_writer *writer, const char *key, gguf_text text) {
    add_key(writer, text_of(key), GGUF_STRING);
    append_text(&writer->keys, text);
}

void gguf_add_uint32(gguf_writer *writer, const char *key, uint32_t value) {
    add_key(writer, text_of(key), GGUF_UINT32);
    append_number(&writer->keys, value, 4);
    if (strcmp(key, GGUF_ALIGNMENT_KEY) == 0) {
        writer->alignment = value;
    }
}

void gguf_add_uint64(gguf_writer *writer, const char *key, uint64_t value) {
    add_key(writer, text_of(key), GGUF_UINT64);
    append_number(&writer->keys, value, 8);
}

/* What is wrong with an alignment or a size is found when all is parsed: here it must only not divide by 0 or wrap
 * without a trace. */
static uint64_t padded(uint64_t bytes, uint32_t alignment) {
    uint64_t over = alignment > 0 ? bytes % alignment : 0;
    return over > 0 ? bytes + alignment - over : bytes;
}

void gguf_add_tensor(gguf_writer *writer, const gguf_tensor *tensor) {
    uint64_t offset = padded(writer->data_bytes, writer->alignment);
    if (tensor->format == Q8K_FORMAT_Q8_K) {
        char key[GGUF_TENSOR_KEY_BYTES];
        add_key(writer, gguf_tensor_key(key, tensor->name, GGUF_FORMAT_KEY), GGUF_STRING);
        append_text(&writer->keys, text_of(GGUF_FORMAT_NAME));
        add_key(writer, gguf_tensor_key(key, tensor->name, GGUF_COLS_KEY), GGUF_UINT64);
        append_number(&writer->keys, tensor->cols, 8);
    }
    append_text(&writer->tensors, tensor->name);
    append_number(&writer->tensors, (uint64_t)tensor->dimensions, 4);
    for (int i = 0; i < tensor->dimensions && i < GGUF_MAX_DIMENSIONS; i++) {
        append_number(&writer->tensors, tensor->dimension[i], 8);
    }
    append_number(&writer->tensors, tensor->type, 4);
    append_number(&writer->tensors, offset, 8);
    writer->tensor_count++;
    writer->data_bytes = offset + tensor->bytes;
}

/* ---- the file ---- */

static void free_all(gguf_writer *writer) {
    gguf_free(&writer->header);
    free(writer->keys.bytes);
    free(writer->tensors.bytes);
    free(writer->bytes.bytes);
    free(writer->path);
    *writer = (gguf_writer){.path = NULL};
}

/* The whole header with its padding, and what the parser makes of it. */
static bool make_header(gguf_writer *writer, char error[GGUF_ERROR_BYTES]) {
    static const uint8_t zeros[ZEROS];
    gguf_bytes *all = &writer->bytes;
    append(all, "GGUF", 4);
    append_number(all, WRITTEN_VERSION, 4);
    append_number(all, writer->tensor_count, 8);
    append_number(all, writer->key_count, 8);
    append(all, writer->keys.bytes, writer->keys.used);
    append(all, writer->tensors.bytes, writer->tensors.used);
    if (writer->keys.failed || writer->tensors.failed || all->failed) {
        return gguf_refuse(error, "no memory for its header");
    }
    size_t needed;
    uint64_t length = padded(all->used, writer->alignment) + writer->data_bytes;
    if (!gguf_parse(all->bytes, all->used, length, &writer->header, &needed, error)) {
        return false;
    }
    for (uint64_t left = writer->header.data_offset - all->used; left > 0 && !all->failed;) {
        size_t count = left < ZEROS ? (size_t)left : ZEROS;
        append(all, zeros, count);
        left -= count;
    }
    /* It may have moved. */
    writer->header.bytes = all->bytes;
    return !all->failed || gguf_refuse(error, "no memory for its header");
}

bool gguf_writer_open(gguf_writer *writer, const char *path, char error[GGUF_ERROR_BYTES]) {
    char text[GGUF_ERROR_BYTES];
    writer->path = strdup(path);
    bool good = writer->path != NULL || gguf_refuse(text, "no memory for its name");
    good = good && make_header(writer, text) && output_open(&writer->out, path, text);
    if (good && !output_write(&writer->out, writer->bytes.bytes, writer->bytes.used, text)) {
        output_abandon(&writer->out);
        good = false;
    }
    if (!good) {
        input_refuse(path, text, error);
        free_all(writer);
        return false;
    }
    writer->written = writer->bytes.used;
    return true;
}

static bool put(gguf_writer *writer, const void *data, size_t bytes, char error[GGUF_ERROR_BYTES]) {
    char text[OUTPUT_ERROR_BYTES];
    if (!output_write(&writer->out, data, bytes, text)) {
        return input_refuse(writer->path, text, error);
    }
    writer->written += bytes;
    return true;
}

static bool pad_to(gguf_writer *writer, uint64_t offset, char error[GGUF_ERROR_BYTES]) {
    static const uint8_t zeros[ZEROS];
    while (writer->written < offset) {
        uint64_t left = offset - writer->written;
        if (!put(writer, zeros, left < ZEROS ? (size_t)left : ZEROS, error)) {
            return false;
        }
    }
    return true;
}

bool gguf_write(gguf_writer *writer, const void *data, size_t bytes, char error[GGUF_ERROR_BYTES]) {
    const uint8_t *from = data;
    while (bytes > 0) {
        if (writer->tensor == writer->header.tensor_count) {
            return input_refuse(writer->path, "more data than its tensors have", error);
        }
        gguf_tensor tensor = gguf_tensor_stored(&writer->header, writer->tensor);
        if (!pad_to(writer, tensor.offset, error)) {
            return false;
        }
        uint64_t left = tensor.offset + tensor.bytes - writer->written;
        size_t count = bytes < left ? bytes : (size_t)left;
        if (!put(writer, from, count, error)) {
            return false;
        }
        from += count;
        bytes -= count;
        writer->tensor += count == left;
    }
    return true;
}

bool gguf_writer_finish(gguf_writer *writer, char error[GGUF_ERROR_BYTES]) {
    char text[GGUF_ERROR_BYTES];
    if (writer->tensor < writer->header.tensor_count) {
        input_refuse(writer->path, "less data than its tensors have", error);
        gguf_writer_abandon(writer);
        return false;
    }
    /* Behind the last tensor too: ggml counts on it. */
    if (!pad_to(writer, padded(writer->written, writer->alignment), error)) {
        gguf_writer_abandon(writer);
        return false;
    }
    bool good = output_finish(&writer->out, text) || input_refuse(writer->path, text, error);
    free_all(writer);
    return good;
}

void gguf_writer_abandon(gguf_writer *writer) {
    if (writer->written > 0) {
        output_abandon(&writer->out);
    }
    free_all(writer);
}
