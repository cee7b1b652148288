/* SPDX-License-Identifier: MIT */
/* The entry points of a format's products: the batch rows that make panels, then the others; and single rows. */
#ifndef Q8K_KERNELS_MATMUL_H
#define Q8K_KERNELS_MATMUL_H

#include "backends/kernels/rows.h"
#ifdef VEC_TILE_ROWS
#include "backends/kernels/panel.h"
#endif

static inline __attribute__((always_inline)) void matmul_form(const struct format *f, struct form form,
                                                              const q8k_backend_product *p) {
    size_t done = 0;
#ifdef VEC_TILE_ROWS
    size_t first = p->batch_first / VEC_COLUMNS, last = p->batch_first + p->batch_count;
    size_t end = last / VEC_COLUMNS + (last % VEC_COLUMNS != 0), panels = panel_count(p->batch);
    if (end > panels)
        end = panels;
    if (first < end) {
        panels_product(f, form.limbs, p, first, end);
        done = end * VEC_COLUMNS - p->batch_first;
    }
#endif
    rows_product(f, form, p, done);
}

static inline __attribute__((always_inline)) void matmul(const struct format *f, const q8k_backend_product *p) {
    if (p->precision == Q8K_PRECISION_FLOAT)
        matmul_form(f, form_of(Q8K_PRECISION_FLOAT), p);
    else if (p->precision == Q8K_PRECISION_BYTE && VEC_BYTE_DIGITS != VEC_LIMB_DIGITS)
        matmul_form(f, form_of(Q8K_PRECISION_BYTE), p);
    else
        matmul_form(f, form_of(Q8K_PRECISION_HALF), p);
}

/* Adds the terms of a block to the sums. The form is one that the compiler knows. */
static inline __attribute__((always_inline)) vec_four accumulate_block(const struct format *f, struct form form,
                                                                       const uint8_t *block, const uint8_t *prepared,
                                                                       struct tile *t, vec_four sums) {
    tile_decode(f, form, block, t, 0);
    return add_block(f, form, t, prepared_block(prepared, form), sums);
}

/* One row with activations that nobody has prepared: block by block, on the stack. */
static inline __attribute__((always_inline)) void accumulate(const struct format *f, q8k_precision precision,
                                                             size_t blocks, const uint8_t *row, const float *input,
                                                             float *sum) {
    _Alignas(64) uint8_t prepared[PREPARED_BLOCK_MAX];
    float four[TILE_ROWS];
    vec_four sums = four_set(*sum);
    struct tile t;
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < blocks; i++) {
        const uint8_t *block = row + i * f->block_bytes;
        prepare_block(precision, input + i * BLOCK, prepared);
        if (precision == Q8K_PRECISION_FLOAT)
            sums = accumulate_block(f, form_of(Q8K_PRECISION_FLOAT), block, prepared, &t, sums);
        else if (precision == Q8K_PRECISION_BYTE && VEC_BYTE_DIGITS != VEC_LIMB_DIGITS)
            sums = accumulate_block(f, form_of(Q8K_PRECISION_BYTE), block, prepared, &t, sums);
        else
            sums = accumulate_block(f, form_of(Q8K_PRECISION_HALF), block, prepared, &t, sums);
    }
    four_store(four, sums);
    *sum = four[0];
}

#endif
