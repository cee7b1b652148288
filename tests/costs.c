/* SPDX-License-Identifier: MIT */
/*
 * What the library costs besides its kernels, for people to look at: no test depends on a clock. See usage below.
 *
 * It is not linked with the library, so that opening it can be timed. Everything that is compared is timed in turn.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <q8k/backend.h>

static const char usage[] =
    "usage: costs LIBRARY FOLDER [BACKEND...]   (paths of libq8k.so and of the folder with its plugins)\n"
    "  start  milliseconds to open the library and to make the first context\n"
    "  call   microseconds of a 256x256 product, batch 1: of the kernels, called directly, and what the functions add\n"
    "  split  a product in parts, one after another, by the time of one part\n"
    "Start is of the clock on the wall, the others are of the thread's time. call is the least of many measurements,\n"
    "the others are medians.\n"
    "Without BACKEND: start and call of all in the folder, split of the one that is chosen.\n";

enum { BLOCK = 256, NAMES = 16, NAME_BYTES = 64 };

static _Noreturn void stop(const char *what, const char *why) {
    fprintf(stderr, "costs: %s: %s\n", what, why);
    exit(2);
}

static void *need_memory(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL)
        stop("memory", "there is none");
    return memory;
}

/* Microseconds: of the wall, for what users wait for; of this thread, for what is compared. */
static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* For small differences: whatever disturbs a measurement makes it longer. */
static double least(const double *values, size_t count) {
    double found = values[0];
    for (size_t i = 1; i < count; i++)
        found = values[i] < found ? values[i] : found;
    return found;
}

/* ----------------------------------------------------------------------------------------------- the library --- */

static struct {
    q8k_status (*create)(q8k_context **out, const q8k_context_options *options);
    const char *(*backend)(const q8k_context *context);
    const char *(*last_error)(void);
    size_t (*block_bytes)(q8k_format format);
    const char *(*format_name)(q8k_format format);
    const char *(*precision_name)(q8k_precision precision);
    q8k_status (*matmul)(const q8k_context *context, const q8k_matmul_args *args);
    q8k_status (*bytes)(const q8k_context *context, const q8k_input_args *args, size_t *bytes);
    q8k_status (*prepare)(const q8k_context *context, const q8k_input_args *args, void *prepared, size_t bytes,
                          size_t part, size_t parts);
    q8k_status (*multiply)(const q8k_context *context, const q8k_matmul_args *args, const void *prepared, size_t bytes,
                           size_t part, size_t parts);
} api;

static bool find(void *handle, const char *name, void *function) {
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool open_library(const char *path) {
    void *handle = dlopen(path, RTLD_NOW);
    return handle != NULL && find(handle, "q8k_context_create", &api.create) &&
           find(handle, "q8k_context_backend", &api.backend) && find(handle, "q8k_last_error", &api.last_error) &&
           find(handle, "q8k_format_block_bytes", &api.block_bytes) &&
           find(handle, "q8k_format_name", &api.format_name) &&
           find(handle, "q8k_precision_name", &api.precision_name) && find(handle, "q8k_matmul", &api.matmul) &&
           find(handle, "q8k_input_bytes", &api.bytes) && find(handle, "q8k_input_prepare", &api.prepare) &&
           find(handle, "q8k_matmul_prepared", &api.multiply);
}

static void check(q8k_status status) {
    if (status != Q8K_OK)
        stop("libq8k", api.last_error());
}

/* NULL: the one that is chosen. */
static q8k_context *make_context(const char *backend) {
    q8k_context_options options = {.size = sizeof options, .backend = backend};
    q8k_context *context = NULL;
    return api.create(&context, &options) == Q8K_OK ? context : NULL;
}

/* ----------------------------------------------------------------------------------------------------- start --- */

enum { STARTS = 101 };

typedef struct start {
    double open[STARTS], create[STARTS], both[STARTS];
    bool failed;
} start;

static void start_once(const char *library, const char *backend, start *to, int i) {
    double before = now(CLOCK_MONOTONIC);
    if (!open_library(library))
        stop(library, "cannot be opened");
    double opened = now(CLOCK_MONOTONIC);
    to->failed = make_context(backend) == NULL;
    double made = now(CLOCK_MONOTONIC);
    to->open[i] = opened - before;
    to->create[i] = made - opened;
    to->both[i] = made - before;
}

static void show_start(const char *library, const char *backend) {
    start *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        stop("memory", "there is none");
    for (int i = 0; i < STARTS && !shared->failed; i++) {
        pid_t child = fork();
        if (child == 0) {
            start_once(library, backend, shared, i);
            _exit(0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            stop("start", "a process failed");
    }
    if (shared->failed)
        printf("start  %-8s cannot be used here\n", backend);
    else
        printf("start  %-8s open %6.3f  create %6.3f  both %6.3f ms\n", backend, median(shared->open, STARTS) / 1e3,
               median(shared->create, STARTS) / 1e3, median(shared->both, STARTS) / 1e3);
    munmap(shared, sizeof *shared);
}

/* -------------------------------------------------------------------------------------------------- products --- */

/* A product and all that its ways of being computed need. */
typedef struct product {
    const q8k_context *context;
    q8k_input_args input;
    q8k_matmul_args args;
    void *prepared;
    size_t bytes, parts;
    /* The kernels themselves. */
    const q8k_backend *table;
    const q8k_backend_kernels *kernels;
    q8k_backend_input direct_input;
    q8k_backend_product direct;
} product;

static product product_make(const q8k_context *context, q8k_format format, q8k_precision precision, size_t rows,
                            size_t columns, size_t batch) {
    size_t weights_bytes = rows * columns / BLOCK * api.block_bytes(format);
    uint8_t *weights = need_memory(weights_bytes);
    float *input = need_memory(batch * columns * sizeof *input);
    for (size_t i = 0; i < weights_bytes; i++)
        weights[i] = (uint8_t)(i * 2654435761u >> 13) & 0x3f;
    for (size_t i = 0; i < batch * columns; i++)
        input[i] = (float)(i * 2654435761u % 2001) / 1000 - 1;
    product p = {.context = context,
                 .input = {.size = sizeof p.input,
                           .precision = precision,
                           .in_features = columns,
                           .batch = batch,
                           .input = input},
                 .args = {.size = sizeof p.args,
                          .format = format,
                          .precision = precision,
                          .out_features = rows,
                          .in_features = columns,
                          .batch = batch,
                          .weights = weights,
                          .weights_bytes = weights_bytes,
                          .input = input,
                          .output = need_memory(batch * rows * sizeof(float))},
                 .parts = 1};
    check(api.bytes(context, &p.input, &p.bytes));
    p.prepared = need_memory(p.bytes);
    return p;
}

static void product_free(product *p) {
    free((void *)(uintptr_t)p->args.weights);
    free((void *)(uintptr_t)p->args.input);
    free(p->args.output);
    free(p->prepared);
}

typedef void way(product *p);

static void by_matmul(product *p) {
    check(api.matmul(p->context, &p->args));
}

static void by_parts(product *p) {
    check(api.prepare(p->context, &p->input, p->prepared, p->bytes, 0, 1));
    for (size_t i = 0; i < p->parts; i++)
        check(api.multiply(p->context, &p->args, p->prepared, p->bytes, i, p->parts));
}

static void by_kernels(product *p) {
    p->table->prepare(&p->direct_input);
    p->kernels->matmul(&p->direct);
}

static double time_calls(way *call, product *p, size_t calls) {
    double before = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < calls; i++)
        call(p);
    return (now(CLOCK_THREAD_CPUTIME_ID) - before) / (double)calls;
}

/* ------------------------------------------------------------------------------------------------------ call --- */

static void find_kernels(const char *folder, const char *backend, product *p) {
    char path[4096];
    q8k_backend_entry_function *entry = NULL;
    snprintf(path, sizeof path, "%s/libq8k-%s.so", folder, backend);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL || !find(handle, "q8k_backend_entry", &entry) || (p->table = entry(Q8K_BACKEND_ABI)) == NULL)
        stop(path, "cannot be opened");
    for (size_t i = 0; i < p->table->format_count; i++)
        if (p->table->formats[i]->format == p->args.format)
            p->kernels = p->table->formats[i];
    p->direct_input = (q8k_backend_input){.size = sizeof p->direct_input,
                                          .precision = p->args.precision,
                                          .batch = p->args.batch,
                                          .blocks = p->args.in_features / BLOCK,
                                          .input = p->args.input,
                                          .input_stride = p->args.in_features,
                                          .batch_count = p->args.batch,
                                          .block_count = p->args.in_features / BLOCK};
    p->direct_input.prepared = (void *)(((uintptr_t)p->prepared + 63) & ~(uintptr_t)63);
    p->direct = (q8k_backend_product){.size = sizeof p->direct,
                                      .precision = p->args.precision,
                                      .batch = p->args.batch,
                                      .blocks = p->args.in_features / BLOCK,
                                      .prepared = p->direct_input.prepared,
                                      .weights = p->args.weights,
                                      .weights_stride = p->args.in_features / BLOCK * api.block_bytes(p->args.format),
                                      .row_count = p->args.out_features,
                                      .batch_count = p->args.batch,
                                      .output = p->args.output,
                                      .output_stride = p->args.out_features};
}

static void show_call(const char *folder, const char *backend, q8k_format format, q8k_precision precision) {
    enum { CALLS = 200, ROUNDS = 101, WAYS = 3 };
    static way *const ways[WAYS] = {by_kernels, by_matmul, by_parts};
    q8k_context *context = make_context(backend);
    double times[WAYS][ROUNDS];
    if (context == NULL)
        return;
    product p = product_make(context, format, precision, 256, 256, 1);
    find_kernels(folder, backend, &p);
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < WAYS; i++)
            times[i][round] = time_calls(ways[i], &p, CALLS);
    const double kernels = least(times[0], ROUNDS);
    printf("call   %-8s %-5s %-6s kernels %7.3f  matmul %+.3f  prepare and matmul_prepared %+.3f us\n", backend,
           api.format_name(format), api.precision_name(precision), kernels, least(times[1], ROUNDS) - kernels,
           least(times[2], ROUNDS) - kernels);
    product_free(&p);
}

/* ----------------------------------------------------------------------------------------------------- split --- */

static void show_split(const q8k_context *context, q8k_precision precision, size_t rows, size_t batch) {
    enum { ROUNDS = 15, PARTS = 3 };
    static const size_t parts[PARTS] = {1, 7, 64};
    double times[PARTS][ROUNDS];
    product p = product_make(context, Q8K_FORMAT_Q4_K, precision, rows, 4096, batch);
    by_parts(&p);
    size_t calls = (size_t)(4e3 / time_calls(by_parts, &p, 1)) + 1;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < PARTS; i++) {
            p.parts = parts[i];
            times[i][round] = time_calls(by_parts, &p, calls);
        }
    /* By the time of one part in the same round. */
    for (size_t i = 1; i < PARTS; i++)
        for (size_t round = 0; round < ROUNDS; round++)
            times[i][round] /= times[0][round];
    printf("split  %-8s %-6s %4zux4096, batch %3zu: %9.1f us;", api.backend(context), api.precision_name(precision),
           rows, batch, median(times[0], ROUNDS));
    for (size_t i = 1; i < PARTS; i++)
        printf("  %zu parts %.3f", parts[i], median(times[i], ROUNDS));
    printf("\n");
    product_free(&p);
}

/* ------------------------------------------------------------------------------------------------------ main --- */

/* The names of the plugins in the folder. */
static size_t find_names(const char *folder, char names[NAMES][NAME_BYTES]) {
    char pattern[4096];
    glob_t found;
    size_t count = 0;
    snprintf(pattern, sizeof pattern, "%s/libq8k-*.so", folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        stop(folder, "there are no plugins");
    for (size_t i = 0; i < found.gl_pathc && count < NAMES; i++)
        if (sscanf(strrchr(found.gl_pathv[i], '/'), "/libq8k-%63[a-z0-9_-].so", names[count]) == 1)
            count++;
    globfree(&found);
    return count;
}

int main(int argc, char **argv) {
    static const size_t rows[] = {4096, 1000}, batches[] = {1, 16, 512};
    char names[NAMES][NAME_BYTES];
    size_t count = 0;
    if (argc < 3 || argc - 3 > NAMES) {
        fputs(usage, stderr);
        return 2;
    }
    setenv("Q8K_BACKEND_DIR", argv[2], 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 3; i < argc; i++)
        snprintf(names[count++], NAME_BYTES, "%s", argv[i]);
    if (count == 0)
        count = find_names(argv[2], names);
    for (size_t i = 0; i < count; i++)
        show_start(argv[1], names[i]);
    if (!open_library(argv[1]))
        stop(argv[1], "cannot be opened");
    for (size_t i = 0; i < count; i++)
        for (q8k_format f = Q8K_FORMAT_Q8_K; f <= Q8K_FORMAT_Q8_0; f++)
            show_call(argv[2], names[i], f, Q8K_PRECISION_FLOAT);
    const q8k_context *context = make_context(argc > 3 ? names[0] : NULL);
    for (q8k_precision p = 0; context != NULL && p <= Q8K_PRECISION_BYTE; p++)
        for (size_t i = 0; i < 6; i++)
            show_split(context, p, rows[i / 3], batches[i % 3]);
    return context == NULL;
}
