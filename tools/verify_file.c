/* SPDX-License-Identifier: MIT */
#include "verify_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "patterns.h"
#include "progress.h"
#include "verify_case.h"
#include "verify_tensor.h"

enum { SHOWN_PATH_BYTES = 512, SHAPE_BYTES = 48, LEAST_WIDTH = 6, MOST_WIDTH = 48 };

/* What is to be done. */
typedef struct plan {
    size_t tensors, left_out;
    uint64_t bytes;
    int width; /* of names */
} plan;

static plan make_plan(const weights_file *file, const command_arguments *arguments) {
    plan p = {.width = LEAST_WIDTH};
    for (size_t i = 0; i < weights_count(file); i++) {
        char name[WEIGHTS_NAME_BYTES];
        gguf_tensor tensor = weights_at(file, i);
        if (tensor.format == 0 || !patterns_choose(&arguments->tensors, &tensor)) {
            p.left_out++;
            continue;
        }
        int width = (int)strlen(weights_name(&tensor, name));
        p.width = width > p.width && width <= MOST_WIDTH ? width : p.width;
        p.bytes += tensor.bytes;
        p.tensors++;
    }
    return p;
}

static void print_head(const verify_backends *all, const command_arguments *arguments, const plan *p) {
    char shown[SHOWN_PATH_BYTES];
    printf("libq8k %s, seed %llu, %s, on", q8k_version(), (unsigned long long)arguments->seed,
           escape_path(shown, sizeof shown, arguments->files[0]));
    for (size_t i = 0; i < all->count; i++) {
        printf(" %s", q8k_context_backend(all->contexts[i]));
    }
    printf("\n\n%-*s  %-6s  %-13s", p->width, "tensor", "format", "shape");
    for (q8k_precision precision = 0; precision < VERIFY_PRECISIONS; precision++) {
        printf("  %9s  %9s", q8k_precision_name(precision), "worst");
    }
    printf("  bits\n");
}

static void print_outcome(const gguf_tensor *tensor, const verify_outcome *outcome, int width) {
    char name[WEIGHTS_NAME_BYTES], shape[SHAPE_BYTES];
    double rms = sqrt(outcome->squares / (double)(outcome->products - outcome->not_finite));
    snprintf(shape, sizeof shape, "%" PRIu64 "x%" PRIu64, tensor->rows, tensor->cols);
    printf("%-*s  %-6s  %-13s", width, weights_name(tensor, name), q8k_format_name(tensor->format), shape);
    for (int i = 0; i < VERIFY_PRECISIONS; i++) {
        const verify_error *error = &outcome->errors[i];
        printf("  %9.2e  %9.2e", outcome->squares > 0 ? sqrt(error->squares / outcome->squares) : 0,
               outcome->squares > 0 ? error->worst / rms : 0);
    }
    printf("  %s", outcome->wrong == 0 ? "same" : "WRONG");
    if (outcome->not_finite > 0) {
        printf(", %zu of %zu products not finite", outcome->not_finite, outcome->products);
    }
    printf("\n");
    fflush(stdout);
}

/* Activations of a width, for one tensor. */
static float *make_input(size_t cols, uint64_t seed) {
    float *input =
        cols <= PTRDIFF_MAX / sizeof(float) / VERIFY_BATCH ? malloc(VERIFY_BATCH * cols * sizeof *input) : NULL;
    uint64_t state = seed;
    for (size_t i = 0; input != NULL && i < VERIFY_BATCH * cols; i++) {
        input[i] = verify_normal(&state);
    }
    return input;
}

static bool verify_one(const verify_backends *all, const weights_file *file, const gguf_tensor *tensor,
                       const command_arguments *arguments, const plan *p, progress *bar) {
    char name[WEIGHTS_NAME_BYTES], error[WEIGHTS_ERROR_BYTES] = "no memory for activations";
    verify_outcome outcome;
    weights_name(tensor, name);
    float *input = make_input((size_t)tensor->cols, arguments->seed);
    bool good = input != NULL && verify_tensor(all, file, tensor, input, &outcome, error);
    free(input);
    progress_clear(bar);
    if (!good) {
        command_say("%s", error);
        return false;
    }
    print_outcome(tensor, &outcome, p->width);
    if (outcome.wrong > 0) {
        command_say("%s: %zu values are not what is promised; first: %s", name, outcome.wrong, outcome.first);
    }
    progress_step(bar, tensor->bytes, name);
    return outcome.wrong == 0;
}

static bool verify_tensors(const verify_backends *all, const weights_file *file, const command_arguments *arguments) {
    plan p = make_plan(file, arguments);
    progress bar;
    char shown[SHOWN_PATH_BYTES];
    bool good = true;
    if (file->is_npy) {
        command_say("%s: is a .npy file (limit GGUF, which says in what format its tensors are)",
                    escape_path(shown, sizeof shown, arguments->files[0]));
        return false;
    }
    if (p.tensors == 0) {
        command_say("%s: none of its tensors%s has a format of libq8k (limit one at least)",
                    escape_path(shown, sizeof shown, arguments->files[0]),
                    arguments->tensors.count > 0 ? " that --tensor chooses" : "");
        return false;
    }
    print_head(all, arguments, &p);
    progress_begin(&bar, p.bytes, false);
    for (size_t i = 0; i < weights_count(file); i++) {
        gguf_tensor tensor = weights_at(file, i);
        if (tensor.format != 0 && patterns_choose(&arguments->tensors, &tensor)) {
            good = verify_one(all, file, &tensor, arguments, &p, &bar) && good;
        }
    }
    progress_clear(&bar);
    printf(
        "\n%zu tensors, %zu left out. Errors are against products of the decoded weights in double precision, by %d\n"
        "rows of random activations: the root mean square, and the largest, both relative to the root mean square\n"
        "of the products. Bits: the same on all backends; of up to 32 rows of a tensor those of the definition, and\n"
        "within the bound.\n%s\n",
        p.tensors, p.left_out, VERIFY_BATCH,
        good ? "All promises are kept." : "PROMISES ARE BROKEN: see the messages.");
    return good;
}

bool verify_file(const verify_backends *all, const command_arguments *arguments) {
    char error[WEIGHTS_ERROR_BYTES];
    weights_file file;
    if (!weights_open(&file, arguments->files[0], error)) {
        command_say("%s", error);
        return false;
    }
    bool good = verify_tensors(all, &file, arguments);
    weights_close(&file);
    return good;
}
