/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "kernels.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------ backends --- */

/* A plugin that loads and computes something else is what this program is for. */
static bool is_wrong(const q8k_backend_info *info) {
    return info->state == Q8K_BACKEND_REJECTED && strstr(info->reason, "known answer") != NULL;
}

static bool is_wanted(const options *o, const char *name) {
    return o->backend == NULL || strcmp(o->backend, name) == 0 ||
           (o->bench && (strcmp(name, "scalar") == 0 || strcmp(name, "builtin") == 0));
}

/* Contexts of all that work, or of the one asked for. */
static size_t open_backends(const options *o, backend backends[BACKENDS_MAX], results *r) {
    q8k_context_options chosen = {.size = sizeof chosen, .backend = o->backend};
    q8k_backend_list *all = NULL;
    size_t count = 0;
    if (q8k_backend_list_create(&all, &chosen) != Q8K_OK)
        return 0;
    for (size_t i = 0; i < q8k_backend_list_count(all) && count < BACKENDS_MAX; i++) {
        q8k_backend_info info = {.size = sizeof info};
        if (q8k_backend_list_get(all, i, &info) != Q8K_OK || !is_wanted(o, info.name))
            continue;
        if (info.state == Q8K_BACKEND_REJECTED) {
            printf("%s backend %s: %s\n", is_wrong(&info) ? "FAILED" : "without", info.name, info.reason);
            r->failed += is_wrong(&info);
            continue;
        }
        chosen.backend = info.name;
        if (q8k_context_create(&backends[count].context, &chosen) == Q8K_OK) {
            backends[count].name = q8k_context_backend(backends[count].context);
            count++;
        } else {
            printf("FAILED backend %s: listed as working, but %s\n", info.name, q8k_last_error());
            r->failed++;
        }
    }
    q8k_backend_list_destroy(all);
    return count;
}

/* ------------------------------------------------------------------------------------------- which shapes --- */

/* Rows and batches, each with each; for every pair the next number of columns, and any number of parts. */
typedef struct sweep {
    list rows, columns, batch, parts;
} sweep;

#define LIST(...) ((list){sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), {__VA_ARGS__}})
enum { SWEEPS = 4 };

/* Batches one by one up to 33, beyond what a panel or a tile of any backend holds; then large ones; then more rows than
 * are decoded at a time; then few rows, so that parts divide the batch, at every panel of it. */
static void choose_shapes(const options *o, bool quick, sweep s[SWEEPS]) {
    s[0].rows = LIST(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 47, 48, 49);
    s[0].batch = LIST(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
                      27, 28, 29, 30, 31, 32, 33);
    s[0].columns = LIST(256, 512, 768, 1280);
    s[0].parts = LIST(1, 2, 3, 5, 16, 64);
    s[1] = s[0];
    s[1].rows = LIST(1, 5, 13, 49);
    s[1].batch = LIST(48, 64, 100, 129, 205);
    s[1].columns = LIST(256, 512);
    s[2] = s[1];
    s[2].rows = LIST(97);
    s[2].batch = LIST(1, 7, 8, 17, 33, 48);
    s[3] = s[1];
    s[3].rows = LIST(5);
    s[3].batch = LIST(40, 80);
    s[3].parts = LIST(2, 3);
    if (quick) {
        s[0].rows = LIST(1, 3, 5, 13);
        s[0].batch = LIST(1, 4, 5, 6, 8, 9, 12, 13, 16, 17, 19, 22, 28, 33);
        s[0].columns = LIST(256, 768);
        s[1].rows = LIST(49);
        s[1].batch = LIST(7, 48);
        s[2].batch = LIST(17);
    }
    for (size_t i = 0; i < SWEEPS; i++) {
        s[i].rows = o->rows.count > 0 ? o->rows : s[i].rows;
        s[i].columns = o->columns.count > 0 ? o->columns : s[i].columns;
        s[i].batch = o->batch.count > 0 ? o->batch : s[i].batch;
        s[i].parts = o->parts.count > 0 ? o->parts : s[i].parts;
    }
    /* With both given the sweeps would be the same. */
    if (o->rows.count > 0 && o->batch.count > 0)
        s[1].rows.count = s[2].rows.count = s[3].rows.count = 0;
}

static size_t largest(const list *a) {
    size_t most = 0;
    for (size_t i = 0; i < a->count; i++)
        most = a->at[i] > most ? a->at[i] : most;
    return most;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Whether to go on. */
static bool run_sweep(const options *o, const sweep *s, kernel_case c, reference *ref, const backend *backends,
                      size_t count, results *r) {
    const uint64_t keys[] = {c.format, c.precision, c.kind};
    numbers n = numbers_start(c.seed, keys, sizeof keys / sizeof *keys);
    for (size_t i = 0; i < s->batch.count; i++)
        for (size_t j = 0; j < s->rows.count; j++) {
            c.batch = s->batch.at[i];
            c.rows = s->rows.at[j];
            c.blocks = s->columns.at[(i + j) % s->columns.count] / BLOCK;
            c.parts = s->parts.at[numbers_below(&n, s->parts.count)];
            for (size_t b = 0; b < count; b++)
                run_case(&c, ref, &backends[b], r);
            if (o->stop && r->failed > 0)
                return false;
        }
    return true;
}

/* ---------------------------------------------------------------------------------------------------- runs --- */

typedef bool each_function(const options *o, const kernel_case *c, const backend *backends, size_t count, results *r);

/* Calls `each` for the formats, precisions and, if asked for, kinds that were chosen. */
static void for_each(const options *o, bool kinds, each_function *each, const backend *backends, size_t count,
                     results *r) {
    for (int k = 0; k < (kinds ? KIND_COUNT : 1); k++)
        for (size_t f = 0; f < q8k_format_count(); f++)
            for (q8k_precision p = 0; q8k_precision_name(p) != NULL; p++) {
                kernel_case c = {.format = q8k_format_at(f), .precision = p, .kind = (kind)k, .seed = o->seed};
                if ((o->format != 0 && o->format != c.format) || (o->precision >= 0 && o->precision != (int)p) ||
                    (kinds && o->kind >= 0 && o->kind != k))
                    continue;
                if (!each(o, &c, backends, count, r))
                    return;
            }
}

static bool test_each(const options *o, const kernel_case *given, const backend *backends, size_t count, results *r) {
    sweep s[SWEEPS];
    kernel_case c = *given;
    bool more = true;
    /* How a sum is rounded does not depend on the shape. */
    choose_shapes(o, o->quick || c.kind == KIND_ROUNDING, s);
    for (size_t i = 0; i < SWEEPS; i++) {
        c.rows = larger(c.rows, largest(&s[i].rows));
        c.batch = larger(c.batch, largest(&s[i].batch));
        c.blocks = larger(c.blocks, largest(&s[i].columns) / BLOCK);
    }
    reference ref = reference_make(&c);
    for (size_t i = 0; more && i < SWEEPS; i++)
        more = run_sweep(o, &s[i], c, &ref, backends, count, r);
    reference_free(&ref);
    return more;
}

static bool bench_each(const options *o, const kernel_case *given, const backend *backends, size_t count, results *r) {
    const list rows = o->rows.count > 0 ? o->rows : LIST(512), columns = o->columns.count > 0 ? o->columns : LIST(2048);
    const list batch = o->batch.count > 0 ? o->batch : LIST(1, 4, 16, 64);
    size_t base = count - 1;
    (void)r;
    /* Without its plugin, the scalar backend is the built-in one, the last in the list. */
    for (size_t i = 0; i < count; i++)
        if (strcmp(backends[i].name, "scalar") == 0)
            base = i;
    for (size_t i = 0; i < rows.count * columns.count * batch.count; i++) {
        kernel_case c = *given;
        c.rows = rows.at[i / batch.count / columns.count];
        c.blocks = columns.at[i / batch.count % columns.count] / BLOCK;
        c.batch = batch.at[i % batch.count];
        if (c.batch > 0)
            bench_case(&c, backends, count, base);
    }
    return true;
}

int main(int argc, char **argv) {
    const options o = parse_options(argc, argv);
    backend backends[BACKENDS_MAX];
    results r = {0, 0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    report_signals();
    size_t count = open_backends(&o, backends, &r);
    printf("backends:");
    for (size_t i = 0; i < count; i++)
        printf(" %s", backends[i].name);
    printf("%s; seed %" PRIu64 "\n", count == 0 ? " none" : "", o.seed);
    if (o.bench && count > 0)
        bench_header();
    if (count > 0)
        for_each(&o, !o.bench, o.bench ? bench_each : test_each, backends, count, &r);
    for (size_t i = 0; i < count; i++)
        q8k_context_destroy(backends[i].context);
    if (o.bench)
        return count > 0 && r.failed == 0 ? 0 : 2;
    printf("%zu passed, %zu failed\n", r.passed, r.failed);
    return r.failed > 0 || r.passed == 0;
}
