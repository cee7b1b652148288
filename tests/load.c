/* SPDX-License-Identifier: MIT */
/*
 * load [SECONDS]: whether the library lasts. It is not linked with it, but opens it, from the build whose tests folder
 * Q8K_TEST_BUILD names:
 *
 *   open      opened and closed 1,000 times while threads compute
 *   contexts  a context made and destroyed 100,000 times
 *   threads   64 threads on one context for SECONDS (default 10; 1 if Q8K_TEST_QUICK is set): products of every format and
 *             precision, whole and in parts
 *
 * Every result must be the built-in backend's to the bit, and the memory that the process takes must not grow: by no more
 * than 1 MiB from where a quarter is done.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <q8k/q8k.h>

enum {
    FORMATS = 4,
    PRECISIONS = 3,
    CASES = FORMATS * PRECISIONS,
    ROWS = 37,
    BATCH = 13,
    COLUMNS = 512,
    BLOCK_MAX = 292
};
enum { THREADS = 64, OPENS = 1000, CONTEXTS = 100000, GROWTH_KIB = 1024 };

static struct {
    q8k_status (*create)(q8k_context **out, const q8k_context_options *options);
    void (*destroy)(q8k_context *context);
    const char *(*backend)(const q8k_context *context);
    const char *(*last_error)(void);
    size_t (*block_bytes)(q8k_format format);
    q8k_status (*matmul)(const q8k_context *context, const q8k_matmul_args *args);
    q8k_status (*bytes)(const q8k_context *context, const q8k_input_args *args, size_t *bytes);
    q8k_status (*prepare)(const q8k_context *context, const q8k_input_args *args, void *prepared, size_t bytes,
                          size_t part, size_t parts);
    q8k_status (*multiply)(const q8k_context *context, const q8k_matmul_args *args, const void *prepared, size_t bytes,
                           size_t part, size_t parts);
} api;

static _Noreturn void stop(const char *what, const char *why) {
    fprintf(stderr, "FAILED: %s: %s\n", what, why);
    exit(1);
}

static void find(void *handle, const char *name, void *function) {
    void *symbol = dlsym(handle, name);
    if (symbol == NULL)
        stop(name, "it is not there");
    memcpy(function, &symbol, sizeof symbol);
}

static void find_all(void *handle) {
    find(handle, "q8k_context_create", &api.create);
    find(handle, "q8k_context_destroy", &api.destroy);
    find(handle, "q8k_context_backend", &api.backend);
    find(handle, "q8k_last_error", &api.last_error);
    find(handle, "q8k_format_block_bytes", &api.block_bytes);
    find(handle, "q8k_matmul", &api.matmul);
    find(handle, "q8k_input_bytes", &api.bytes);
    find(handle, "q8k_input_prepare", &api.prepare);
    find(handle, "q8k_matmul_prepared", &api.multiply);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of memory that is the process's own. */
static long resident_kib(void) {
    long pages = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld %ld", &pages, &shared) != 2)
        stop("/proc/self/statm", "cannot be read");
    fclose(file);
    return (pages - shared) * sysconf(_SC_PAGESIZE) / 1024;
}

static void expect_flat(const char *what, long before, long after) {
    printf("%s: %ld KiB after a quarter, %ld at the end\n", what, before, after);
    if (after - before > GROWTH_KIB)
        stop(what, "the memory grew");
}

/* -------------------------------------------------------------------------------------------------- products --- */

static uint8_t weights[FORMATS][ROWS * (COLUMNS / 256) * BLOCK_MAX];
static float input[BATCH * COLUMNS], expected[CASES][BATCH * ROWS];

static q8k_matmul_args args_of(size_t index, float *output) {
    const q8k_format format = (q8k_format)(index % FORMATS + 1);
    return (q8k_matmul_args){.size = sizeof(q8k_matmul_args),
                             .format = format,
                             .precision = (q8k_precision)(index / FORMATS),
                             .out_features = ROWS,
                             .in_features = COLUMNS,
                             .batch = BATCH,
                             .weights = weights[index % FORMATS],
                             .weights_bytes = ROWS * (COLUMNS / 256) * api.block_bytes(format),
                             .input = input,
                             .output = output};
}

static void fill(void) {
    q8k_context_options options = {.size = sizeof options, .backend = "builtin"};
    q8k_context *builtin = NULL;
    for (size_t i = 0; i < (size_t)BATCH * COLUMNS; i++)
        input[i] = (float)(i * 7919 % 1009) / 64 - 8;
    /* Bytes whose factors are neither NaN nor infinite. */
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i / sizeof *weights][i % sizeof *weights] = (uint8_t)((i * 37 + i / 11) & 0x3b);
    if (api.create(&builtin, &options) != Q8K_OK)
        stop("builtin", api.last_error());
    for (size_t i = 0; i < CASES; i++) {
        q8k_matmul_args args = args_of(i, expected[i]);
        if (api.matmul(builtin, &args) != Q8K_OK)
            stop("builtin", api.last_error());
    }
    api.destroy(builtin);
}

static void expect_right(size_t index, const float *output) {
    if (memcmp(output, expected[index], sizeof expected[index]) != 0)
        stop("a product", "it is wrong");
}

/* Every case once, as a whole and in three parts. */
static void all_products(const q8k_context *context) {
    for (size_t i = 0; i < CASES; i++) {
        float output[BATCH * ROWS];
        q8k_matmul_args args = args_of(i, output);
        q8k_input_args in = {
            .size = sizeof in, .precision = args.precision, .in_features = COLUMNS, .batch = BATCH, .input = input};
        size_t bytes = 0;
        if (api.matmul(context, &args) != Q8K_OK)
            stop("a product", api.last_error());
        expect_right(i, output);
        memset(output, 0xff, sizeof output);
        void *prepared = api.bytes(context, &in, &bytes) == Q8K_OK ? malloc(bytes) : NULL;
        if (prepared == NULL || api.prepare(context, &in, prepared, bytes, 0, 1) != Q8K_OK)
            stop("preparing", api.last_error());
        for (size_t part = 0; part < 3; part++)
            if (api.multiply(context, &args, prepared, bytes, part, 3) != Q8K_OK)
                stop("a part", api.last_error());
        expect_right(i, output);
        free(prepared);
    }
}

static const q8k_context *shared;
static atomic_bool done;
static struct {
    pthread_t thread;
    atomic_size_t rounds;
} crew[THREADS];

static void *compute(void *rounds) {
    while (!atomic_load(&done)) {
        all_products(shared);
        atomic_fetch_add((atomic_size_t *)rounds, 1);
    }
    return NULL;
}

/* Starts threads and waits until each has computed: from then on it has all the memory that it needs. */
static void start(size_t count) {
    atomic_store(&done, false);
    for (size_t i = 0; i < count; i++) {
        atomic_store(&crew[i].rounds, 0);
        if (pthread_create(&crew[i].thread, NULL, compute, &crew[i].rounds) != 0)
            stop("threads", "cannot be started");
    }
    for (size_t i = 0; i < count; i++)
        while (atomic_load(&crew[i].rounds) < 4)
            usleep(1000);
}

static size_t join(size_t count) {
    size_t rounds = 0;
    atomic_store(&done, true);
    for (size_t i = 0; i < count; i++) {
        pthread_join(crew[i].thread, NULL);
        rounds += atomic_load(&crew[i].rounds);
    }
    return rounds;
}

/* ----------------------------------------------------------------------------------------------------- tests --- */

static void test_threads(double seconds) {
    q8k_context *context = NULL;
    if (api.create(&context, NULL) != Q8K_OK)
        stop("context", api.last_error());
    shared = context;
    const double from = now();
    start(THREADS);
    while (now() - from < seconds / 4)
        usleep(10000);
    const long before = resident_kib();
    const double quarter = now();
    while (now() - from < seconds || now() - quarter < seconds / 2)
        usleep(10000);
    const long after = resident_kib();
    const size_t rounds = join(THREADS);
    printf("threads: %d on %s, %.0f s, %zu products, all right\n", (int)THREADS, api.backend(context), now() - from,
           rounds * CASES * 2);
    expect_flat("threads", before, after);
    api.destroy(context);
}

static void test_contexts(void) {
    long before = 0;
    for (size_t i = 0; i < CONTEXTS; i++) {
        q8k_context *context = NULL;
        if (api.create(&context, NULL) != Q8K_OK)
            stop("context", api.last_error());
        api.destroy(context);
        if (i == CONTEXTS / 4)
            before = resident_kib();
    }
    printf("contexts: %d made and destroyed\n", (int)CONTEXTS);
    expect_flat("contexts", before, resident_kib());
}

static size_t mappings(void) {
    size_t lines = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    if (file == NULL)
        stop("/proc/self/maps", "cannot be read");
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

/* The library stays: what threads run must not be taken away from them. */
static void test_open(const char *path, void *handle) {
    enum { FEW = 4 };
    long before = 0;
    size_t maps = 0;
    start(FEW);
    dlclose(handle);
    for (size_t i = 0; i < OPENS; i++) {
        void *again = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (again == NULL)
            stop("dlopen", dlerror());
        find_all(again);
        if (i % 10 == 0)
            all_products(NULL);
        dlclose(again);
        if (i == OPENS / 4) {
            before = resident_kib();
            maps = mappings();
        }
    }
    printf("open: %d times opened and closed beside %d threads\n", (int)OPENS, (int)FEW);
    expect_flat("open", before, resident_kib());
    join(FEW);
    if (mappings() > maps + FEW)
        stop("open", "there are more mappings than before");
}

int main(int argc, char **argv) {
    char path[4096];
    const char *build = getenv("Q8K_TEST_BUILD"), *quick = getenv("Q8K_TEST_QUICK");
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : quick != NULL && *quick != '\0' ? 1 : 10;
    if (build == NULL || argc > 2 || seconds <= 0) {
        fprintf(stderr, "usage: Q8K_TEST_BUILD=FOLDER load [SECONDS]   (SECONDS: above 0)\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/../lib/.libs/libq8k.so", build);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        printf("SKIPPED: %s\n", dlerror());
        return access(path, F_OK) == 0 ? 1 : 77;
    }
    find_all(handle);
    fill();
    test_open(path, handle);
    test_contexts();
    test_threads(seconds);
    return 0;
}
