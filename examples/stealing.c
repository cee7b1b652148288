/* SPDX-License-Identifier: MIT */
/* Two products with one input, divided in more parts than threads. Each thread has parts of its own; one that is done
 * with them takes the others', from the end that their owners reach last.
 *     cc -std=c11 -pthread stealing.c $(pkg-config --cflags --libs q8k) -lm && ./a.out 3 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "products.h"

enum { MOST_THREADS = 64, PARTS_EACH = 8, PHASES = 2 };

/* The parts that are left of a thread's own, first in the low half, end in the high half: one word, so that owner and
 * thieves change both at once. */
typedef _Atomic uint64_t part_range;

static uint64_t range_word(uint64_t first, uint64_t end) {
    return end << 32 | first;
}

/* Takes the first part of a range, or the last one. */
static bool take(part_range *range, bool last, size_t *part) {
    uint64_t word = atomic_load(range);
    for (;;) {
        uint64_t first = word & UINT32_MAX, end = word >> 32;
        if (first == end)
            return false;
        *part = (size_t)(last ? end - 1 : first);
        uint64_t rest = last ? range_word(first, end - 1) : range_word(first + 1, end);
        if (atomic_compare_exchange_weak(range, &word, rest))
            return true;
    }
}

typedef struct crew {
    const products *data;
    size_t threads, parts;
    /* Of each phase: preparing, multiplying. */
    part_range left[PHASES][MOST_THREADS];
    atomic_size_t done[PHASES];
    atomic_size_t stolen;
    atomic_bool failed;
} crew;

typedef struct worker {
    crew *crew;
    size_t number;
} worker;

static bool next_part(const worker *me, int phase, size_t *part) {
    crew *c = me->crew;
    if (take(&c->left[phase][me->number], false, part))
        return true;
    for (size_t i = 1; i < c->threads; i++) {
        if (take(&c->left[phase][(me->number + i) % c->threads], true, part)) {
            atomic_fetch_add(&c->stolen, 1);
            return true;
        }
    }
    return false;
}

static void work_off(const worker *me, int phase) {
    crew *c = me->crew;
    size_t part;
    while (!atomic_load(&c->failed) && next_part(me, phase, &part)) {
        bool ok = phase == 0 ? prepare_part(c->data, part, c->parts) : multiply_part(c->data, part, c->parts);
        if (!ok)
            atomic_store(&c->failed, true);
        atomic_fetch_add(&c->done[phase], 1);
    }
    /* No part is left to begin, but others may still be at one. */
    while (!atomic_load(&c->failed) && atomic_load(&c->done[phase]) < c->parts)
        sched_yield();
}

static void *work(void *data) {
    for (int phase = 0; phase < PHASES; phase++)
        work_off(data, phase);
    return NULL;
}

static void deal(crew *c, const products *data, size_t threads) {
    c->data = data;
    c->threads = threads;
    c->parts = PARTS_EACH * threads;
    atomic_init(&c->stolen, 0);
    atomic_init(&c->failed, false);
    for (int phase = 0; phase < PHASES; phase++) {
        atomic_init(&c->done[phase], 0);
        for (size_t i = 0; i < threads; i++)
            atomic_init(&c->left[phase][i], range_word(PARTS_EACH * i, PARTS_EACH * (i + 1)));
    }
}

/* A thread that cannot be started is no failure: the others take its parts. */
static bool run(crew *c) {
    pthread_t threads[MOST_THREADS];
    worker workers[MOST_THREADS];
    size_t started = 1;
    for (size_t i = 0; i < c->threads; i++)
        workers[i] = (worker){c, i};
    while (started < c->threads && pthread_create(&threads[started], NULL, work, &workers[started]) == 0)
        started++;
    work(&workers[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
    return !atomic_load(&c->failed);
}

int main(int argc, char **argv) {
    size_t threads = thread_count(argc, argv, MOST_THREADS);
    if (threads == 0)
        return 2;
    products p;
    crew c;
    char how[80];
    bool ok = make_products(&p);
    if (ok) {
        deal(&c, &p, threads);
        ok = run(&c);
        snprintf(how, sizeof how, "%zu parts on %zu threads, %zu of %zu stolen", c.parts, threads,
                 atomic_load(&c.stolen), PHASES * c.parts);
        ok = ok && check_products(&p, how);
    }
    free_products(&p);
    return ok ? 0 : 1;
}
