/* SPDX-License-Identifier: MIT */
/* Runs a model: rows of tokens in, logits out. All memory is planned and taken once, before the first run. */
#ifndef LLM_GRAPH_H
#define LLM_GRAPH_H

#include <stdatomic.h>

#include "attention.h"
#include "model.h"

/* Where all threads wait for one another. */
typedef struct meeting {
    _Alignas(64) atomic_uint round;
    _Alignas(64) atomic_size_t arrived;
} meeting;

typedef struct graph {
    const model *m;
    q8k_context *context;
    q8k_precision precision;
    size_t threads, most_rows;
    cache cache;
    size_t position;        /* of the run's first row */
    float *state;           /* rows x width: what is added to, layer by layer */
    float *normal;          /* rows x width: normalized; then the products that are added to the state */
    float *query;           /* rows x query_width: queries, then what attention makes of them */
    float *keys;            /* rows x kv_width, until they are in the cache */
    float *gate, *up;       /* rows x hidden: in the place of `query` and `keys`, which are needed no more by then */
    float *cosines, *sines; /* positions x rope_width / 2 */
    float *scratch;         /* of attention, for each thread */
    float *logits;
    void *prepared; /* the one preparation that all matrices with the same input share */
    size_t prepared_bytes, workspace_bytes;
    double library_seconds; /* that thread 0 has spent in libq8k */
    meeting meeting;
} graph;

/* Room for `positions` in all, for `rows` of them in one run, and for logits of `logits_rows` rows. */
void graph_create(graph *g, const model *m, q8k_precision precision, size_t threads, size_t positions, size_t rows,
                  size_t logits_rows);
void graph_destroy(graph *g);

/* Takes `rows` tokens at the next positions, and leaves in g->logits those of the last `logits_rows` of them. */
void graph_run(graph *g, const int32_t *tokens, size_t rows, size_t logits_rows);

#endif
