/* SPDX-License-Identifier: MIT */
/* One tensor of a file, multiplied on every backend. */
#ifndef Q8K_TOOLS_VERIFY_TENSOR_H
#define Q8K_TOOLS_VERIFY_TENSOR_H

#include "verify_file.h"
#include "weights.h"

enum { VERIFY_PRECISIONS = 3, VERIFY_BATCH = 17, VERIFY_FIRST_BYTES = 512 };

/* How far products are from those of the decoded weights in double precision, where these are finite. */
typedef struct verify_error {
    double squares, worst; /* of the differences: their sum, and the largest */
} verify_error;

/* What came of one tensor. */
typedef struct verify_outcome {
    verify_error errors[VERIFY_PRECISIONS];
    double squares; /* of the products */
    size_t products, not_finite;
    size_t wrong;                   /* values with other bits than promised, or outside a bound */
    char first[VERIFY_FIRST_BYTES]; /* the first of these; "" if there is none */
} verify_outcome;

/* Multiplies it by `input`, VERIFY_BATCH rows of its columns. Every output must have the same bits on every backend; those
 * of some rows, the ones of the definition, and be within the bound; and weights must be decoded as defined. Returns
 * false, with a message in `error`, if the file cannot be read or there is no memory. */
bool verify_tensor(const verify_backends *all, const weights_file *file, const gguf_tensor *tensor, const float *input,
                   verify_outcome *outcome, char error[WEIGHTS_ERROR_BYTES]);

#endif
