/* SPDX-License-Identifier: MIT */
/* Weights, in as many copies as caches cannot hold, and activations. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "definition.h"

enum { BLOCK = 256, HOT_ROWS = 16, HOT_SHARE = 2, L2_DEFAULT = 256 * 1024 };

/* xorshift64*; the same numbers in every run. */
static uint64_t random_bits(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static void store_half(uint8_t *at, unsigned bits) {
    at[0] = (uint8_t)bits;
    at[1] = (uint8_t)(bits >> 8);
}

/* What brings mins to their middle: octaves of dmin above d, and a sign where the min is added. */
static unsigned min_octaves(q8k_format format, unsigned fraction) {
    switch (format) {
    case Q8K_FORMAT_Q8_K:
        return (3U << 10) + (fraction % 2 << 15);
    case Q8K_FORMAT_Q5_K:
        return 4U << 10;
    case Q8K_FORMAT_Q2_K:
        return 1U << 10;
    default:
        return 3U << 10;
    }
}

/* Any bytes are a block; factors are such that weights are near 0.1, and the mins near their middle. The factors are
 * 1 to 2 times 2^-12, in fp16; mins are in units 2 to 16 times larger. */
static void fill_block(q8k_format format, uint8_t *block, size_t block_bytes, uint64_t *state) {
    for (size_t i = 0; i < block_bytes; i++) {
        block[i] = (uint8_t)(random_bits(state) >> 56);
    }
    unsigned fraction = (unsigned)(random_bits(state) >> 54), d = (15U - 12U) << 10 | fraction;
    for (size_t part = 0; definition_d(format, block, part) != NULL; part++) {
        store_half(definition_d(format, block, part), d);
    }
    if (format == Q8K_FORMAT_Q8_K) {
        memset(block + 272, 0, 16);
    }
    if (definition_dmin(format, block) != NULL) {
        store_half(definition_dmin(format, block), d + min_octaves(format, fraction));
    }
}

static void *get_pages(size_t bytes) {
    void *memory = NULL;
    bytes = (bytes + BENCH_PAGE - 1) / BENCH_PAGE * BENCH_PAGE;
    if (posix_memalign(&memory, BENCH_PAGE, bytes) != 0) {
        command_say("no memory for %zu bytes", bytes);
        return NULL;
    }
    return memory;
}

static bool get_weights(bench_weights *weights, const bench_data *data, size_t row_bytes, size_t rotated) {
    weights->row_bytes = row_bytes;
    weights->matrix_bytes = data->rows * row_bytes;
    weights->copy_bytes = (weights->matrix_bytes + BENCH_PAGE - 1) / BENCH_PAGE * BENCH_PAGE;
    weights->copies = (rotated + weights->copy_bytes - 1) / weights->copy_bytes;
    weights->bytes = get_pages(weights->copies * weights->copy_bytes);
    return weights->bytes != NULL;
}

static void copy_weights(bench_weights *weights) {
    for (size_t i = 1; i < weights->copies; i++) {
        memcpy(weights->bytes + i * weights->copy_bytes, weights->bytes, weights->matrix_bytes);
    }
}

static bool make_weights(bench_weights *weights, const bench_data *data, q8k_format format, size_t rotated) {
    size_t block_bytes = q8k_format_block_bytes(format);
    uint64_t state = 0x9E3779B97F4A7C15 + format;
    weights->format = format;
    if (!get_weights(weights, data, q8k_row_bytes(format, data->cols), rotated)) {
        return false;
    }
    for (size_t at = 0; at < weights->matrix_bytes; at += block_bytes) {
        fill_block(format, weights->bytes + at, block_bytes, &state);
    }
    copy_weights(weights);
    return true;
}

static void fill_input(float *input, size_t count) {
    uint64_t state = 42;
    for (size_t i = 0; i < count; i++) {
        input[i] = (float)(int32_t)(random_bits(&state) >> 32) * 0x1p-30f;
    }
}

static bool make_prepared(bench_data *data, const bench_plan *plan) {
    for (size_t i = 0; i < plan->precision_count; i++) {
        q8k_input_args args = {
            .size = sizeof args, .precision = plan->precisions[i], .in_features = data->cols, .batch = data->batch};
        size_t bytes;
        if (q8k_input_bytes(data->context, &args, &bytes) != Q8K_OK) {
            command_say("%s", q8k_last_error());
            return false;
        }
        data->prepared_bytes = bytes > data->prepared_bytes ? bytes : data->prepared_bytes;
    }
    data->prepared = get_pages(data->prepared_bytes);
    return data->prepared != NULL;
}

bool bench_data_make(bench_data *data, const q8k_context *context, const bench_plan *plan) {
    *data = (bench_data){.context = context, .rows = plan->rows, .cols = plan->cols};
    for (size_t i = 0; i < plan->batches.count; i++) {
        data->batch = plan->batches.values[i] > data->batch ? plan->batches.values[i] : data->batch;
    }
    const size_t outputs = data->batch * data->rows;
    for (size_t i = 0; i < plan->format_count; i++) {
        if (!make_weights(&data->weights[data->weights_count++], data, plan->formats[i], plan->rotated)) {
            return false;
        }
    }
    data->input = get_pages(data->batch * data->cols * sizeof(float));
    data->output = get_pages(outputs * sizeof(float));
    data->expected = get_pages(outputs * sizeof(float));
    data->scratch = get_pages(data->rows * data->cols * sizeof(float));
    if (data->input == NULL || data->output == NULL || data->expected == NULL || data->scratch == NULL) {
        return false;
    }
    fill_input(data->input, data->batch * data->cols);
    return make_prepared(data, plan);
}

bool bench_data_decode(bench_data *data, const bench_plan *plan) {
    bench_weights *to = &data->decoded;
    const bench_weights *from = &data->weights[0];
    if (!get_weights(to, data, data->cols * sizeof(float), plan->rotated)) {
        return false;
    }
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = from->format,
                                .rows = data->rows,
                                .cols = data->cols,
                                .weights = from->bytes,
                                .weights_bytes = from->matrix_bytes,
                                .output = (float *)(void *)to->bytes};
    if (q8k_dequantize(data->context, &args) != Q8K_OK) {
        command_say("%s", q8k_last_error());
        return false;
    }
    copy_weights(to);
    return true;
}

void bench_data_free(bench_data *data) {
    for (size_t i = 0; i < data->weights_count; i++) {
        free(data->weights[i].bytes);
    }
    free(data->decoded.bytes);
    free(data->input);
    free(data->output);
    free(data->expected);
    free(data->scratch);
    free(data->prepared);
}

size_t bench_hot_rows(const bench_plan *plan, size_t threads) {
    long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    size_t bytes = (l2 > 0 ? (size_t)l2 : L2_DEFAULT) / HOT_SHARE, row_bytes = 0;
    for (size_t i = 0; i < q8k_format_count(); i++) {
        size_t other = q8k_row_bytes(q8k_format_at(i), plan->cols);
        row_bytes = other > row_bytes ? other : row_bytes;
    }
    size_t rows = bytes / row_bytes / HOT_ROWS * HOT_ROWS;
    rows = threads * (rows > 0 ? rows : HOT_ROWS);
    return rows < plan->rows ? rows : plan->rows;
}

const void *bench_matrix(const bench_weights *weights, bool cold, size_t turn) {
    return weights->bytes + (cold ? turn % weights->copies : 0) * weights->copy_bytes;
}
