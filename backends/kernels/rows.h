/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the columns of weights: for batches too small for panel.h. Four weight rows make a tile: a
 * block of each is decoded once to int16 products scale * q, which then meet that block of every batch row; the four sums
 * of a batch row are reduced and turned into floats together. Sums inside a span are exact, so they may be formed in any
 * order; spans are added in order, with one fma each.
 */
#ifndef Q8K_KERNELS_ROWS_H
#define Q8K_KERNELS_ROWS_H

#include "backends/kernels/decode.h"
#include "backends/kernels/prepare.h"

enum {
    TILE_ROWS = 4,
    /* Batch rows that share one decoding of a tile: their sums stay in the first-level cache with it. */
    TILE_BATCH = 32
};

struct tile {
    _Alignas(64) int16_t products[TILE_ROWS][ROW];
    _Alignas(16) float d[TILE_ROWS], min_factor[TILE_ROWS];
};

/* The floats of the four rows' exact sums over `count` entries from k. */
static inline __attribute__((always_inline)) vec_four span_sums(const struct tile *t, const int16_t *limbs,
                                                                unsigned count, unsigned k, unsigned length) {
    vec_four first = vec_dots(t->products[0] + k, ROW, limbs + k, length);
    if (count == 1)
        return first;
    return four_fma(first, four_set(4096.0f), vec_dots(t->products[0] + k, ROW, limbs + ROW + k, length));
}

/* Adds the terms of one block of a batch row to the sums of the tile's rows. */
static inline __attribute__((always_inline)) vec_four
add_block(const struct format *f, unsigned limbs, const struct tile *t, struct activations x, vec_four sums) {
    vec_four step = four_set(x.step), d = four_multiply(four_load(t->d), step);
    for (unsigned k = 0; k < BLOCK; k += f->span)
        sums = four_fma(span_sums(t, x.limbs, limbs, k, f->span), d, sums);
    if (f->min == MIN_NONE)
        return sums;
    vec_four m = four_multiply(four_load(t->min_factor), step);
    return four_fma(f->min == MIN_BLOCK ? four_set(x.total) : span_sums(t, x.limbs, limbs, BLOCK, MIN_ENTRIES), m,
                    sums);
}

/* Up to four rows against up to TILE_BATCH batch rows. A missing row is the last one again. */
static inline __attribute__((always_inline)) void tile_times_batch(const struct format *f, unsigned limbs,
                                                                   const q8k_backend_product *p, size_t row,
                                                                   size_t batch, size_t count) {
    size_t bytes = prepared_block_bytes(limbs), rows = p->row_count - row < TILE_ROWS ? p->row_count - row : TILE_ROWS;
    const uint8_t *prepared = prepared_row(p->prepared, limbs, p->batch, p->blocks, p->batch_first + batch);
    const uint8_t *weights = (const uint8_t *)p->weights + row * p->weights_stride;
    vec_four sums[TILE_BATCH];
    struct tile t;
    if (f->min == MIN_GROUP_32)
        for (unsigned r = 0; r < TILE_ROWS; r++)
            memset(t.products[r] + BLOCK, 0, sizeof(int16_t) * MIN_ENTRIES);
    for (size_t b = 0; b < count; b++)
        sums[b] = four_set(0);
    for (size_t i = 0; i < p->blocks; i++) {
        for (unsigned r = 0; r < TILE_ROWS; r++)
            decode_products(f, weights + (r < rows ? r : rows - 1) * p->weights_stride + i * f->block_bytes,
                            t.products[r], &t.d[r], &t.min_factor[r]);
        for (size_t b = 0; b < count; b++)
            sums[b] = add_block(f, limbs, &t, prepared_block(prepared + (b * p->blocks + i) * bytes, limbs), sums[b]);
    }
    for (size_t b = 0; b < count; b++) {
        float four[TILE_ROWS];
        four_store(four, sums[b]);
        memcpy(p->output + (batch + b) * p->output_stride + row, four, rows * sizeof(float));
    }
}

/* The batch rows from `batch` on, counted from the rectangle's first. */
static inline __attribute__((always_inline)) void rows_product(const struct format *f, unsigned limbs,
                                                               const q8k_backend_product *p, size_t batch) {
    for (; batch < p->batch_count; batch += TILE_BATCH) {
        size_t left = p->batch_count - batch, count = left < TILE_BATCH ? left : TILE_BATCH;
        for (size_t row = 0; row < p->row_count; row += TILE_ROWS)
            tile_times_batch(f, limbs, p, row, batch, count);
    }
}

#endif
