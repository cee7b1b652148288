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
    /* Whole tiles, and whole fours of vectors.h: a part that ends inside of them costs as much as if it did not. */
    ROW_STEP = 12,
    /* Rows and panels whose sums are kept until all blocks are added. A multiple of the rows that are decoded together, and
     * of the floats of a cache line, so that lines of the output are written whole; all that a product has on the stack is
     * about 44 KiB. */
    CHUNK_ROWS = 48,
    CHUNK_PANELS = 128 / VEC_COLUMNS
};

_Static_assert(ROW_STEP % VEC_TILE_ROWS == 0 && ROW_STEP % TILE_ROWS == 0, "rows of a part");

struct chunk {
    struct decoded w;
    _Alignas(64) float sums[CHUNK_PANELS][CHUNK_ROWS][VEC_COLUMNS];
};

/* What a chunk is of: weight rows, counted from the product's first, and panels. */
struct extent {
    size_t row, panel;
    unsigned rows, panels;
};

/* Writes the sums of a panel, or of the `count` batch rows that it has. */
static void chunk_store(const q8k_backend_product *p, const struct extent *e, size_t batch, size_t count,
                        float sums[CHUNK_ROWS][VEC_COLUMNS]) {
    float *to = p->output + (batch - p->batch_first) * p->output_stride + e->row;
    for (unsigned r = 0; r < e->rows; r += VEC_COLUMNS, to += VEC_COLUMNS) {
        float square[VEC_COLUMNS][VEC_COLUMNS];
        unsigned rows = e->rows - r < VEC_COLUMNS ? e->rows - r : VEC_COLUMNS;
        if (rows == VEC_COLUMNS && count >= VEC_COLUMNS) {
            vec_transpose(sums[r], VEC_COLUMNS, to, p->output_stride);
            continue;
        }
        vec_transpose(sums[r], VEC_COLUMNS, square[0], VEC_COLUMNS);
        for (unsigned b = 0; b < VEC_COLUMNS && b < count; b++)
            memcpy(to + b * p->output_stride, square[b], rows * sizeof *to);
    }
}

/* Block i of the rows from r on that are decoded together. */
ALWAYS_INLINE void chunk_block(const struct format *f, struct form form, const q8k_backend_product *p,
                               const struct extent *e, size_t i, unsigned r, struct chunk *c) {
    const unsigned rows = e->rows - r < DECODED_ROWS ? e->rows - r : DECODED_ROWS;
    const unsigned padded = (rows + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS * VEC_TILE_ROWS;
    const uint8_t *first = (const uint8_t *)p->weights + (e->row + r) * p->weights_stride + i * f->block_bytes;
    const uint8_t *x = (const uint8_t *)p->prepared + panel_offset(form, p->batch, i, e->panel);
    const struct ahead ahead = ahead_of(f, first + f->block_bytes, p->weights_stride, rows);
    for (unsigned j = 0; j < padded; j += TILE_ROWS) {
        const uint8_t *blocks[TILE_ROWS], *next[TILE_ROWS];
        tile_blocks(first, p->weights_stride, rows, j, blocks);
        tile_blocks(first, p->weights_stride, rows, j + TILE_ROWS, next);
        for (unsigned k = 0; k < TILE_ROWS; k++)
            prefetch_block(f, next[k]);
        decode_rows(f, form, blocks, &c->w, j);
    }
    panel_tiles(f, form, &c->w, padded, e->panels, x, ahead, c->sums[0][r], CHUNK_ROWS * VEC_COLUMNS);
}

ALWAYS_INLINE void chunk_product(const struct format *f, struct form form, const q8k_backend_product *p,
                                 const struct extent *e) {
    struct chunk c;
    memset(c.sums, 0, e->panels * sizeof c.sums[0]);
    for (size_t i = 0; i < p->blocks; i++)
        for (unsigned r = 0; r < e->rows; r += DECODED_ROWS)
            chunk_block(f, form, p, e, i, r, &c);
    for (unsigned i = 0; i < e->panels; i++)
        chunk_store(p, e, (e->panel + i) * VEC_COLUMNS, p->batch - (e->panel + i) * VEC_COLUMNS, c.sums[i]);
}

ALWAYS_INLINE void matmul_form(const struct format *f, struct form form, const q8k_backend_product *p) {
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
ALWAYS_INLINE float accumulate_block(const struct format *f, struct form form, const uint8_t *block,
                                     const uint8_t *prepared, float sum) {
    const uint8_t *const blocks[TILE_ROWS] = {block, block, block, block};
    float four[TILE_ROWS];
    vec_four sums = four_set(sum);
    vectors_group(f, form, 1, blocks, prepared, 0, &sums);
    four_store(four, sums);
    return four[0];
}

#endif
