/* SPDX-License-Identifier: MIT */
/*
 * Multiplies the micro-kernels out over all formats, for the vocabulary that was included before this header, and
 * defines what the backend's table points to: q8k_VOCABULARY_prepared_bytes, _prepare and _kernels.
 */
#ifndef Q8K_KERNELS_TABLE_H
#define Q8K_KERNELS_TABLE_H

#include "backends/backend.h"
#include "backends/kernels/decode.h"
#include "backends/kernels/matmul.h"
#include "backends/kernels/prepare.h"

/* Two steps, so that Q8K_VOCABULARY is expanded before it is pasted. */
#define TABLE_PASTE(vocabulary, what) q8k_##vocabulary##_##what
#define TABLE_EXPAND(vocabulary, what) TABLE_PASTE(vocabulary, what)
#define TABLE_SYMBOL(what) TABLE_EXPAND(Q8K_VOCABULARY, what)

#define TABLE_FORMAT(name, NAME)                                                                                       \
    static void name##_matmul(const q8k_backend_product *product) {                                                    \
        matmul(&name, product);                                                                                        \
    }                                                                                                                  \
    static void name##_accumulate(q8k_precision precision, size_t blocks, const void *weights, const float *input,     \
                                  float *sum) {                                                                        \
        accumulate(&name, precision, blocks, weights, input, sum);                                                     \
    }                                                                                                                  \
    static void name##_decode(size_t blocks, const void *weights, float *output) {                                     \
        decode(&name, blocks, weights, output);                                                                        \
    }                                                                                                                  \
    static const q8k_backend_kernels name##_kernels = {                                                                \
        .size = sizeof(q8k_backend_kernels),                                                                           \
        .format = Q8K_FORMAT_##NAME,                                                                                   \
        .row_step = 1,                                                                                                 \
        .matmul = name##_matmul,                                                                                       \
        .accumulate = name##_accumulate,                                                                               \
        .decode = name##_decode,                                                                                       \
    };

Q8K_EACH_FORMAT(TABLE_FORMAT)

#define TABLE_ENTRY(name, NAME) &name##_kernels,
const q8k_backend_kernels *const TABLE_SYMBOL(kernels)[Q8K_FORMAT_COUNT] = {Q8K_EACH_FORMAT(TABLE_ENTRY)};

size_t TABLE_SYMBOL(prepared_bytes)(q8k_precision precision, size_t batch, size_t blocks) {
    return prepared_bytes(precision, batch, blocks);
}

void TABLE_SYMBOL(prepare)(const q8k_backend_input *input) {
    prepare(input);
}

#endif
