/* SPDX-License-Identifier: MIT */
/* The arithmetic in plain C, slow on purpose, and the exact product beside it: what `q8k verify` and the tests hold
 * the library to. It shares no code with the library, only the numbers of formats and precisions. */
#ifndef Q8K_TOOLS_DEFINITION_H
#define Q8K_TOOLS_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

/* Bytes of one block; 0 for an unknown format. */
size_t definition_block_bytes(q8k_format format);

/* The fp16 factors of a block: d of part `part`, and dmin; NULL where there are not so many, or none. */
uint8_t *definition_d(q8k_format format, uint8_t *block, size_t part);
uint8_t *definition_dmin(q8k_format format, uint8_t *block);

/* Whether weights have a min term. */
bool definition_has_min(q8k_format format);

/* One block -> 256 weights, each the exact value of the formula rounded once to float32. */
void definition_decode(q8k_format format, const uint8_t *block, float weights[256]);

/* The library's result for one row, to the bit: the terms of `blocks` blocks added to `sum` in order. */
float definition_accumulate(q8k_format format, q8k_precision precision, size_t blocks, const uint8_t *row,
                            const float *input, float sum);

/* What is known without any rounding about one output. Not finite where a factor or an activation is not. */
typedef struct definition_exact {
    double product;   /* the product of the stored weights and the activations, as if computed exactly */
    double magnitude; /* G: sum of (|a| + |b|) * |x| */
    double bound;     /* what |output - product| may be: E + (2 * spans + 8) * u * G; the precision is in E */
    bool promised;    /* everything is finite, and nothing overflows or falls below float32's normal range */
} definition_exact;

definition_exact definition_product(q8k_format format, q8k_precision precision, size_t blocks, const uint8_t *row,
                                    const float *input);

#endif
