/* SPDX-License-Identifier: MIT */
/* .npy files: a parser on (pointer, length) that trusts nothing, and a reader and writer of files around it. */
#ifndef Q8K_TOOLS_NPY_H
#define Q8K_TOOLS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum npy_type { NPY_UINT8, NPY_FLOAT16, NPY_FLOAT32, NPY_FLOAT64 } npy_type;

enum {
    NPY_MAX_DIMENSIONS = 32,
    /* Far more than any real header has; it bounds what is read before anything is known. */
    NPY_MAX_HEADER_BYTES = 65535,
    /* The longest preamble: magic, version, and four bytes of header length. */
    NPY_MAX_PREAMBLE_BYTES = 12,
    NPY_ERROR_BYTES = 1024
};

/* As a header's descr gives it, such as "<f4"; static. */
const char *npy_descr(npy_type type);

/* Bytes of one element. */
size_t npy_type_bytes(npy_type type);

/* What a header says. */
typedef struct npy_header {
    npy_type type;
    bool fortran_order;
    int dimensions; /* 0 for a scalar */
    size_t shape[NPY_MAX_DIMENSIONS];
    size_t elements;                /* the product of the shape; checked against overflow in bytes */
    size_t data_offset, data_bytes; /* where the data lies in the file; checked against the file's length */
} npy_header;

/* Parses the header of a file of `length` bytes, of which the first `available` are at `bytes`: all of them, or
 * NPY_MAX_PREAMBLE_BYTES + NPY_MAX_HEADER_BYTES.
 * Returns false and writes a one-line message (without the file's name) to `error` if it is not acceptable. */
bool npy_parse(const uint8_t *bytes, size_t available, size_t length, npy_header *header, char error[NPY_ERROR_BYTES]);

/* Reads the header of a file, of any shape. On failure returns false with "PATH: what is wrong" in `error`. */
bool npy_read_header(const char *path, npy_header *header, char error[NPY_ERROR_BYTES]);

/* Opens a file whose header then was read. Returns its descriptor; or -1, with a message as above. */
int npy_open(const char *path, npy_header *header, char error[NPY_ERROR_BYTES]);

/* A matrix in memory, row after row. A one-dimensional array counts as one row. */
typedef struct npy_array {
    npy_type type; /* NPY_UINT8, or NPY_FLOAT32: float16 and float64 are converted when read */
    size_t rows, cols;
    void *data; /* malloc'ed; NULL if there are no elements */
} npy_array;

/* The type, rows and columns that such a matrix would have, without data. Returns false, with a message, if it has more
 * dimensions than two, or none. */
bool npy_shape(const npy_header *header, const char *path, npy_array *array, char error[NPY_ERROR_BYTES]);

/* Reads a whole file as a matrix; it must be a regular file with one or two dimensions. On failure returns false with
 * "PATH: what is wrong" in `error`, and nothing to free.
 */
bool npy_read(const char *path, npy_array *array, char error[NPY_ERROR_BYTES]);

void npy_free(npy_array *array);

/* Writes a version 1.0 file under a temporary name in the target's folder and renames it into place, so that the
 * target is either what it was or the whole new file. On failure returns false with a message, and leaves nothing. */
bool npy_write(const char *path, const npy_array *array, char error[NPY_ERROR_BYTES]);

#endif
