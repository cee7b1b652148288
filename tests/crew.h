/* SPDX-License-Identifier: MIT */
/* Many threads that do the same at once. */
#ifndef Q8K_TESTS_CREW_H
#define Q8K_TESTS_CREW_H

#include <pthread.h>
#include <stddef.h>

enum { THREADS = 64 };

typedef struct crew {
    pthread_barrier_t start;
    void *(*work)(void *);
    const void *data;
    size_t failures[THREADS];
} crew;

typedef struct member {
    crew *crew;
    size_t number;
} member;

/* Runs `work` on 64 threads, each of which gets its member; they start at once where they wait at `start`. Returns how
 * many things failed. */
size_t run_crew(void *(*work)(void *), const void *data);

#endif
