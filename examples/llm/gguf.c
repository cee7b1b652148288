/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "gguf.h"

enum { F32 = 0, I8 = 24, ARRAY = 9, TYPE_COUNT = 13, DIMENSIONS = 4, BIG_ALIGNMENT = 1 << 21 };

/* The length and the bytes of a text, for %.*s. */
#define SHOWN(text) (int)((text).length < 80 ? (text).length : 80), (text).bytes

bool text_is(text a, const char *b) {
    return a.length == strlen(b) && memcmp(a.bytes, b, a.length) == 0;
}

/* ------------------------------------------------------------------------------------------- reading on --- */

static size_t left(const gguf *file, size_t at) {
    return file->length - at;
}

static uint64_t number_at(const gguf *file, size_t at, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)file->bytes[at + i] << 8 * i;
    return number;
}

static uint64_t read_number(const gguf *file, size_t *at, size_t bytes, const char *field) {
    if (left(file, *at) < bytes)
        die("%s: %s at byte %zu (limit %zu, the end of the file)", file->path, field, *at, file->length);
    *at += bytes;
    return number_at(file, *at - bytes, bytes);
}

/* A number of things that take at least so many bytes each. */
static size_t read_count(const gguf *file, size_t *at, size_t each, const char *field) {
    uint64_t count = read_number(file, at, 8, field);
    if (count > left(file, *at) / each)
        die("%s: %s = %" PRIu64 " at byte %zu (limit %zu, what the bytes that follow can hold)", file->path, field,
            count, *at - 8, left(file, *at) / each);
    return (size_t)count;
}

static text read_text(const gguf *file, size_t *at, const char *field) {
    size_t length = read_count(file, at, 1, field);
    *at += length;
    return (text){(const char *)file->bytes + *at - length, length};
}

text gguf_next_text(const gguf *file, size_t *at) {
    return read_text(file, at, "length of a string");
}

/* ---------------------------------------------------------------------------------------------- metadata --- */

static size_t type_bytes(uint32_t type) {
    static const uint8_t bytes[TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    return bytes[type];
}

static gguf_value read_value(const gguf *file, size_t *at) {
    gguf_value v = {.name = read_text(file, at, "length of a key"), .count = 1};
    v.type = (uint32_t)read_number(file, at, 4, "type of a value");
    if (v.type == ARRAY) {
        v.array = true;
        v.type = (uint32_t)read_number(file, at, 4, "type of an array's elements");
    }
    if (v.type >= TYPE_COUNT || v.type == ARRAY)
        die("%s: type of '%.*s' = %" PRIu32 " at byte %zu (limit %d, no arrays in arrays)", file->path, SHOWN(v.name),
            v.type, *at - 4, TYPE_COUNT - 1);
    size_t each = v.type == GGUF_STRING ? 8 : type_bytes(v.type);
    if (v.array)
        v.count = read_count(file, at, each, "count of an array's elements");
    v.at = *at;
    if (v.type != GGUF_STRING && left(file, *at) < each * v.count)
        die("%s: value of '%.*s' at byte %zu (limit %zu, the end of the file)", file->path, SHOWN(v.name), *at,
            file->length);
    if (v.type != GGUF_STRING)
        *at += each * (size_t)v.count;
    for (uint64_t i = 0; v.type == GGUF_STRING && i < v.count; i++)
        read_text(file, at, "length of a string");
    return v;
}

const gguf_value *gguf_find(const gguf *file, const char *key) {
    const gguf_value *found = NULL;
    for (size_t i = 0; i < file->value_count; i++) {
        if (!text_is(file->values[i].name, key))
            continue;
        if (found != NULL)
            die("%s: a second key '%s', its value at byte %zu (limit 1)", file->path, key, file->values[i].at);
        found = &file->values[i];
    }
    return found;
}

static const gguf_value *find_plain(const gguf *file, const char *key, bool type_fits(uint32_t), const char *wanted) {
    const gguf_value *found = gguf_find(file, key);
    if (found != NULL && (found->array || !type_fits(found->type)))
        die("%s: type of '%s' = %s%" PRIu32 " before byte %zu (limit %s)", file->path, key,
            found->array ? "array of " : "", found->type, found->at, wanted);
    return found;
}

static bool is_whole(uint32_t type) {
    return type <= GGUF_INT32 || type == 10 || type == 11;
}

static bool is_float(uint32_t type) {
    return type == GGUF_FLOAT32;
}

static bool is_string(uint32_t type) {
    return type == GGUF_STRING;
}

size_t gguf_number(const gguf *file, const char *key, size_t least, size_t most, size_t otherwise) {
    const gguf_value *found = find_plain(file, key, is_whole, "a whole number");
    if (found == NULL && otherwise < least)
        die("%s: there is no key '%s'", file->path, key);
    /* A negative one is too large when read like this, or within the limits by its lower bits, which does no harm. */
    uint64_t number = found == NULL ? otherwise : number_at(file, found->at, type_bytes(found->type));
    if (found != NULL && (number < least || number > most))
        die("%s: '%s' = %" PRIu64 " at byte %zu (limit %zu to %zu)", file->path, key, number, found->at, least, most);
    return (size_t)number;
}

int32_t gguf_int32_at(const gguf *file, const gguf_value *array, size_t i) {
    return (int32_t)(uint32_t)number_at(file, array->at + 4 * i, 4);
}

float gguf_float32_at(const gguf *file, const gguf_value *array, size_t i) {
    uint32_t bits = (uint32_t)number_at(file, array->at + 4 * i, 4);
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

float gguf_float(const gguf *file, const char *key, float otherwise) {
    const gguf_value *found = find_plain(file, key, is_float, "6, float32");
    float number = found == NULL ? otherwise : gguf_float32_at(file, found, 0);
    if (!(number > 0) || isinf(number))
        die("%s: '%s' = %g %s (limit a finite number above 0)", file->path, key, (double)number,
            found == NULL ? "where there is none" : "in the metadata");
    return number;
}

text gguf_text(const gguf *file, const char *key) {
    const gguf_value *found = find_plain(file, key, is_string, "8, string");
    size_t at = found == NULL ? 0 : found->at;
    return found == NULL ? (text){"", 0} : gguf_next_text(file, &at);
}

const gguf_value *gguf_array(const gguf *file, const char *key, uint32_t type) {
    const gguf_value *found = gguf_find(file, key);
    if (found == NULL)
        die("%s: there is no key '%s'", file->path, key);
    if (!found->array || found->type != type)
        die("%s: type of '%s' = %s%" PRIu32 " before byte %zu (limit array of %" PRIu32 ")", file->path, key,
            found->array ? "array of " : "", found->type, found->at, type);
    return found;
}

/* ----------------------------------------------------------------------------------------------- tensors --- */

/* Q8_K has no type number: such a tensor has bytes for columns, and two keys tell. */
static void take_q8_k(const gguf *file, tensor *t) {
    char key[160];
    if (t->name.length > 64)
        return;
    snprintf(key, sizeof key, "q8k.tensor.%.*s.format", SHOWN(t->name));
    if (!text_is(gguf_text(file, key), "q8_k"))
        return;
    snprintf(key, sizeof key, "q8k.tensor.%.*s.cols", SHOWN(t->name));
    size_t cols = gguf_number(file, key, 1, SIZE_MAX / 2, 0);
    if (q8k_row_bytes(Q8K_FORMAT_Q8_K, cols) != t->cols)
        die("%s: '%s' = %zu (limit as many as fit the %zu bytes of a row)", file->path, key, cols, t->cols);
    t->format = Q8K_FORMAT_Q8_K;
    t->cols = cols;
}

/* The bytes that its dimensions make: false if it is neither float32 nor a type of the library, or too large. */
static bool size_tensor(const gguf *file, tensor *t) {
    size_t row_bytes;
    if (t->type == I8)
        take_q8_k(file, t);
    else if (t->type != F32 && q8k_format_from_gguf_type(t->type, &t->format) != Q8K_OK)
        return false;
    if (t->type == F32)
        return !__builtin_mul_overflow(t->cols, sizeof(float), &row_bytes) &&
               !__builtin_mul_overflow(row_bytes, t->rows, &t->bytes);
    row_bytes = q8k_row_bytes(t->format, t->cols);
    return row_bytes > 0 && !__builtin_mul_overflow(row_bytes, t->rows, &t->bytes);
}

static void read_tensor(const gguf *file, tensor *t, size_t *at) {
    *t = (tensor){.at = *at, .name = read_text(file, at, "length of a tensor's name"), .rows = 1};
    uint64_t dimensions = read_number(file, at, 4, "number of a tensor's dimensions");
    if (dimensions < 1 || dimensions > DIMENSIONS)
        die("%s: dimensions of tensor '%.*s' = %" PRIu64 " at byte %zu (limit 1 to %d)", file->path, SHOWN(t->name),
            dimensions, *at - 4, DIMENSIONS);
    for (uint64_t i = 0; i < dimensions; i++) {
        uint64_t extent = read_number(file, at, 8, "a tensor's dimension");
        size_t *all = i == 0 ? &t->cols : &t->rows;
        if (extent == 0 || extent > SIZE_MAX || __builtin_mul_overflow(i == 0 ? 1 : *all, (size_t)extent, all))
            die("%s: dimension[%" PRIu64 "] of tensor '%.*s' = %" PRIu64
                " at byte %zu (limit 1 to what can be addressed)",
                file->path, i, SHOWN(t->name), extent, *at - 8);
    }
    t->type = (uint32_t)read_number(file, at, 4, "a tensor's type");
    t->offset = read_number(file, at, 8, "a tensor's offset");
}

static void place_tensor(const gguf *file, tensor *t) {
    if (file->data > file->length || t->offset % file->alignment != 0 || t->offset > left(file, file->data) ||
        t->bytes > left(file, file->data) - t->offset)
        die("%s: offset of tensor '%.*s' = %" PRIu64
            ", entry at byte %zu (limit a multiple of %zu, with %zu bytes before "
            "the end of the file)",
            file->path, SHOWN(t->name), t->offset, t->at, file->alignment, t->bytes);
    t->data = file->bytes + file->data + t->offset;
}

bool gguf_find_tensor(const gguf *file, const char *name, tensor *found) {
    *found = (tensor){.data = NULL};
    for (size_t i = 0; i < file->tensor_count; i++) {
        if (!text_is(file->tensors[i].name, name))
            continue;
        if (found->name.bytes != NULL)
            die("%s: a second tensor '%s' at byte %zu (limit 1)", file->path, name, file->tensors[i].at);
        *found = file->tensors[i];
    }
    if (found->name.bytes == NULL)
        return false;
    if (!size_tensor(file, found))
        die("%s: type of tensor '%s' = %" PRIu32
            " with %zu columns, entry at byte %zu (limit 0, float32, and those that "
            "libq8k multiplies, in whole blocks)",
            file->path, name, found->type, found->cols, found->at);
    place_tensor(file, found);
    return true;
}

/* ------------------------------------------------------------------------------------------------- files --- */

static void map_file(gguf *file) {
    struct stat status;
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        die("%s: %s", file->path, strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size <= 0 || (uintmax_t)status.st_size > SIZE_MAX / 2)
        die("%s: not a file with contents, or too large", file->path);
    file->length = (size_t)status.st_size;
    void *bytes = mmap(NULL, file->length, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED)
        die("%s: cannot be mapped: %s", file->path, strerror(errno));
    close(descriptor);
    file->bytes = bytes;
}

void gguf_open(gguf *file, const char *path) {
    *file = (gguf){.path = path};
    map_file(file);
    size_t at = 0;
    if (read_number(file, &at, 4, "magic") != 0x46554747)
        die("%s: no GGUF file: it does not begin with 'GGUF'", path);
    uint64_t version = read_number(file, &at, 4, "version");
    if (version != 2 && version != 3)
        die("%s: version = %" PRIu64 " at byte 4 (limit 2 or 3, little-endian)", path, version);
    /* An entry of a tensor takes at least 24 bytes and one more dimension, one of the metadata 13. */
    file->tensor_count = read_count(file, &at, 32, "number of tensors");
    file->value_count = read_count(file, &at, 13, "number of keys");
    file->values = allocate(file->value_count, sizeof *file->values);
    file->tensors = allocate(file->tensor_count, sizeof *file->tensors);
    for (size_t i = 0; i < file->value_count; i++)
        file->values[i] = read_value(file, &at);
    for (size_t i = 0; i < file->tensor_count; i++)
        read_tensor(file, &file->tensors[i], &at);
    file->alignment = gguf_number(file, "general.alignment", 1, BIG_ALIGNMENT, 32);
    if ((file->alignment & (file->alignment - 1)) != 0)
        die("%s: 'general.alignment' = %zu (limit a power of two)", path, file->alignment);
    file->data = (at + file->alignment - 1) / file->alignment * file->alignment;
}

void gguf_close(gguf *file) {
    munmap((void *)(uintptr_t)file->bytes, file->length);
    free(file->tensors);
    free(file->values);
}
