/* SPDX-License-Identifier: MIT */
/*
 * For mca-table: ggml FOLDER LIBRARY FUNCTION BATCH ROWS BLOCKS
 *
 * One product by a function of ggml's shared library for a kind of CPU, on zeros: ggml_vec_dot_..., a row by a batch
 * row, or ggml_gemv_... and ggml_gemm_..., BATCH batch rows by ROWS rows that lie interleaved. Prints where the
 * function begins, and where its library was loaded. The function's run is between two SIGUSR1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, ROOM = 1 << 22 };

typedef void dot_function(int count, float *sum, size_t sum_stride, const void *weights, size_t weights_stride,
                          const void *activations, size_t activations_stride, int rows);
typedef void tile_function(int count, float *sums, size_t sums_stride, const void *weights, const void *activations,
                           int batch, int rows);

static void *open_library(const char *folder, const char *name, int mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    void *library = dlopen(path, mode);
    if (library == NULL) {
        fprintf(stderr, "ggml: %s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    return library;
}

/* Its functions need to know how long SVE's vectors are. */
static void start(void *library) {
    void (*init)(void), *found = dlsym(library, "ggml_cpu_init");
    if (found != NULL) {
        memcpy(&init, &found, sizeof found);
        init();
    }
}

static void tell(void *function) {
    Dl_info info;
    if (dladdr(function, &info) == 0) {
        exit(EXIT_FAILURE);
    }
    printf("%llx %llx\n", (unsigned long long)(uintptr_t)function, (unsigned long long)(uintptr_t)info.dli_fbase);
    fflush(stdout);
}

static void run(void *function, bool dot, int batch, int rows, int count) {
    static float sums[ROOM / sizeof(float)];
    static char weights[ROOM], activations[ROOM];
    dot_function *dots;
    tile_function *tiles;
    memcpy(&dots, &function, sizeof function);
    memcpy(&tiles, &function, sizeof function);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    if (dot) {
        dots(count, sums, 0, weights, 0, activations, 0, 1);
    } else {
        tiles(count, sums, (size_t)rows, weights, activations, batch, rows);
    }
    raise(SIGUSR1);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: ggml FOLDER LIBRARY FUNCTION BATCH ROWS BLOCKS\n");
        return EXIT_FAILURE;
    }
    open_library(argv[1], "libggml-base.so", RTLD_NOW | RTLD_GLOBAL);
    void *library = open_library(argv[1], argv[2], RTLD_NOW), *function = dlsym(library, argv[3]);
    if (function == NULL) {
        fprintf(stderr, "ggml: %s\n", dlerror());
        return EXIT_FAILURE;
    }
    start(library);
    tell(function);
    run(function, strstr(argv[3], "vec_dot") != NULL, atoi(argv[4]), atoi(argv[5]), BLOCK * atoi(argv[6]));
    return EXIT_SUCCESS;
}
