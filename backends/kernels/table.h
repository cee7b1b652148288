/* SPDX-License-Identifier: MIT */
/*
 * Multiplies the micro-kernels out over all formats, for the vocabulary that was included before this header, and
 * defines the backend's table, q8k_VOCABULARY_backend.
 */
#ifndef Q8K_KERNELS_TABLE_H
#define Q8K_KERNELS_TABLE_H

#include "backends/backend.h"
#include "backends/backends.h"
#include "backends/kernels/decode.h"
#include "backends/kernels/matmul.h"
#include "backends/kernels/prepare.h"

/* Two steps, so that Q8K_VOCABULARY is expanded before it is pasted. */
#define TABLE_PASTE(a, b, c) a##b##c
#define TABLE_EXPAND(a, b, c) TABLE_PASTE(a, b, c)
#define TABLE_SYMBOL(what) TABLE_EXPAND(q8k_, Q8K_VOCABULARY, what)
#define TABLE_QUOTE(name) #name
#define TABLE_TEXT(name) TABLE_QUOTE(name)

#define TABLE_FORMAT(name, NAME)                                                                                       \
    MATMUL_FUNCTION(name)                                                                                              \
    static void name##_accumulate(q8k_precision precision, size_t blocks, const void *weights, const float *input,     \
                                  float *sum) {                                                                        \
        accumulate(&name, precision, blocks, weights, input, sum);                                                     \
    }                                                                                                                  \
    static void name##_decode(size_t blocks, const void *weights, float *output) {                                     \
        decode_blocks(&name, blocks, weights, output);                                                                 \
    }                                                                                                                  \
    static const q8k_backend_kernels name##_kernels = {                                                                \
        .size = sizeof(q8k_backend_kernels),                                                                           \
        .format = Q8K_FORMAT_##NAME,                                                                                   \
        .row_step = ROW_STEP,                                                                                          \
        .matmul = name##_matmul,                                                                                       \
        .accumulate = name##_accumulate,                                                                               \
        .decode = name##_decode,                                                                                       \
    };

Q8K_EACH_FORMAT(TABLE_FORMAT)

#define TABLE_ENTRY(name, NAME) &name##_kernels,
extern const q8k_backend_kernels *const TABLE_SYMBOL(_kernels)[Q8K_FORMAT_COUNT];
const q8k_backend_kernels *const TABLE_SYMBOL(_kernels)[Q8K_FORMAT_COUNT] = {Q8K_EACH_FORMAT(TABLE_ENTRY)};

#define TABLE_BACKEND(called)                                                                                          \
    {                                                                                                                  \
        .size = sizeof(q8k_backend), .magic = Q8K_BACKEND_MAGIC, .abi = Q8K_BACKEND_ABI, .name = called,               \
        .cpu_features = TABLE_EXPAND(BACKEND_NEEDS_, Q8K_VOCABULARY, ), .batch_step = VEC_COLUMNS,                     \
        .prepared_bytes = prepared_bytes, .prepare = prepare, .format_count = Q8K_FORMAT_COUNT,                        \
        .formats = TABLE_SYMBOL(_kernels)                                                                              \
    }

extern const q8k_backend TABLE_SYMBOL(_backend);
#ifdef Q8K_BUILTIN
const q8k_backend TABLE_SYMBOL(_backend) = TABLE_BACKEND("builtin");
const q8k_backend TABLE_SYMBOL(_backend_by_name) = TABLE_BACKEND(TABLE_TEXT(Q8K_VOCABULARY));
#else
const q8k_backend TABLE_SYMBOL(_backend) = TABLE_BACKEND(TABLE_TEXT(Q8K_VOCABULARY));
#endif

#endif
