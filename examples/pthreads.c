/* SPDX-License-Identifier: MIT */
/* Two products with one input, divided in parts among the threads of a plain pool: part t of T runs on thread t.
 *     cc -pthread pthreads.c $(pkg-config --cflags --libs q8k) -lm && ./a.out 3 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "products.h"

enum { MOST_THREADS = 64 };

/* A part of some work; false if it failed. */
typedef bool part_function(const products *p, size_t part, size_t parts);

/* Threads that wait for work. The one that calls pool_run() works too, as the last. */
typedef struct pool {
    pthread_mutex_t lock;
    pthread_cond_t started, ended;
    pthread_t thread[MOST_THREADS];
    size_t helpers;
    /* What there is to do; NULL: go home. `round` counts up with every new work. */
    part_function *work;
    const products *data;
    unsigned long round;
    size_t busy;
    bool ok;
} pool;

typedef struct helper {
    pool *pool;
    size_t number;
} helper;

/* Waits until there is something else to do than what was done in `round`. */
static part_function *next_work(pool *crew, unsigned long *round) {
    pthread_mutex_lock(&crew->lock);
    while (crew->round == *round)
        pthread_cond_wait(&crew->started, &crew->lock);
    *round = crew->round;
    part_function *work = crew->work;
    pthread_mutex_unlock(&crew->lock);
    return work;
}

static void *help(void *data) {
    helper me = *(helper *)data;
    free(data);
    unsigned long round = 0;
    part_function *work;
    while ((work = next_work(me.pool, &round)) != NULL) {
        bool ok = work(me.pool->data, me.number, me.pool->helpers + 1);
        pthread_mutex_lock(&me.pool->lock);
        me.pool->ok = me.pool->ok && ok;
        if (--me.pool->busy == 0)
            pthread_cond_signal(&me.pool->ended);
        pthread_mutex_unlock(&me.pool->lock);
    }
    return NULL;
}

static void give(pool *crew, part_function *work, const products *data) {
    pthread_mutex_lock(&crew->lock);
    crew->work = work;
    crew->data = data;
    crew->busy = crew->helpers;
    crew->ok = true;
    crew->round++;
    pthread_cond_broadcast(&crew->started);
    pthread_mutex_unlock(&crew->lock);
}

/* Returns when all parts are done: whether none failed. */
static bool pool_run(pool *crew, part_function *work, const products *data) {
    give(crew, work, data);
    bool ok = work(data, crew->helpers, crew->helpers + 1);
    pthread_mutex_lock(&crew->lock);
    while (crew->busy > 0)
        pthread_cond_wait(&crew->ended, &crew->lock);
    ok = crew->ok && ok;
    pthread_mutex_unlock(&crew->lock);
    return ok;
}

static void pool_stop(pool *crew) {
    give(crew, NULL, NULL);
    for (size_t i = 0; i < crew->helpers; i++)
        pthread_join(crew->thread[i], NULL);
    pthread_cond_destroy(&crew->ended);
    pthread_cond_destroy(&crew->started);
    pthread_mutex_destroy(&crew->lock);
}

/* Called before there is any work, so that `helpers` is final when a helper looks at it. */
static bool add_helper(pool *crew) {
    helper *one = malloc(sizeof *one);
    if (!there(one))
        return false;
    *one = (helper){crew, crew->helpers};
    int error = pthread_create(&crew->thread[crew->helpers], NULL, help, one);
    if (error != 0) {
        fprintf(stderr, "thread %zu cannot be started: %s\n", crew->helpers, strerror(error));
        free(one);
        return false;
    }
    crew->helpers++;
    return true;
}

/* Where this succeeds, pool_stop() must be called; where it fails, nothing is left. */
static bool pool_start(pool *crew, size_t threads) {
    *crew = (pool){
        .lock = PTHREAD_MUTEX_INITIALIZER, .started = PTHREAD_COND_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    while (crew->helpers + 1 < threads) {
        if (!add_helper(crew)) {
            pool_stop(crew);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    size_t threads = thread_count(argc, argv, MOST_THREADS);
    if (threads == 0)
        return 2;
    products p;
    pool crew;
    char how[80];
    snprintf(how, sizeof how, "%zu parts on %zu threads of a pool", threads, threads);
    bool ok = make_products(&p) && pool_start(&crew, threads);
    if (ok) {
        ok = pool_run(&crew, prepare_part, &p) && pool_run(&crew, multiply_part, &p) && check_products(&p, how);
        pool_stop(&crew);
    }
    free_products(&p);
    return ok ? 0 : 1;
}
