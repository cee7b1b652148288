/* SPDX-License-Identifier: MIT */
/* Blocks to what the kernels multiply, and to float32. */
#ifndef Q8K_KERNELS_DECODE_H
#define Q8K_KERNELS_DECODE_H

#include "backends/kernels/prepare.h"

enum {
    /* Rows that are decoded together. Their products, about 14 KiB, stay in the first-level cache. */
    CHUNK_ROWS = 24,
    /* Rows of a tile of lanes along the columns of weights. */
    TILE_ROWS = 4
};

/* A block of each of some rows. Where the form has digits, quants and scales are apart, and of the products there are
 * only the entries for the mins. */
struct decoded {
    _Alignas(64) int16_t products[CHUNK_ROWS][ROW];
#if defined VEC_LIMB_DIGITS
    _Alignas(64) uint8_t quants[CHUNK_ROWS][BLOCK];
    int32_t scales[CHUNK_ROWS][32];
#endif
    _Alignas(16) float d[CHUNK_ROWS], min_factor[CHUNK_ROWS];
};

/* The weights' side of the min term as prepare.h tells it. */
static inline void decode_mins(const uint8_t mins[MIN_GROUPS], int16_t *entries) {
#ifdef VEC_TILE_ROWS
    ints_save(entries, ints_mins(mins));
#else
    for (unsigned g = 0; g < MIN_GROUPS; g++) {
        entries[g] = (int16_t)(256 * mins[g]);
        entries[MIN_GROUPS + g] = mins[g];
    }
#endif
}

static inline __attribute__((always_inline)) void decode_products(const struct format *f, const uint8_t *block,
                                                                  const int8_t scales[32], int16_t *products) {
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
#ifdef VEC_TILE_ROWS
        vec_store_pair(products + k, vec_scaled(f->quants(block, k), scales, f->group, k));
#else
        vec_products(products + k, f->quants(block, k), scales, f->group, k);
#endif
}

static inline __attribute__((always_inline)) void decode_row(const struct format *f, struct form form,
                                                             const uint8_t *block, struct decoded *w, unsigned r) {
    int8_t scales[32];
    uint8_t mins[MIN_GROUPS];
    f->scales(block, scales, mins);
    f->factors(block, &w->d[r], &w->min_factor[r]);
    if (f->min == MIN_GROUP_32)
        decode_mins(mins, w->products[r] + BLOCK);
#ifdef VEC_LIMB_DIGITS
    if (form.digits != 0) {
        VEC_UNROLL
        for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
            vec_store(w->quants[r] + k, f->quants(block, k));
        for (unsigned g = 0; g < BLOCK / f->group; g++)
            w->scales[r][g] = scales[g];
        return;
    }
#else
    (void)form;
#endif
    decode_products(f, block, scales, w->products[r]);
}

/* Makes row r the same as row 0. */
static inline void decoded_copy(struct decoded *w, unsigned r) {
    memcpy(w->products[r], w->products[0], sizeof w->products[0]);
#ifdef VEC_LIMB_DIGITS
    memcpy(w->quants[r], w->quants[0], sizeof w->quants[0]);
    memcpy(w->scales[r], w->scales[0], sizeof w->scales[0]);
#endif
    w->d[r] = w->d[0];
    w->min_factor[r] = w->min_factor[0];
}

/* A block of each of `rows` weight rows, the first of them at `block`. */
struct weights {
    const uint8_t *block;
    size_t stride;
    unsigned rows;
};

/* Decodes row r's block; rows that are missing are the last one again. Prefetches the next block: so many rows at once
 * are more streams than a CPU finds by itself. */
static inline __attribute__((always_inline)) void
weights_decode(const struct format *f, struct form form, const struct weights *from, struct decoded *w, unsigned r) {
    const uint8_t *block = from->block + (r < from->rows ? r : from->rows - 1) * from->stride;
    decode_row(f, form, block, w, r);
    for (unsigned line = 0; line < f->block_bytes; line += 64)
        __builtin_prefetch(block + f->block_bytes + line);
}

/* The floats of batch row b's exact sums; of two limbs, the first counts 4096. */
static inline vec_four limbs_join(struct form form, const vec_four *dots_of, unsigned b) {
    return form.limbs == 1 ? dots_of[b] : four_fma(dots_of[2 * b], four_set(4096.0f), dots_of[2 * b + 1]);
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

static inline __attribute__((always_inline)) void decode_blocks(const struct format *f, size_t blocks,
                                                                const uint8_t *weights, float *output) {
    for (size_t i = 0; i < blocks; i++)
        decode_block(f, weights + i * f->block_bytes, output + i * BLOCK);
}

#endif
