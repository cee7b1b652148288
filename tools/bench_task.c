/* SPDX-License-Identifier: MIT */
/* Threads, the clock, and the order of measurements. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { WARM_CALLS = 3 };

/* A first call that takes longer than this is a measurement already: warm caches make no difference to it. */
static const double long_call = 0.25;
/* Of a call: none is shorter, whatever the clock says. */
static const double least_seconds = 1e-7;
/* How long the threads of a pool may still spin after they have computed. ggml's are told to stop. */
static const unsigned spinning_microseconds[] = {
    [BENCH_POOL_OWN] = 8000,
    [BENCH_POOL_OPENBLAS] = 40000,
    [BENCH_POOL_GGML] = 0,
};

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void bench_on_threads(size_t threads, bench_step *first, bench_step *second, void *data) {
    if (threads == 1) {
        first(data, 0, 1);
        if (second != NULL) {
            second(data, 0, 1);
        }
        return;
    }
#ifdef _OPENMP
#pragma omp parallel num_threads((int)threads)
    {
        size_t thread = (size_t)omp_get_thread_num();
        first(data, thread, threads);
        if (second != NULL) {
#pragma omp barrier
            second(data, thread, threads);
        }
    }
#endif
}

bool bench_start_threads(size_t threads) {
    int started = 1;
#ifdef _OPENMP
    omp_set_dynamic(0);
#pragma omp parallel num_threads((int)threads)
    {
#pragma omp single
        started = omp_get_num_threads();
    }
    if ((size_t)started != threads) {
        command_say("--threads = %zu (limit %d: OpenMP starts no more)", threads, started);
    }
#else
    if (threads != 1) {
        command_say("--threads = %zu (limit 1: this q8k was built without OpenMP)", threads);
    }
#endif
    return (size_t)started == threads;
}

bool bench_add(bench_tasks *tasks, bench_task task) {
    if (tasks->count == tasks->room) {
        size_t room = tasks->room > 0 ? 2 * tasks->room : 64;
        bench_task *grown = realloc(tasks->items, room * sizeof *grown);
        if (grown == NULL) {
            command_say("no memory");
            free(task.own);
            return false;
        }
        tasks->items = grown;
        tasks->room = room;
    }
    tasks->items[tasks->count++] = task;
    return true;
}

void bench_remove(bench_tasks *tasks, size_t index) {
    free(tasks->items[index].own);
    tasks->count--;
    memmove(&tasks->items[index], &tasks->items[index + 1], (tasks->count - index) * sizeof *tasks->items);
}

void bench_tasks_free(bench_tasks *tasks) {
    for (size_t i = 0; i < tasks->count; i++) {
        free(tasks->items[i].own);
    }
    free(tasks->items);
}

/* Seconds per call; 0 if one failed. */
static double time_calls(bench_task *task, size_t calls) {
    double start = bench_now();
    for (size_t i = 0; i < calls; i++) {
        if (!task->call(task, task->turn++)) {
            return 0;
        }
    }
    double seconds = (bench_now() - start) / (double)calls;
    return seconds > least_seconds ? seconds : least_seconds;
}

/* As many calls as fill the window; what disturbed a measurement cannot make it too short for good. */
static void plan_calls(bench_task *task, double seconds, double window) {
    size_t calls = seconds >= window ? 1 : (size_t)(window / seconds) + 1;
    task->calls = calls > task->calls ? calls : task->calls;
}

/* Warms up, and finds how many calls a measurement takes. */
static bool calibrate(bench_task *task, double window) {
    double seconds = time_calls(task, 1);
    if (seconds >= long_call) {
        task->seconds[task->taken++] = seconds;
    }
    for (int i = 0; i < WARM_CALLS && seconds > 0 && seconds < long_call; i++) {
        plan_calls(task, seconds, window);
        seconds = time_calls(task, 1);
    }
    if (seconds > 0) {
        plan_calls(task, seconds, window);
    }
    return seconds > 0;
}

/* One measurement more, unless a first call was one. */
static bool measure(bench_task *task, double window) {
    bool good = true;
    size_t taken = task->taken;
    if (task->begin != NULL) {
        task->begin(task);
    }
    if (task->calls == 0) {
        good = calibrate(task, window);
    }
    if (good && task->taken == taken) {
        /* Wakes the threads. The turns go on from the last round's: what is read now was read the longest ago. */
        good = task->calls == 1 || time_calls(task, 1) > 0;
    }
    if (good && task->taken == taken) {
        double seconds = time_calls(task, task->calls);
        good = seconds > 0;
        task->seconds[task->taken++] = seconds;
        plan_calls(task, good ? seconds : 1, window);
    }
    if (task->end != NULL) {
        task->end(task);
    }
    return good;
}

/* Ends early where time has run out, once everything has been measured. */
static bool measure_round(bench_tasks *tasks, const bench_plan *plan, bool first) {
    bench_pool pool = BENCH_POOL_OWN;
    bool spinning = false;
    for (size_t i = 0; i < tasks->count; i++) {
        bench_task *task = &tasks->items[i];
        if (!first && plan->deadline > 0 && bench_now() > plan->deadline) {
            break;
        }
        if (spinning && task->pool != pool) {
            usleep(spinning_microseconds[pool]);
        }
        if (!measure(task, plan->window)) {
            return false;
        }
        pool = task->pool;
        spinning = task->threads > 1;
    }
    return true;
}

bool bench_measure(bench_tasks *tasks, const bench_plan *plan) {
    const bool tell = isatty(STDERR_FILENO);
    bool good = true;
    for (size_t round = 0; good && round < plan->rounds; round++) {
        if (tell) {
            fprintf(stderr, "\rround %zu of %zu ", round + 1, plan->rounds);
        }
        good = measure_round(tasks, plan, round == 0);
    }
    if (tell) {
        fprintf(stderr, "\r                    \r");
    }
    return good;
}

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(const bench_task *task) {
    double sorted[BENCH_ROUNDS];
    memcpy(sorted, task->seconds, task->taken * sizeof *sorted);
    qsort(sorted, task->taken, sizeof *sorted, compare_seconds);
    return (sorted[task->taken / 2] + sorted[(task->taken - 1) / 2]) / 2;
}
