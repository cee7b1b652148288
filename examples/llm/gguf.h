/* SPDX-License-Identifier: MIT */
/* Reads GGUF files, versions 2 and 3, where they lie: in a read-only mapping. The file is not trusted: all that this
 * gives out lies within it, and anything else ends the program with a message `FILE: field = value at byte N (limit)`.
 * What must not happen is that somebody else cuts the file short meanwhile: the mapping would raise SIGBUS. */
#ifndef LLM_GGUF_H
#define LLM_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

/* Types of values. */
enum { GGUF_INT32 = 5, GGUF_FLOAT32 = 6, GGUF_STRING = 8 };

/* Bytes without a NUL at their end. */
typedef struct text {
    const char *bytes;
    size_t length;
} text;

/* A value of the metadata: `count` elements of a type, 1 and not an array for a plain one. */
typedef struct gguf_value {
    text name;
    size_t at; /* where in the file the first element is */
    uint64_t count;
    uint32_t type;
    bool array;
} gguf_value;

/* A matrix, or a vector as a matrix of one row. */
typedef struct tensor {
    text name;
    const uint8_t *data;
    size_t bytes, rows, cols;
    q8k_format format; /* 0: float32 */
    uint32_t type;     /* its number in the file */
    size_t at;         /* where in the file its entry is */
    uint64_t offset;   /* of its data from the first tensor's */
} tensor;

typedef struct gguf {
    const char *path;
    const uint8_t *bytes;
    size_t length;
    gguf_value *values;
    tensor *tensors;
    size_t value_count, tensor_count;
    size_t data, alignment; /* where the first tensor's data are, and what they and all offsets are a multiple of */
} gguf;

/* Maps the file and checks all of its header. */
void gguf_open(gguf *file, const char *path);
void gguf_close(gguf *file);

/* NULL if there is no such value. Names that are there twice end the program when they are looked up. */
const gguf_value *gguf_find(const gguf *file, const char *key);

/* Whether there is such a tensor. Its size, type and place are checked only now: what nobody asks for may be of types
 * that this program does not know. */
bool gguf_find_tensor(const gguf *file, const char *name, tensor *found);

/* A value that must be a whole number from `least` to `most`; where it is absent: `otherwise`, or the program's end if
 * that is below `least`. */
size_t gguf_number(const gguf *file, const char *key, size_t least, size_t most, size_t otherwise);

/* A value that must be a finite float32 above 0. */
float gguf_float(const gguf *file, const char *key, float otherwise);

/* A value that must be a string; "" where it is absent. */
text gguf_text(const gguf *file, const char *key);

/* An array with elements of this type that must be there. */
const gguf_value *gguf_array(const gguf *file, const char *key, uint32_t type);

/* The string at *at of the file, one of a value that is known to be whole; *at then is after it. */
text gguf_next_text(const gguf *file, size_t *at);

/* Number i of an array of int32 or float32. */
int32_t gguf_int32_at(const gguf *file, const gguf_value *array, size_t i);
float gguf_float32_at(const gguf *file, const gguf_value *array, size_t i);

bool text_is(text a, const char *b);

#endif
