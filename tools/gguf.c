/* SPDX-License-Identifier: MIT */
/* The walk through the header of a GGUF file. It allocates nothing, and goes twice over the same bytes: first to see
 * that all is right and how much there is, then to note where everything stands. */
#include "gguf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "gguf_parse.h"

/* An array's index as text. */
enum { INDEX_BYTES = 32 };

typedef struct walk {
    gguf *header;
    const uint8_t *bytes;
    size_t position, available;
    uint64_t length;
    size_t *needed;
    char *error;
    /* The array and the index that messages start with; whether an element of the part is read, and which; and whether its
     * length. Texts of it are made for messages alone: there can be millions of entries. */
    const char *section;
    size_t index;
    bool in_array, in_length;
    uint64_t element;
} walk;

bool gguf_refuse(char error[GGUF_ERROR_BYTES], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, GGUF_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

const char *gguf_shown(gguf_text text, char buffer[GGUF_SHOWN_BYTES]) {
    return escape_text(buffer, GGUF_SHOWN_BYTES, text.bytes,
                       text.length < GGUF_SHOWN_TEXT ? text.length : GGUF_SHOWN_TEXT);
}

/* "section[index].part[element] length = " and what follows. */
__attribute__((format(printf, 3, 4))) static bool refuse(const walk *w, const char *part, const char *format, ...) {
    char text[GGUF_ERROR_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char element[INDEX_BYTES] = "";
    if (w->in_array) {
        snprintf(element, sizeof element, "[%" PRIu64 "]", w->element);
    }
    const char *length = w->in_length ? " length" : "";
    if (w->section == NULL) {
        return gguf_refuse(w->error, "%s%s%s = %s", part, element, length, text);
    }
    return gguf_refuse(w->error, "%s[%zu].%s%s%s = %s", w->section, w->index, part, element, length, text);
}

/* Whether `count` bytes follow in the file and are here. */
static bool have(const walk *w, uint64_t count, const char *part) {
    uint64_t left = w->length - w->position;
    if (count > left) {
        return refuse(w, part, "the end of the file, %" PRIu64 " bytes on, at byte %zu (limit at least %" PRIu64 ")",
                      left, w->position, count);
    }
    if (count > GGUF_MAX_HEADER_BYTES - w->position) {
        return refuse(w, part, "%" PRIu64 " bytes at byte %zu (limit %zu, up to %d in a header)", count, w->position,
                      GGUF_MAX_HEADER_BYTES - w->position, GGUF_MAX_HEADER_BYTES);
    }
    if (count > w->available - w->position) {
        *w->needed = w->position + (size_t)count;
        return false;
    }
    return true;
}

static bool take(walk *w, size_t count, const char *part, uint64_t *number) {
    if (!have(w, count, part)) {
        return false;
    }
    *number = input_number(w->bytes + w->position, count);
    w->position += count;
    return true;
}

/* Of a count that was just read: what is left of the file must be able to hold so many, of so many bytes at least. */
static bool check_count(const walk *w, const char *part, uint64_t count, uint64_t least_bytes) {
    uint64_t limit = (w->length - w->position) / least_bytes;
    return count <= limit || refuse(w, part, "%" PRId64 " at byte %zu (limit %" PRIu64 ", by the length of the file)",
                                    (int64_t)count, w->position - 8, limit);
}

static bool take_text(walk *w, const char *part, gguf_text *text) {
    uint64_t length;
    w->in_length = true;
    if (!take(w, 8, part, &length) || !check_count(w, part, length, 1)) {
        return false;
    }
    w->in_length = false;
    if (!have(w, length, part)) {
        return false;
    }
    *text = (gguf_text){(const char *)w->bytes + w->position, (size_t)length};
    w->position += (size_t)length;
    return true;
}

/* A name is for people too, and for programs that end strings at NUL. */
static bool take_name(walk *w, const char *part, size_t limit) {
    char shown[GGUF_SHOWN_BYTES];
    gguf_text text;
    uint64_t length;
    size_t start = w->position;
    w->in_length = true;
    if (!take(w, 8, part, &length)) {
        return false;
    }
    if (length == 0 || length > limit) {
        return refuse(w, part, "%" PRId64 " at byte %zu (limit 1 to %zu)", (int64_t)length, start, limit);
    }
    w->position = start;
    if (!take_text(w, part, &text)) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if ((uint8_t)text.bytes[i] < ' ' || text.bytes[i] == 0x7f) {
            return refuse(w, part, "'%s' at byte %zu (limit no control characters)", gguf_shown(text, shown),
                          start + 8);
        }
    }
    return true;
}

static bool take_value_type(walk *w, const char *part, gguf_value_type *type) {
    uint64_t number;
    if (!take(w, 4, part, &number)) {
        return false;
    }
    if (number >= GGUF_VALUE_TYPES) {
        return refuse(w, part, "%" PRIu64 " at byte %zu (limit 0 to %d)", number, w->position - 4,
                      GGUF_VALUE_TYPES - 1);
    }
    *type = (gguf_value_type)number;
    return true;
}

static bool take_texts(walk *w, uint64_t count) {
    gguf_text text;
    w->in_array = true;
    for (w->element = 0; w->element < count; w->element++) {
        if (!take_text(w, "value", &text)) {
            return false;
        }
    }
    w->in_array = false;
    return true;
}

static bool take_values(walk *w, gguf_value_type type, uint64_t count) {
    if (type == GGUF_STRING) {
        return take_texts(w, count);
    }
    uint64_t bytes = count * gguf_value_bytes(type);
    if (!have(w, bytes, "value")) {
        return false;
    }
    for (size_t i = 0; type == GGUF_BOOL && i < bytes; i++) {
        if (w->bytes[w->position + i] > 1) {
            return refuse(w, "value", "a bool of %d at byte %zu (limit 0 to 1)", w->bytes[w->position + i],
                          w->position + i);
        }
    }
    w->position += (size_t)bytes;
    return true;
}

static bool take_array(walk *w) {
    gguf_value_type type;
    uint64_t count;
    if (!take_value_type(w, "element type", &type)) {
        return false;
    }
    if (type == GGUF_ARRAY) {
        return refuse(w, "element type", "%d, an array in an array, at byte %zu (limit other than %d)", type,
                      w->position - 4, type);
    }
    return take(w, 8, "count", &count) &&
           check_count(w, "count", count, type == GGUF_STRING ? 8 : gguf_value_bytes(type)) &&
           take_values(w, type, count);
}

static bool take_key(walk *w) {
    gguf_value_type type;
    return take_name(w, "key", GGUF_MAX_KEY_BYTES) && take_value_type(w, "type", &type) &&
           (type == GGUF_ARRAY    ? take_array(w)
            : type == GGUF_STRING ? take_text(w, "value", &(gguf_text){NULL, 0})
                                  : take_values(w, type, 1));
}

/* Dimensions are what ggml computes with as int64, and so is their product. Without any, a tensor is a single number, as
 * writers in Python make them. */
static bool take_dimensions(walk *w) {
    uint64_t count, dimension, product = 1;
    if (!take(w, 4, "dimensions", &count)) {
        return false;
    }
    if (count > GGUF_MAX_DIMENSIONS) {
        return refuse(w, "dimensions", "%" PRIu64 " at byte %zu (limit 0 to %d)", count, w->position - 4,
                      GGUF_MAX_DIMENSIONS);
    }
    w->in_array = true;
    for (w->element = 0; w->element < count; w->element++) {
        if (!take(w, 8, "dimension", &dimension)) {
            return false;
        }
        if (dimension < 1 || dimension > INT64_MAX / product) {
            return refuse(w, "dimension", "%" PRId64 " at byte %zu (limit 1 to %" PRIu64 ")", (int64_t)dimension,
                          w->position - 8, (uint64_t)INT64_MAX / product);
        }
        product *= dimension;
    }
    w->in_array = false;
    return true;
}

static bool take_tensor(walk *w) {
    uint64_t type, offset;
    return take_name(w, "name", GGUF_MAX_NAME_BYTES) && take_dimensions(w) && take(w, 4, "type", &type) &&
           take(w, 8, "offset", &offset);
}

/* `count` entries, whose positions go to `positions` unless that is NULL. */
static bool take_all(walk *w, const char *section, size_t count, bool (*take_one)(walk *), uint32_t *positions) {
    w->section = section;
    for (w->index = 0; w->index < count; w->index++) {
        if (positions != NULL) {
            positions[w->index] = (uint32_t)w->position;
        }
        if (!take_one(w)) {
            return false;
        }
    }
    w->section = NULL;
    return true;
}

static bool take_version(walk *w) {
    uint64_t magic, version;
    char shown[GGUF_SHOWN_BYTES];
    if (!take(w, 4, "magic", &magic)) {
        return false;
    }
    gguf_text text = {(const char *)w->bytes, 4};
    if (!gguf_text_is(text, "GGUF")) {
        return refuse(w, "magic", "'%s' at byte 0 (limit 'GGUF'%s)", gguf_shown(text, shown),
                      gguf_text_is(text, "FUGG") ? "; the file is big-endian" : "");
    }
    if (!take(w, 4, "version", &version)) {
        return false;
    }
    if (version < 2 || version > 3) {
        /* Big-endian files have the same magic, and small numbers in the last byte. */
        return refuse(w, "version", "%" PRIu64 " at byte 4 (limit 2 to 3%s)", version,
                      version > 0 && (version & 0xffffff) == 0 ? "; the file is big-endian" : "");
    }
    w->header->version = (uint32_t)version;
    return true;
}

static bool take_counts(walk *w) {
    uint64_t tensors, keys;
    if (!take(w, 8, "tensor count", &tensors) || !check_count(w, "tensor count", tensors, GGUF_LEAST_TENSOR_BYTES) ||
        !take(w, 8, "key count", &keys) || !check_count(w, "key count", keys, GGUF_LEAST_KEY_BYTES)) {
        return false;
    }
    /* A header has no room for more than fit in 32 bits; an excess is found where the room ends. */
    w->header->tensor_count = tensors > UINT32_MAX ? UINT32_MAX : (size_t)tensors;
    w->header->key_count = keys > UINT32_MAX ? UINT32_MAX : (size_t)keys;
    return true;
}

static bool take_header(walk *w) {
    gguf *header = w->header;
    return take_version(w) && take_counts(w) && take_all(w, "metadata", header->key_count, take_key, header->keys) &&
           take_all(w, "tensor", header->tensor_count, take_tensor, header->tensors);
}

/* One more than there are: malloc(0) may give NULL. */
static bool allocate_positions(gguf *header) {
    header->keys = malloc((header->key_count + 1) * sizeof *header->keys);
    header->tensors = malloc((header->tensor_count + 1) * sizeof *header->tensors);
    return header->keys != NULL && header->tensors != NULL;
}

bool gguf_parse(const uint8_t *bytes, size_t available, uint64_t length, gguf *header, size_t *needed,
                char error[GGUF_ERROR_BYTES]) {
    gguf parsed = {.bytes = bytes, .length = length, .alignment = GGUF_DEFAULT_ALIGNMENT};
    walk w = {
        .header = &parsed, .bytes = bytes, .available = available, .length = length, .needed = needed, .error = error};
    *needed = 0;
    if (!take_header(&w)) {
        return false;
    }
    parsed.header_bytes = w.position;
    bool good = allocate_positions(&parsed) || gguf_refuse(error, "no memory for the places of its keys and tensors");
    w.position = 0;
    good = good && take_header(&w) && gguf_check(&parsed, error);
    if (good) {
        *header = parsed;
    } else {
        gguf_free(&parsed);
    }
    return good;
}

void gguf_free(gguf *header) {
    free(header->keys);
    free(header->tensors);
    free(header->key_table.slots);
    free(header->tensor_table.slots);
    *header = (gguf){.bytes = NULL};
}
