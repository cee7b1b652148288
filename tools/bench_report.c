/* SPDX-License-Identifier: MIT */
/* The JSON object, and the table and the picture for people, which are made from it, so that they cannot differ. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_report.h"

enum { LIMITS = 6, DIGITS = 6 };

static const char *const limits[LIMITS] = {"read_gbps",  "read_streams_gbps", "read_cached_gbps",
                                           "f32_gflops", "i16_gops",          "i8_gops"};

static const bench_task *find_limit(const bench_tasks *tasks, const char *name, size_t threads) {
    for (size_t i = 0; i < tasks->count; i++) {
        const bench_task *task = &tasks->items[i];
        if (task->kind == BENCH_LIMIT && task->threads == threads && strcmp(task->name, name) == 0) {
            return task;
        }
    }
    return NULL;
}

/* In units of 10^9 a second. */
static double limit_rate(const bench_tasks *tasks, const char *name, size_t threads) {
    const bench_task *task = find_limit(tasks, name, threads);
    return 1e-9 * task->amount / bench_median(task);
}

static json_t *describe_limits(const bench_tasks *tasks, const bench_plan *plan) {
    json_t *all = json_object();
    for (int i = 0; i < LIMITS; i++) {
        json_t *by_threads = json_object();
        for (size_t t = 0; t < plan->threads.count; t++) {
            char key[32];
            snprintf(key, sizeof key, "%zu", plan->threads.values[t]);
            json_object_set_new(by_threads, key, json_real(limit_rate(tasks, limits[i], plan->threads.values[t])));
        }
        json_object_set_new(all, limits[i], by_threads);
    }
    return all;
}

/* Whether a peer computes the very product. */
static bool same_case(const bench_task *peer, const bench_task *product) {
    return peer->kind == BENCH_PEER && (peer->any_format || peer->weights == product->weights) &&
           peer->rows == product->rows && peer->batch == product->batch && peer->threads == product->threads &&
           peer->cold == product->cold;
}

static void add_peers(json_t *peers, const bench_tasks *tasks, const bench_task *product, bool any_format) {
    for (size_t i = 0; i < tasks->count; i++) {
        const bench_task *peer = &tasks->items[i];
        if (peer->any_format == any_format && same_case(peer, product)) {
            double seconds = bench_median(peer);
            json_object_set_new(peers, peer->name,
                                json_pack("{s:f, s:f, s:f}", "seconds", seconds, "ratio",
                                          seconds / bench_median(product), "error", peer->error));
        }
    }
}

/* Always in the same order: those that multiply any format the same way come last. */
static json_t *describe_peers(const bench_tasks *tasks, const bench_task *product) {
    json_t *peers = json_object();
    add_peers(peers, tasks, product, false);
    add_peers(peers, tasks, product, true);
    return peers;
}

/* The name of the limit that bounds a product, short and as the key in `limits`. */
static const char *limit_of(const bench_task *product, const char **key) {
    if (product->batch == 1 && product->cold) {
        *key = "read_gbps";
        return "read";
    }
    switch (product->precision) {
    case Q8K_PRECISION_FLOAT:
        *key = "f32_gflops";
        return "f32";
    case Q8K_PRECISION_HALF:
        *key = "i16_gops";
        return "i16";
    default:
        *key = "i8_gops";
        return "i8";
    }
}

static json_t *describe_product(const bench_tasks *tasks, const bench_data *data, const bench_task *product) {
    double seconds = bench_median(product);
    double gbps = 1e-9 * (double)(product->rows * product->weights->row_bytes) / seconds;
    double gflops = 2e-9 * (double)product->rows * (double)data->cols * (double)product->batch / seconds;
    const char *key, *limit = limit_of(product, &key);
    double most = limit_rate(tasks, key, product->threads);
    json_t *result =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "backend", q8k_context_backend(data->context), "format",
                  q8k_format_name(product->weights->format), "precision", q8k_precision_name(product->precision),
                  "rows", (json_int_t)product->rows, "cols", (json_int_t)data->cols, "batch",
                  (json_int_t)product->batch, "threads", (json_int_t)product->threads);
    json_t *figures = json_pack(
        "{s:b, s:f, s:f, s:f, s:s, s:f, s:I, s:f, s:o}", "cold", product->cold, "seconds", seconds, "weight_gbps", gbps,
        "gflops", gflops, "limit", limit, "fraction", (strcmp(limit, "read") == 0 ? gbps : gflops) / most,
        "measurements", (json_int_t)product->taken, "error", product->error, "peers", describe_peers(tasks, product));
    json_object_update(result, figures);
    json_decref(figures);
    return result;
}

static json_t *describe(const bench_tasks *tasks, const bench_plan *plan, const bench_data *data) {
    json_t *results = json_array();
    for (size_t i = 0; i < tasks->count; i++) {
        if (tasks->items[i].kind == BENCH_PRODUCT) {
            json_array_append_new(results, describe_product(tasks, data, &tasks->items[i]));
        }
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "version", q8k_version(), "instructions",
                     bench_limits_instructions(data->context), "parts", (json_int_t)plan->parts, "rotated_bytes",
                     (json_int_t)plan->rotated, "limits", describe_limits(tasks, plan), "results", results);
}

/* ---- the table ---- */

static void print_limits(const json_t *report) {
    const char *key, *threads;
    json_t *by_threads, *rate;
    printf("libq8k %s. Limits of this machine, with %s:\n", text_at(report, "version"),
           text_at(report, "instructions"));
    json_object_foreach(json_object_get(report, "limits"), key, by_threads) {
        printf("  %-17s", key);
        json_object_foreach(by_threads, threads, rate) {
            printf("  %s thread%s: %.1f", threads, strcmp(threads, "1") == 0 ? "" : "s", json_number_value(rate));
        }
        printf("\n");
    }
}

/* The peers of all results, in the order in which they first appear, with null as values. */
static json_t *collect_peers(const json_t *results) {
    json_t *all = json_object();
    size_t i;
    json_t *result, *peer;
    const char *name;
    json_array_foreach(results, i, result) {
        json_object_foreach(json_object_get(result, "peers"), name, peer) {
            json_object_set_new(all, name, json_null());
        }
    }
    return all;
}

static void print_result(const json_t *result, json_t *peers) {
    const char *name;
    json_t *unused;
    printf("%-8s %-6s %-9s %5.0f x %-5.0f %5.0f %7.0f  %-4s %12.2f %7.2f %8.2f  %-4s %8.3f", text_at(result, "backend"),
           text_at(result, "format"), text_at(result, "precision"), number_at(result, "rows"),
           number_at(result, "cols"), number_at(result, "batch"), number_at(result, "threads"),
           json_is_true(json_object_get(result, "cold")) ? "cold" : "hot", 1e6 * number_at(result, "seconds"),
           number_at(result, "weight_gbps"), number_at(result, "gflops"), text_at(result, "limit"),
           number_at(result, "fraction"));
    json_object_foreach(peers, name, unused) {
        const json_t *peer = json_object_get(json_object_get(result, "peers"), name);
        int width = (int)strlen(name);
        if (peer != NULL) {
            printf("  %*.2f", width, number_at(peer, "ratio"));
        } else {
            printf("  %*s", width, "-");
        }
    }
    printf("\n");
}

static void print_report(const json_t *report) {
    const json_t *results = json_object_get(report, "results");
    json_t *peers = collect_peers(results), *result, *unused;
    const char *name;
    size_t i;
    print_limits(report);
    printf("\n%-8s %-6s %-9s %13s %5s %7s  %-4s %12s %7s %8s  %-4s %8s", "backend", "format", "precision",
           "rows x cols  ", "batch", "threads", "data", "microseconds", "GB/s", "GFLOP/s", "of", "fraction");
    json_object_foreach(peers, name, unused) {
        printf("  %s", name);
    }
    printf("\n");
    json_array_foreach(results, i, result) {
        print_result(result, peers);
    }
    if (json_object_size(peers) > 0) {
        printf("\nBelow a peer's name: its time, divided by the library's.\n");
    }
    json_decref(peers);
}

int bench_report(const bench_tasks *tasks, const bench_plan *plan, const bench_data *data) {
    json_t *report = describe(tasks, plan, data);
    if (report == NULL) {
        return command_fail("no memory for the report");
    }
    if (plan->json) {
        json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
        putchar('\n');
    } else {
        print_report(report);
    }
    bool good = plan->plot == NULL || plot_draw(plan->plot, bench_chart, report);
    json_decref(report);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
