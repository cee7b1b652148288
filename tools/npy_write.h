/* SPDX-License-Identifier: MIT */
/* .npy files whose data is not in memory as a whole. */
#ifndef Q8K_TOOLS_NPY_WRITE_H
#define Q8K_TOOLS_NPY_WRITE_H

#include "npy.h"
#include "output.h"

/* As npy_write() does, which see. */
typedef struct npy_writer {
    output out;
    const char *path;
} npy_writer;

/* Opens a file of rows x cols elements, uint8 or float32. The path must live as long as the writer. On failure there is
 * nothing to clean up. */
bool npy_writer_open(npy_writer *writer, const char *path, npy_type type, size_t rows, size_t cols,
                     char error[NPY_ERROR_BYTES]);

/* Writes the next elements, row after row. After a failure only npy_writer_abandon() may be called. */
bool npy_put_bytes(npy_writer *writer, const void *bytes, size_t count, char error[NPY_ERROR_BYTES]);
bool npy_put_floats(npy_writer *writer, const float *floats, size_t count, char error[NPY_ERROR_BYTES]);

/* Puts the file in place: as many elements as were announced must have been written. */
bool npy_writer_finish(npy_writer *writer, char error[NPY_ERROR_BYTES]);

/* Gives the file up. */
void npy_writer_abandon(npy_writer *writer);

#endif
