/* SPDX-License-Identifier: MIT */
/* Whether peers compute the product that they are timed for, and how exactly all do. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the product in double precision: rows of weights, and of activations. */
enum { EXACT_ROWS = 64, EXACT_BATCH = 16 };

/* The weights, rows and batch that `expected` holds the product of. */
typedef struct expectation {
    const bench_weights *weights;
    size_t rows, batch;
    double rms;
    size_t exact_rows, exact_batch; /* at most those above */
    double exact[EXACT_BATCH][EXACT_ROWS];
} expectation;

static void multiply_exactly(expectation *have, const float *weights, const float *input, size_t cols) {
    for (size_t b = 0; b < have->exact_batch; b++) {
        for (size_t r = 0; r < have->exact_rows; r++) {
            double sum = 0;
            for (size_t k = 0; k < cols; k++) {
                sum += (double)weights[r * cols + k] * (double)input[b * cols + k];
            }
            have->exact[b][r] = sum;
        }
    }
}

/* Some of the product of the decoded weights in double precision. */
static bool expect_exactly(expectation *have, const bench_task *task, const bench_data *data) {
    have->exact_rows = task->rows < EXACT_ROWS ? task->rows : EXACT_ROWS;
    have->exact_batch = task->batch < EXACT_BATCH ? task->batch : EXACT_BATCH;
    float *weights = malloc(have->exact_rows * data->cols * sizeof *weights);
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = task->weights->format,
                                .rows = have->exact_rows,
                                .cols = data->cols,
                                .weights = task->weights->bytes,
                                .weights_bytes = have->exact_rows * task->weights->row_bytes,
                                .output = weights};
    bool good = weights != NULL && q8k_dequantize(data->context, &args) == Q8K_OK;
    if (good) {
        multiply_exactly(have, weights, data->input, data->cols);
    } else {
        command_say("%s", weights == NULL ? "no memory for decoded weights" : q8k_last_error());
    }
    free(weights);
    return good;
}

/* The root mean square of the differences from it, in units of its own. */
static double exact_error(const expectation *have, const float *output) {
    double squares = 0, differences = 0;
    for (size_t b = 0; b < have->exact_batch; b++) {
        for (size_t r = 0; r < have->exact_rows; r++) {
            double exact = have->exact[b][r], difference = (double)output[b * have->rows + r] - exact;
            squares += exact * exact;
            differences += difference * difference;
        }
    }
    return sqrt(differences / squares);
}

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
    have->weights = task->weights;
    have->rows = task->rows;
    have->batch = task->batch;
    have->rms = sqrt(squares / (double)outputs);
    return expect_exactly(have, task, data);
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

/* Computes the product once. False for a failure, which is said. */
static bool compute(bench_task *task, bench_data *data, const expectation *have) {
    /* Bytes of all ones are NaN. */
    memset(data->output, 0xff, task->batch * task->rows * sizeof *data->output);
    if (task->begin != NULL) {
        task->begin(task);
    }
    bool good = task->call(task, 0);
    if (task->end != NULL) {
        task->end(task);
    }
    task->error = exact_error(have, data->output);
    return good;
}

static bool same_product(const bench_task *task, const bench_data *data, const expectation *have) {
    const size_t outputs = task->batch * task->rows;
    double difference = largest_difference(data, outputs, have->rms);
    if (difference > task->tolerance) {
        command_say("%s is left out at batch %zu on %zu threads (%s): its product is wrong by %.2g of the outputs' rms "
                    "(limit %.2g)",
                    task->name, task->batch, task->threads, q8k_format_name(task->weights->format), difference,
                    task->tolerance);
    }
    return difference <= task->tolerance;
}

/* The library's products are the same on any number of threads, and need not be computed on each. */
static const bench_task *find_same(const bench_tasks *tasks, size_t before) {
    const bench_task *task = &tasks->items[before];
    for (size_t i = 0; i < before; i++) {
        const bench_task *other = &tasks->items[i];
        if (other->kind == BENCH_PRODUCT && other->weights == task->weights && other->precision == task->precision &&
            other->rows == task->rows && other->batch == task->batch) {
            return other;
        }
    }
    return NULL;
}

bool bench_check(bench_tasks *tasks, bench_data *data) {
    expectation have = {.weights = NULL};
    for (size_t i = 0; i < tasks->count;) {
        bench_task *task = &tasks->items[i];
        const bench_task *same = task->kind == BENCH_PRODUCT ? find_same(tasks, i) : NULL;
        if (task->kind == BENCH_LIMIT || same != NULL) {
            task->error = same != NULL ? same->error : 0;
            i++;
            continue;
        }
        if (!expect(&have, task, data) || !compute(task, data, &have)) {
            return false;
        }
        if (task->kind == BENCH_PRODUCT || same_product(task, data, &have)) {
            i++;
        } else {
            bench_remove(tasks, i);
        }
    }
    return true;
}
