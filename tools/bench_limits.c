/* SPDX-License-Identifier: MIT */
/* What this machine can do at most: reading, and multiplying in the registers that the backend uses. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "bench_loops.h"

/* Few enough that an emulator gets through them, too many for starting threads to matter. */
enum { TIMES = 65536 };

/* Of each thread, in any CPU's first level of caches, and how often it is read. */
enum { CACHED = 16384, CACHED_TIMES = 4096 };

static const struct {
    const char *backend;
    const bench_loops *loops;
} known[] = {
#if defined(__x86_64__) && defined(BENCH_AVX512)
    {"avx512", &bench_loops_avx512},
#endif
#if defined(__x86_64__) && defined(BENCH_AVXVNNI)
    {"avxvnni", &bench_loops_avxvnni},
#endif
#ifdef __x86_64__
    {"avx2", &bench_loops_avx2},
#endif
#ifdef __aarch64__
    {"dotprod", &bench_loops_dotprod}, {"neon", &bench_loops_neon},
#endif
    {NULL, &bench_loops_plain},
};

/* A backend that runs here shows that the CPU has its instructions. */
static const bench_loops *loops_of(const q8k_context *context) {
    const char *backend = q8k_context_backend(context);
    size_t i = 0;
    while (known[i].backend != NULL && strcmp(known[i].backend, backend) != 0) {
        i++;
    }
    return known[i].loops;
}

const char *bench_limits_instructions(const q8k_context *context) {
    return loops_of(context)->name;
}

typedef struct limit {
    const bench_loops *loops;
    const bench_arithmetic *arithmetic;
    const uint8_t *bytes;
    size_t count; /* for each thread */
} limit;

static void compute(void *own, size_t thread, size_t threads) {
    const limit *l = own;
    (void)thread;
    (void)threads;
    l->arithmetic->run(TIMES);
}

static void read_one(void *own, size_t thread, size_t threads) {
    const limit *l = own;
    (void)threads;
    l->loops->read(l->bytes + thread * l->count, l->count);
}

static void read_streams(void *own, size_t thread, size_t threads) {
    const limit *l = own;
    (void)threads;
    l->loops->read_streams(l->bytes + thread * l->count, l->count);
}

static void read_cached(void *own, size_t thread, size_t threads) {
    for (size_t i = 0; i < CACHED_TIMES; i++) {
        read_one(own, thread, threads);
    }
}

static bool call_compute(bench_task *task, size_t turn) {
    (void)turn;
    bench_on_threads(task->threads, compute, NULL, task->own);
    return true;
}

static bool call_read(bench_task *task, size_t turn) {
    (void)turn;
    bench_on_threads(task->threads, read_one, NULL, task->own);
    return true;
}

static bool call_read_streams(bench_task *task, size_t turn) {
    (void)turn;
    bench_on_threads(task->threads, read_streams, NULL, task->own);
    return true;
}

static bool call_read_cached(bench_task *task, size_t turn) {
    (void)turn;
    bench_on_threads(task->threads, read_cached, NULL, task->own);
    return true;
}

static bool add(bench_tasks *tasks, bench_task task, limit values) {
    limit *own = malloc(sizeof *own);
    if (own == NULL) {
        command_say("no memory");
        return false;
    }
    *own = values;
    task.kind = BENCH_LIMIT;
    task.own = own;
    return bench_add(tasks, task);
}

static bool add_reading(bench_tasks *tasks, const bench_data *data, const bench_loops *loops, size_t threads) {
    /* Of the very memory that the products read. */
    const bench_weights *weights = &data->weights[0];
    size_t count = weights->copies * weights->copy_bytes / threads / BENCH_PAGE * BENCH_PAGE;
    limit values = {.loops = loops, .bytes = weights->bytes, .count = count};
    bench_task task = {.threads = threads, .amount = (double)count * (double)threads};
    task.name = "read_gbps";
    task.call = call_read;
    if (!add(tasks, task, values)) {
        return false;
    }
    task.name = "read_streams_gbps";
    task.call = call_read_streams;
    if (!add(tasks, task, values)) {
        return false;
    }
    values.count = count < CACHED ? count : CACHED;
    task.name = "read_cached_gbps";
    task.call = call_read_cached;
    task.amount = (double)values.count * (double)threads * CACHED_TIMES;
    return add(tasks, task, values);
}

static bool add_computing(bench_tasks *tasks, const bench_arithmetic *arithmetic, const char *name, size_t threads) {
    limit values = {.arithmetic = arithmetic};
    bench_task task = {
        .name = name, .threads = threads, .call = call_compute, .amount = arithmetic->ops * TIMES * (double)threads};
    return add(tasks, task, values);
}

bool bench_add_limits(bench_tasks *tasks, const bench_data *data, const bench_plan *plan) {
    const bench_loops *loops = loops_of(data->context);
    for (size_t i = 0; i < plan->threads.count; i++) {
        size_t threads = plan->threads.values[i];
        if (!add_reading(tasks, data, loops, threads) || !add_computing(tasks, &loops->f32, "f32_gflops", threads) ||
            !add_computing(tasks, &loops->i16, "i16_gops", threads) ||
            !add_computing(tasks, &loops->i8, "i8_gops", threads)) {
            return false;
        }
    }
    return true;
}
