/* SPDX-License-Identifier: MIT */
/* Holds what `q8k bench --json` prints, on standard input, against what the manual promises of it, and its figures
 * against one another. Prints one line for each result: what was measured, and the peers. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <q8k/q8k.h>

enum { LIMITS = 6, KEY_BYTES = 32 };

/* Figures are printed with six digits. */
static const double tolerance = 1e-4;

static const char *const limits[LIMITS] = {"read_gbps",  "read_streams_gbps", "read_cached_gbps",
                                           "f32_gflops", "i16_gops",          "i8_gops"};

static int wrong;

static void complain(size_t result, const char *what) {
    fprintf(stderr, "bench_json: result %zu: %s\n", result, what);
    wrong = 1;
}

/* A positive, finite number; what is not one is told. */
static double figure(const json_t *object, const char *key, size_t result) {
    double value = json_number_value(json_object_get(object, key));
    if (!isfinite(value) || value <= 0) {
        fprintf(stderr, "bench_json: result %zu: \"%s\" is missing or not positive\n", result, key);
        wrong = 1;
        return 1;
    }
    return value;
}

static const char *text(const json_t *object, const char *key, size_t result) {
    const char *value = json_string_value(json_object_get(object, key));
    if (value == NULL) {
        fprintf(stderr, "bench_json: result %zu: \"%s\" is no string\n", result, key);
        wrong = 1;
        return "";
    }
    return value;
}

static int close_to(double a, double b) {
    return fabs(a - b) <= tolerance * fabs(b);
}

static double limit_at(const json_t *report, const char *name, double threads, size_t result) {
    char key[KEY_BYTES];
    snprintf(key, sizeof key, "%.0f", threads);
    return figure(json_object_get(json_object_get(report, "limits"), name), key, result);
}

/* The key of the limit that must apply. */
static const char *expected_limit(const json_t *result, size_t i, const char **name) {
    const char *precision = text(result, "precision", i);
    if (json_is_true(json_object_get(result, "cold")) && figure(result, "batch", i) == 1) {
        *name = "read";
        return "read_gbps";
    }
    *name = strcmp(precision, "float") == 0 ? "f32" : strcmp(precision, "half") == 0 ? "i16" : "i8";
    return strcmp(precision, "float") == 0 ? "f32_gflops" : strcmp(precision, "half") == 0 ? "i16_gops" : "i8_gops";
}

static void check_figures(const json_t *report, const json_t *result, size_t i) {
    double rows = figure(result, "rows", i), cols = figure(result, "cols", i), seconds = figure(result, "seconds", i);
    double gbps = figure(result, "weight_gbps", i), gflops = figure(result, "gflops", i);
    double batch = figure(result, "batch", i);
    const char *name, *key = expected_limit(result, i, &name);
    double rate = strcmp(name, "read") == 0 ? gbps : gflops;
    q8k_format format = 0;
    if (q8k_format_from_name(text(result, "format", i), &format) != Q8K_OK) {
        complain(i, "no such format");
    }
    if (!close_to(gbps, 1e-9 * rows * (double)q8k_row_bytes(format, (size_t)cols) / seconds)) {
        complain(i, "weight_gbps does not fit the shape and the time");
    }
    if (!close_to(gflops, 2e-9 * rows * cols * batch / seconds)) {
        complain(i, "gflops does not fit the shape and the time");
    }
    if (strcmp(text(result, "limit", i), name) != 0) {
        complain(i, "another limit applies");
    }
    if (!close_to(figure(result, "fraction", i), rate / limit_at(report, key, figure(result, "threads", i), i))) {
        complain(i, "fraction does not fit the limit");
    }
    figure(result, "measurements", i);
    /* What 24, 12 and 7 bits of activations come to, with room. */
    const char *precision = text(result, "precision", i);
    double most = strcmp(precision, "float") == 0 ? 1e-5 : strcmp(precision, "half") == 0 ? 2e-3 : 0.05;
    if (!(figure(result, "error", i) < most)) {
        complain(i, "error is too large for the precision");
    }
}

static void check_result(const json_t *report, const json_t *result, size_t i) {
    const char *name;
    json_t *peer, *peers = json_object_get(result, "peers");
    if (!json_is_boolean(json_object_get(result, "cold"))) {
        complain(i, "cold is neither true nor false");
    }
    if (!json_is_object(peers)) {
        complain(i, "peers is no object");
    }
    check_figures(report, result, i);
    printf("%s %s %s %.0fx%.0f batch %.0f threads %.0f %s:", text(result, "backend", i), text(result, "format", i),
           text(result, "precision", i), figure(result, "rows", i), figure(result, "cols", i),
           figure(result, "batch", i), figure(result, "threads", i),
           json_is_true(json_object_get(result, "cold")) ? "cold" : "hot");
    json_object_foreach(peers, name, peer) {
        if (!close_to(figure(peer, "ratio", i), figure(peer, "seconds", i) / figure(result, "seconds", i))) {
            complain(i, "ratio does not fit the times");
        }
        if (!(figure(peer, "error", i) < 0.05)) {
            complain(i, "error of a peer is too large");
        }
        printf(" %s", name);
    }
    printf("\n");
}

int main(void) {
    json_error_t error;
    json_t *report = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error), *result;
    size_t i;
    if (report == NULL) {
        fprintf(stderr, "bench_json: line %d: %s\n", error.line, error.text);
        return EXIT_FAILURE;
    }
    const json_t *results = json_object_get(report, "results");
    if (json_array_size(results) == 0) {
        complain(0, "there are none");
    }
    if (strcmp(text(report, "version", 0), q8k_version()) != 0) {
        complain(0, "another version");
    }
    text(report, "instructions", 0);
    figure(report, "rotated_bytes", 0);
    json_array_foreach(results, i, result) {
        for (int k = 0; k < LIMITS; k++) {
            limit_at(report, limits[k], figure(result, "threads", i), i);
        }
        check_result(report, result, i);
    }
    json_decref(report);
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
