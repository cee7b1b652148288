/* SPDX-License-Identifier: MIT */
/*
 * The golden vectors on every backend that works here: decoded weights and products, to the bit. It needs neither Check nor
 * the command, so it runs wherever the library does: with other C libraries, linked statically, on another kind of CPU.
 *
 *     golden_bits FOLDER    the folder `vectors` of the tests (default: that in Q8K_TEST_DATA)
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <q8k/q8k.h>

#include "tools/npy.h"

static size_t passed, failed;

static _Noreturn void stop(const char *text, ...) {
    va_list arguments;
    va_start(arguments, text);
    fputs("golden_bits: ", stderr);
    vfprintf(stderr, text, arguments);
    fputc('\n', stderr);
    exit(2);
}

static npy_array read_array(const char *folder, const char *name, npy_type type) {
    char path[4096], error[NPY_ERROR_BYTES];
    npy_array array;
    if (snprintf(path, sizeof path, "%s/%s.npy", folder, name) >= (int)sizeof path)
        stop("%s: too long", folder);
    if (!npy_read(path, &array, error))
        stop("%s", error);
    if (array.type != type)
        stop("%s: %s (expected %s)", path, npy_descr(array.type), npy_descr(type));
    return array;
}

/* Where one is NaN the other must be; which NaN is not said. */
static void compare(const char *what, const float *got, const npy_array *wanted) {
    const float *golden = wanted->data;
    const size_t count = wanted->rows * wanted->cols;
    size_t i = 0;
    while (i < count && (memcmp(&got[i], &golden[i], sizeof *got) == 0 || (isnan(got[i]) && isnan(golden[i]))))
        i++;
    if (i == count && count > 0) {
        printf("ok: %s: %zu values\n", what, count);
        passed++;
    } else {
        printf("FAILED: %s: value %zu of %zu is %a, not %a\n", what, i, count, i < count ? (double)got[i] : 0.0,
               i < count ? (double)golden[i] : 0.0);
        failed++;
    }
}

static float *need_floats(size_t count) {
    float *floats = calloc(count, sizeof *floats);
    if (floats == NULL)
        stop("no memory for %zu floats", count);
    return floats;
}

static void multiply(const q8k_context *context, const q8k_matmul_args *product, const char *folder, const char *what) {
    for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++) {
        char name[256];
        npy_array wanted = read_array(folder, q8k_precision_name(precision), NPY_FLOAT32);
        q8k_matmul_args args = *product;
        if (wanted.rows != args.batch || wanted.cols != args.out_features)
            stop("%s/%s.npy: %zu x %zu (expected %zu x %zu)", folder, q8k_precision_name(precision), wanted.rows,
                 wanted.cols, args.batch, args.out_features);
        args.precision = precision;
        args.output = need_floats(args.batch * args.out_features);
        if (q8k_matmul(context, &args) != Q8K_OK)
            stop("%s: %s", what, q8k_last_error());
        snprintf(name, sizeof name, "%s, product, %s", what, q8k_precision_name(precision));
        compare(name, args.output, &wanted);
        free(args.output);
        npy_free(&wanted);
    }
}

static void check_vectors(const q8k_context *context, q8k_format format, const char *folder, const char *what) {
    char name[256];
    npy_array blocks = read_array(folder, "blocks", NPY_UINT8), input = read_array(folder, "input", NPY_FLOAT32);
    npy_array decoded = read_array(folder, "dequant", NPY_FLOAT32);
    q8k_dequantize_args d = {.size = sizeof d,
                             .format = format,
                             .rows = blocks.rows,
                             .cols = input.cols,
                             .weights = blocks.data,
                             .weights_bytes = blocks.rows * blocks.cols,
                             .output = need_floats(blocks.rows * input.cols)};
    q8k_matmul_args m = {.size = sizeof m,
                         .format = format,
                         .out_features = blocks.rows,
                         .in_features = input.cols,
                         .batch = input.rows,
                         .weights = blocks.data,
                         .weights_bytes = blocks.rows * blocks.cols,
                         .input = input.data};
    if (decoded.rows != blocks.rows || decoded.cols != input.cols)
        stop("%s/dequant.npy: %zu x %zu (expected %zu x %zu)", folder, decoded.rows, decoded.cols, blocks.rows,
             input.cols);
    if (q8k_dequantize(context, &d) != Q8K_OK)
        stop("%s: %s", what, q8k_last_error());
    snprintf(name, sizeof name, "%s, decoded", what);
    compare(name, d.output, &decoded);
    multiply(context, &m, folder, what);
    free(d.output);
    npy_free(&blocks);
    npy_free(&input);
    npy_free(&decoded);
}

static void check_backend(const char *backend, const char *vectors) {
    static const char *const cases[] = {"plain", "wild", "edge"};
    q8k_context_options options = {.size = sizeof options, .backend = backend};
    q8k_context *context;
    if (q8k_context_create(&context, &options) != Q8K_OK)
        stop("%s", q8k_last_error());
    if (strcmp(q8k_context_backend(context), backend) != 0)
        stop("asked for %s, got %s", backend, q8k_context_backend(context));
    for (size_t i = 0; i < q8k_format_count(); i++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            char folder[4096], what[128];
            const char *format = q8k_format_name(q8k_format_at(i));
            snprintf(folder, sizeof folder, "%.4000s/%s-%s", vectors, format, cases[c]);
            snprintf(what, sizeof what, "%s: %s-%s", backend, format, cases[c]);
            check_vectors(context, q8k_format_at(i), folder, what);
        }
    q8k_context_destroy(context);
}

int main(int argc, char **argv) {
    char vectors[4096];
    const char *data = getenv("Q8K_TEST_DATA");
    q8k_backend_list *list;
    if (argc > 2 || (argc < 2 && data == NULL))
        stop("usage: golden_bits FOLDER, or set Q8K_TEST_DATA");
    snprintf(vectors, sizeof vectors, argc == 2 ? "%s" : "%s/vectors", argc == 2 ? argv[1] : data);
    if (q8k_backend_list_create(&list, NULL) != Q8K_OK)
        stop("%s", q8k_last_error());
    for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        if (q8k_backend_list_get(list, i, &info) != Q8K_OK)
            stop("%s", q8k_last_error());
        if (info.state == Q8K_BACKEND_REJECTED)
            printf("%s is not available here: %s\n", info.name, info.reason);
        else
            check_backend(info.name, vectors);
    }
    q8k_backend_list_destroy(list);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
