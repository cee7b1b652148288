/* SPDX-License-Identifier: MIT */
/* GGUF files, versions 2 and 3, little-endian: a parser on (pointer, length) that trusts nothing, and a reader and a
 * writer of files around it.
 *
 * What a parsed header gives out (names, keys, values) are views into its bytes: they live as long as these. Nothing is
 * decoded before it is asked for, so that a header takes little more memory than its bytes do.
 *
 * A tensor of libq8k's own format Q8_K has no type number in GGUF. It is stored as type i8 with dimensions {row bytes,
 * rows}, and the metadata says what it is: "q8k.tensor.NAME.format" = "q8_k" (string) and "q8k.tensor.NAME.cols", the
 * columns (uint64). All this is done here, for reading as for writing. Type 15, which ggml calls q8_K, is ggml's own
 * working format and never ours. */
#ifndef Q8K_TOOLS_GGUF_H
#define Q8K_TOOLS_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

#include "output.h"

enum {
    GGUF_MAX_DIMENSIONS = 4,
    GGUF_MAX_NAME_BYTES = 64,     /* of a tensor; ggml reads one less */
    GGUF_MAX_KEY_BYTES = 65535,   /* of metadata */
    GGUF_MAX_ALIGNMENT = 1 << 21, /* as large as pages get that a file could be mapped in */
    GGUF_DEFAULT_ALIGNMENT = 32,
    GGUF_MAX_HEADER_BYTES = 1 << 30, /* a hundred times those that there are */
    GGUF_ERROR_BYTES = 1024
};

/* Types of values in the metadata, by their numbers in the file. */
typedef enum gguf_value_type {
    GGUF_UINT8 = 0,
    GGUF_INT8 = 1,
    GGUF_UINT16 = 2,
    GGUF_INT16 = 3,
    GGUF_UINT32 = 4,
    GGUF_INT32 = 5,
    GGUF_FLOAT32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_UINT64 = 10,
    GGUF_INT64 = 11,
    GGUF_FLOAT64 = 12
} gguf_value_type;

/* Types of tensors that the tools name; gguf_type_get() knows all. */
enum {
    GGUF_TYPE_F32 = 0,
    GGUF_TYPE_F16 = 1,
    GGUF_TYPE_Q8_0 = 8,
    GGUF_TYPE_GGML_Q8_K = 15,
    GGUF_TYPE_I8 = 24,
    GGUF_TYPE_F64 = 28,
    GGUF_TYPE_BF16 = 30
};

/* A type of tensors. Rows are whole blocks. */
typedef struct gguf_type {
    const char *name;     /* as ggml calls it */
    size_t block_columns; /* weights in a block; 0 for a type that ggml has removed, whose sizes are not known */
    size_t block_bytes;
} gguf_type;

/* The type of a number; NULL for one that is unknown. */
const gguf_type *gguf_type_get(uint32_t number);

/* As in the files' own documentation: "uint8", "string", ...; static. */
const char *gguf_value_type_name(gguf_value_type type);

/* Bytes without a NUL at their end. They are not always UTF-8; names and keys hold no control character of ASCII. */
typedef struct gguf_text {
    const char *bytes;
    size_t length;
} gguf_text;

/* Whether a text is this string. */
bool gguf_text_is(gguf_text text, const char *string);

/* A value of the metadata. */
typedef struct gguf_value {
    bool is_array;
    gguf_value_type type; /* never GGUF_ARRAY: for an array, that of its elements */
    uint64_t count;       /* elements of an array, else 1 */
    const uint8_t *bytes; /* the elements as in the file: little-endian numbers, or strings behind their lengths */
    size_t length;
} gguf_value;

/* Element `index` (below count) as a number. Each is for some types: unsigned and bool, signed, or floating-point. */
uint64_t gguf_unsigned(const gguf_value *value, uint64_t index);
int64_t gguf_signed(const gguf_value *value, uint64_t index);
double gguf_real(const gguf_value *value, uint64_t index);

/* The strings of a value in order: *at is 0 before the first one. At most `count` calls. */
gguf_text gguf_next_text(const gguf_value *value, size_t *at);

/* A key of the metadata with its value. */
typedef struct gguf_key {
    size_t index; /* in the metadata */
    gguf_text name;
    gguf_value value;
    size_t position, length;              /* of both, in the header's bytes */
    size_t type_position, value_position; /* for messages */
} gguf_key;

/* A tensor. */
typedef struct gguf_tensor {
    gguf_text name;
    uint32_t type;                           /* as stored: GGUF_TYPE_I8 for Q8_K */
    int dimensions;                          /* 0 for a single number */
    uint64_t dimension[GGUF_MAX_DIMENSIONS]; /* as stored, the columns first; 1 beyond `dimensions` */
    q8k_format format;                       /* what libq8k multiplies it as; 0 for nothing */
    uint64_t rows, cols; /* as a matrix of weights: what follows the first dimension counts as rows */
    /* 0 if the type is unknown or removed, which makes such a tensor useless and its file no worse. */
    uint64_t row_bytes, bytes;
    uint64_t offset; /* from the start of the file */
} gguf_tensor;

/* Names, each with the place of what it names; open addressing. */
typedef struct gguf_table {
    uint32_t *slots; /* index + 1; 0 is free */
    size_t count;
    uint64_t seed;
} gguf_table;

/* A parsed header. Its tables are malloc'ed, its bytes are the caller's. */
typedef struct gguf {
    const uint8_t *bytes;
    uint64_t length;     /* of the file */
    size_t header_bytes; /* of which these are the header */
    uint32_t version, alignment;
    size_t key_count, tensor_count;
    uint64_t data_offset;     /* where the data of tensors starts */
    uint32_t *keys, *tensors; /* positions, in the order of the file */
    gguf_table key_table, tensor_table;
} gguf;

/* Parses the header of a file of `length` bytes, of which the first `available` are at `bytes`. Takes linear time, and
 * allocates nothing before the whole header has been seen to be right.
 * Returns false if it is not acceptable, with a one-line message (without the file's name) in `error`; or, with *needed
 * above `available` and at most `length`, if so many bytes are needed to go on, which may not be enough yet. */
bool gguf_parse(const uint8_t *bytes, size_t available, uint64_t length, gguf *header, size_t *needed,
                char error[GGUF_ERROR_BYTES]);

/* Frees the tables. */
void gguf_free(gguf *header);

/* The key, or the tensor, at an index below the count. */
gguf_key gguf_key_at(const gguf *header, size_t index);
gguf_tensor gguf_tensor_at(const gguf *header, size_t index);

/* The one of a name, in constant time; false if there is none. */
bool gguf_find_key(const gguf *header, gguf_text name, gguf_key *key);
bool gguf_find_tensor(const gguf *header, gguf_text name, gguf_tensor *tensor);

/* Turns the description of a tensor into that of the same rows and columns in another type, or in a format of libq8k:
 * for writing. The columns must be whole blocks of it; else, and on overflow, returns false and changes nothing. */
bool gguf_set_type(gguf_tensor *tensor, uint32_t type);
bool gguf_set_format(gguf_tensor *tensor, q8k_format format);

/* ---- files ---- */

/* An open file. Only its header is in memory, unless the file is mapped. */
typedef struct gguf_file {
    gguf header;
    char *path;
    int file;
    uint8_t *buffer;        /* the header's bytes; NULL if mapped */
    const uint8_t *mapping; /* the whole file; NULL if not mapped */
} gguf_file;

/* Opens a regular file and parses its header. `map` maps it instead of reading it: whoever cuts a mapped file off ends
 * this process. On failure returns false with "PATH: what is wrong" in `error`, and nothing to close. */
bool gguf_open(gguf_file *file, const char *path, bool map, char error[GGUF_ERROR_BYTES]);

/* Copies `bytes` bytes from `offset` on, such as some rows of a tensor, to `to`. */
bool gguf_read(const gguf_file *file, uint64_t offset, size_t bytes, void *to, char error[GGUF_ERROR_BYTES]);

/* Where these bytes are in memory; NULL if the file is not mapped. */
const void *gguf_mapped(const gguf_file *file, uint64_t offset);

void gguf_close(gguf_file *file);

/* ---- writing ---- */

/* Bytes that grow. */
typedef struct gguf_bytes {
    uint8_t *bytes;
    size_t used, room;
    bool failed; /* there was no memory */
} gguf_bytes;

/* A version 3 file in the making: first keys and tensors, then the data of the tensors in the order in which they were
 * added. Its header is in memory, its data is not. Calls come in the order in which they stand here. */
typedef struct gguf_writer {
    gguf_bytes keys, tensors;
    size_t key_count, tensor_count;
    uint32_t alignment;
    uint64_t data_bytes; /* of all tensors added so far, the last one without its padding */
    gguf header;         /* what was written, parsed back */
    gguf_bytes bytes;    /* its bytes */
    output out;
    char *path;
    size_t tensor;    /* to which the next byte of data belongs */
    uint64_t written; /* bytes of the file */
} gguf_writer;

void gguf_writer_begin(gguf_writer *writer);

/* Adds the keys of another file as they are, and takes over its alignment. Left out are those that describe its tensors
 * ("q8k.tensor."), and those that `leave_out` says if it is not NULL. */
void gguf_copy_keys(gguf_writer *writer, const gguf *source, bool (*leave_out)(const gguf_key *key, void *data),
                    void *data);

/* Adds a key with its value. That it is new and well-formed is checked by gguf_writer_open(). */
void gguf_add_string(gguf_writer *writer, const char *key, gguf_text text);
void gguf_add_uint32(gguf_writer *writer, const char *key, uint32_t value);
void gguf_add_uint64(gguf_writer *writer, const char *key, uint64_t value);

/* Adds a tensor: its name, type, dimensions, format and columns count, and for Q8_K the keys that it needs are added
 * too. After the first one neither gguf_copy_keys() nor "general.alignment" may be added. */
void gguf_add_tensor(gguf_writer *writer, const gguf_tensor *tensor);

/* Checks all that was added as gguf_parse() does, opens the file (see output.h) and writes the header. On failure
 * returns false with "PATH: what is wrong", and all is freed. */
bool gguf_writer_open(gguf_writer *writer, const char *path, char error[GGUF_ERROR_BYTES]);

/* Writes the next bytes of the tensors' data, in pieces of any size; the padding between tensors is added. After a
 * failure only gguf_writer_abandon() may be called. */
bool gguf_write(gguf_writer *writer, const void *data, size_t bytes, char error[GGUF_ERROR_BYTES]);

/* Puts the file in place, which must be whole. On failure as on success all is freed. */
bool gguf_writer_finish(gguf_writer *writer, char error[GGUF_ERROR_BYTES]);

/* Gives the file up, before or after gguf_writer_open(). */
void gguf_writer_abandon(gguf_writer *writer);

#endif
