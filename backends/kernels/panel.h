/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the batch: for batches that fill them. VEC_COLUMNS batch rows are prepared as a panel, in
 * which pairs of k stand side by side, and one instruction multiplies and adds a pair of a weight row's products,
 * broadcast, with a panel's. The tile of VEC_TILE_ROWS rows and two streams stays in registers. A stream is a limb
 * of a panel: FLOAT has two of them, the other precisions take two panels at once.
 */
#ifndef Q8K_KERNELS_PANEL_H
#define Q8K_KERNELS_PANEL_H

#include "backends/kernels/decode.h"
#include "backends/kernels/prepare.h"

enum {
    /* Rows that are decoded together. With their sums, a chunk is about 52 KiB of stack. A multiple of the tile's rows, and
     * of the floats of a cache line: lines of the output are then written whole. */
    CHUNK_ROWS = 48
};

/* A block of each of some rows. */
struct decoded {
    _Alignas(64) int16_t products[CHUNK_ROWS][ROW];
    _Alignas(16) float d[CHUNK_ROWS], min_factor[CHUNK_ROWS];
};

/* The blocks of rows r to r + TILE_ROWS - 1. */
ALWAYS_INLINE void decode_rows(const struct format *f, const uint8_t *const *blocks, struct decoded *w, unsigned r) {
    struct headers h;
    f->headers(blocks, &h);
    four_store(w->d + r, h.d);
    four_store(w->min_factor + r, h.min_factor);
    if (f->min == MIN_GROUP_32)
        quad_min_entries(h.fields, w->products[r] + BLOCK, ROW);
    VEC_UNROLL
    for (unsigned i = 0; i < TILE_ROWS; i++)
        decode_products(f, blocks[i], &h, i, w->products[r + i]);
}

/* How far ahead, in bytes, activations are fetched into the second-level cache: a panel of two limbs, or two of one. */
enum { TILE_AHEAD = 2 * sizeof(int16_t) * PANEL_LIMB };

/* Exact sums of a register tile, streams apart. */
struct exact {
    _Alignas(64) int32_t sums[2][VEC_TILE_ROWS][VEC_COLUMNS];
};

/* VEC_TILE_ROWS rows of products times `streams` streams, over `pairs` pairs of k. The sums are variables and not an
 * array, since gcc 12 would store an array's elements in every step of the loop. */
ALWAYS_INLINE void tile_sums(unsigned streams, const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned pairs,
                             struct exact *out) {
#define TILE_ZERO(r) vec_ints a##r = ints_zero(), b##r = a##r;
#define TILE_STEP(r)                                                                                                   \
    pair = ints_pair(w + r * ROW + 2 * p);                                                                             \
    a##r = ints_dot(a##r, pair, a);                                                                                    \
    if (streams == 2)                                                                                                  \
        b##r = ints_dot(b##r, pair, b);
#define TILE_STORE(r)                                                                                                  \
    ints_store(out->sums[0][r], a##r);                                                                                 \
    if (streams == 2)                                                                                                  \
        ints_store(out->sums[1][r], b##r);
    VEC_EACH_TILE_ROW(TILE_ZERO)
    for (unsigned p = 0; p < pairs; p++) {
        vec_ints a = ints_load(x0 + p * 2 * VEC_COLUMNS), b = streams == 2 ? ints_load(x1 + p * 2 * VEC_COLUMNS) : a;
        vec_ints pair;
        __builtin_prefetch((const uint8_t *)(x0 + p * 2 * VEC_COLUMNS) + TILE_AHEAD, 0, 2);
        if (streams == 2)
            __builtin_prefetch((const uint8_t *)(x1 + p * 2 * VEC_COLUMNS) + TILE_AHEAD, 0, 2);
        VEC_EACH_TILE_ROW(TILE_STEP)
    }
    VEC_EACH_TILE_ROW(TILE_STORE)
#undef TILE_ZERO
#undef TILE_STEP
#undef TILE_STORE
    /* gcc would otherwise merge the conversions that follow into the loop above, and spill its sums. */
    __asm__ volatile("" : : "r"(out) : "memory");
}

/* Not inlined: with a caller's constants in registers, gcc 12 spills the sums. */
static __attribute__((noinline)) void tile_sums_1(const int16_t *w, const int16_t *x0, unsigned pairs,
                                                  struct exact *out) {
    tile_sums(1, w, x0, x0, pairs, out);
}

static __attribute__((noinline)) void tile_sums_2(const int16_t *w, const int16_t *x0, const int16_t *x1,
                                                  unsigned pairs, struct exact *out) {
    tile_sums(2, w, x0, x1, pairs, out);
}

ALWAYS_INLINE vec_floats exact_floats(unsigned limbs, const struct exact *e, unsigned stream, unsigned r) {
    vec_floats first = floats_from_ints(e->sums[stream][r]);
    return limbs == 2 ? floats_fma(first, floats_set(4096.0f), floats_from_ints(e->sums[1][r])) : first;
}

/* Adds the terms of one block of a panel to the tile's float sums: factor[r] * step times the exact sums of a span; then
 * the min term, of which `total` tells the sums where a min is 1, and `mins` where it belongs to a group. */
struct term {
    const struct exact *sums;
    const float *total, *factor;
};

ALWAYS_INLINE vec_floats add_term(unsigned limbs, struct term term, unsigned stream, unsigned r, vec_floats step,
                                  vec_floats sum) {
    vec_floats t = term.total != NULL ? floats_load(term.total) : exact_floats(limbs, term.sums, stream, r);
    return floats_fma(t, floats_multiply(floats_set(term.factor[r]), step), sum);
}

ALWAYS_INLINE void flush(unsigned limbs, unsigned terms, const struct term *term, unsigned stream, const float *step,
                         float *sums) {
    vec_floats s = floats_load(step);
    for (unsigned r = 0; r < VEC_TILE_ROWS; r++) {
        vec_floats sum = floats_load(sums + r * VEC_COLUMNS);
        for (unsigned i = 0; i < terms; i++)
            sum = add_term(limbs, term[i], stream, r, s, sum);
        floats_store(sums + r * VEC_COLUMNS, sum);
    }
}

ALWAYS_INLINE void tile_streams(unsigned streams, const int16_t *w, const int16_t *x0, const int16_t *x1,
                                unsigned pairs, struct exact *out) {
    if (streams == 2)
        tile_sums_2(w, x0, x1, pairs, out);
    else
        tile_sums_1(w, x0, pairs, out);
}

/* One block of VEC_TILE_ROWS decoded rows from r on, and of one panel, or two with one limb. The sums of a panel begin
 * at sums[panel * stride]. */
ALWAYS_INLINE void panel_block(const struct format *f, unsigned limbs, unsigned panels, const struct decoded *w,
                               unsigned r, const uint8_t *x, float *sums, size_t stride) {
    struct exact spans, mins;
    const unsigned streams = limbs * panels;
    const int16_t *products = w->products[r], *x0 = (const int16_t *)(const void *)x;
    const int16_t *x1 =
        (const int16_t *)(const void *)(x + (limbs == 2 ? sizeof *x0 * PANEL_LIMB : panel_block_bytes(1)));
    const float *step = (const float *)(const void *)(x0 + PANEL_LIMB * limbs);
    const size_t next = panel_block_bytes(limbs) / sizeof(float);
    if (f->min == MIN_GROUP_32)
        tile_streams(streams, products + BLOCK, x0 + BLOCK * VEC_COLUMNS, x1 + BLOCK * VEC_COLUMNS, MIN_ENTRIES / 2,
                     &mins);
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        tile_streams(streams, products + k, x0 + k * VEC_COLUMNS, x1 + k * VEC_COLUMNS, f->span / 2, &spans);
        for (unsigned i = 0; i < panels; i++) {
            const struct term terms[2] = {
                {&spans, NULL, w->d + r},
                {&mins, f->min == MIN_BLOCK ? step + i * next + VEC_COLUMNS : NULL, w->min_factor + r}};
            flush(limbs, f->min == MIN_NONE ? 1 : 2, terms, i, step + i * next, sums + i * stride);
        }
    }
}

/* All tiles of `rows` decoded rows and the `panels` panels at x. */
ALWAYS_INLINE void panel_tiles(const struct format *f, unsigned limbs, const struct decoded *w, unsigned rows,
                               unsigned panels, const uint8_t *x, float *sums, size_t stride) {
    const size_t bytes = panel_block_bytes(limbs);
    unsigned i = 0;
    for (; limbs == 1 && i + 1 < panels; i += 2)
        for (unsigned r = 0; r < rows; r += VEC_TILE_ROWS)
            panel_block(f, limbs, 2, w, r, x + i * bytes, sums + i * stride + r * VEC_COLUMNS, stride);
    for (; i < panels; i++)
        for (unsigned r = 0; r < rows; r += VEC_TILE_ROWS)
            panel_block(f, limbs, 1, w, r, x + i * bytes, sums + i * stride + r * VEC_COLUMNS, stride);
}

#endif
