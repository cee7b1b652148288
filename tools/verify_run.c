/* SPDX-License-Identifier: MIT */
#include "verify_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What no case computes; outputs that are never written show. */
static const float unwritten = -12345;

double verify_share(double error, double bound) {
    if (error == 0) {
        return 0;
    }
    double share = error / bound;
    return isnan(share) ? INFINITY : share;
}

static bool same_bits(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void note_call(verify_tally *tally, const char *what) {
    if (tally->first[0] == '\0') {
        snprintf(tally->first, sizeof tally->first, "%s: %s", what, q8k_last_error());
    }
    tally->broken++;
}

/* Whether a value keeps the promises for output i of a case; false for NaN where there is a promise. */
static bool keeps_promises(const verify_case *c, size_t i, float value, verify_tally *tally) {
    const definition_exact *exact = &c->exact[i];
    double unit = 0x1p-24 * exact->magnitude, error = fabs((double)value - exact->product);
    if (!exact->promised) {
        return true;
    }
    if (verify_share(error, exact->bound) >= verify_share(tally->error, tally->bound)) {
        tally->error = error;
        tally->bound = exact->bound;
    }
    bool kept = error <= exact->bound;
    if (c->kind == VERIFY_RANDOM && c->precision == Q8K_PRECISION_FLOAT) {
        tally->units = fmax(tally->units, verify_share(error, unit));
        kept = kept && error <= VERIFY_UNITS * unit;
    }
    return kept;
}

static void judge(const verify_case *c, size_t i, float value, const char *how, verify_tally *tally) {
    bool same = same_bits(value, c->output[i]), kept = keeps_promises(c, i, value, tally);
    tally->values++;
    tally->different += !same;
    tally->broken += !kept;
    if ((!same || !kept) && tally->first[0] == '\0') {
        snprintf(
            tally->first, sizeof tally->first,
            "%s case, %s, weight row %zu, batch row %zu: %.9g (0x%08x), not %.9g (0x%08x); exact %.17g, bound %.3g",
            verify_kind_name(c->kind), how, i % c->rows, i / c->rows, (double)value, bits_of(value),
            (double)c->output[i], bits_of(c->output[i]), c->exact[i].product, c->exact[i].bound);
    }
}

static void judge_all(const verify_case *c, size_t batch, const float *output, const char *how, verify_tally *tally) {
    for (size_t i = 0; i < batch * c->rows; i++) {
        judge(c, i, output[i], how, tally);
    }
}

static q8k_matmul_args matmul_args(const verify_case *c, size_t batch, float *output) {
    for (size_t i = 0; i < batch * c->rows; i++) {
        output[i] = unwritten;
    }
    return (q8k_matmul_args){
        .size = sizeof(q8k_matmul_args),
        .format = c->format,
        .precision = c->precision,
        .out_features = c->rows,
        .in_features = c->blocks * 256,
        .batch = batch,
        .weights = c->weights,
        .weights_bytes = c->rows * c->blocks * definition_block_bytes(c->format),
        .input = c->input,
        .output = output,
    };
}

/* The whole product in one call. */
static void run_whole(const q8k_context *context, const verify_case *c, size_t batch, float *output,
                      verify_tally *tally) {
    char how[64];
    q8k_matmul_args args = matmul_args(c, batch, output);
    snprintf(how, sizeof how, "batch %zu", batch);
    if (q8k_matmul(context, &args) != Q8K_OK) {
        note_call(tally, how);
    }
    judge_all(c, batch, output, how, tally);
}

/* The product in parts, the last one first. */
static bool run_parts(const q8k_context *context, const verify_case *c, size_t batch, size_t parts, float *output,
                      verify_tally *tally) {
    char how[64];
    q8k_matmul_args args = matmul_args(c, batch, output);
    q8k_input_args input = {
        .size = sizeof input,
        .precision = c->precision,
        .in_features = args.in_features,
        .batch = batch,
        .input = c->input,
    };
    size_t bytes = 0;
    snprintf(how, sizeof how, "batch %zu in %zu parts", batch, parts);
    bool good = q8k_input_bytes(context, &input, &bytes) == Q8K_OK;
    void *prepared = malloc(bytes > 0 ? bytes : 1);
    if (prepared == NULL) {
        return false;
    }
    for (size_t part = parts; good && part-- > 0;) {
        good = q8k_input_prepare(context, &input, prepared, bytes, part, parts) == Q8K_OK;
    }
    for (size_t part = parts; good && part-- > 0;) {
        good = q8k_matmul_prepared(context, &args, prepared, bytes, part, parts) == Q8K_OK;
    }
    free(prepared);
    if (!good) {
        note_call(tally, how);
    }
    judge_all(c, batch, output, how, tally);
    return true;
}

/* Every output by itself, its blocks added in two calls. */
static void run_rows(const q8k_context *context, const verify_case *c, verify_tally *tally) {
    size_t block_bytes = definition_block_bytes(c->format);
    for (size_t i = 0; i < c->batch * c->rows; i++) {
        const uint8_t *row = c->weights + i % c->rows * c->blocks * block_bytes;
        const float *input = c->input + i / c->rows * c->blocks * 256;
        float sum = 0;
        for (size_t first = 0, count = 1; first < c->blocks; first += count, count = c->blocks - 1) {
            q8k_accumulate_args args = {
                .size = sizeof args,
                .format = c->format,
                .precision = c->precision,
                .in_features = count * 256,
                .weights = row + first * block_bytes,
                .weights_bytes = count * block_bytes,
                .input = input + first * 256,
                .sum = &sum,
            };
            if (q8k_accumulate(context, &args) != Q8K_OK) {
                note_call(tally, "accumulate");
            }
        }
        judge(c, i, sum, "accumulate", tally);
    }
}

bool verify_products(const q8k_context *context, const verify_case *c, verify_tally *tally) {
    static const size_t batches[] = {1, 2, 3, 5, 17}, parts[] = {1, 2, 3, 7, 64};
    float *output = malloc(c->batch * c->rows * sizeof *output);
    bool good = output != NULL;
    for (size_t b = 0; good && b < sizeof batches / sizeof *batches; b++) {
        run_whole(context, c, batches[b], output, tally);
        for (size_t p = 0; good && p < sizeof parts / sizeof *parts; p++) {
            good = run_parts(context, c, batches[b], parts[p], output, tally);
        }
    }
    if (good) {
        run_rows(context, c, tally);
    }
    free(output);
    return good;
}

bool verify_decode(const q8k_context *context, const verify_case *c, verify_tally *tally) {
    size_t cols = c->blocks * 256, count = c->rows * cols;
    float *output = malloc(count * sizeof *output);
    if (output == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        output[i] = unwritten;
    }
    q8k_dequantize_args args = {
        .size = sizeof args,
        .format = c->format,
        .rows = c->rows,
        .cols = cols,
        .weights = c->weights,
        .weights_bytes = c->rows * c->blocks * definition_block_bytes(c->format),
        .output = output,
    };
    if (q8k_dequantize(context, &args) != Q8K_OK) {
        note_call(tally, "decode");
    }
    for (size_t i = 0; i < count; i++) {
        bool same = same_bits(output[i], c->decoded[i]);
        tally->values++;
        tally->different += !same;
        if (!same && tally->first[0] == '\0') {
            snprintf(tally->first, sizeof tally->first,
                     "%s case, weight row %zu, column %zu: %.9g (0x%08x), not %.9g "
                     "(0x%08x)",
                     verify_kind_name(c->kind), i / cols, i % cols, (double)output[i], bits_of(output[i]),
                     (double)c->decoded[i], bits_of(c->decoded[i]));
        }
    }
    free(output);
    return true;
}
