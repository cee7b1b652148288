/* SPDX-License-Identifier: MIT */
/* What openmp.c, pthreads.c and stealing.c have in common: the query's and the key's weights, of different formats, times
 * the same activations. The input is prepared once, for both. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <q8k/q8k.h>

enum { PRODUCTS = 2, COLS = 1024, BATCH = 5 };

static const size_t product_rows[PRODUCTS] = {384, 128};
static const q8k_format product_formats[PRODUCTS] = {Q8K_FORMAT_Q4_K, Q8K_FORMAT_Q6_K};

typedef struct products {
    q8k_context *context;
    q8k_input_args input;
    q8k_matmul_args product[PRODUCTS];
    void *prepared;
    size_t prepared_bytes;
    float *activations, *output[PRODUCTS];
    void *weights[PRODUCTS];
} products;

/* To be called by the thread whose call failed, since each has a text of its own. */
static inline bool succeeded(q8k_status status) {
    if (status != Q8K_OK)
        fprintf(stderr, "%s: %s\n", q8k_status_name(status), q8k_last_error());
    return status == Q8K_OK;
}

static inline bool there(const void *memory) {
    if (memory == NULL)
        fprintf(stderr, "no memory\n");
    return memory != NULL;
}

/* ----------------------------------------------------------------------------------- what the threads call --- */

static inline bool prepare_part(const products *p, size_t part, size_t parts) {
    return succeeded(q8k_input_prepare(p->context, &p->input, p->prepared, p->prepared_bytes, part, parts));
}

/* Only once all parts of the input are prepared. */
static inline bool multiply_part(const products *p, size_t part, size_t parts) {
    for (int i = 0; i < PRODUCTS; i++)
        if (!succeeded(q8k_matmul_prepared(p->context, &p->product[i], p->prepared, p->prepared_bytes, part, parts)))
            return false;
    return true;
}

/* ---------------------------------------------------------------------------------------- before and after --- */

/* The program's one argument, a number of threads, or 4; 0 if it is no such number, which it tells. */
static inline size_t thread_count(int argc, char **argv, size_t most) {
    char *end = "";
    long threads = argc > 1 ? strtol(argv[1], &end, 10) : 4;
    if (argc <= 2 && *end == '\0' && threads >= 1 && (size_t)threads <= most)
        return (size_t)threads;
    fprintf(stderr, "usage: %s [THREADS], 1 to %zu of them\n", argv[0], most);
    return 0;
}

static inline bool make_weights(products *p, int i) {
    size_t rows = product_rows[i], bytes = rows * q8k_row_bytes(product_formats[i], COLS);
    float *matrix = malloc(rows * COLS * sizeof *matrix);
    p->weights[i] = malloc(bytes);
    p->output[i] = malloc(BATCH * rows * sizeof *p->output[i]);
    bool ok = there(matrix) && there(p->weights[i]) && there(p->output[i]);
    if (ok) {
        for (size_t k = 0; k < rows * COLS; k++)
            matrix[k] = sinf(0.37F * (float)k) + 0.5F * sinf((float)(i + 1) * (float)(k % 97));
        /* No product is this, so that what no thread writes is seen. */
        for (size_t k = 0; k < BATCH * rows; k++)
            p->output[i][k] = NAN;
        q8k_quantize_args quantize = {.size = sizeof quantize,
                                      .format = product_formats[i],
                                      .rows = rows,
                                      .cols = COLS,
                                      .input = matrix,
                                      .weights = p->weights[i],
                                      .weights_bytes = bytes};
        ok = succeeded(q8k_quantize(&quantize));
    }
    free(matrix);
    p->product[i] = (q8k_matmul_args){.size = sizeof p->product[i],
                                      .format = product_formats[i],
                                      .precision = Q8K_PRECISION_FLOAT,
                                      .out_features = rows,
                                      .in_features = COLS,
                                      .batch = BATCH,
                                      .weights = p->weights[i],
                                      .weights_bytes = bytes,
                                      .input = p->activations,
                                      .output = p->output[i]};
    return ok;
}

static inline bool make_input(products *p) {
    p->activations = malloc(BATCH * COLS * sizeof *p->activations);
    if (!there(p->activations))
        return false;
    for (size_t k = 0; k < BATCH * COLS; k++)
        p->activations[k] = cosf(1.3F * (float)k) * (float)(1 + k % 5);
    p->input = (q8k_input_args){.size = sizeof p->input,
                                .precision = Q8K_PRECISION_FLOAT,
                                .in_features = COLS,
                                .batch = BATCH,
                                .input = p->activations};
    if (!succeeded(q8k_input_bytes(p->context, &p->input, &p->prepared_bytes)))
        return false;
    p->prepared = malloc(p->prepared_bytes);
    return there(p->prepared);
}

/* On failure too there may be something to free. */
static inline bool make_products(products *p) {
    memset(p, 0, sizeof *p);
    if (!succeeded(q8k_context_create(&p->context, NULL)) || !make_input(p))
        return false;
    for (int i = 0; i < PRODUCTS; i++)
        if (!make_weights(p, i))
            return false;
    return true;
}

static inline void free_products(products *p) {
    for (int i = 0; i < PRODUCTS; i++) {
        free(p->output[i]);
        free(p->weights[i]);
    }
    free(p->prepared);
    free(p->activations);
    q8k_context_destroy(p->context);
}

/* Whether product i, which the threads have computed, is to the bit what one thread makes of the same arguments. */
static inline bool same_bits(const products *p, int i) {
    size_t bytes = BATCH * product_rows[i] * sizeof(float);
    q8k_matmul_args alone = p->product[i];
    alone.output = malloc(bytes);
    bool same = there(alone.output) && succeeded(q8k_matmul(p->context, &alone));
    if (same && memcmp(alone.output, p->output[i], bytes) != 0) {
        fprintf(stderr, "product %d: other bits than those of one thread\n", i);
        same = false;
    }
    free(alone.output);
    return same;
}

static inline bool check_products(const products *p, const char *how) {
    for (int i = 0; i < PRODUCTS; i++)
        if (!same_bits(p, i))
            return false;
    printf("backend %s: %d products, %s: the same bits as on one thread\n", q8k_context_backend(p->context), PRODUCTS,
           how);
    return true;
}

#endif
