/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the batch: for batches that fill them. VEC_COLUMNS batch rows are prepared as a panel. A stream
 * is a limb of a panel: FLOAT has two of them, the other precisions take two panels at once. Each block's exact sums are
 * made floats and added to the float sums of the rows and panels.
 */
#ifndef Q8K_KERNELS_PANEL_H
#define Q8K_KERNELS_PANEL_H

#include "backends/kernels/tile.h"

enum {
    /* Rows whose sums are kept until all blocks are added. A multiple of the rows that are decoded together, and of the
     * floats of a cache line, so that lines of the output are written whole; all that a product has on the stack is about
     * 47 KiB. */
    CHUNK_ROWS = 48
};

#ifdef VEC_BYTES

/* VEC_TILE_ROWS rows from r on and one panel or two, over the span from k. */
ALWAYS_INLINE void tile_span_bytes(const struct format *f, unsigned panels, const struct decoded *w, unsigned r,
                                   unsigned k, const uint8_t *x0, const uint8_t *x1, struct ahead *ahead,
                                   struct exact *out) {
    for (unsigned i = 0; i < VEC_TILE_ROWS; i += VEC_TILE_ROWS / panels) {
        const uint8_t *row = (const uint8_t *)w->products[r + i];
        const int32_t *scales = (const int32_t *)(const void *)(row + DECODED_SCALES) + k / f->group;
        (panels == 2      ? f->group == 8    ? tile_bytes_2_8
                            : f->group == 16 ? tile_bytes_2_16
                                             : tile_bytes_2_32
         : f->group == 8  ? tile_bytes_1_8
         : f->group == 16 ? tile_bytes_1_16
                          : tile_bytes_1_32)(row + k, scales, x0, x1, f->span / f->group, ahead, out->sums[0][i]);
    }
}

#endif

/* What is added for one block of a panel: factor[r] * step times the exact sums of a span, less their excess; or, for mins
 * of 1, times `total`. */
struct term {
    const struct exact *sums;
    const int32_t *excess;
    const float *total, *factor;
};

ALWAYS_INLINE vec_floats exact_floats(unsigned limbs, const struct term *term, unsigned stream, unsigned r) {
    const int32_t *first = term->sums->sums[stream][r];
    if (term->excess != NULL)
        return floats_from_difference(first, term->excess[r]);
    if (limbs == 1)
        return floats_from_ints(first);
    return floats_fma(floats_from_ints(first), floats_set(4096.0f), floats_from_ints(term->sums->sums[1][r]));
}

ALWAYS_INLINE vec_floats add_term(unsigned limbs, const struct term *term, unsigned stream, unsigned r, vec_floats step,
                                  vec_floats sum) {
    vec_floats t = term->total != NULL ? floats_load(term->total) : exact_floats(limbs, term, stream, r);
    return floats_fma(t, floats_multiply(floats_set(term->factor[r]), step), sum);
}

ALWAYS_INLINE void flush(unsigned limbs, unsigned terms, const struct term *term, unsigned stream, const float *step,
                         float *sums) {
    vec_floats s = floats_load(step);
    for (unsigned r = 0; r < VEC_TILE_ROWS; r++) {
        vec_floats sum = floats_load(sums + r * VEC_COLUMNS);
        for (unsigned i = 0; i < terms; i++)
            sum = add_term(limbs, &term[i], stream, r, s, sum);
        floats_store(sums + r * VEC_COLUMNS, sum);
    }
}

ALWAYS_INLINE void tile_products(enum tile tile, unsigned pieces, const int16_t *w, const uint8_t *x0,
                                 const uint8_t *x1, unsigned pairs, struct ahead *ahead, struct exact *out) {
    tile_of(tile, 1, pieces)(w, (const int16_t *)(const void *)x0, (const int16_t *)(const void *)x1, pairs, ahead,
                             out);
}

/* The exact sums of the tile's rows from r on over the span from k. */
ALWAYS_INLINE void tile_span(const struct format *f, struct form form, enum tile tile, const struct decoded *w,
                             unsigned r, unsigned k, const uint8_t *x0, const uint8_t *x1, struct ahead *ahead,
                             struct exact *out) {
#ifdef VEC_BYTES
    if (form.bytes) {
        const size_t offset = panel_integers_bytes(form) / BLOCK * k;
        tile_span_bytes(f, tile == TILE_TWO_STREAMS ? 2 : 1, w, r, k, x0 + offset, x1 + offset, ahead, out);
        return;
    }
#endif
    const unsigned first = span_first(f->span, k);
    const int16_t *from = w->products[r] + first;
    x0 += panel_integers_bytes(form) / BLOCK * first;
    x1 += panel_integers_bytes(form) / BLOCK * first;
    if (f->span == 32)
        tile_products(tile, 1, from, x0, x1, 16, ahead, out);
    else
        tile_products(tile, 0, from, x0, x1, f->span / 2, ahead, out);
}

/* One block of a tile's decoded rows from r on, and of its panels: two if it is of two streams that are not one panel's
 * limbs. The sums of a panel begin at sums[panel * stride]. */
ALWAYS_INLINE void panel_block(const struct format *f, struct form form, enum tile tile, const struct decoded *w,
                               unsigned r, const uint8_t *x, struct ahead *ahead, float *sums, size_t stride) {
    struct exact spans, mins;
    const unsigned panels = tile == TILE_TWO_STREAMS && form.limbs == 1 ? 2 : 1;
    const unsigned halves = tile == TILE_TALL ? 2 : 1;
    const uint8_t *x1 = x + (form.limbs == 2 ? panel_limb_bytes(form) : panel_block_bytes(form));
    const float *step = (const float *)(const void *)(x + panel_limb_bytes(form) * form.limbs);
    const size_t entries = panel_integers_bytes(form), next = panel_block_bytes(form) / sizeof(float);
    if (format_entries(f) != 0)
        tile_products(tile, 0, w->products[r] + BLOCK, x + entries, x1 + entries, format_entries(f) / 2, ahead, &mins);
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        tile_span(f, form, tile, w, r, k, x, x1, ahead, &spans);
        for (unsigned i = 0; i < panels * halves; i++) {
            const unsigned panel = i / halves, row = r + i % halves * VEC_TILE_ROWS;
            const float *total = f->min == MIN_BLOCK ? step + panel * next + VEC_COLUMNS : NULL;
            const float *d = w->d[format_part(f, k)] + row;
            const struct term terms[2] = {{&spans, form.bytes ? w->excess[k / f->span] + row : NULL, NULL, d},
                                          {&mins, NULL, total, w->min_factor + row}};
            flush(form.limbs, f->min == MIN_NONE ? 1 : 2, terms, i, step + panel * next,
                  sums + panel * stride + row * VEC_COLUMNS);
        }
    }
}

/* All tiles of `rows` decoded rows and the `panels` panels at x. */
ALWAYS_INLINE void panels_tiles(const struct format *f, struct form form, const struct decoded *w, unsigned rows,
                                unsigned panels, const uint8_t *x, struct ahead ahead, float *sums, size_t stride) {
    const size_t bytes = panel_block_bytes(form);
    const unsigned pairs = form.limbs == 1 ? panels / 2 : 0;
    for (unsigned i = 0; i < panels; i += i < 2 * pairs ? 2 : 1)
        for (unsigned r = 0; r < rows; r += VEC_TILE_ROWS) {
            if (i < 2 * pairs || form.limbs == 2) {
                panel_block(f, form, TILE_TWO_STREAMS, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
            } else if (r + 2 * VEC_TILE_ROWS <= rows && !form.bytes) {
                panel_block(f, form, TILE_TALL, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
                r += VEC_TILE_ROWS;
            } else {
                panel_block(f, form, TILE_ONE_STREAM, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
            }
        }
}

/* Not inlined, and so there is one for all formats. */
#define PANEL_TILES(name, ...)                                                                                         \
    static __attribute__((noinline)) void name(const struct format *f, const struct decoded *w, unsigned rows,         \
                                               unsigned panels, const uint8_t *x, const struct ahead *ahead,           \
                                               float *sums, size_t stride) {                                           \
        panels_tiles(f, (struct form)__VA_ARGS__, w, rows, panels, x, *ahead, sums, stride);                           \
    }
PANEL_TILES(panel_tiles_two_limbs, {2, 0, 0})
PANEL_TILES(panel_tiles_one_limb, {1, 0, 0})
#ifdef VEC_BYTES
PANEL_TILES(panel_tiles_bytes, {1, 0, 1})
#endif
#undef PANEL_TILES

ALWAYS_INLINE void panel_tiles(const struct format *f, struct form form, const struct decoded *w, unsigned rows,
                               unsigned panels, const uint8_t *x, const struct ahead *ahead, float *sums,
                               size_t stride) {
#ifdef VEC_BYTES
    if (form.bytes) {
        panel_tiles_bytes(f, w, rows, panels, x, ahead, sums, stride);
        return;
    }
#endif
    (form.limbs == 2 ? panel_tiles_two_limbs : panel_tiles_one_limb)(f, w, rows, panels, x, ahead, sums, stride);
}

#endif
