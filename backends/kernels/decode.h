/* SPDX-License-Identifier: MIT */
/* Blocks to the int16 products that the kernels multiply, and to float32. */
#ifndef Q8K_KERNELS_DECODE_H
#define Q8K_KERNELS_DECODE_H

#include "backends/kernels/prepare.h"

/* The weights' side of the min term as prepare.h tells it, without the second half, which is zero. */
static inline void decode_mins(const uint8_t mins[MIN_GROUPS], int16_t *entries) {
    for (unsigned g = 0; g < MIN_GROUPS; g++) {
        entries[g] = (int16_t)(256 * mins[g]);
        entries[MIN_GROUPS + g] = mins[g];
    }
}

/* scale * q of a block, then the entries for its mins. */
static inline __attribute__((always_inline)) void decode_products(const struct format *f, const uint8_t *block,
                                                                  int16_t products[ROW], float *d, float *min_factor) {
    int8_t scales[32];
    uint8_t mins[MIN_GROUPS];
    f->scales(block, scales, mins);
    f->factors(block, d, min_factor);
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
        vec_products(products + k, f->quants(block, k), scales, f->group, k);
    if (f->min == MIN_GROUP_32)
        decode_mins(mins, products + BLOCK);
}

/* The quants and the scales of a block apart, and the entries for its mins. */
static inline __attribute__((always_inline)) void decode_quants(const struct format *f, const uint8_t *block,
                                                                uint8_t quants[BLOCK], int32_t scales[32],
                                                                int16_t *entries, float *d, float *min_factor) {
    int8_t packed[32];
    uint8_t mins[MIN_GROUPS];
    f->scales(block, packed, mins);
    f->factors(block, d, min_factor);
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
        vec_store(quants + k, f->quants(block, k));
    for (unsigned g = 0; g < BLOCK / f->group; g++)
        scales[g] = packed[g];
    if (f->min == MIN_GROUP_32)
        decode_mins(mins, entries);
}

/* d * scale has at most 19 significant bits and its product with a quant at most 25, so of the formula's operations only
 * the last one rounds. */
static inline __attribute__((always_inline)) void decode_block(const struct format *f, const uint8_t *block,
                                                               float *output) {
    uint8_t quants[BLOCK], mins[8];
    int8_t scales[32];
    float d, min_factor;
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
        vec_store(quants + k, f->quants(block, k));
    f->scales(block, scales, mins);
    f->factors(block, &d, &min_factor);
    for (unsigned g = 0; g < BLOCK / f->group; g++) {
        float scale = d * (float)scales[g];
        float offset = f->min == MIN_GROUP_32 ? min_factor * (float)mins[g] : min_factor;
        for (unsigned k = g * f->group; k < (g + 1) * f->group; k++) {
            float product = scale * (float)(int8_t)quants[k];
            output[k] = f->min == MIN_NONE ? product : product + offset;
        }
    }
}

static inline __attribute__((always_inline)) void decode(const struct format *f, size_t blocks, const uint8_t *weights,
                                                         float *output) {
    for (size_t i = 0; i < blocks; i++)
        decode_block(f, weights + i * f->block_bytes, output + i * BLOCK);
}

#endif
