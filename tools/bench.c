/* SPDX-License-Identifier: MIT */
/* q8k bench: what is asked for, what there is, and one after the other. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "plot.h"

enum { SHAPE = 4096, QUICK_SHAPE = 2048, ROUNDS = 7, QUICK_ROUNDS = 5 };

static const double window = 0.02, quick_window = 0.008, quick_seconds = 30;

/* Weights of one format, all copies: at least this, and else four times the last level of caches as far as all formats
 * fit in the limit. Virtual machines report the caches of the whole machine, so that may be far too much. */
static const size_t rotated_least = (size_t)256 << 20, rotated_quick = (size_t)128 << 20,
                    rotated_limit = (size_t)1 << 30;

static size_t rotated_bytes(const bench_plan *plan, bool quick) {
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t limit = rotated_limit / plan->format_count, wanted = quick ? rotated_quick : rotated_least;
    if (!quick && cache > 0 && 4 * (size_t)cache > wanted) {
        wanted = 4 * (size_t)cache;
    }
    if (pages > 0 && page > 0) {
        /* The formats, decoded weights and a peer's repacked ones together stay below half of the memory. */
        size_t share = (size_t)pages / 16 * (size_t)page;
        limit = limit < share ? limit : share;
    }
    return wanted < limit ? wanted : limit;
}

static void plan_threads(option_list *threads) {
#ifdef _OPENMP
    int most = omp_get_max_threads();
    *threads = (option_list){1, {1}};
    if (most > 1) {
        threads->values[threads->count++] = most > COMMAND_MAX_THREADS ? COMMAND_MAX_THREADS : (size_t)most;
    }
#else
    *threads = (option_list){1, {1}};
#endif
}

static bench_plan make_plan(const command_arguments *arguments) {
    const size_t shape = arguments->quick ? QUICK_SHAPE : SHAPE;
    bench_plan plan = {.rows = arguments->rows > 0 ? arguments->rows : shape,
                       .cols = arguments->cols > 0 ? arguments->cols : shape,
                       .batches = arguments->batches,
                       .threads = arguments->thread_list,
                       .parts = arguments->parts,
                       .rounds = arguments->repeat > 0 ? arguments->repeat
                                 : arguments->quick    ? QUICK_ROUNDS
                                                       : ROUNDS,
                       .window = arguments->quick ? quick_window : window,
                       .deadline = arguments->quick ? bench_now() + quick_seconds : 0,
                       .ggml = arguments->ggml,
                       .json = arguments->json,
                       .plot = arguments->plot};
    for (size_t i = 0; i < q8k_format_count() && plan.format_count < BENCH_FORMATS; i++) {
        if (arguments->format == 0 || arguments->format == q8k_format_at(i)) {
            plan.formats[plan.format_count++] = q8k_format_at(i);
        }
    }
    for (q8k_precision p = 0; q8k_precision_name(p) != NULL && plan.precision_count < BENCH_PRECISIONS; p++) {
        if (!arguments->one_precision || arguments->precision == p) {
            plan.precisions[plan.precision_count++] = p;
        }
    }
    if (plan.batches.count == 0) {
        plan.batches = arguments->quick ? (option_list){2, {1, 512}} : (option_list){5, {1, 4, 16, 64, 512}};
    }
    if (plan.threads.count == 0) {
        plan_threads(&plan.threads);
    }
    plan.rotated = rotated_bytes(&plan, arguments->quick);
    return plan;
}

/* Peers that may be there, and what all work on. */
typedef struct bench {
    bench_data data;
    bench_tasks tasks;
    bench_openblas *blas;
    bench_ggml *ggml;
} bench;

/* The products of one matrix and batch, and the same by the peers. ggml's and OpenBLAS's threads come last, each
 * together. */
static bool add_case(bench *b, const bench_plan *plan, bench_task task) {
    for (size_t i = 0; i < plan->precision_count; i++) {
        task.precision = plan->precisions[i];
        if (!bench_add_product(&b->tasks, task, plan->parts)) {
            return false;
        }
    }
    return bench_add_decode_loops(&b->tasks, task) && bench_add_group_calls(&b->tasks, task) &&
           bench_add_decode_openblas(&b->tasks, task, b->blas) && bench_add_openblas(&b->tasks, task, b->blas) &&
           bench_add_ggml(&b->tasks, task, b->ggml) && bench_add_ggml_repack(&b->tasks, task, b->ggml);
}

/* Products of vectors are also taken of a matrix that stays in the caches. */
static bool add_format(bench *b, const bench_plan *plan, const bench_weights *weights, size_t batch, size_t threads) {
    bench_task cold = bench_task_make(&b->data, weights, batch, threads, plan->rows, true);
    bench_task hot = bench_task_make(&b->data, weights, batch, threads, bench_hot_rows(plan, threads), false);
    return add_case(b, plan, cold) && (batch != 1 || add_case(b, plan, hot));
}

static bool add_all(bench *b, const bench_plan *plan) {
    if (!bench_add_limits(&b->tasks, &b->data, plan)) {
        return false;
    }
    for (size_t t = 0; t < plan->threads.count; t++) {
        for (size_t n = 0; n < plan->batches.count; n++) {
            for (size_t f = 0; f < b->data.weights_count; f++) {
                if (!add_format(b, plan, &b->data.weights[f], plan->batches.values[n], plan->threads.values[t])) {
                    return false;
                }
            }
        }
    }
    return true;
}

static bool prepare(bench *b, const q8k_context *context, const bench_plan *plan) {
    size_t most = 1;
    for (size_t i = 0; i < plan->threads.count; i++) {
        most = plan->threads.values[i] > most ? plan->threads.values[i] : most;
    }
    if (!bench_start_threads(most)) {
        return false;
    }
    if (plan->ggml != NULL && (b->ggml = bench_ggml_open(plan->ggml)) == NULL) {
        return false;
    }
    b->blas = bench_openblas_open();
    return bench_data_make(&b->data, context, plan) && (b->blas == NULL || bench_data_decode(&b->data, plan)) &&
           add_all(b, plan) && bench_check(&b->tasks, &b->data);
}

static int bench_run(const command_arguments *arguments, const q8k_context *context) {
    bench_plan plan = make_plan(arguments);
    bench b = {.blas = NULL};
    int status = EXIT_FAILURE;
    if (prepare(&b, context, &plan) && bench_measure(&b.tasks, &plan)) {
        status = bench_report(&b.tasks, &plan, &b.data);
    }
    bench_tasks_free(&b.tasks);
    bench_ggml_close(b.ggml);
    bench_openblas_close(b.blas);
    bench_data_free(&b.data);
    return status;
}

static int run(const command_arguments *arguments) {
    q8k_context *context;
#ifndef _OPENMP
    for (size_t i = 0; i < arguments->thread_list.count; i++) {
        if (arguments->thread_list.values[i] > 1) {
            command_say("--threads = %zu (limit 1: this q8k was built without OpenMP)",
                        arguments->thread_list.values[i]);
            return EXIT_USAGE;
        }
    }
#endif
    if (arguments->plot != NULL && !plot_ready(arguments->plot)) {
        return EXIT_FAILURE;
    }
    if (!command_context(arguments->backend, &context)) {
        return EXIT_FAILURE;
    }
    int status = bench_run(arguments, context);
    q8k_context_destroy(context);
    return status;
}

const command command_bench = {
    .name = "bench",
    .files = "",
    .summary = "Time products, against this machine's limits and against others",
    .help = "Everything is measured in turn, several times, and the medians count; --parts 64 shows what dividing\n"
            "costs. Batch 1 is measured on weights that stream from memory (cold) and on a matrix that stays in the\n"
            "caches. Preparing the activations is part of every time. A ratio is a peer's time by the library's.\n"
            "OpenBLAS is a peer where libopenblas.so.0 is installed. A peer with a wrong product is left out.\n"
            "--quick: batches 1 and 512, 2048x2048. --plot: batch 1 and the largest, on the most threads; gnuplot is\n"
            "looked for before anything is measured. The manual, q8k(1), explains the columns and the JSON object.\n",
    .options = OPTION_ONE_FORMAT | OPTION_ONE_PRECISION | OPTION_BACKEND | OPTION_SHAPE | OPTION_BATCHES |
               OPTION_THREAD_LIST | OPTION_PARTS | OPTION_REPEAT | OPTION_QUICK | OPTION_GGML | OPTION_JSON |
               OPTION_PLOT,
    .run = run,
};
