/* SPDX-License-Identifier: MIT */
/* The entry points of a format's products: the batch rows that make panels, then the others; and single rows. */
#ifndef Q8K_KERNELS_MATMUL_H
#define Q8K_KERNELS_MATMUL_H

#include "backends/kernels/rows.h"
#ifdef VEC_TILE_ROWS
#include "backends/kernels/panel.h"
#endif

static inline __attribute__((always_inline)) void matmul_limbs(const struct format *f, unsigned limbs,
                                                               const q8k_backend_product *p) {
    size_t done = 0;
#ifdef VEC_TILE_ROWS
    size_t first = p->batch_first / VEC_COLUMNS, last = p->batch_first + p->batch_count;
    size_t end = last / VEC_COLUMNS + (last % VEC_COLUMNS != 0), panels = panel_count(p->batch);
    if (end > panels)
        end = panels;
    if (first < end) {
        panels_product(f, limbs, p, first, end);
        done = end * VEC_COLUMNS - p->batch_first;
    }
#endif
    rows_product(f, limbs, p, done);
}

static inline __attribute__((always_inline)) void matmul(const struct format *f, const q8k_backend_product *p) {
    if (p->precision == Q8K_PRECISION_FLOAT)
        matmul_limbs(f, 2, p);
    else
        matmul_limbs(f, 1, p);
}

/* One row with activations that nobody has prepared: block by block, on the stack. */
static inline __attribute__((always_inline)) void accumulate(const struct format *f, q8k_precision precision,
                                                             size_t blocks, const uint8_t *row, const float *input,
                                                             float *sum) {
    _Alignas(64) uint8_t prepared[sizeof(int16_t) * ROW * 2 + 64];
    float four[TILE_ROWS];
    unsigned limbs = limb_count(precision);
    vec_four sums = four_set(*sum);
    struct tile t;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < blocks; i++) {
        prepare_block(precision, input + i * BLOCK, prepared);
        decode_products(f, row + i * f->block_bytes, t.products[0], &t.d[0], &t.min_factor[0]);
        struct activations x = prepared_block(prepared, limbs);
        sums = limbs == 2 ? add_block(f, 2, &t, x, sums) : add_block(f, 1, &t, x, sums);
    }
    four_store(four, sums);
    *sum = four[0];
}

#endif
