/* SPDX-License-Identifier: MIT */
/* The library's own products, timed as an engine runs them: prepare on all threads, wait, multiply on all. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct product {
    const bench_data *data;
    q8k_input_args input;
    q8k_matmul_args matmul;
    size_t parts;
    char error[512]; /* of the first part that failed; "" if none did */
} product;

static void keep_error(product *p, q8k_status status) {
    if (status == Q8K_OK) {
        return;
    }
#ifdef _OPENMP
#pragma omp critical
#endif
    if (p->error[0] == '\0') {
        snprintf(p->error, sizeof p->error, "%s", q8k_last_error());
    }
}

static void prepare(void *own, size_t thread, size_t threads) {
    product *p = own;
    const bench_data *data = p->data;
    keep_error(p, q8k_input_prepare(data->context, &p->input, data->prepared, data->prepared_bytes, thread, threads));
}

static void multiply(void *own, size_t thread, size_t threads) {
    product *p = own;
    const bench_data *data = p->data;
    size_t end = (thread + 1) * p->parts / threads;
    for (size_t part = thread * p->parts / threads; part < end; part++) {
        keep_error(
            p, q8k_matmul_prepared(data->context, &p->matmul, data->prepared, data->prepared_bytes, part, p->parts));
    }
}

static bool call(bench_task *task, size_t turn) {
    product *p = task->own;
    p->matmul.weights = bench_matrix(task->weights, task->cold, turn);
    bench_on_threads(task->threads, prepare, multiply, p);
    if (p->error[0] != '\0') {
        command_say("%s", p->error);
    }
    return p->error[0] == '\0';
}

bench_task bench_task_make(const bench_data *data, const bench_weights *weights, size_t batch, size_t threads,
                           size_t rows, bool cold) {
    return (bench_task){.kind = BENCH_PEER,
                        .data = data,
                        .weights = weights,
                        .rows = rows,
                        .batch = batch,
                        .threads = threads,
                        .cold = cold};
}

bool bench_add_product(bench_tasks *tasks, bench_task task, size_t parts) {
    product *p = malloc(sizeof *p);
    if (p == NULL) {
        command_say("no memory");
        return false;
    }
    *p = (product){.data = task.data, .parts = parts > 0 ? parts : task.threads};
    p->input = (q8k_input_args){.size = sizeof p->input,
                                .precision = task.precision,
                                .in_features = task.data->cols,
                                .batch = task.batch,
                                .input = task.data->input};
    p->matmul = (q8k_matmul_args){.size = sizeof p->matmul,
                                  .format = task.weights->format,
                                  .precision = task.precision,
                                  .out_features = task.rows,
                                  .in_features = task.data->cols,
                                  .batch = task.batch,
                                  .weights_bytes = task.rows * task.weights->row_bytes,
                                  .output = task.data->output};
    task.kind = BENCH_PRODUCT;
    task.call = call;
    task.own = p;
    return bench_add(tasks, task);
}
