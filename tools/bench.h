/* SPDX-License-Identifier: MIT */
/* q8k bench: what is measured, with what, and by whom. */
#ifndef Q8K_TOOLS_BENCH_H
#define Q8K_TOOLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

#include "command.h"

enum { BENCH_FORMATS = 8, BENCH_PRECISIONS = 8, BENCH_ROUNDS = 64, BENCH_PAGE = 4096 };

/* What the command line asks for. */
typedef struct bench_plan {
    q8k_format formats[BENCH_FORMATS];
    q8k_precision precisions[BENCH_PRECISIONS];
    size_t format_count, precision_count;
    option_list batches, threads;
    size_t rows, cols;
    size_t parts; /* 0: as many as threads */
    size_t rounds;
    double window;    /* seconds that one measurement takes at least */
    double deadline;  /* when to end, by bench_now(), if everything was measured once; 0: never */
    size_t rotated;   /* bytes of weights of one kind that are read in turn */
    const char *ggml; /* folder; NULL: none */
    bool json;        /* print that, else the table */
    const char *plot; /* file; NULL: none */
} bench_plan;

/* ------------------------------------------------------------------------------------------------- operands --- */

/* Copies of one matrix, which cold cases take in turn. */
typedef struct bench_weights {
    q8k_format format; /* 0: decoded to float32 */
    uint8_t *bytes;
    size_t row_bytes, matrix_bytes;
    size_t copies, copy_bytes; /* from one copy to the next: whole pages */
} bench_weights;

typedef struct bench_data {
    const q8k_context *context;
    size_t rows, cols, batch; /* the largest batch */
    bench_weights weights[BENCH_FORMATS];
    size_t weights_count;
    bench_weights decoded; /* the first of them as float32; copies = 0 if nobody needs it */
    float *input;          /* batch x cols */
    float *output;         /* batch x rows: where every product goes */
    float *expected;       /* the same */
    float *scratch;        /* rows x cols: for weights decoded on the way */
    void *prepared;
    size_t prepared_bytes;
} bench_data;

/* Makes everything but `decoded`. On failure says why; bench_data_free() is due all the same. */
bool bench_data_make(bench_data *data, const q8k_context *context, const bench_plan *plan);
bool bench_data_decode(bench_data *data, const bench_plan *plan);
void bench_data_free(bench_data *data);

/* The rows of the matrix that stays in the caches: that many columns of any format fill half of each thread's L2. */
size_t bench_hot_rows(const bench_plan *plan, size_t threads);

/* The matrix for the turn-th call. */
const void *bench_matrix(const bench_weights *weights, bool cold, size_t turn);

/* ---------------------------------------------------------------------------------------------------- tasks --- */

/* Whose threads compute. They spin for a while after they have: another's must not be timed then. */
typedef enum bench_pool { BENCH_POOL_OWN, BENCH_POOL_OPENBLAS, BENCH_POOL_GGML } bench_pool;

typedef enum bench_kind { BENCH_LIMIT, BENCH_PRODUCT, BENCH_PEER } bench_kind;

/* Something that is timed: a limit of the machine, a product by this library, or the same product by a peer. */
typedef struct bench_task {
    bench_kind kind;
    const char *name; /* of the limit or the peer */
    const bench_data *data;
    const bench_weights *weights; /* NULL for limits */
    bool any_format;              /* stands for products of every format */
    double tolerance;             /* of a peer: largest difference, in units of the rms of the outputs */
    double error;                 /* of a product or a peer: that of its outputs, as bench_check() finds it */
    q8k_precision precision;
    size_t rows, batch, threads;
    bool cold;
    double amount; /* of a limit: what a call does */
    bench_pool pool;
    /* One call: the turn-th. Says what failed. */
    bool (*call)(struct bench_task *task, size_t turn);
    /* Around a measurement; NULL: nothing. */
    void (*begin)(struct bench_task *task);
    void (*end)(struct bench_task *task);
    void *own; /* from malloc(); may be NULL */
    size_t turn, calls, taken;
    double seconds[BENCH_ROUNDS];
} bench_task;

typedef struct bench_tasks {
    bench_task *items;
    size_t count, room;
} bench_tasks;

/* Takes task->own over, on failure too, which is said. */
bool bench_add(bench_tasks *tasks, bench_task task);
void bench_remove(bench_tasks *tasks, size_t index);
void bench_tasks_free(bench_tasks *tasks);

/* Seconds since some moment. */
double bench_now(void);

/* Times all tasks, one after another, round by round. */
bool bench_measure(bench_tasks *tasks, const bench_plan *plan);

/* Seconds per call. */
double bench_median(const bench_task *task);

/* Runs steps on threads, the second (NULL: none) when all threads have done the first. */
typedef void bench_step(void *data, size_t thread, size_t threads);
void bench_on_threads(size_t threads, bench_step *first, bench_step *second, void *data);

/* Whether that many threads can be had; else says so. */
bool bench_start_threads(size_t threads);

/* ------------------------------------------------------------------------------------- what there is to time --- */

bool bench_add_limits(bench_tasks *tasks, const bench_data *data, const bench_plan *plan);
const char *bench_limits_instructions(const q8k_context *context);

/* A task of the kind BENCH_PRODUCT or BENCH_PEER, as the others below start from it. */
bench_task bench_task_make(const bench_data *data, const bench_weights *weights, size_t batch, size_t threads,
                           size_t rows, bool cold);

bool bench_add_product(bench_tasks *tasks, bench_task task, size_t parts);

/* Peers add themselves to the tasks if they can compute this one. Their context may be NULL: the peer is absent. */
bool bench_add_decode_loops(bench_tasks *tasks, bench_task task);
bool bench_add_group_calls(bench_tasks *tasks, bench_task task);

typedef struct bench_openblas bench_openblas;
bench_openblas *bench_openblas_open(void);
void bench_openblas_close(bench_openblas *blas);
bool bench_add_openblas(bench_tasks *tasks, bench_task task, bench_openblas *blas);
bool bench_add_decode_openblas(bench_tasks *tasks, bench_task task, bench_openblas *blas);

typedef struct bench_ggml bench_ggml;
/* NULL if the folder cannot be used, which is said. */
bench_ggml *bench_ggml_open(const char *folder);
void bench_ggml_close(bench_ggml *ggml);
bool bench_add_ggml(bench_tasks *tasks, bench_task task, bench_ggml *ggml);
bool bench_add_ggml_repack(bench_tasks *tasks, bench_task task, bench_ggml *ggml);

/* Finds the errors of all products, and removes the peers whose products are wrong, saying so. False if something else
 * failed. */
bool bench_check(bench_tasks *tasks, bench_data *data);

/* ------------------------------------------------------------------------------------------------- the report --- */

/* Prints the report, then draws the picture if one is wanted. Returns an exit status. */
int bench_report(const bench_tasks *tasks, const bench_plan *plan, const bench_data *data);

#endif
