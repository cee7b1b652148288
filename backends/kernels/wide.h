/* SPDX-License-Identifier: MIT */
/*
 * Products where vectors are wide. Batch rows in panels meet chunks of weight rows: a block of each row of a chunk is
 * decoded once and meets that block of all panels (panel.h, narrow.h). A chunk's float sums stay in the cache until the
 * last block, and are written then. Batch rows that are in no panel go by vectors.h.
 */
#ifndef Q8K_KERNELS_WIDE_H
#define Q8K_KERNELS_WIDE_H

#include "backends/kernels/narrow.h"
#include "backends/kernels/vectors.h"

enum {
    /* Whole tiles, and whole fours of vectors.h: a part that ends inside of them costs as much as if it did not. */
    ROW_STEP = NARROW_ROWS,
    /* Panels whose sums are kept until all blocks are added. */
    CHUNK_PANELS = 128 / VEC_COLUMNS
};

_Static_assert(ROW_STEP % VEC_TILE_ROWS == 0 && ROW_STEP % TILE_ROWS == 0, "rows of a part");

struct chunk {
    struct decoded w;
    _Alignas(64) float sums[CHUNK_PANELS][CHUNK_ROWS][VEC_COLUMNS];
    /* Of narrow panels: of four rows each, narrow_vectors() vectors. */
    _Alignas(64) float narrow[CHUNK_ROWS * VEC_COLUMNS];
};

/* What a chunk is of: weight rows, counted from the product's first, whole panels, and narrow ones. */
struct extent {
    size_t row, panel;
    unsigned rows, panels, narrow;
};

/* Writes the sums of a panel, or of the batch rows that it has. */
static void chunk_store(const q8k_backend_product *p, const struct extent *e, size_t batch,
                        float sums[CHUNK_ROWS][VEC_COLUMNS]) {
    const size_t count = p->batch - batch;
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

/* Writes the sums of a narrow panel, which has `count` batch rows from `batch` on. */
static void narrow_store(const q8k_backend_product *p, const struct extent *e, size_t batch, size_t count,
                         unsigned columns, const float *sums) {
    for (unsigned r = 0; r < e->rows; r += 4)
        for (unsigned v = 0; v < narrow_vectors(columns); v++, sums += VEC_COLUMNS)
            for (unsigned lanes = 0; lanes < VEC_COLUMNS / 4; lanes++) {
                size_t b = narrow_column(columns, v, lanes);
                unsigned rows = e->rows - r < 4 ? e->rows - r : 4;
                if (b < count)
                    memcpy(p->output + (batch + b - p->batch_first) * p->output_stride + e->row + r, sums + 4 * lanes,
                           rows * sizeof(float));
            }
}

/* Decodes a block of each of `rows` rows, and repeats the last one until they are `padded`. Meanwhile the next four rows'
 * are fetched; or, if `next` is not 0, what stands so many bytes on. */
ALWAYS_INLINE void chunk_decode(const struct format *f, struct form form, const uint8_t *first, size_t stride,
                                unsigned rows, unsigned padded, size_t next, struct decoded *w) {
    for (unsigned j = 0; j < padded; j += TILE_ROWS) {
        const uint8_t *blocks[TILE_ROWS], *others[TILE_ROWS];
        tile_blocks(first, stride, rows, j, blocks);
        tile_blocks(first, stride, rows, j + TILE_ROWS, others);
        for (unsigned k = 0; k < TILE_ROWS; k++)
            prefetch_block(f, next == 0 ? others[k] : (const uint8_t *)((uintptr_t)blocks[k] + next));
        decode_rows(f, form, blocks, w, j);
    }
}

/* The rows of a chunk. With narrow panels alone the weights' way from memory counts most, and what foresees it follows only
 * so many rows at once. */
ALWAYS_INLINE unsigned chunk_rows(const struct extent *e) {
    return e->panels == 0 && e->narrow != 0 ? NARROW_ROWS : CHUNK_ROWS;
}

/* Block i of the rows from r on that are decoded together. */
ALWAYS_INLINE void chunk_block(const struct format *f, struct form form, const q8k_backend_product *p,
                               const struct extent *e, size_t i, unsigned r, struct chunk *c) {
    const unsigned rows = e->rows - r < DECODED_ROWS ? e->rows - r : DECODED_ROWS;
    const unsigned unit = e->narrow != 0 ? NARROW_ROWS : VEC_TILE_ROWS, padded = (rows + unit - 1) / unit * unit;
    const uint8_t *first = (const uint8_t *)p->weights + (e->row + r) * p->weights_stride + i * f->block_bytes;
    const uint8_t *x = (const uint8_t *)p->prepared + panel_offset(form, p->batch, i, e->panel);
    /* Behind the last block, the next chunk's first one. */
    const size_t next = i + 1 < p->blocks ? f->block_bytes : chunk_rows(e) * p->weights_stride - i * f->block_bytes;
    /* What is the same code for all formats sees the numbers, not the functions. */
    const struct format shape = format_shape(f);
    chunk_decode(f, form, first, p->weights_stride, rows, padded, e->panels != 0 ? 0 : next, &c->w);
    if (e->panels != 0) {
        const struct ahead ahead = ahead_of(f, first, next, p->weights_stride, rows);
        panel_tiles(&shape, form, &c->w, padded, e->panels, panel_is_split(form, p->batch, e->panel + e->panels - 1), x,
                    &ahead, c->sums[0][r], CHUNK_ROWS * VEC_COLUMNS);
    }
    if (e->narrow != 0)
        narrow_panels(&shape, form, e->narrow, &c->w, r, padded, x + e->panels * panel_block_bytes(form), c->narrow);
}

ALWAYS_INLINE void chunk_product(const struct format *f, struct form form, const q8k_backend_product *p,
                                 const struct extent *e) {
    struct chunk c;
    memset(c.sums, 0, e->panels * sizeof c.sums[0]);
    if (e->narrow != 0) {
        memset(c.narrow, 0, sizeof c.narrow);
        for (unsigned r = 0; r < DECODED_ROWS; r++)
            memset(c.w.products[r] + BLOCK, 0, sizeof(int16_t) * MIN_ENTRIES_16);
    }
    for (size_t i = 0; i < p->blocks; i++)
        for (unsigned r = 0; r < e->rows; r += DECODED_ROWS)
            chunk_block(f, form, p, e, i, r, &c);
    for (unsigned i = 0; i < e->panels; i++)
        chunk_store(p, e, (e->panel + i) * VEC_COLUMNS, c.sums[i]);
    const float *sums = c.narrow;
    size_t batch = (e->panel + e->panels) * VEC_COLUMNS;
    for (unsigned columns = VEC_COLUMNS / 2; columns != 0; columns /= 2)
        if ((e->narrow & columns) != 0) {
            narrow_store(p, e, batch, p->batch - batch, columns, sums);
            sums += CHUNK_ROWS / 4 * narrow_vectors(columns) * VEC_COLUMNS;
            batch += columns;
        }
}

ALWAYS_INLINE void matmul_form(const struct format *f, struct form form, vectors_function *vectors,
                               const q8k_backend_product *p) {
    const size_t last = p->batch_first + p->batch_count, whole = panel_count(form, p->batch);
    const size_t touched = (last + VEC_COLUMNS - 1) / VEC_COLUMNS, end = touched < whole ? touched : whole;
    const size_t columns = panel_columns(form, p->batch);
    /* Batch rows that are in no panel. */
    const unsigned rest = last > columns ? (unsigned)(last - columns) : 0;
    size_t panel = p->batch_first / VEC_COLUMNS;
    do {
        struct extent e = {0, panel, 0, 0, 0};
        e.panels = end - panel < CHUNK_PANELS ? (unsigned)(end - panel) : CHUNK_PANELS;
        panel += e.panels;
        /* A part that ends with the last whole panel has not the batch rows behind it. */
        e.narrow = panel == whole && last > whole * VEC_COLUMNS ? narrow_columns(form, p->batch) : 0;
        for (; e.row < p->row_count; e.row += chunk_rows(&e)) {
            size_t left = p->row_count - e.row;
            e.rows = left < chunk_rows(&e) ? (unsigned)left : chunk_rows(&e);
            if (e.panels != 0 || e.narrow != 0)
                chunk_product(f, form, p, &e);
            if (panel == whole && rest != 0)
                vectors(p, e.row, e.rows, p->batch_count - rest, rest);
        }
    } while (panel < end);
}

#define PRODUCT_FUNCTION(name, PRECISION)                                                                              \
    static __attribute__((noinline)) void name##_vectors_##PRECISION(const q8k_backend_product *p, size_t first,       \
                                                                     size_t count, size_t b, unsigned batch) {         \
        vectors_product(&name, form_of(Q8K_PRECISION_##PRECISION), p, first, count, b, batch);                         \
    }                                                                                                                  \
    static void name##_product_##PRECISION(const q8k_backend_product *p) {                                             \
        matmul_form(&name, form_of(Q8K_PRECISION_##PRECISION), name##_vectors_##PRECISION, p);                         \
    }

/* One row's block, without a panel's zeros: adds its terms to the sum. */
ALWAYS_INLINE float accumulate_block(const struct format *f, struct form form, const uint8_t *block,
                                     const uint8_t *prepared, float sum) {
    const uint8_t *const blocks[TILE_ROWS] = {block, block, block, block};
    float four[TILE_ROWS];
    vec_four sums = four_set(sum);
    struct headers h;
    f->headers(blocks, &h);
    const struct fetch none = {(uintptr_t)block, 0, 0, 0};
    vectors_group(f, form, 1, blocks, &none, &h, prepared, 0, &sums);
    four_store(four, sums);
    return four[0];
}

#endif
