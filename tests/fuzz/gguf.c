/* SPDX-License-Identifier: MIT */
/* The input is a GGUF file: parsed whole, from a part that grows, and from a file; gone through to the last element, and
 * reported. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/test_gguf.h"
#include "tools/command.h"
#include "tools/inspect.h"

const char fuzz_name[] = "gguf";

/* What the report says of failures, which have been told by then. */
void command_say(const char *format, ...) {
    fuzz_fail("the report fails: %s", format);
}

int command_fail(const char *format, ...) {
    fuzz_fail("the report fails: %s", format);
}

/* ---- seeds ---- */

static void put_value(image *to, test_random *random, uint32_t type) {
    static const size_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    static const char *const words[] = {"", "a", "llama", "\033[31m", "\xc3\xa9\xff", "q8_k"};
    if (type == GGUF_STRING)
        image_text(to, words[random_below(random, sizeof words / sizeof *words)]);
    else
        image_number(to, type == GGUF_BOOL ? random_below(random, 2) : random_next(random), bytes[type]);
}

static void put_key(image *to, test_random *random, size_t index) {
    char name[32];
    uint32_t type = (uint32_t)random_below(random, 13);
    snprintf(name, sizeof name, "key.%zu", index);
    image_key(to, name, type);
    uint64_t count = 1;
    if (type == GGUF_ARRAY) {
        do
            type = (uint32_t)random_below(random, 13);
        while (type == GGUF_ARRAY);
        count = random_below(random, 5);
        image_number(to, type, 4);
        image_number(to, count, 8);
    }
    for (uint64_t i = 0; i < count; i++)
        put_value(to, random, type);
}

/* A tensor of Q8_K, by its keys, or of any other type; returns the bytes of its data. */
static uint64_t put_tensor(image *to, test_random *random, size_t index, bool own, uint64_t offset) {
    char name[32];
    uint32_t type = own ? GGUF_TYPE_I8 : (uint32_t)random_below(random, 44);
    const gguf_type *known = gguf_type_get(type);
    uint64_t columns = known == NULL || known->block_columns == 0 ? 7 : known->block_columns;
    uint64_t blocks = own ? 292 : 1 + random_below(random, 2), rows = 1 + random_below(random, 2);
    snprintf(name, sizeof name, "t%zu", index);
    image_tensor(to, name,
                 random_below(random, 2) ? (const uint64_t[]){blocks * columns, rows, 0}
                                         : (const uint64_t[]){blocks * columns, 1, rows, 1, 0},
                 type, offset);
    return known == NULL ? 1 : blocks * rows * known->block_bytes;
}

size_t fuzz_seed(size_t index, uint8_t to[FUZZ_MAX_BYTES]) {
    enum { SEEDS = 64 };
    test_random random = random_start(0x736565 + index);
    size_t own = random_below(&random, 2), keys = random_below(&random, 6), tensors = own + random_below(&random, 4);
    if (index >= SEEDS)
        return 0;
    if (index < 2) {
        image sample = image_sample(2 + (uint32_t)index);
        size_t length = sample.length;
        memcpy(to, sample.bytes, length);
        image_free(&sample);
        return length;
    }
    uint64_t alignment = UINT64_C(1) << random_below(&random, 8), offset = 0;
    image made = image_start(2 + (uint32_t)random_below(&random, 2), tensors, keys + 1 + 2 * own);
    image_key_number(&made, "general.alignment", GGUF_UINT32, alignment);
    for (size_t i = 0; i < keys; i++)
        put_key(&made, &random, i);
    if (own > 0) {
        image_key_text(&made, "q8k.tensor.t0.format", "q8_k");
        image_key_number(&made, "q8k.tensor.t0.cols", GGUF_UINT64, 256);
    }
    for (size_t i = 0; i < tensors; i++)
        offset = (offset + put_tensor(&made, &random, i, i < own, offset) + alignment - 1) & ~(alignment - 1);
    image_data(&made, alignment, offset);
    demand(made.length <= FUZZ_MAX_BYTES, "seed %zu = %zu bytes (limit %d)", index, made.length, FUZZ_MAX_BYTES);
    memcpy(to, made.bytes, made.length);
    size_t length = made.length;
    image_free(&made);
    return length;
}

/* ---- one input ---- */

static void visit_key(const gguf *header, size_t index) {
    gguf_key key = gguf_key_at(header, index), found;
    size_t at = 0;
    demand(gguf_find_key(header, key.name, &found) && found.index == index, "key %zu is not found", index);
    demand(key.position + key.length <= header->header_bytes, "key %zu ends beyond the header", index);
    for (uint64_t i = 0; i < key.value.count; i++) {
        if (key.value.type == GGUF_STRING)
            (void)gguf_next_text(&key.value, &at);
        else if (key.value.type == GGUF_FLOAT32 || key.value.type == GGUF_FLOAT64)
            (void)gguf_real(&key.value, i);
        else
            (void)(gguf_unsigned(&key.value, i) + (uint64_t)gguf_signed(&key.value, i));
    }
    demand(key.value.type != GGUF_STRING || at == key.value.length, "key %zu: %zu bytes", index, at);
}

static void visit_tensor(const gguf *header, size_t index) {
    gguf_tensor tensor = gguf_tensor_at(header, index), found;
    demand(gguf_find_tensor(header, tensor.name, &found) && found.offset == tensor.offset, "tensor %zu", index);
    demand(tensor.offset % header->alignment == header->data_offset % header->alignment, "tensor %zu: offset", index);
    demand(tensor.offset <= header->length && tensor.bytes <= header->length - tensor.offset, "tensor %zu", index);
    demand(tensor.bytes == tensor.rows * tensor.row_bytes, "tensor %zu: bytes", index);
    if (tensor.format != 0)
        demand(tensor.row_bytes == q8k_row_bytes(tensor.format, (size_t)tensor.cols), "tensor %zu: row", index);
    for (size_t i = 0; i < index; i++) {
        gguf_tensor other = gguf_tensor_at(header, i);
        demand(other.offset + other.bytes <= tensor.offset || tensor.offset + tensor.bytes <= other.offset,
               "tensors %zu and %zu overlap", i, index);
    }
}

/* What `q8k inspect` prints: no control character but ends of lines, whatever the file holds. */
static void report(const gguf *header, size_t width) {
    static char text[65536];
    static int file = -1;
    if (file < 0)
        file = memfd_create("report", MFD_CLOEXEC);
    fflush(stdout);
    int usual = dup(STDOUT_FILENO);
    demand(usual >= 0 && ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0 && dup2(file, STDOUT_FILENO) >= 0,
           "no file for the report");
    bool printed = inspect_print("file.gguf", header, width) && fflush(stdout) == 0;
    demand(dup2(usual, STDOUT_FILENO) >= 0 && close(usual) == 0 && printed, "the report cannot be printed");
    ssize_t length = pread(file, text, sizeof text, 0);
    demand(length > 0, "no report");
    for (ssize_t i = 0; i < length; i++)
        demand((uint8_t)text[i] >= ' ' || text[i] == '\n', "control character %d in the report", text[i]);
    json_t *json = inspect_json("file.gguf", header);
    demand(json != NULL && json_array_size(json_object_get(json, "metadata")) == header->key_count &&
               json_array_size(json_object_get(json, "tensors")) == header->tensor_count,
           "the JSON report is not whole");
    json_decref(json);
}

/* As files are read: from a part, which grows as the parser asks, to the same result. */
static void parse_parts(const uint8_t *data, size_t size, bool accepted, const char *expected) {
    for (size_t available = size / 2;;) {
        gguf header;
        size_t needed;
        char error[GGUF_ERROR_BYTES] = "";
        uint8_t *part = test_alloc(available);
        if (available > 0)
            memcpy(part, data, available);
        bool good = gguf_parse(part, available, size, &header, &needed, error);
        if (good)
            gguf_free(&header);
        free(part);
        if (good || needed == 0) {
            demand(good == accepted && strcmp(error, expected) == 0, "in parts: '%s'; whole: '%s'", error, expected);
            return;
        }
        demand(needed > available && needed <= size, "%zu bytes needed after %zu of %zu", needed, available, size);
        available = needed;
    }
}

static void open_file(const uint8_t *data, size_t size, bool accepted, const char *expected) {
    gguf_file file;
    const char *path = fuzz_file(data, size);
    char error[GGUF_ERROR_BYTES] = "", wanted[GGUF_ERROR_BYTES];
    bool opened = gguf_open(&file, path, size % 2, error);
    if (opened)
        gguf_close(&file);
    else
        snprintf(wanted, sizeof wanted, "%s: %.500s", path, expected);
    demand(opened == accepted && (opened || strcmp(error, wanted) == 0), "as a file: '%s'; whole: '%s'", error,
           expected);
}

void fuzz_input(const uint8_t *data, size_t size) {
    gguf header;
    size_t needed;
    char error[GGUF_ERROR_BYTES] = "";
    bool accepted = gguf_parse(data, size, size, &header, &needed, error);
    parse_parts(data, size, accepted, error);
    open_file(data, size, accepted, error);
    if (!accepted) {
        demand(needed == 0, "%zu bytes needed of %zu", needed, size);
        fuzz_check_message(error, sizeof error, "", true);
        return;
    }
    for (size_t i = 0; i < header.key_count; i++)
        visit_key(&header, i);
    for (size_t i = 0; i < header.tensor_count; i++)
        visit_tensor(&header, i);
    report(&header, size % 200);
    gguf_free(&header);
}
