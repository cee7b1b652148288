/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static const char usage[] =
    "usage: kernels [OPTION...]          tests every kernel of every backend that works here\n"
    "       kernels --bench [OPTION...]  times them\n"
    "  --backend NAME    this backend alone\n"
    "  --format NAME     q8_k, q4_k, q5_k, q6_k, q2_k, q3_k or q8_0\n"
    "  --precision NAME  float, half or byte\n"
    "  --kind NAME       random, extreme, rounding or special numbers\n"
    "  --rows, --cols, --batch, --parts LIST   shapes, numbers separated by commas\n"
    "  --seed N          what the numbers are made from (default: Q8K_TEST_SEED, or a fixed one)\n"
    "  --quick           fewer shapes, for emulators and checkers; so does Q8K_TEST_QUICK=1\n"
    "  --stop            stop at the first failure\n"
    "Q8K_BACKEND_DIR is the folder of the plugins. A bench has the scalar backend besides the one asked for.\n";

const char *kind_name(kind k) {
    static const char *const names[KIND_COUNT] = {"random", "extreme", "rounding", "special"};
    return names[k];
}

static _Noreturn void stop_usage(const char *option, const char *value) {
    fprintf(stderr, "kernels: --%s: cannot use \"%s\"\n%s", option, value, usage);
    exit(2);
}

static uint64_t parse_number(const char *option, const char *text, uint64_t least, uint64_t most, char **end) {
    errno = 0;
    unsigned long long value = strtoull(text, end, 10);
    if (errno != 0 || *end == text || text[0] == '-' || value < least || value > most)
        stop_usage(option, text);
    return value;
}

static list parse_list(const char *option, const char *text, size_t least) {
    list l = {0};
    char *end = NULL;
    for (const char *at = text;; at = end + 1) {
        if (l.count == sizeof l.at / sizeof *l.at)
            stop_usage(option, text);
        l.at[l.count++] = (size_t)parse_number(option, at, least, 1 << 20, &end);
        if (*end == '\0')
            return l;
        if (*end != ',')
            stop_usage(option, text);
    }
}

static list parse_columns(const char *text) {
    list l = parse_list("cols", text, BLOCK);
    for (size_t i = 0; i < l.count; i++)
        if (l.at[i] % BLOCK != 0)
            stop_usage("cols", text);
    return l;
}

static int parse_kind(const char *text) {
    for (int k = 0; k < KIND_COUNT; k++)
        if (strcmp(text, kind_name((kind)k)) == 0)
            return k;
    stop_usage("kind", text);
}

static uint64_t parse_seed(const char *option, const char *text) {
    char *end = NULL;
    uint64_t seed = parse_number(option, text, 0, UINT64_MAX, &end);
    if (*end != '\0')
        stop_usage(option, text);
    return seed;
}

static void parse_option(int option, const char *value, options *o) {
    q8k_precision precision;
    switch (option) {
    case 'b':
        o->backend = value;
        return;
    case 'f':
        if (q8k_format_from_name(value, &o->format) != Q8K_OK)
            stop_usage("format", value);
        return;
    case 'p':
        if (q8k_precision_from_name(value, &precision) != Q8K_OK)
            stop_usage("precision", value);
        o->precision = (int)precision;
        return;
    case 'k':
        o->kind = parse_kind(value);
        return;
    case 'r':
        o->rows = parse_list("rows", value, 1);
        return;
    case 'c':
        o->columns = parse_columns(value);
        return;
    case 'n':
        o->batch = parse_list("batch", value, 0);
        return;
    case 't':
        o->parts = parse_list("parts", value, 1);
        return;
    case 's':
        o->seed = parse_seed("seed", value);
        return;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

options parse_options(int argc, char **argv) {
    static int bench, quick, stop;
    static const struct option known[] = {{"backend", required_argument, NULL, 'b'},
                                          {"format", required_argument, NULL, 'f'},
                                          {"precision", required_argument, NULL, 'p'},
                                          {"kind", required_argument, NULL, 'k'},
                                          {"rows", required_argument, NULL, 'r'},
                                          {"cols", required_argument, NULL, 'c'},
                                          {"batch", required_argument, NULL, 'n'},
                                          {"parts", required_argument, NULL, 't'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"bench", no_argument, &bench, 1},
                                          {"quick", no_argument, &quick, 1},
                                          {"stop", no_argument, &stop, 1},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *seed = getenv("Q8K_TEST_SEED"), *few = getenv("Q8K_TEST_QUICK");
    options o = {.precision = -1, .kind = -1, .seed = 20260722};
    if (seed != NULL && *seed != '\0')
        o.seed = parse_seed("seed", seed);
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        if (option != 0)
            parse_option(option, optarg, &o);
    if (optind != argc)
        parse_option('?', NULL, &o);
    o.bench = bench;
    o.quick = quick || (few != NULL && *few != '\0');
    o.stop = stop;
    return o;
}
