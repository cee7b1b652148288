/* SPDX-License-Identifier: MIT */
/*
 * The tile of vocabularies whose vectors are too narrow for panels: its lanes are along the columns of weights, and
 * TILE_ROWS decoded rows meet some batch rows. The four sums of a batch row are reduced and made floats together. Sums
 * inside a span are exact, so they may be formed in any order; spans are added in order, with one fma each.
 *
 * Where the vocabulary multiplies int16, a limb is a stream of products with scale * q. Where it multiplies int8, the
 * quants meet the limb's digits, and each group's sum is multiplied by its scale.
 */
#ifndef Q8K_KERNELS_ROWS_H
#define Q8K_KERNELS_ROWS_H

#include "backends/kernels/decode.h"

enum {
    /* Batch rows of a tile. */
    TILE_BATCH = 4,
    /* Rows that are decoded together. Their products, about 14 KiB, stay in the first-level cache. */
    CHUNK_ROWS = 24
};

/* A block of each of some rows. Where the form has digits, quants and scales are apart, and of the products there are
 * only the entries for the mins. */
struct decoded {
    _Alignas(64) int16_t products[CHUNK_ROWS][ROW];
#if defined VEC_LIMB_DIGITS
    _Alignas(64) uint8_t quants[CHUNK_ROWS][BLOCK];
    int32_t scales[CHUNK_ROWS][32];
#endif
    _Alignas(16) float d[PARTS_MAX][CHUNK_ROWS], min_factor[CHUNK_ROWS];
};

/* The blocks of rows r to r + TILE_ROWS - 1. */
ALWAYS_INLINE void decode_rows(const struct format *f, struct form form, const uint8_t *const *blocks,
                               struct decoded *w, unsigned r) {
    struct headers h;
    f->headers(blocks, &h);
    for (unsigned i = 0; i < f->parts; i++)
        four_store(w->d[i] + r, h.d[i]);
    four_store(w->min_factor + r, h.min_factor);
    decode_mins(f, &h, w->products[r] + BLOCK, ROW);
    for (unsigned i = 0; i < TILE_ROWS; i++) {
#ifdef VEC_LIMB_DIGITS
        if (form.digits != 0) {
            VEC_UNROLL
            for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
                vec_store(w->quants[r + i] + k, quants(f, blocks[i], k));
            for (unsigned k = 0; k < BLOCK; k += 8 * f->group)
                vec_scales(w->scales[r + i] + k / f->group, header_scales(&h, f, i, k));
            continue;
        }
#else
        (void)form;
#endif
        decode_products(f, blocks[i], &h, i, w->products[r + i]);
    }
}

ALWAYS_INLINE void streams_dots(unsigned streams, const int16_t *w, const int16_t *const *x, unsigned count,
                                vec_four *out) {
    for (unsigned s = 0; s < streams; s++)
        out[s] = vec_dots(w, ROW, x[s], count);
}

/* The sums of rows from r on and `streams` limbs over the span from k; and over the entries for the mins. */
ALWAYS_INLINE void span_dots(const struct format *f, struct form form, unsigned streams, const struct decoded *w,
                             unsigned r, const uint8_t *const *limbs, unsigned k, vec_four *out) {
#ifdef VEC_LIMB_DIGITS
    if (form.digits != 0) {
        for (unsigned s = 0; s < streams && f->span == 32; s++)
            out[s] = vec_digit_dots_32(w->quants[r] + k, BLOCK, limbs[s] + k, BLOCK, form.digits);
        for (unsigned s = 0; s < streams && f->span != 32; s++)
            out[s] = vec_digit_dots(w->quants[r] + k, BLOCK, w->scales[r] + k / f->group, 32, f->group, limbs[s] + k,
                                    BLOCK, form.digits, f->span);
        return;
    }
#else
    (void)form;
#endif
    const int16_t *x[2 * TILE_BATCH];
    for (unsigned s = 0; s < streams; s++)
        x[s] = (const int16_t *)(const void *)limbs[s] + k;
    streams_dots(streams, w->products[r] + k, x, f->span, out);
}

ALWAYS_INLINE void min_dots(const struct format *f, struct form form, unsigned streams, const struct decoded *w,
                            unsigned r, const struct activations *x, vec_four *out) {
    const int16_t *entries[2 * TILE_BATCH];
    for (unsigned s = 0; s < streams; s++)
        entries[s] = x[s / form.limbs].entries + s % form.limbs * MIN_ENTRIES_16;
    streams_dots(streams, w->products[r] + BLOCK, entries, format_entries(f), out);
}

/* Adds the terms of one block: rows from r on, `batch` batch rows, of which x are the block's activations. The sums of
 * a batch row begin at sums[b * stride]. */
ALWAYS_INLINE void rows_block(const struct format *f, struct form form, unsigned batch, const struct decoded *w,
                              unsigned r, const struct activations *x, float *sums, size_t stride) {
    const uint8_t *limbs[2 * TILE_BATCH];
    const unsigned streams = batch * form.limbs;
    vec_four sum[TILE_BATCH], t[2 * TILE_BATCH];
    for (unsigned s = 0; s < streams; s++)
        limbs[s] = x[s / form.limbs].limbs + s % form.limbs * limb_bytes(form);
    for (unsigned b = 0; b < batch; b++)
        sum[b] = four_load(sums + b * stride);
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        span_dots(f, form, streams, w, r, limbs, k, t);
        const vec_four d = four_load(w->d[format_part(f, k)] + r);
        for (unsigned b = 0; b < batch; b++)
            sum[b] = four_fma(limbs_join(form, t, b), four_multiply(d, four_set(x[b].step)), sum[b]);
    }
    if (format_entries(f) != 0)
        min_dots(f, form, streams, w, r, x, t);
    for (unsigned b = 0; b < batch && f->min != MIN_NONE; b++)
        sum[b] = four_fma(f->min == MIN_BLOCK ? four_set(x[b].total) : limbs_join(form, t, b),
                          four_multiply(four_load(w->min_factor + r), four_set(x[b].step)), sum[b]);
    for (unsigned b = 0; b < batch; b++)
        four_store(sums + b * stride, sum[b]);
}

enum {
    ROW_STEP = TILE_ROWS,
    /* Batch rows that share one decoding of a chunk. */
    CHUNK_BATCH = 32
};

struct chunk {
    struct decoded w;
    float sums[CHUNK_BATCH][CHUNK_ROWS];
};

ALWAYS_INLINE void chunk_tile(const struct format *f, struct form form, const q8k_backend_product *p,
                              const uint8_t *prepared, unsigned batch, unsigned r, struct chunk *c) {
    const size_t bytes = prepared_block_bytes(form);
    struct activations x[TILE_BATCH];
    for (unsigned b = 0; b < batch; b += TILE_BATCH) {
        unsigned left = batch - b;
        for (unsigned i = 0; i < TILE_BATCH && i < left; i++)
            x[i] = prepared_block(prepared + (b + i) * p->blocks * bytes, form);
        if (left >= 4)
            rows_block(f, form, 4, &c->w, r, x, c->sums[b] + r, CHUNK_ROWS);
        else if (left == 3)
            rows_block(f, form, 3, &c->w, r, x, c->sums[b] + r, CHUNK_ROWS);
        else if (left == 2)
            rows_block(f, form, 2, &c->w, r, x, c->sums[b] + r, CHUNK_ROWS);
        else
            rows_block(f, form, 1, &c->w, r, x, c->sums[b] + r, CHUNK_ROWS);
    }
}

/* Weight rows from `row` on with batch rows from `first` on, both counted from the product's first. */
ALWAYS_INLINE void chunk_product(const struct format *f, struct form form, const q8k_backend_product *p, size_t row,
                                 size_t first, unsigned rows, unsigned batch) {
    struct chunk c;
    const uint8_t *prepared = prepared_row(p->prepared, form, p->batch, p->blocks, p->batch_first + first);
    memset(c.sums, 0, batch * sizeof c.sums[0]);
    for (size_t i = 0; i < p->blocks; i++) {
        const uint8_t *block = (const uint8_t *)p->weights + row * p->weights_stride + i * f->block_bytes;
        for (unsigned r = 0; r < rows; r += TILE_ROWS) {
            const uint8_t *blocks[TILE_ROWS];
            tile_blocks(block, p->weights_stride, rows, r, blocks);
            decode_rows(f, form, blocks, &c.w, r);
            for (unsigned j = 0; j < TILE_ROWS; j++)
                prefetch_block(f, blocks[j] + f->block_bytes);
            chunk_tile(f, form, p, prepared + i * prepared_block_bytes(form), batch, r, &c);
        }
    }
    for (unsigned b = 0; b < batch; b++)
        memcpy(p->output + (first + b) * p->output_stride + row, c.sums[b], rows * sizeof(float));
}

ALWAYS_INLINE void matmul_form(const struct format *f, struct form form, const q8k_backend_product *p) {
    for (size_t b = 0; b < p->batch_count; b += CHUNK_BATCH)
        for (size_t row = 0; row < p->row_count; row += CHUNK_ROWS) {
            size_t rows = p->row_count - row, batch = p->batch_count - b;
            chunk_product(f, form, p, row, b, rows < CHUNK_ROWS ? (unsigned)rows : CHUNK_ROWS,
                          batch < CHUNK_BATCH ? (unsigned)batch : CHUNK_BATCH);
        }
}

#define PRODUCT_FUNCTION(name, PRECISION)                                                                              \
    static void name##_product_##PRECISION(const q8k_backend_product *p) {                                             \
        matmul_form(&name, form_of(Q8K_PRECISION_##PRECISION), p);                                                     \
    }

/* One row's block: adds its terms to the sum. */
ALWAYS_INLINE float accumulate_block(const struct format *f, struct form form, const uint8_t *block,
                                     const uint8_t *prepared, float sum) {
    const struct activations x = prepared_block(prepared, form);
    float sums[TILE_ROWS] = {sum, sum, sum, sum};
    const uint8_t *const blocks[TILE_ROWS] = {block, block, block, block};
    struct decoded w;
    decode_rows(f, form, blocks, &w, 0);
    rows_block(f, form, 1, &w, 0, &x, sums, TILE_ROWS);
    return sums[0];
}

#endif
