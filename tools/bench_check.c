/* SPDX-License-Identifier: MIT */
/* Whether peers compute the product that they are timed for. */
#include "bench.h"

#include <math.h>
#include <string.h>

/* The weights, rows and batch that `expected` holds the product of. */
typedef struct expectation {
    const bench_weights *weights;
    size_t rows, batch;
    double rms;
} expectation;

static bool expect(expectation *have, const bench_task *task, bench_data *data) {
    const size_t outputs = task->batch * task->rows;
    if (have->weights == task->weights && have->rows == task->rows && have->batch == task->batch) {
        return true;
    }
    q8k_matmul_args args = {.size = sizeof args,
                            .format = task->weights->format,
                            .out_features = task->rows,
                            .in_features = data->cols,
                            .batch = task->batch,
                            .weights = task->weights->bytes,
                            .weights_bytes = task->rows * task->weights->row_bytes,
                            .input = data->input,
                            .output = data->expected};
    if (q8k_matmul(data->context, &args) != Q8K_OK) {
        command_say("%s", q8k_last_error());
        return false;
    }
    double squares = 0;
    for (size_t i = 0; i < outputs; i++) {
        squares += (double)data->expected[i] * (double)data->expected[i];
    }
    *have = (expectation){task->weights, task->rows, task->batch, sqrt(squares / (double)outputs)};
    return true;
}

/* The largest difference, in units of the rms of what is expected; infinite where one is not a number. */
static double largest_difference(const bench_data *data, size_t outputs, double rms) {
    double largest = 0;
    for (size_t i = 0; i < outputs; i++) {
        double difference = fabs((double)data->output[i] - (double)data->expected[i]) / rms;
        if (!(difference <= largest)) {
            largest = isnan(difference) ? INFINITY : difference;
        }
    }
    return largest;
}

static bool same_product(bench_task *task, bench_data *data, const expectation *have, bool *good) {
    const size_t outputs = task->batch * task->rows;
    /* Bytes of all ones are NaN. */
    memset(data->output, 0xff, outputs * sizeof *data->output);
    if (task->begin != NULL) {
        task->begin(task);
    }
    *good = task->call(task, 0);
    if (task->end != NULL) {
        task->end(task);
    }
    double difference = largest_difference(data, outputs, have->rms);
    if (*good && difference > task->tolerance) {
        command_say("%s is left out at batch %zu on %zu threads (%s): its product is wrong by %.2g of the outputs' rms "
                    "(limit %.2g)",
                    task->name, task->batch, task->threads, q8k_format_name(task->weights->format), difference,
                    task->tolerance);
    }
    return difference <= task->tolerance;
}

bool bench_check_peers(bench_tasks *tasks, bench_data *data) {
    expectation have = {.weights = NULL};
    bool good = true;
    for (size_t i = 0; good && i < tasks->count;) {
        bench_task *task = &tasks->items[i];
        if (task->kind != BENCH_PEER) {
            i++;
            continue;
        }
        if (!expect(&have, task, data)) {
            return false;
        }
        if (same_product(task, data, &have, &good)) {
            i++;
        } else {
            bench_remove(tasks, i);
        }
    }
    return good;
}
