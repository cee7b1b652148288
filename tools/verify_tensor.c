/* SPDX-License-Identifier: MIT */
/* Rows are taken some at a time, which bounds the memory. What each backend computes is compared with the first one's,
 * whose errors are measured: they are then everyone's. */
#include "verify_tensor.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "definition.h"
#include "input.h"

/* Of blocks at a time; and of a tensor, how many rows are held against the slow definition. A thread
 * multiplies some rows. */
enum { STEP_BYTES = 1 << 20, DEFINED_ROWS = 32, PART_ROWS = 64, BLOCK = 256 };

static const float unwritten = -12345;

/* Some rows, and what is known about them. */
typedef struct step {
    const verify_backends *all;
    const gguf_tensor *tensor;
    const float *input;
    size_t row, rows, cols;
    uint8_t *blocks;
    float *decoded, *other; /* rows x cols */
    double *products;       /* VERIFY_BATCH x rows */
    float *outputs, *again; /* VERIFY_BATCH x rows */
    verify_outcome *outcome;
} step;

__attribute__((format(printf, 2, 3))) static void note(verify_outcome *outcome, const char *format, ...) {
    va_list arguments;
    outcome->wrong++;
    if (outcome->first[0] == '\0') {
        va_start(arguments, format);
        vsnprintf(outcome->first, sizeof outcome->first, format, arguments);
        va_end(arguments);
    }
}

static bool same_bits(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* ---- what is right ---- */

static void know_row(const step *s, size_t row) {
    float *weights = s->decoded + row * s->cols;
    for (size_t k = 0; k < s->cols; k += BLOCK) {
        definition_decode(s->tensor->format,
                          s->blocks + row * (size_t)s->tensor->row_bytes +
                              k / BLOCK * q8k_format_block_bytes(s->tensor->format),
                          weights + k);
    }
    for (size_t b = 0; b < VERIFY_BATCH; b++) {
        double sum = 0;
        for (size_t k = 0; k < s->cols; k++) {
            sum += (double)weights[k] * (double)s->input[b * s->cols + k];
        }
        s->products[b * s->rows + row] = sum;
    }
}

static void know_rows(const step *s) {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (size_t row = 0; row < s->rows; row++) {
        know_row(s, row);
    }
    for (size_t i = 0; i < VERIFY_BATCH * s->rows; i++) {
        bool finite = isfinite(s->products[i]);
        s->outcome->products++;
        s->outcome->not_finite += !finite;
        s->outcome->squares += finite ? s->products[i] * s->products[i] : 0;
    }
}

/* ---- what is computed ---- */

static void check_decode(const step *s, const q8k_context *context) {
    q8k_dequantize_args args = {
        .size = sizeof args,
        .format = s->tensor->format,
        .rows = s->rows,
        .cols = s->cols,
        .weights = s->blocks,
        .weights_bytes = s->rows * (size_t)s->tensor->row_bytes,
        .output = s->other,
    };
    if (q8k_dequantize(context, &args) != Q8K_OK) {
        note(s->outcome, "%s: %s", q8k_context_backend(context), q8k_last_error());
        return;
    }
    for (size_t i = 0; i < s->rows * s->cols; i++) {
        if (!same_bits(s->other[i], s->decoded[i])) {
            note(s->outcome, "%s, decode, row %zu, column %zu: %.9g, not %.9g", q8k_context_backend(context),
                 s->row + i / s->cols, i % s->cols, (double)s->other[i], (double)s->decoded[i]);
        }
    }
}

/* Some of the rows. */
static bool multiply_rows(const step *s, const q8k_context *context, q8k_precision precision, size_t batch,
                          size_t first, float *to) {
    size_t left = s->rows - first, rows = left < PART_ROWS ? left : PART_ROWS;
    q8k_matmul_args args = {
        .size = sizeof args,
        .format = s->tensor->format,
        .precision = precision,
        .out_features = rows,
        .in_features = s->cols,
        .batch = batch,
        .weights = s->blocks + first * (size_t)s->tensor->row_bytes,
        .weights_bytes = rows * (size_t)s->tensor->row_bytes,
        .input = s->input,
        .output = to + first,
        .output_stride = s->rows,
    };
    return q8k_matmul(context, &args) == Q8K_OK;
}

static void multiply(const step *s, const q8k_context *context, q8k_precision precision, size_t batch, float *to) {
    for (size_t i = 0; i < batch * s->rows; i++) {
        to[i] = unwritten;
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (size_t first = 0; first < s->rows; first += PART_ROWS) {
        if (!multiply_rows(s, context, precision, batch, first, to)) {
#ifdef _OPENMP
#pragma omp critical
#endif
            note(s->outcome, "%s: %s", q8k_context_backend(context), q8k_last_error());
        }
    }
}

static void compare(const step *s, const q8k_context *context, q8k_precision precision, size_t batch) {
    for (size_t i = 0; i < batch * s->rows; i++) {
        if (!same_bits(s->again[i], s->outputs[i])) {
            note(s->outcome, "%s, %s, batch %zu, row %zu, batch row %zu: %.9g, not %.9g as %s",
                 q8k_context_backend(context), q8k_precision_name(precision), batch, s->row + i % s->rows, i / s->rows,
                 (double)s->again[i], (double)s->outputs[i], q8k_context_backend(s->all->contexts[0]));
        }
    }
}

/* One row of activations, of the outputs on the first backend. */
static void check_definition(const step *s, q8k_precision precision, size_t row) {
    const uint8_t *blocks = s->blocks + row * (size_t)s->tensor->row_bytes;
    float value = s->outputs[row];
    float wanted = definition_accumulate(s->tensor->format, precision, s->cols / BLOCK, blocks, s->input, 0);
    definition_exact exact = definition_product(s->tensor->format, precision, s->cols / BLOCK, blocks, s->input);
    bool kept = !exact.promised || fabs((double)value - exact.product) <= exact.bound;
    if (!same_bits(value, wanted) || !kept) {
        note(s->outcome, "%s, %s, row %zu: %.9g, not %.9g as defined; exact %.17g, bound %.3g",
             q8k_context_backend(s->all->contexts[0]), q8k_precision_name(precision), s->row + row, (double)value,
             (double)wanted, exact.product, exact.bound);
    }
}

/* Rows spread over the tensor, the first and the last among them. */
static void check_definitions(const step *s, q8k_precision precision) {
    size_t all = (size_t)s->tensor->rows, count = all < DEFINED_ROWS ? all : DEFINED_ROWS;
    for (size_t i = 0; i < count; i++) {
        size_t row = count > 1 ? (size_t)((double)(all - 1) * (double)i / (double)(count - 1)) : 0;
        if (row >= s->row && row - s->row < s->rows) {
            check_definition(s, precision, row - s->row);
        }
    }
}

static void measure(const step *s, q8k_precision precision) {
    verify_error *error = &s->outcome->errors[precision];
    for (size_t i = 0; i < VERIFY_BATCH * s->rows; i++) {
        double difference = fabs((double)s->outputs[i] - s->products[i]);
        if (isfinite(s->products[i])) {
            error->squares += difference * difference;
            /* Not fmax(), which hides a NaN. */
            error->worst = difference <= error->worst ? error->worst : difference;
        }
    }
}

static void check_rows(const step *s) {
    know_rows(s);
    for (size_t i = 0; i < s->all->count; i++) {
        check_decode(s, s->all->contexts[i]);
    }
    for (q8k_precision precision = 0; precision < VERIFY_PRECISIONS; precision++) {
        multiply(s, s->all->contexts[0], precision, VERIFY_BATCH, s->outputs);
        check_definitions(s, precision);
        measure(s, precision);
        for (size_t i = 0; i < s->all->count; i++) {
            /* One row of activations takes other ways through the kernels than several. */
            for (size_t batch = 1; batch <= (i > 0 ? VERIFY_BATCH : 1); batch += VERIFY_BATCH - 1) {
                multiply(s, s->all->contexts[i], precision, batch, s->again);
                compare(s, s->all->contexts[i], precision, batch);
            }
        }
    }
}

bool verify_tensor(const verify_backends *all, const weights_file *file, const gguf_tensor *tensor, const float *input,
                   verify_outcome *outcome, char error[WEIGHTS_ERROR_BYTES]) {
    step s = {.all = all, .tensor = tensor, .input = input, .cols = (size_t)tensor->cols, .outcome = outcome};
    size_t row_bytes = (size_t)tensor->row_bytes, rows = (size_t)tensor->rows;
    size_t most = row_bytes < STEP_BYTES ? STEP_BYTES / row_bytes : 1;
    *outcome = (verify_outcome){.products = 0};
    most = most < rows ? most : rows;
    s.blocks = malloc(most * row_bytes);
    s.decoded = malloc(most * s.cols * sizeof *s.decoded);
    s.other = malloc(most * s.cols * sizeof *s.other);
    s.products = malloc(VERIFY_BATCH * most * sizeof *s.products);
    s.outputs = malloc(VERIFY_BATCH * most * sizeof *s.outputs);
    s.again = malloc(VERIFY_BATCH * most * sizeof *s.again);
    bool good = s.blocks != NULL && s.decoded != NULL && s.other != NULL && s.products != NULL && s.outputs != NULL &&
                s.again != NULL;
    good = good || input_refuse(file->path, "no memory for rows of weights", error);
    for (s.row = 0; good && s.row < rows; s.row += s.rows) {
        s.rows = rows - s.row < most ? rows - s.row : most;
        good = weights_bytes(file, tensor, s.row * tensor->row_bytes, s.rows * row_bytes, s.blocks, error);
        if (good) {
            check_rows(&s);
        }
    }
    free(s.blocks);
    free(s.decoded);
    free(s.other);
    free(s.products);
    free(s.outputs);
    free(s.again);
    return good;
}
