/* SPDX-License-Identifier: MIT */
/* Matrices of weights in files, whatever these store them as: GGUF, or .npy, which is taken for one tensor that is
 * called what the file is called. They are read some weights at a time. */
#ifndef Q8K_TOOLS_WEIGHTS_H
#define Q8K_TOOLS_WEIGHTS_H

#include "gguf.h"
#include "npy.h"

enum {
    WEIGHTS_PIECE = 16384, /* the most weights to take at a time: whole blocks of every type */
    WEIGHTS_NAME_BYTES = 4 * GGUF_MAX_NAME_BYTES + 1,
    WEIGHTS_ERROR_BYTES = GGUF_ERROR_BYTES
};

typedef struct weights_file {
    const char *path; /* the caller's */
    bool is_npy;
    gguf_file gguf;
    /* Of .npy: */
    int file;
    npy_array array; /* its data is in memory only if it is not in order in the file, otherwise NULL */
    gguf_tensor tensor;
} weights_file;

/* Whether a file is .npy and not GGUF: by its first bytes, or by its name where these are neither's. False, with a message,
 * if it cannot be read or nothing promises either. */
bool weights_is_npy(const char *path, bool *is_npy, char error[WEIGHTS_ERROR_BYTES]);

/* Opens a file, .npy or GGUF. On failure returns false with "PATH: what is wrong" in `error`, and
 * nothing to close. The path must live as long as the file is open. */
bool weights_open(weights_file *file, const char *path, char error[WEIGHTS_ERROR_BYTES]);

/* Takes the bytes of a .npy file for blocks of a format, which its tensor then has. False, with a message, if it has no
 * bytes, or if its rows are no whole blocks. */
bool weights_take_blocks(weights_file *file, q8k_format format, char error[WEIGHTS_ERROR_BYTES]);

void weights_close(weights_file *file);

size_t weights_count(const weights_file *file);
gguf_tensor weights_at(const weights_file *file, size_t index);

/* The tensor of a name. */
bool weights_find(const weights_file *file, gguf_text name, gguf_tensor *tensor);

/* Whether all of a tensor can be had as float32. */
bool weights_known(const gguf_tensor *tensor);

/* The name of what it is stored as: a format of libq8k's, or a type. */
const char *weights_kind(const gguf_tensor *tensor);

/* Its name, fit for a terminal. */
const char *weights_name(const gguf_tensor *tensor, char buffer[WEIGHTS_NAME_BYTES]);

/* Copies bytes of a tensor as they are. Any thread may call this and weights_read(). */
bool weights_bytes(const weights_file *file, const gguf_tensor *tensor, uint64_t first, size_t count, void *to,
                   char error[WEIGHTS_ERROR_BYTES]);

/* What one thread needs for the two below. */
typedef struct weights_scratch {
    float floats[WEIGHTS_PIECE];
    uint8_t bytes[8 * WEIGHTS_PIECE];
} weights_scratch;

/* `count` weights, at most WEIGHTS_PIECE, from the weight `first` on, to scratch->floats. Weights are counted through all
 * rows, which have no gaps; both numbers are whole blocks. */
bool weights_read(const weights_file *file, const gguf_tensor *tensor, uint64_t first, size_t count,
                  weights_scratch *scratch, char error[WEIGHTS_ERROR_BYTES]);

/* The same as blocks of a format, to `to`. The message names the weight that the format does not hold. */
bool weights_quantize(const weights_file *file, const gguf_tensor *tensor, q8k_format format, uint64_t first,
                      size_t count, uint8_t *to, weights_scratch *scratch, char error[WEIGHTS_ERROR_BYTES]);

#endif
