/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "common.h"
#include "graph.h"
#include "layers.h"

/* Every thread runs the graph, and computes its part of each step: `index` of `count`. Where a step needs all that the
 * one before it made, they wait for one another.
 * Steps are about `rows` rows of the state, from row `first` on: all, and at the end those whose logits are wanted. */
typedef struct worker {
    graph *g;
    size_t index, count;
    size_t first, rows;
} worker;

enum { IN_LIBRARY = 0, ELSEWHERE = 1 };

/* ------------------------------------------------------------------------------------------------- threads --- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Steps are short, so waiting threads look again and again; but where there are fewer CPUs than threads, or others use
 * them, the thread that is waited for must get one. */
static void meet(meeting *m, size_t count) {
    enum { LOOKS = 4000 };
    unsigned round = atomic_load_explicit(&m->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&m->arrived, 1, memory_order_acq_rel) + 1 == count) {
        atomic_store_explicit(&m->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&m->round, round + 1, memory_order_release);
        return;
    }
    for (unsigned i = 0; atomic_load_explicit(&m->round, memory_order_acquire) == round; i++)
        if (i >= LOOKS)
            sched_yield();
}

/* Thread 0 counts its time since the last call. Waiting for the others belongs to the step that ends. */
static void wait_for_all(worker w, int where, double *since) {
    meet(&w.g->meeting, w.count);
    if (w.index == 0) {
        double time = now();
        w.g->library_seconds += where == IN_LIBRARY ? time - *since : 0;
        *since = time;
    }
}

/* ------------------------------------------------------------------------------------------ with libq8k --- */

/* From here to the next call, products are of this input. */
static void prepare(worker w, const float *input, size_t columns, double *since) {
    q8k_input_args args = {
        .size = sizeof args, .precision = w.g->precision, .in_features = columns, .batch = w.rows, .input = input};
    need(q8k_input_prepare(w.g->context, &args, w.g->prepared, w.g->prepared_bytes, w.index, w.count), "preparing",
         "an input");
    wait_for_all(w, IN_LIBRARY, since);
}

/* This thread's part of a product: the others' are not there before they have been waited for. */
static void multiply(worker w, const tensor *weights, float *output) {
    q8k_matmul_args args = {.size = sizeof args,
                            .format = weights->format,
                            .precision = w.g->precision,
                            .out_features = weights->rows,
                            .in_features = weights->cols,
                            .batch = w.rows,
                            .weights = weights->data,
                            .weights_bytes = weights->bytes,
                            .output = output};
    need(q8k_matmul_prepared(w.g->context, &args, w.g->prepared, w.g->prepared_bytes, w.index, w.count), "multiplying",
         "by a matrix");
}

/* ------------------------------------------------------------------------------------------------- steps --- */

/* The rows of this thread: every `count`th. */
#define FOR_MY_ROWS(w, r) for (size_t r = (w).index; r < (w).rows; r += (w).count)

static void embed_row(const graph *g, int32_t token, float *output) {
    const tensor *t = &g->m->embedding;
    size_t row_bytes = t->bytes / t->rows;
    const uint8_t *row = t->data + (size_t)token * row_bytes;
    if (t->format == 0) {
        memcpy(output, row, row_bytes);
        return;
    }
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = t->format,
                                .rows = 1,
                                .cols = g->m->width,
                                .weights = row,
                                .weights_bytes = row_bytes,
                                .output = output};
    need(q8k_dequantize(g->context, &args), "decoding", "an embedding");
}

static void embed(worker w, const int32_t *tokens, double *since) {
    const graph *g = w.g;
    size_t width = g->m->width;
    FOR_MY_ROWS(w, r) {
        embed_row(g, tokens[r], g->state + r * width);
        normalize(g->normal + r * width, g->state + r * width, g->m->layer[0].attention_norm, width,
                  g->m->norm_epsilon);
    }
    wait_for_all(w, ELSEWHERE, since);
}

/* Adds what a block has computed to the state, and makes the next block's input of that. */
static void add_and_normalize(worker w, const float *weights, double *since) {
    const graph *g = w.g;
    size_t width = g->m->width;
    FOR_MY_ROWS(w, r) {
        float *state = g->state + (w.first + r) * width, *row = g->normal + r * width;
        add(state, row, width);
        normalize(row, state, weights, width, g->m->norm_epsilon);
    }
    wait_for_all(w, ELSEWHERE, since);
}

static void rotate_rows(worker w, const layer_weights *l, size_t index) {
    const graph *g = w.g;
    const model *m = g->m;
    FOR_MY_ROWS(w, r) {
        size_t position = g->position + r, angles = position * (m->rope_width / 2);
        float *query = g->query + r * m->query_width, *key = g->keys + r * m->kv_width;
        add(query, l->query_bias, m->query_width);
        add(key, l->key_bias, m->kv_width);
        add(cache_values(&g->cache, index, position), l->value_bias, m->kv_width);
        rotate(m, query, m->heads, g->cosines + angles, g->sines + angles, 1 / sqrtf((float)m->head_width));
        rotate(m, key, m->kv_heads, g->cosines + angles, g->sines + angles, 1);
        cache_put_keys(&g->cache, index, position, key);
    }
}

/* Leaves in g->query what attention makes of the queries. */
static void attention(worker w, size_t index, double *since) {
    const graph *g = w.g;
    const model *m = g->m;
    const layer_weights *l = &m->layer[index];
    prepare(w, g->normal, m->width, since);
    multiply(w, &l->query, g->query);
    multiply(w, &l->key, g->keys);
    /* The values' product goes where they will stay. */
    multiply(w, &l->value, cache_values(&g->cache, index, g->position));
    wait_for_all(w, IN_LIBRARY, since);
    rotate_rows(w, l, index);
    wait_for_all(w, ELSEWHERE, since);
    attend(&g->cache, index, g->position, w.rows, g->query, g->query, m->query_width,
           g->scratch + w.index * attention_scratch(&g->cache), w.index, w.count);
    wait_for_all(w, ELSEWHERE, since);
}

/* The rest of a layer; `next_norm` belongs to what comes after it. */
static void feed_forward(worker w, size_t index, const float *next_norm, double *since) {
    const graph *g = w.g;
    const model *m = g->m;
    const layer_weights *l = &m->layer[index];
    prepare(w, g->query + w.first * m->query_width, m->query_width, since);
    multiply(w, &l->output, g->normal);
    wait_for_all(w, IN_LIBRARY, since);
    add_and_normalize(w, l->ffn_norm, since);
    prepare(w, g->normal, m->width, since);
    multiply(w, &l->gate, g->gate);
    multiply(w, &l->up, g->up);
    wait_for_all(w, IN_LIBRARY, since);
    /* In pieces of 64 elements, since there may be only one row. */
    size_t pieces = w.rows * m->hidden / 64;
    swiglu(g->gate, g->up, pieces * w.index / w.count * 64, pieces * (w.index + 1) / w.count * 64);
    wait_for_all(w, ELSEWHERE, since);
    prepare(w, g->gate, m->hidden, since);
    multiply(w, &l->down, g->normal);
    wait_for_all(w, IN_LIBRARY, since);
    add_and_normalize(w, next_norm, since);
}

static void run(worker w, const int32_t *tokens, size_t logits_rows) {
    const model *m = w.g->m;
    double since = now();
    embed(w, tokens, &since);
    for (size_t i = 0; i + 1 < m->layers; i++) {
        attention(w, i, &since);
        feed_forward(w, i, m->layer[i + 1].attention_norm, &since);
    }
    attention(w, m->layers - 1, &since);
    /* Of the other rows nothing but keys and values will be needed. */
    w.first = w.rows - logits_rows;
    w.rows = logits_rows;
    if (w.rows == 0)
        return;
    feed_forward(w, m->layers - 1, m->output_norm, &since);
    prepare(w, w.g->normal, m->width, &since);
    multiply(w, &m->output, w.g->logits);
    wait_for_all(w, IN_LIBRARY, &since);
}

void graph_run(graph *g, const int32_t *tokens, size_t rows, size_t logits_rows) {
#pragma omp parallel num_threads((int)g->threads)
    {
        worker w = {g, 0, 1, 0, rows};
#ifdef _OPENMP
        w.index = (size_t)omp_get_thread_num();
        w.count = (size_t)omp_get_num_threads();
#endif
        run(w, tokens, logits_rows);
    }
    g->position += rows;
}

/* ------------------------------------------------------------------------------------------------ memory --- */

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The size of a preparation does not depend on the input's address, so it can be asked for before there is one. */
static size_t prepared_bytes(const graph *g, size_t columns, size_t rows) {
    q8k_input_args args = {.size = sizeof args, .precision = g->precision, .in_features = columns, .batch = rows};
    size_t bytes;
    need(q8k_input_bytes(g->context, &args, &bytes), "planning", "memory");
    return bytes;
}

static float *floats(graph *g, size_t rows, size_t width) {
    float *memory = allocate(rows * width, sizeof(float));
    g->workspace_bytes += rows * width * sizeof(float);
    return memory;
}

void graph_create(graph *g, const model *m, q8k_precision precision, size_t threads, size_t positions, size_t rows,
                  size_t logits_rows) {
    *g = (graph){.m = m, .precision = precision, .threads = threads, .most_rows = rows};
    need(q8k_context_create(&g->context, NULL), "choosing", "a backend");
    cache_create(&g->cache, m, positions);
    g->state = floats(g, rows, m->width);
    g->normal = floats(g, rows, m->width);
    g->query = floats(g, rows, larger(m->query_width + m->kv_width, 2 * m->hidden));
    g->keys = g->query + rows * m->query_width;
    g->gate = g->query;
    g->up = g->gate + rows * m->hidden;
    g->cosines = floats(g, positions, m->rope_width / 2);
    g->sines = floats(g, positions, m->rope_width / 2);
    make_angles(m, positions, g->cosines, g->sines);
    g->scratch = floats(g, threads, attention_scratch(&g->cache));
    g->logits = floats(g, logits_rows, m->vocabulary);
    g->prepared_bytes = prepared_bytes(g, larger(larger(m->width, m->query_width), m->hidden), rows);
    g->prepared = allocate(g->prepared_bytes, 1);
    g->workspace_bytes += g->prepared_bytes;
}

void graph_destroy(graph *g) {
    free(g->prepared);
    free(g->logits);
    free(g->scratch);
    free(g->sines);
    free(g->cosines);
    free(g->query);
    free(g->normal);
    free(g->state);
    cache_destroy(&g->cache);
    q8k_context_destroy(g->context);
}
