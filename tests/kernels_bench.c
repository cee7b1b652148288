/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels.h"

/* Rounds in which every backend is timed once, so that what disturbs the machine disturbs them alike. A round times as
 * many calls as make a time that the clock can tell. */
enum { ROUNDS = 9 };
static const double ROUND_SECONDS = 0.01;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A product and what it needs, on one backend. */
typedef struct bench {
    const backend *b;
    q8k_input_args input;
    q8k_matmul_args product;
    void *prepared;
    size_t prepared_bytes, calls;
    double seconds[ROUNDS];
} bench;

static void stop_unless(q8k_status status) {
    if (status == Q8K_OK)
        return;
    fprintf(stderr, "kernels: %s\n", q8k_last_error());
    exit(2);
}

/* Seconds per call. A call prepares the input and multiplies: what an engine does once per layer. */
static double time_calls(bench *t) {
    double start = now();
    for (size_t i = 0; i < t->calls; i++) {
        stop_unless(q8k_input_prepare(t->b->context, &t->input, t->prepared, t->prepared_bytes, 0, 1));
        stop_unless(q8k_matmul_prepared(t->b->context, &t->product, t->prepared, t->prepared_bytes, 0, 1));
    }
    return (now() - start) / (double)t->calls;
}

static bench bench_make(const kernel_case *c, const backend *b, const uint8_t *weights, size_t weights_bytes,
                        const float *input) {
    bench t = {.b = b,
               .input = {.size = sizeof t.input,
                         .precision = c->precision,
                         .in_features = c->blocks * BLOCK,
                         .batch = c->batch,
                         .input = input},
               .product = {.size = sizeof t.product,
                           .format = c->format,
                           .precision = c->precision,
                           .out_features = c->rows,
                           .in_features = c->blocks * BLOCK,
                           .batch = c->batch,
                           .weights = weights,
                           .weights_bytes = weights_bytes},
               .calls = 1};
    t.product.output = need_memory(c->batch * c->rows * sizeof(float));
    stop_unless(q8k_input_bytes(b->context, &t.input, &t.prepared_bytes));
    t.prepared = need_memory(t.prepared_bytes);
    double once = time_calls(&t);
    once = time_calls(&t);
    if (once < ROUND_SECONDS)
        t.calls = (size_t)(ROUND_SECONDS / (once > 1e-7 ? once : 1e-7)) + 1;
    return t;
}

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(bench *t) {
    qsort(t->seconds, ROUNDS, sizeof *t->seconds, compare_seconds);
    return t->seconds[ROUNDS / 2];
}

void bench_header(void) {
    printf("%-6s %-9s %6s %7s %6s  %-10s %12s %9s %9s %9s\n", "format", "precision", "rows", "columns", "batch",
           "backend", "microseconds", "GFLOP/s", "GB/s", "x scalar");
}

static void print_row(const kernel_case *c, const bench *t, double seconds, double base_seconds) {
    double products = (double)c->rows * (double)(c->blocks * BLOCK) * (double)c->batch;
    printf("%-6s %-9s %6zu %7zu %6zu  %-10s %12.2f %9.2f %9.2f %9.2f\n", q8k_format_name(c->format),
           q8k_precision_name(c->precision), c->rows, c->blocks * BLOCK, c->batch, t->b->name, seconds * 1e6,
           2e-9 * products / seconds, 1e-9 * (double)t->product.weights_bytes / seconds, base_seconds / seconds);
    fflush(stdout);
}

void bench_case(const kernel_case *c, const backend *backends, size_t count, size_t base) {
    const size_t block_bytes = q8k_format_block_bytes(c->format), weights_bytes = c->rows * c->blocks * block_bytes;
    uint8_t *weights = need_memory(weights_bytes);
    float *input = need_memory(c->batch * c->blocks * BLOCK * sizeof *input);
    bench t[BACKENDS_MAX];
    for (size_t i = 0; i < c->rows * c->blocks; i++)
        fill_weights(c, i / c->blocks, i % c->blocks, weights + i * block_bytes);
    for (size_t i = 0; i < c->batch * c->blocks; i++)
        fill_input(c, i / c->blocks, i % c->blocks, input + i * BLOCK);
    for (size_t i = 0; i < count; i++)
        t[i] = bench_make(c, &backends[i], weights, weights_bytes, input);
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < count; i++)
            t[i].seconds[round] = time_calls(&t[i]);
    double base_seconds = median(&t[base]);
    for (size_t i = 0; i < count; i++) {
        print_row(c, &t[i], median(&t[i]), base_seconds);
        free(t[i].product.output);
        free(t[i].prepared);
    }
    free(weights);
    free(input);
}
