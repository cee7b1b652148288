/* SPDX-License-Identifier: MIT */
/* Two products with one input, divided in parts with OpenMP.
 *     cc -fopenmp openmp.c $(pkg-config --cflags --libs q8k) -lm && OMP_NUM_THREADS=3 ./a.out */
#include <omp.h>

#include "products.h"

/* More parts than threads, handed out one by one: a thread that is slow, or on a slow core, takes fewer. Each loop ends
 * when all its parts are done, which is what the second one needs of the first. */
static bool run(const products *p, int parts) {
    bool ok = true;
#pragma omp parallel for schedule(dynamic) reduction(&& : ok)
    for (int part = 0; part < parts; part++)
        ok = prepare_part(p, (size_t)part, (size_t)parts) && ok;
    if (!ok)
        return false;
#pragma omp parallel for schedule(dynamic) reduction(&& : ok)
    for (int part = 0; part < parts; part++)
        ok = multiply_part(p, (size_t)part, (size_t)parts) && ok;
    return ok;
}

int main(void) {
    int threads = omp_get_max_threads();
    if (threads > INT32_MAX / 4) {
        fprintf(stderr, "%d threads are too many\n", threads);
        return 1;
    }
    products p;
    char how[80];
    snprintf(how, sizeof how, "%d parts on %d threads of OpenMP", 4 * threads, threads);
    bool ok = make_products(&p) && run(&p, 4 * threads) && check_products(&p, how);
    free_products(&p);
    return ok ? 0 : 1;
}
