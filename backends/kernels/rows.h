/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the columns of weights: for batches too small for panel.h. Four weight rows make a tile: a
 * block of each is decoded once, which then meets that block of every batch row; the four sums of a batch row are reduced
 * and turned into floats together. Sums inside a span are exact, so they may be formed in any order; spans are added in
 * order, with one fma each.
 *
 * Where the vocabulary multiplies int16, a block is decoded to products scale * q. Where it multiplies int8, it is decoded
 * to quants and scales, the quants meet the digits of the activations, and each group's sum is multiplied by its scale.
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
    /* The products, if the form has no digits, and in both cases the entries for the mins. */
    _Alignas(64) int16_t products[TILE_ROWS][ROW];
    _Alignas(64) uint8_t quants[TILE_ROWS][BLOCK];
    _Alignas(64) int32_t scales[TILE_ROWS][32];
    _Alignas(16) float d[TILE_ROWS], min_factor[TILE_ROWS];
};

static inline __attribute__((always_inline)) void tile_decode(const struct format *f, struct form form,
                                                              const uint8_t *block, struct tile *t, unsigned r) {
    if (form.digits == 0)
        decode_products(f, block, t->products[r], &t->d[r], &t->min_factor[r]);
    else
        decode_quants(f, block, t->quants[r], t->scales[r], t->products[r] + BLOCK, &t->d[r], &t->min_factor[r]);
}

/* The floats of the four rows' exact sums with one limb, over the span from k. */
static inline __attribute__((always_inline)) vec_four limb_dots(const struct format *f, struct form form,
                                                                const struct tile *t, const uint8_t *limb, unsigned k) {
#ifdef VEC_LIMB_DIGITS
    if (form.digits != 0)
        return vec_digit_dots(t->quants[0] + k, BLOCK, t->scales[0] + k / f->group, 32, f->group, limb + k, BLOCK,
                              form.digits, f->span);
#else
    (void)form;
#endif
    return vec_dots(t->products[0] + k, ROW, (const int16_t *)(const void *)limb + k, f->span);
}

static inline __attribute__((always_inline)) vec_four limb_min_dots(struct form form, const struct tile *t,
                                                                    const uint8_t *limb) {
    return vec_dots(t->products[0] + BLOCK, ROW, (const int16_t *)(const void *)(limb + limb_integer_bytes(form)),
                    VEC_WEIGHTS == 64 ? MIN_ENTRIES : MIN_ENTRIES / 2);
}

static inline vec_four limbs_join(vec_four first, vec_four second) {
    return four_fma(first, four_set(4096.0f), second);
}

static inline __attribute__((always_inline)) vec_four
span_sums(const struct format *f, struct form form, const struct tile *t, const uint8_t *limbs, unsigned k) {
    vec_four first = limb_dots(f, form, t, limbs, k);
    return form.limbs == 1 ? first : limbs_join(first, limb_dots(f, form, t, limbs + limb_bytes(form), k));
}

static inline __attribute__((always_inline)) vec_four min_sums(struct form form, const struct tile *t,
                                                               const uint8_t *limbs) {
    vec_four first = limb_min_dots(form, t, limbs);
    return form.limbs == 1 ? first : limbs_join(first, limb_min_dots(form, t, limbs + limb_bytes(form)));
}

/* Adds the terms of one block of a batch row to the sums of the tile's rows. */
static inline __attribute__((always_inline)) vec_four
add_block(const struct format *f, struct form form, const struct tile *t, struct activations x, vec_four sums) {
    vec_four step = four_set(x.step), d = four_multiply(four_load(t->d), step);
    for (unsigned k = 0; k < BLOCK; k += f->span)
        sums = four_fma(span_sums(f, form, t, x.limbs, k), d, sums);
    if (f->min == MIN_NONE)
        return sums;
    vec_four m = four_multiply(four_load(t->min_factor), step);
    return four_fma(f->min == MIN_BLOCK ? four_set(x.total) : min_sums(form, t, x.limbs), m, sums);
}

/* Up to four rows against up to TILE_BATCH batch rows. A missing row is the last one again. */
static inline __attribute__((always_inline)) void tile_times_batch(const struct format *f, struct form form,
                                                                   const q8k_backend_product *p, size_t row,
                                                                   size_t batch, size_t count) {
    size_t bytes = prepared_block_bytes(form), rows = p->row_count - row < TILE_ROWS ? p->row_count - row : TILE_ROWS;
    const uint8_t *prepared = prepared_row(p->prepared, form, p->batch, p->blocks, p->batch_first + batch);
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
            tile_decode(f, form, weights + (r < rows ? r : rows - 1) * p->weights_stride + i * f->block_bytes, &t, r);
        for (size_t b = 0; b < count; b++)
            sums[b] = add_block(f, form, &t, prepared_block(prepared + (b * p->blocks + i) * bytes, form), sums[b]);
    }
    for (size_t b = 0; b < count; b++) {
        float four[TILE_ROWS];
        four_store(four, sums[b]);
        memcpy(p->output + (batch + b) * p->output_stride + row, four, rows * sizeof(float));
    }
}

/* The batch rows from `batch` on, counted from the rectangle's first. */
static inline __attribute__((always_inline)) void rows_product(const struct format *f, struct form form,
                                                               const q8k_backend_product *p, size_t batch) {
    for (; batch < p->batch_count; batch += TILE_BATCH) {
        size_t left = p->batch_count - batch, count = left < TILE_BATCH ? left : TILE_BATCH;
        for (size_t row = 0; row < p->row_count; row += TILE_ROWS)
            tile_times_batch(f, form, p, row, batch, count);
    }
}

#endif
