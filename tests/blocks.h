/* SPDX-License-Identifier: MIT */
/* Blocks and activations, random and extreme, and products of them with what the definition says of each. */
#ifndef Q8K_TESTS_BLOCKS_H
#define Q8K_TESTS_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

#include "support.h"

/* Formats and precisions; and the loop index of a test that runs for each pair of them. */
enum { FORMAT_COUNT = 7, PRECISION_COUNT = 3, EVERY_PAIR = FORMAT_COUNT * PRECISION_COUNT };
q8k_format format_of(int index);
q8k_precision precision_of(int index);

typedef enum block_kind {
    BLOCK_RANDOM,   /* any bytes but in the fp16 fields, which are moderate */
    BLOCK_WILD,     /* the same with any finite fp16 fields: subnormal, zero, negative, largest */
    BLOCK_ZERO,     /* zero bytes */
    BLOCK_ONES,     /* one bits but in the fp16 fields */
    BLOCK_LARGEST,  /* each scale * quant the largest there is, all of one sign */
    BLOCK_OPPOSITE, /* the largest of the other sign */
    BLOCK_KINDS
} block_kind;

void block_fill(test_random *random, q8k_format format, block_kind kind, uint8_t *block);

/* Writes the fp16 fields, the same d in every part; a format without dmin has none to write. */
void block_factors(q8k_format format, uint8_t *block, unsigned d, unsigned dmin);

/* Moderate fp16 bits: 2^-8 to 2^-2, of either sign. */
unsigned random_factor(test_random *random);

typedef enum input_kind {
    INPUT_NORMAL,
    INPUT_OUTLIER,  /* one is thousands of times the others */
    INPUT_LARGEST,  /* integers X at the limit of the precision, all of one sign */
    INPUT_OPPOSITE, /* the same, negative */
    INPUT_LIMBS,    /* lower limbs at either end, upper ones large: X = 4096 * hi - 2048 and + 2047 */
    INPUT_DOUBLED,  /* so near to a power of two that the step doubles */
    INPUT_TIES,     /* halfway between two integers X */
    INPUT_TINY,     /* subnormal */
    INPUT_ZERO,
    INPUT_KINDS
} input_kind;

/* 256 activations. */
void input_fill(test_random *random, q8k_precision precision, input_kind kind, float *input);

/* A product without gaps between rows. */
typedef struct product {
    q8k_matmul_args args; /* without an output */
    size_t blocks, row_bytes;
    uint8_t *weights;
    float *input;
    float *expected; /* batch x rows, by the definition */
} product;

/* Block i of row r has the kind (r + i) modulo kinds, and so have the activations. */
product product_make(test_random *random, q8k_format format, q8k_precision precision, size_t rows, size_t blocks,
                     size_t batch);
/* Computes `expected` anew, after a change. */
void product_expect(product *p);
void product_free(product *p);

/* Ends the test unless every output is as expected. output_stride counts floats. */
void product_compare(const q8k_context *context, const product *p, const float *output, size_t output_stride,
                     const char *how);

/* One call of q8k_matmul(). */
void product_check_matmul(const q8k_context *context, const product *p);
/* q8k_input_prepare() and q8k_matmul_prepared() in that many parts, last part first if `backwards`. */
void product_check_parts(const q8k_context *context, const product *p, size_t prepare_parts, size_t parts,
                         bool backwards);
/* q8k_accumulate() of every output, `piece` blocks at a time. */
void product_check_accumulate(const q8k_context *context, const product *p, size_t piece);

#endif
