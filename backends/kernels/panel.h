/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the batch: for batches that fill them. VEC_COLUMNS batch rows are prepared as a panel, in
 * which pairs of k stand side by side, and one instruction multiplies and adds a pair of a weight row's products,
 * broadcast, with a panel's. Weight rows are decoded a block of CHUNK_ROWS rows at a time, and meet the
 * block of up to CHUNK_PANELS panels; the tile of VEC_TILE_ROWS rows and two streams stays in registers. A stream is a
 * limb of a panel: FLOAT has two of them, the other precisions take two panels at once.
 */
#ifndef Q8K_KERNELS_PANEL_H
#define Q8K_KERNELS_PANEL_H

#include "backends/kernels/decode.h"
#include "backends/kernels/prepare.h"

enum {
    /* Decoded weights and float sums of a chunk lie on the stack: about 27 and 24 KiB. */
    CHUNK_ROWS = 48,
    CHUNK_PANELS = 128 / VEC_COLUMNS,
    SPAN_MAX = BLOCK
};

struct chunk {
    _Alignas(64) int16_t products[CHUNK_ROWS][ROW];
    float d[CHUNK_ROWS], min_factor[CHUNK_ROWS];
    _Alignas(64) float sums[CHUNK_PANELS][CHUNK_ROWS][VEC_COLUMNS];
};

/* Exact sums of a register tile, streams apart. */
struct exact {
    _Alignas(64) int32_t sums[2][VEC_TILE_ROWS][VEC_COLUMNS];
};

/* VEC_TILE_ROWS rows of products times `streams` streams, over `pairs` pairs of k. The sums are variables and not an
 * array, since gcc 12 would store an array's elements in every step of the loop. */
static inline __attribute__((always_inline)) void tile_sums(unsigned streams, const int16_t *w, const int16_t *x0,
                                                            const int16_t *x1, unsigned pairs, struct exact *out) {
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

static inline vec_floats exact_floats(unsigned limbs, const struct exact *e, unsigned stream, unsigned r) {
    vec_floats first = floats_from_ints(e->sums[stream][r]);
    return limbs == 2 ? floats_fma(first, floats_set(4096.0f), floats_from_ints(e->sums[1][r])) : first;
}

/* Adds factor[r] * step times the tile's sums of one panel to the chunk's float sums. */
static inline __attribute__((always_inline)) void flush(unsigned limbs, const struct exact *e, unsigned stream,
                                                        const float *factor, const float *step, float *sums) {
    vec_floats s = floats_load(step);
    for (unsigned r = 0; r < VEC_TILE_ROWS; r++) {
        float *at = sums + r * VEC_COLUMNS;
        floats_store(at, floats_fma(exact_floats(limbs, e, stream, r), floats_multiply(floats_set(factor[r]), s),
                                    floats_load(at)));
    }
}

/* The min term of formats whose min is 1. */
static inline void flush_total(const float *factor, const float *step, const float *total, float *sums) {
    vec_floats s = floats_load(step), t = floats_load(total);
    for (unsigned r = 0; r < VEC_TILE_ROWS; r++) {
        float *at = sums + r * VEC_COLUMNS;
        floats_store(at, floats_fma(t, floats_multiply(floats_set(factor[r]), s), floats_load(at)));
    }
}

/* One block of VEC_TILE_ROWS rows and one panel, or two with one limb: spans, then mins. */
static inline __attribute__((always_inline)) void tile_block(const struct format *f, unsigned limbs, unsigned panels,
                                                             struct chunk *c, unsigned row, unsigned panel,
                                                             const uint8_t *x, const uint8_t *next) {
    struct exact e;
    const unsigned streams = limbs * panels;
    const int16_t *w = c->products[row], *x0 = (const int16_t *)(const void *)x;
    const int16_t *x1 = limbs == 2 ? x0 + PANEL_LIMB : (const int16_t *)(const void *)next;
    const float *step = (const float *)(const void *)(x0 + PANEL_LIMB * limbs);
    const float *steps[2] = {step, (const float *)(const void *)((const int16_t *)(const void *)next + PANEL_LIMB)};
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        if (streams == 2)
            tile_sums_2(w + k, x0 + k * VEC_COLUMNS, x1 + k * VEC_COLUMNS, f->span / 2, &e);
        else
            tile_sums_1(w + k, x0 + k * VEC_COLUMNS, f->span / 2, &e);
        for (unsigned i = 0; i < panels; i++)
            flush(limbs, &e, i, c->d + row, steps[i], c->sums[panel + i][row]);
    }
    if (f->min == MIN_GROUP_32 && streams == 2)
        tile_sums_2(w + BLOCK, x0 + BLOCK * VEC_COLUMNS, x1 + BLOCK * VEC_COLUMNS, MIN_ENTRIES / 4, &e);
    if (f->min == MIN_GROUP_32 && streams == 1)
        tile_sums_1(w + BLOCK, x0 + BLOCK * VEC_COLUMNS, MIN_ENTRIES / 4, &e);
    for (unsigned i = 0; i < panels; i++) {
        if (f->min == MIN_GROUP_32)
            flush(limbs, &e, i, c->min_factor + row, steps[i], c->sums[panel + i][row]);
        if (f->min == MIN_BLOCK)
            flush_total(c->min_factor + row, steps[i], steps[i] + VEC_COLUMNS, c->sums[panel + i][row]);
    }
}

/* All blocks of up to CHUNK_ROWS rows and CHUNK_PANELS panels. Missing rows of the last tile are its last row again. */
static inline __attribute__((always_inline)) void chunk_product(const struct format *f, unsigned limbs,
                                                                const q8k_backend_product *p, size_t row, unsigned rows,
                                                                size_t panel, unsigned panels) {
    struct chunk c;
    const unsigned padded = (rows + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS * VEC_TILE_ROWS;
    const size_t bytes = panel_block_bytes(limbs), panel_bytes = p->blocks * bytes;
    const uint8_t *x = (const uint8_t *)p->prepared + panel * panel_bytes;
    memset(c.sums, 0, panels * sizeof c.sums[0]);
    for (size_t i = 0; i < p->blocks; i++, x += bytes) {
        for (unsigned r = 0; r < padded; r++)
            decode_products(f,
                            (const uint8_t *)p->weights + (row + (r < rows ? r : rows - 1)) * p->weights_stride +
                                i * f->block_bytes,
                            c.products[r], &c.d[r], &c.min_factor[r]);
        unsigned j = 0;
        for (; limbs == 1 && j + 1 < panels; j += 2)
            for (unsigned r = 0; r < padded; r += VEC_TILE_ROWS)
                tile_block(f, limbs, 2, &c, r, j, x + j * panel_bytes, x + (j + 1) * panel_bytes);
        for (; j < panels; j++)
            for (unsigned r = 0; r < padded; r += VEC_TILE_ROWS)
                tile_block(f, limbs, 1, &c, r, j, x + j * panel_bytes, x + j * panel_bytes);
    }
    for (unsigned j = 0; j < panels; j++) {
        size_t first = (panel + j) * VEC_COLUMNS, left = p->batch - first;
        float *to = p->output + (first - p->batch_first) * p->output_stride + row;
        for (unsigned b = 0; b < VEC_COLUMNS && b < left; b++)
            for (unsigned r = 0; r < rows; r++)
                to[b * p->output_stride + r] = c.sums[j][r][b];
    }
}

/* The panels from `panel` up to `end`. */
static inline __attribute__((always_inline)) void
panels_product(const struct format *f, unsigned limbs, const q8k_backend_product *p, size_t panel, size_t end) {
    for (; panel < end; panel += CHUNK_PANELS) {
        unsigned panels = end - panel < CHUNK_PANELS ? (unsigned)(end - panel) : CHUNK_PANELS;
        for (size_t row = 0; row < p->row_count; row += CHUNK_ROWS) {
            size_t left = p->row_count - row;
            chunk_product(f, limbs, p, row, left < CHUNK_ROWS ? (unsigned)left : CHUNK_ROWS, panel, panels);
        }
    }
}

#endif
