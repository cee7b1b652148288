/* SPDX-License-Identifier: MIT */
/* The golden vectors: blocks and decoded values from an independent decoder, and the results to the bit. */
#ifndef Q8K_TESTS_GOLDEN_H
#define Q8K_TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

#include "blocks.h"

typedef struct golden {
    char name[32];
    q8k_format format;
    size_t rows, cols, batch, row_bytes;
    uint8_t *blocks;                /* rows x row_bytes */
    float *dequant;                 /* rows x cols */
    float *input;                   /* batch x cols */
    double *output;                 /* batch x rows: the product, as computed in double */
    double *magnitude;              /* batch x rows: the same of absolute values of weights and input */
    float *result[PRECISION_COUNT]; /* batch x rows, by precision */
} golden;

enum { GOLDEN_COUNT = 3 * FORMAT_COUNT };

/* Reads one of the GOLDEN_COUNT cases; whatever is wrong with it ends the test. */
void golden_load(golden *vectors, size_t index);
void golden_free(golden *vectors);

#endif
