/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the batch: for batches that fill them. VEC_COLUMNS batch rows are prepared as a panel. A stream
 * is a limb of a panel: FLOAT has two of them, the other precisions take two panels at once, or the two halves of the last
 * one of an odd number. Each block's exact sums are made floats and added to the float sums of the rows and panels.
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
                                   struct addition to) {
    to.excess = w->excess[k / f->span] + r;
    for (unsigned i = 0; i < VEC_TILE_ROWS; i += VEC_TILE_ROWS / panels) {
        const uint8_t *row = (const uint8_t *)w->products[r + i];
        const int32_t *scales = (const int32_t *)(const void *)(row + DECODED_SCALES) + k / f->group;
        (panels == 2      ? f->group == 8    ? tile_bytes_2_8
                            : f->group == 16 ? tile_bytes_2_16
                                             : tile_bytes_2_32
         : f->group == 8  ? tile_bytes_1_8
         : f->group == 16 ? tile_bytes_1_16
                          : tile_bytes_1_32)(row + k, scales, x0, x1, f->span / f->group, ahead, &to);
        to.factor += BYTES_ROWS;
        to.excess += BYTES_ROWS;
        to.sums[0] += BYTES_ROWS * VEC_COLUMNS;
        to.sums[1] += BYTES_ROWS * VEC_COLUMNS;
    }
}

#endif

ALWAYS_INLINE void tile_products(enum tile tile, unsigned pieces, const int16_t *w, const uint8_t *x0,
                                 const uint8_t *x1, unsigned pairs, struct ahead *ahead, const struct addition *to) {
    tile_add_of(tile, pieces)(w, (const int16_t *)(const void *)x0, (const int16_t *)(const void *)x1, pairs, ahead,
                              to);
}

/* Adds what the tile's rows from r on are over the span from k. */
ALWAYS_INLINE void tile_span(const struct format *f, struct form form, enum tile tile, const struct decoded *w,
                             unsigned r, unsigned k, const uint8_t *x0, const uint8_t *x1, struct ahead *ahead,
                             const struct addition *to) {
#ifdef VEC_BYTES
    if (form.bytes) {
        const size_t offset = panel_integers_bytes(form) / BLOCK * k;
        tile_span_bytes(f, tile == TILE_PANELS ? 2 : 1, w, r, k, x0 + offset, x1 + offset, ahead, *to);
        return;
    }
#endif
    const unsigned first = span_first(f->span, k);
    const int16_t *from = w->products[r] + first;
    x0 += panel_integers_bytes(form) / BLOCK * first;
    x1 += panel_integers_bytes(form) / BLOCK * first;
    if (f->span == 32)
        tile_products(tile, 1, from, x0, x1, 16, ahead, to);
    else
        tile_products(tile, 0, from, x0, x1, f->span / 2, ahead, to);
}

/* For mins of 1: adds factor[r] * step times the totals, which stand behind a panel's steps, to `rows` rows. */
ALWAYS_INLINE void add_totals(unsigned rows, const float *factor, const float *steps, float *sums) {
    const vec_floats step = floats_load(steps), total = floats_load(steps + VEC_COLUMNS);
    for (unsigned r = 0; r < rows; r++)
        floats_add_term(total, factor + r, step, sums + r * VEC_COLUMNS);
}

/* One block of a tile's decoded rows from r on, and of its panels: two if it is of two. The sums of a panel begin at
 * sums[panel * stride]. */
ALWAYS_INLINE void panel_block(const struct format *f, struct form form, enum tile tile, const struct decoded *w,
                               unsigned r, const uint8_t *x, struct ahead *ahead, float *sums, size_t stride) {
    const unsigned panels = tile == TILE_PANELS ? 2 : 1, rows = tile == TILE_TALL ? 2 * VEC_TILE_ROWS : VEC_TILE_ROWS;
    const size_t half = sizeof(int32_t) * VEC_COLUMNS, limb = panel_limb_bytes(form), panel = panel_block_bytes(form);
    const uint8_t *x1 = x + (tile == TILE_SPLIT ? half : form.limbs == 2 ? limb : panel);
    const float *step = (const float *)(const void *)(x + panel_limb_bytes(form) * form.limbs);
    const size_t entries = panel_integers_bytes(form), next = panel_block_bytes(form) / sizeof(float);
    struct addition to = {.step = {step, step + next}};
    to.sums[0] = sums + r * VEC_COLUMNS;
    to.sums[1] = to.sums[0] + stride;
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        to.factor = w->d[format_part(f, k)] + r;
        tile_span(f, form, tile, w, r, k, x, x1, ahead, &to);
    }
    to.factor = w->min_factor + r;
    if (format_entries(f) != 0)
        tile_products(tile, 0, w->products[r] + BLOCK, x + entries, x1 + entries, format_entries(f) / 2, ahead, &to);
    for (unsigned i = 0; i < panels && f->min == MIN_BLOCK; i++)
        add_totals(rows, to.factor, to.step[i], to.sums[i]);
}

/* All tiles of `rows` decoded rows and the `panels` panels at x, of which the last one may be split. */
ALWAYS_INLINE void panels_tiles(const struct format *f, struct form form, const struct decoded *w, unsigned rows,
                                unsigned panels, unsigned split, const uint8_t *x, struct ahead ahead, float *sums,
                                size_t stride) {
    const size_t bytes = panel_block_bytes(form);
    const unsigned pairs = form.limbs == 1 ? (panels - split) / 2 : 0;
    for (unsigned i = 0; i < panels; i += i < 2 * pairs ? 2 : 1) {
        ahead.panel = (uintptr_t)x + (i + (i < 2 * pairs ? 2 : 1)) * bytes;
        for (unsigned r = 0; r < rows; r += VEC_TILE_ROWS) {
            if (form.limbs == 2) {
                panel_block(f, form, TILE_LIMBS, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
            } else if (i < 2 * pairs) {
                panel_block(f, form, TILE_PANELS, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
            } else if (!form.bytes && split && i + 1 == panels) {
                panel_block(f, form, TILE_SPLIT, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
            } else if (r + 2 * VEC_TILE_ROWS <= rows && !form.bytes) {
                panel_block(f, form, TILE_TALL, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
                r += VEC_TILE_ROWS;
            } else {
                panel_block(f, form, TILE_ONE, w, r, x + i * bytes, &ahead, sums + i * stride, stride);
            }
        }
    }
}

/* Not inlined, and so there is one for all formats. */
#define PANEL_TILES(name, ...)                                                                                         \
    static __attribute__((noinline)) void name(const struct format *f, const struct decoded *w, unsigned rows,         \
                                               unsigned panels, unsigned split, const uint8_t *x,                      \
                                               const struct ahead *ahead, float *sums, size_t stride) {                \
        panels_tiles(f, (struct form)__VA_ARGS__, w, rows, panels, split, x, *ahead, sums, stride);                    \
    }
PANEL_TILES(panel_tiles_two_limbs, {2, 0, 0})
PANEL_TILES(panel_tiles_one_limb, {1, 0, 0})
#ifdef VEC_BYTES
PANEL_TILES(panel_tiles_bytes, {1, 0, 1})
#endif
#undef PANEL_TILES

ALWAYS_INLINE void panel_tiles(const struct format *f, struct form form, const struct decoded *w, unsigned rows,
                               unsigned panels, unsigned split, const uint8_t *x, const struct ahead *ahead,
                               float *sums, size_t stride) {
#ifdef VEC_BYTES
    if (form.bytes) {
        panel_tiles_bytes(f, w, rows, panels, split, x, ahead, sums, stride);
        return;
    }
#endif
    (form.limbs == 2 ? panel_tiles_two_limbs : panel_tiles_one_limb)(f, w, rows, panels, split, x, ahead, sums, stride);
}

#endif
