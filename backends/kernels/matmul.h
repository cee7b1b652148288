/* SPDX-License-Identifier: MIT */
/* The entry points of a format's products, by the kernels that the vocabulary's vectors are wide enough for. */
#ifndef Q8K_KERNELS_MATMUL_H
#define Q8K_KERNELS_MATMUL_H

#ifdef VEC_TILE_ROWS
#include "backends/kernels/wide.h"
#else
#include "backends/kernels/rows.h"
#endif

#define MATMUL_FUNCTION(name)                                                                                          \
    PRODUCT_FUNCTION(name, FLOAT)                                                                                      \
    PRODUCT_FUNCTION(name, HALF)                                                                                       \
    PRODUCT_FUNCTION(name, BYTE)                                                                                       \
    static void name##_matmul(const q8k_backend_product *p) {                                                          \
        if (p->precision == Q8K_PRECISION_FLOAT)                                                                       \
            name##_product_FLOAT(p);                                                                                   \
        else if (p->precision == Q8K_PRECISION_BYTE &&                                                                 \
                 form_differs(form_of(Q8K_PRECISION_BYTE), form_of(Q8K_PRECISION_HALF)))                               \
            name##_product_BYTE(p);                                                                                    \
        else                                                                                                           \
            name##_product_HALF(p);                                                                                    \
    }

/* One row with activations that nobody has prepared: block by block, on the stack. */
ALWAYS_INLINE void accumulate(const struct format *f, q8k_precision precision, size_t blocks, const uint8_t *row,
                              const float *input, float *sum) {
    _Alignas(64) uint8_t prepared[PREPARED_BLOCK_MAX];
    float acc = *sum;
    for (size_t i = 0; i < blocks; i++) {
        const uint8_t *block = row + i * f->block_bytes;
        prepare_block(precision, input + i * BLOCK, prepared);
        if (precision == Q8K_PRECISION_FLOAT)
            acc = accumulate_block(f, form_of(Q8K_PRECISION_FLOAT), block, prepared, acc);
        else if (precision == Q8K_PRECISION_BYTE &&
                 form_differs(form_of(Q8K_PRECISION_BYTE), form_of(Q8K_PRECISION_HALF)))
            acc = accumulate_block(f, form_of(Q8K_PRECISION_BYTE), block, prepared, acc);
        else
            acc = accumulate_block(f, form_of(Q8K_PRECISION_HALF), block, prepared, acc);
    }
    *sum = acc;
}

#endif
