/* SPDX-License-Identifier: MIT */
/* Peers that need nothing: what one writes first. Both are slow at any batch, so they are timed at small ones only. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { BATCH_MOST = 16, BLOCK = 256, GROUP = 8 };

typedef struct product {
    const bench_data *data;
    const bench_weights *weights;
    const uint8_t *matrix;
    size_t rows, batch;
    q8k_status status;
} product;

static bool run(bench_task *task, size_t turn, bench_step *step) {
    product *p = task->own;
    p->matrix = bench_matrix(task->weights, task->cold, turn);
    bench_on_threads(task->threads, step, NULL, p);
    if (p->status != Q8K_OK) {
        command_say("decoding: %s", q8k_status_name(p->status));
    }
    return p->status == Q8K_OK;
}

static bool add(bench_tasks *tasks, bench_task task) {
    product *p = malloc(sizeof *p);
    if (p == NULL) {
        command_say("no memory");
        return false;
    }
    *p = (product){.data = task.data, .weights = task.weights, .rows = task.rows, .batch = task.batch};
    task.tolerance = 1e-4;
    task.own = p;
    return bench_add(tasks, task);
}

/* ---- decode, then loops ---- */

static void loops(const product *p, size_t row, const float *weights) {
    const size_t cols = p->data->cols;
    for (size_t b = 0; b < p->batch; b++) {
        const float *input = p->data->input + b * cols;
        float sum = 0;
        for (size_t k = 0; k < cols; k++) {
            sum += weights[k] * input[k];
        }
        p->data->output[b * p->rows + row] = sum;
    }
}

static void decode_and_loop(void *own, size_t thread, size_t threads) {
    product *p = own;
    const size_t cols = p->data->cols, first = thread * p->rows / threads, end = (thread + 1) * p->rows / threads;
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = p->weights->format,
                                .rows = end - first,
                                .cols = cols,
                                .weights = p->matrix + first * p->weights->row_bytes,
                                .weights_bytes = (end - first) * p->weights->row_bytes,
                                .output = p->data->scratch + first * cols};
    q8k_status status = q8k_dequantize(p->data->context, &args);
    if (status != Q8K_OK) {
#ifdef _OPENMP
#pragma omp atomic write
#endif
        p->status = status;
        return;
    }
    for (size_t row = first; row < end; row++) {
        loops(p, row, p->data->scratch + row * cols);
    }
}

static bool call_loops(bench_task *task, size_t turn) {
    return run(task, turn, decode_and_loop);
}

bool bench_add_decode_loops(bench_tasks *tasks, bench_task task) {
    if (task.batch > BATCH_MOST) {
        return true;
    }
    task.name = "decode_loops";
    task.call = call_loops;
    return add(tasks, task);
}

/* ---- one call for each group of 8 weights of Q8_K ---- */

#ifdef __x86_64__

/* Inlined, it would be another kernel than the one that is to be timed. */
__attribute__((noinline, target("avx2,fma"))) static float group_product(const uint8_t *q, float scale, float offset,
                                                                         const float *input) {
    __m256 weights = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q)));
    weights = _mm256_fmadd_ps(weights, _mm256_set1_ps(scale), _mm256_set1_ps(offset));
    __m256 products = _mm256_mul_ps(weights, _mm256_loadu_ps(input));
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(products), _mm256_extractf128_ps(products, 1));
    sum = _mm_hadd_ps(sum, sum);
    sum = _mm_hadd_ps(sum, sum);
    return _mm_cvtss_f32(sum);
}

__attribute__((target("f16c"))) static float half_at(const uint8_t *at) {
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return _cvtsh_ss(bits);
}

static float row_product(const uint8_t *row, size_t cols, const float *input) {
    const size_t block_bytes = q8k_format_block_bytes(Q8K_FORMAT_Q8_K);
    float sum = 0;
    for (size_t at = 0; at < cols; at += BLOCK, row += block_bytes) {
        float d = half_at(row + 288), offset = half_at(row + 290);
        for (size_t g = 0; g < BLOCK / GROUP; g++) {
            float scale = d * (float)(row[256 + g / 2] >> 4 * (g % 2) & 15);
            sum += group_product(row + GROUP * g, scale, offset, input + at + GROUP * g);
        }
    }
    return sum;
}

static void call_groups(void *own, size_t thread, size_t threads) {
    const product *p = own;
    const size_t cols = p->data->cols, end = (thread + 1) * p->rows / threads;
    for (size_t row = thread * p->rows / threads; row < end; row++) {
        for (size_t b = 0; b < p->batch; b++) {
            p->data->output[b * p->rows + row] =
                row_product(p->matrix + row * p->weights->row_bytes, cols, p->data->input + b * cols);
        }
    }
}

static bool call_group_calls(bench_task *task, size_t turn) {
    return run(task, turn, call_groups);
}

static bool cpu_has(const char *wanted) {
    const char *name;
    int32_t usable;
    for (size_t i = 0; (name = q8k_cpu_feature(i, NULL, &usable)) != NULL; i++) {
        if (strcmp(name, wanted) == 0) {
            return usable;
        }
    }
    return false;
}

bool bench_add_group_calls(bench_tasks *tasks, bench_task task) {
    if (task.batch > BATCH_MOST || task.weights->format != Q8K_FORMAT_Q8_K || !cpu_has("avx2") || !cpu_has("fma") ||
        !cpu_has("f16c")) {
        return true;
    }
    task.name = "group_calls";
    task.call = call_group_calls;
    return add(tasks, task);
}

#else

bool bench_add_group_calls(bench_tasks *tasks, bench_task task) {
    (void)tasks;
    (void)task;
    return true;
}

#endif
