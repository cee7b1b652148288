/* SPDX-License-Identifier: MIT */
/*
 * Products where vectors are wide. Batch rows that make panels meet chunks of weight rows: a block of each row of a chunk
 * is decoded once and meets that block of all panels (panel.h). A chunk's float sums stay in the cache until the last
 * block, and are written then. Batch rows that make no panel go by vectors.h.
 */
#ifndef Q8K_KERNELS_WIDE_H
#define Q8K_KERNELS_WIDE_H

#include "backends/kernels/panel.h"
#include "backends/kernels/vectors.h"

enum {
    ROW_STEP = VEC_TILE_ROWS,
    /* With the decoded rows, all that a product has on the stack is about 42 KiB. */
    CHUNK_PANELS = 256 / VEC_COLUMNS
};

struct chunk {
    struct decoded w;
    _Alignas(64) float sums[CHUNK_PANELS][CHUNK_ROWS][VEC_COLUMNS];
};

/* What a chunk is of: weight rows, counted from the product's first, and panels. */
struct extent {
    size_t row, panel;
    unsigned rows, panels;
};

/* Writes the sums of `count` batch rows. */
static void chunk_store(const q8k_backend_product *p, const struct extent *e, size_t batch, size_t count,
                        float sums[CHUNK_ROWS][VEC_COLUMNS]) {
    float *to = p->output + (batch - p->batch_first) * p->output_stride + e->row;
    unsigned r = 0;
    for (; count >= VEC_COLUMNS && r + 4 <= e->rows; r += 4)
        vec_transpose(sums[r], VEC_COLUMNS, to + r, p->output_stride);
    for (; r < e->rows; r++)
        for (unsigned b = 0; b < VEC_COLUMNS && b < count; b++)
            to[b * p->output_stride + r] = sums[r][b];
}

static inline __attribute__((always_inline)) void chunk_product(const struct format *f, struct form form,
                                                                const q8k_backend_product *p, const struct extent *e) {
    struct chunk c;
    const unsigned padded = (e->rows + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS * VEC_TILE_ROWS;
    memset(c.sums, 0, e->panels * sizeof c.sums[0]);
    for (size_t i = 0; i < p->blocks; i++) {
        const struct weights weights = {(const uint8_t *)p->weights + e->row * p->weights_stride + i * f->block_bytes,
                                        p->weights_stride, e->rows};
        for (unsigned r = 0; r < padded; r++)
            weights_decode(f, form, &weights, &c.w, r);
        panel_tiles(f, form.limbs, &c.w, padded, e->panels,
                    (const uint8_t *)p->prepared + panel_offset(form.limbs, p->batch, i, e->panel), c.sums[0][0],
                    CHUNK_ROWS * VEC_COLUMNS);
    }
    for (unsigned i = 0; i < e->panels; i++)
        chunk_store(p, e, (e->panel + i) * VEC_COLUMNS, p->batch - (e->panel + i) * VEC_COLUMNS, c.sums[i]);
}

static inline __attribute__((always_inline)) void matmul_form(const struct format *f, struct form form,
                                                              const q8k_backend_product *p) {
    const size_t last = p->batch_first + p->batch_count, whole = panel_count(p->batch);
    size_t end = last / VEC_COLUMNS + (last % VEC_COLUMNS != 0);
    end = end < whole ? end : whole;
    struct extent e = {0, p->batch_first / VEC_COLUMNS, 0, 0};
    for (; e.panel < end; e.panel += e.panels) {
        e.panels = end - e.panel < CHUNK_PANELS ? (unsigned)(end - e.panel) : CHUNK_PANELS;
        for (e.row = 0; e.row < p->row_count; e.row += CHUNK_ROWS) {
            size_t left = p->row_count - e.row;
            e.rows = left < CHUNK_ROWS ? (unsigned)left : CHUNK_ROWS;
            chunk_product(f, form, p, &e);
        }
    }
    if (last > end * VEC_COLUMNS && p->batch_count != 0)
        vectors_product(f, form, p, (unsigned)(last - end * VEC_COLUMNS));
}

/* One row's block, without a panel's zeros: adds its terms to the sum. */
static inline __attribute__((always_inline)) float
accumulate_block(const struct format *f, struct form form, const uint8_t *block, const uint8_t *prepared, float sum) {
    const uint8_t *blocks[TILE_ROWS] = {block, block, block, block};
    const struct activations x = prepared_block(prepared, form);
    float four[TILE_ROWS];
    vec_four sums = four_set(sum);
    vectors_block(f, form, 1, blocks, &x, &sums);
    four_store(four, sums);
    return four[0];
}

#endif
