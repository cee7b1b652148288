/* SPDX-License-Identifier: MIT */
#include "lib/known_answer.h"

#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"

/*
 * One shape beyond the largest register tile in use (16 weight rows, 32 batch rows) with tails in both directions, two
 * blocks deep; the smaller batches are its first rows again, since kernels choose their tile by the batch.
 */
enum { ROWS = 19, BLOCKS = 2, BATCH = 35, COLUMNS = BLOCKS * BLOCK };
static const size_t batches[] = {1, 4, 7, BATCH};

#define MAX_BLOCK_BYTES 512
#define CHECK_BLOCK_BYTES(name, NAME) _Static_assert(NAME##_BLOCK_BYTES <= MAX_BLOCK_BYTES, "room for a block");
Q8K_EACH_FORMAT(CHECK_BLOCK_BYTES)

struct workspace {
    uint8_t weights[ROWS * BLOCKS * MAX_BLOCK_BYTES];
    float input[BATCH * COLUMNS];
    float expected[BATCH * ROWS], got[BATCH * ROWS];
    float decoded[2][COLUMNS];
    _Alignas(64) uint8_t prepared[2][2048 * BATCH * BLOCKS + 4096];
};

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Activations of all sizes, the last column of the last row largest; one block of zeros. */
static void fill_input(float *input) {
    uint32_t state = 1;
    for (size_t i = 0; i < (size_t)BATCH * COLUMNS; i++) {
        float value = (float)next_random(&state) * 0x1p-23f - 1.0f;
        input[i] = i % 37 == 0 ? value * 1000.0f : value;
    }
    memset(input + COLUMNS, 0, BLOCK * sizeof *input);
    input[(size_t)BATCH * COLUMNS - 1] = -4097.75f;
}

/* Every byte at random, so that all quants, scales and reserved bits occur; the first row full scale in every field;
 * the fp16 fields finite, of either sign, and far from overflow. */
static void fill_weights(const q8k_format_info *info, uint8_t *weights) {
    uint32_t state = 2;
    size_t blocks = (size_t)ROWS * BLOCKS;
    for (size_t i = 0; i < blocks; i++) {
        uint8_t *block = weights + i * info->block_bytes;
        for (size_t k = 0; k < info->block_bytes; k++)
            block[k] = i == 0 ? 0x80 : i == 1 ? 0xff : (uint8_t)next_random(&state);
        block[info->d + 1] = (uint8_t)((block[info->d + 1] & 0x83) | 0x30);
        if (info->dmin >= 0)
            block[info->dmin + 1] = (uint8_t)((block[info->dmin + 1] & 0x83) | 0x34);
    }
}

static void run_product(const q8k_backend *backend, const q8k_backend_kernels *kernels, q8k_precision precision,
                        size_t batch, const struct workspace *w, const q8k_format_info *info, uint8_t *prepared,
                        float *output) {
    q8k_backend_input in = {.size = sizeof in,
                            .precision = precision,
                            .batch = batch,
                            .blocks = BLOCKS,
                            .input = w->input,
                            .input_stride = COLUMNS,
                            .prepared = prepared,
                            .batch_count = batch,
                            .block_count = 1};
    q8k_backend_product product = {.size = sizeof product,
                                   .precision = precision,
                                   .batch = batch,
                                   .blocks = BLOCKS,
                                   .prepared = prepared,
                                   .weights = w->weights,
                                   .weights_stride = BLOCKS * info->block_bytes,
                                   .row_count = ROWS,
                                   .batch_count = batch,
                                   .output = output,
                                   .output_stride = ROWS};
    for (; in.block_first < BLOCKS; in.block_first++)
        backend->prepare(&in);
    kernels->matmul(&product);
}

static int check_product(const q8k_loaded *candidate, const q8k_format_info *info, q8k_precision precision,
                         struct workspace *w, q8k_text *why) {
    size_t index = (size_t)(info - q8k_formats);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        size_t batch = batches[i];
        run_product(&q8k_scalar_backend, q8k_scalar_kernels[index], precision, batch, w, info, w->prepared[0],
                    w->expected);
        /* What a kernel forgets to write is a NaN. */
        memset(w->got, 0xff, sizeof w->got);
        run_product(candidate->table, candidate->kernels[index], precision, batch, w, info, w->prepared[1], w->got);
        for (size_t k = 0; k < batch * ROWS; k++)
            if (memcmp(&w->expected[k], &w->got[k], sizeof *w->got) != 0)
                return q8k_say(why, "known answer of matmul, %s, %s, batch %zu: output %zu of row %zu is %a, not %a",
                               info->name, q8k_precision_name(precision), batch, k % ROWS, k / ROWS, (double)w->got[k],
                               (double)w->expected[k]);
    }
    return 1;
}

static int check_accumulate(const q8k_loaded *candidate, const q8k_format_info *info, q8k_precision precision,
                            const struct workspace *w, q8k_text *why) {
    size_t index = (size_t)(info - q8k_formats), row_bytes = BLOCKS * info->block_bytes;
    for (size_t r = 0; r < ROWS; r++) {
        float expected = 0.5f, got = 0.5f;
        const float *input = w->input + r * COLUMNS;
        const uint8_t *row = w->weights + r * row_bytes;
        q8k_scalar_kernels[index]->accumulate(precision, BLOCKS, row, input, &expected);
        candidate->kernels[index]->accumulate(precision, BLOCKS, row, input, &got);
        if (memcmp(&expected, &got, sizeof got) != 0)
            return q8k_say(why, "known answer of accumulate, %s, %s: row %zu is %a, not %a", info->name,
                           q8k_precision_name(precision), r, (double)got, (double)expected);
    }
    return 1;
}

static int check_decode(const q8k_loaded *candidate, const q8k_format_info *info, struct workspace *w, q8k_text *why) {
    size_t index = (size_t)(info - q8k_formats), row_bytes = BLOCKS * info->block_bytes;
    for (size_t r = 0; r < ROWS; r++) {
        q8k_scalar_kernels[index]->decode(BLOCKS, w->weights + r * row_bytes, w->decoded[0]);
        candidate->kernels[index]->decode(BLOCKS, w->weights + r * row_bytes, w->decoded[1]);
        for (size_t k = 0; k < COLUMNS; k++)
            if (memcmp(&w->decoded[0][k], &w->decoded[1][k], sizeof(float)) != 0)
                return q8k_say(why, "known answer of decode, %s: weight %zu of row %zu is %a, not %a", info->name, k, r,
                               (double)w->decoded[1][k], (double)w->decoded[0][k]);
    }
    return 1;
}

static int check_prepared_bytes(const q8k_backend *table, q8k_text *why) {
    for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++)
        for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
            size_t limit = 2048 * batches[i] * BLOCKS + 4096;
            size_t bytes = table->prepared_bytes(precision, batches[i], BLOCKS);
            if (bytes > limit)
                return q8k_say(why, "prepared_bytes is %zu for batch %zu of %d blocks (limit %zu)", bytes, batches[i],
                               BLOCKS, limit);
        }
    return 1;
}

static int check_all(const q8k_loaded *candidate, struct workspace *w, q8k_text *why) {
    if (!check_prepared_bytes(candidate->table, why))
        return 0;
    fill_input(w->input);
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++) {
        const q8k_format_info *info = &q8k_formats[i];
        if (candidate->kernels[i] == q8k_scalar_kernels[i])
            continue;
        fill_weights(info, w->weights);
        if (!check_decode(candidate, info, w, why))
            return 0;
        for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++)
            if (!check_accumulate(candidate, info, precision, w, why) ||
                !check_product(candidate, info, precision, w, why))
                return 0;
    }
    return 1;
}

int q8k_known_answer(const q8k_loaded *candidate, q8k_text *why) {
    struct workspace *w = NULL;
    void *memory = malloc(sizeof *w + 63);
    if (memory == NULL)
        return -1;
    w = (struct workspace *)(void *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    int good = check_all(candidate, w, why);
    free(memory);
    return good;
}
