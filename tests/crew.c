/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <stdlib.h>

size_t run_crew(void *(*work)(void *), const void *data) {
    crew c = {.work = work, .data = data};
    pthread_t threads[THREADS];
    member members[THREADS];
    size_t failures = 0;
    if (pthread_barrier_init(&c.start, NULL, THREADS) != 0)
        return THREADS;
    for (size_t i = 0; i < THREADS; i++) {
        members[i] = (member){&c, i};
        if (pthread_create(&threads[i], NULL, work, &members[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failures += c.failures[i];
    }
    pthread_barrier_destroy(&c.start);
    return failures;
}
