/* SPDX-License-Identifier: MIT */
/* What the files of the GGUF parser share. */
#ifndef Q8K_TOOLS_GGUF_PARSE_H
#define Q8K_TOOLS_GGUF_PARSE_H

#include "gguf.h"
#include "input.h"

enum {
    GGUF_VALUE_TYPES = 13,
    /* The fewest bytes of a key with its value: length, one character, type, one byte; and of a tensor: length, one
     * character, number of dimensions, type, offset. */
    GGUF_LEAST_KEY_BYTES = 14,
    GGUF_LEAST_TENSOR_BYTES = 25,
    GGUF_SHOWN_TEXT = 48,
    GGUF_SHOWN_BYTES = 4 * GGUF_SHOWN_TEXT + 1,
    /* Of "q8k.tensor.", a name, ".format" and a NUL. */
    GGUF_TENSOR_KEY_BYTES = 11 + GGUF_MAX_NAME_BYTES + 7 + 1
};

#define GGUF_ALIGNMENT_KEY "general.alignment"
#define GGUF_TENSOR_KEY "q8k.tensor."
#define GGUF_FORMAT_KEY ".format"
#define GGUF_COLS_KEY ".cols"
#define GGUF_FORMAT_NAME "q8_k"

/* Bytes of a value; 0 for strings and arrays. */
size_t gguf_value_bytes(gguf_value_type type);

/* Writes a message and returns false. */
__attribute__((format(printf, 2, 3))) bool gguf_refuse(char error[GGUF_ERROR_BYTES], const char *format, ...);

/* The start of a text, fit for a message. */
const char *gguf_shown(gguf_text text, char buffer[GGUF_SHOWN_BYTES]);

/* The key that says something of a tensor. */
gguf_text gguf_tensor_key(char buffer[GGUF_TENSOR_KEY_BYTES], gguf_text name, const char *suffix);

/* A tensor without what the metadata says of it. */
gguf_tensor gguf_tensor_stored(const gguf *header, size_t index);

/* Where the fields of a tensor stand, for messages. */
typedef struct gguf_places {
    size_t name, dimension, type, offset;
} gguf_places;

gguf_places gguf_tensor_places(const gguf *header, size_t index);

/* Makes a table of the names at these positions, which must all differ. */
bool gguf_make_table(const gguf *header, gguf_table *table, const uint32_t *positions, size_t count,
                     const char *section, const char *part, char error[GGUF_ERROR_BYTES]);

/* The index of a name in a table. */
bool gguf_find_index(const gguf *header, const gguf_table *table, const uint32_t *positions, gguf_text name,
                     size_t *index);

/* Makes the tables of a header whose positions are known, and checks what its entries say of each other and of the file.
 * On failure the tables are still the caller's to free. */
bool gguf_check(gguf *header, char error[GGUF_ERROR_BYTES]);

#endif
