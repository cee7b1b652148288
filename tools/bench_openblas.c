/* SPDX-License-Identifier: MIT */
/* OpenBLAS as a peer, if this machine has it: on weights that are decoded already, and decoding them on the way. */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static const char library[] = "libopenblas.so.0";
/* What the environment may say to make it take slower kernels than its best. */
static const char *const slowing[] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_L2_SIZE_KB"};

enum { ROW_MAJOR = 101, NOT_TRANSPOSED = 111, TRANSPOSED = 112 };

struct bench_openblas {
    void *handle;
    void (*set_num_threads)(int threads);
    void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                  int a_stride, const float *b, int b_stride, float beta, float *c, int c_stride);
    void (*sgemv)(int order, int transpose, int rows, int cols, float alpha, const float *a, int a_stride,
                  const float *x, int x_step, float beta, float *y, int y_step);
};

static bool find(void *handle, const char *name, void *function_pointer) {
    void *found = dlsym(handle, name);
    if (found == NULL) {
        command_say("openblas is left out: %s has no %s", library, name);
        return false;
    }
    memcpy(function_pointer, &found, sizeof found);
    return true;
}

/* A CPU that is newer than OpenBLAS gets kernels for one that is twenty years old: the name of those for its instructions;
 * NULL: what it has is as good as any. */
static const char *better_kernels(void *handle) {
#ifdef __x86_64__
    static const char *const old[] = {"Prescott", "Core2", "Nehalem", "Barcelona"};
    char *(*corename)(void) = NULL;
    void *found = dlsym(handle, "openblas_get_corename");
    if (found != NULL && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        memcpy(&corename, &found, sizeof corename);
        const char *name = corename();
        for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
            if (strcmp(name, old[i]) == 0) {
                return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") ? "SkylakeX"
                                                                                                : "Haswell";
            }
        }
    }
#else
    (void)handle;
#endif
    return NULL;
}

static void *open_library(void) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    const char *better = handle == NULL ? NULL : better_kernels(handle);
    if (better != NULL) {
        command_say("OpenBLAS does not know this CPU and takes its kernels for %s", better);
        dlclose(handle);
        setenv(slowing[0], better, 1);
        handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        unsetenv(slowing[0]);
    }
    return handle;
}

bench_openblas *bench_openblas_open(void) {
    for (size_t i = 0; i < sizeof slowing / sizeof *slowing; i++) {
        unsetenv(slowing[i]);
    }
    void *handle = open_library();
    if (handle == NULL) {
        command_say("openblas is left out: %s", dlerror());
        return NULL;
    }
    bench_openblas *blas = malloc(sizeof *blas);
    if (blas == NULL) {
        command_say("openblas is left out: no memory");
        dlclose(handle);
        return NULL;
    }
    blas->handle = handle;
    if (!find(handle, "openblas_set_num_threads", &blas->set_num_threads) ||
        !find(handle, "cblas_sgemm", &blas->sgemm) || !find(handle, "cblas_sgemv", &blas->sgemv)) {
        bench_openblas_close(blas);
        return NULL;
    }
    return blas;
}

void bench_openblas_close(bench_openblas *blas) {
    if (blas != NULL) {
        dlclose(blas->handle);
        free(blas);
    }
}

typedef struct product {
    const bench_openblas *blas;
    const bench_data *data;
    const bench_weights *weights;
    const void *matrix;
    size_t rows, batch;
    q8k_status status;
} product;

/* output[b][r] for the rows from `first` on, whose weights are at `weights`. */
static void multiply(const product *p, const float *weights, size_t first, size_t rows) {
    int cols = (int)p->data->cols, m = (int)rows, stride = (int)p->rows;
    float *output = p->data->output + first;
    if (p->batch == 1) {
        p->blas->sgemv(ROW_MAJOR, NOT_TRANSPOSED, m, cols, 1, weights, cols, p->data->input, 1, 0, output, 1);
    } else {
        p->blas->sgemm(ROW_MAJOR, NOT_TRANSPOSED, TRANSPOSED, (int)p->batch, m, cols, 1, p->data->input, cols, weights,
                       cols, 0, output, stride);
    }
}

static bool call(bench_task *task, size_t turn) {
    product *p = task->own;
    multiply(p, bench_matrix(p->weights, task->cold, turn), 0, p->rows);
    return true;
}

/* Each thread decodes its own rows to memory and multiplies them alone: nobody waits for anybody. */
static void decode_and_multiply(void *own, size_t thread, size_t threads) {
    product *p = own;
    size_t first = thread * p->rows / threads, rows = (thread + 1) * p->rows / threads - first;
    float *decoded = p->data->scratch + first * p->data->cols;
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = p->weights->format,
                                .rows = rows,
                                .cols = p->data->cols,
                                .weights = (const uint8_t *)p->matrix + first * p->weights->row_bytes,
                                .weights_bytes = rows * p->weights->row_bytes,
                                .output = decoded};
    if (rows == 0) {
        return;
    }
    q8k_status status = q8k_dequantize(p->data->context, &args);
    if (status != Q8K_OK) {
#ifdef _OPENMP
#pragma omp atomic write
#endif
        p->status = status;
        return;
    }
    multiply(p, decoded, first, rows);
}

static bool call_decode(bench_task *task, size_t turn) {
    product *p = task->own;
    p->matrix = bench_matrix(p->weights, task->cold, turn);
    bench_on_threads(task->threads, decode_and_multiply, NULL, p);
    if (p->status != Q8K_OK) {
        command_say("decoding: %s", q8k_status_name(p->status));
    }
    return p->status == Q8K_OK;
}

static void begin(bench_task *task) {
    const product *p = task->own;
    p->blas->set_num_threads((int)task->threads);
}

static void begin_decode(bench_task *task) {
    const product *p = task->own;
    p->blas->set_num_threads(1);
}

static bool add(bench_tasks *tasks, bench_task task, bench_openblas *blas, const bench_weights *weights) {
    product *p = malloc(sizeof *p);
    if (p == NULL) {
        command_say("no memory");
        return false;
    }
    *p = (product){.blas = blas, .data = task.data, .weights = weights, .rows = task.rows, .batch = task.batch};
    task.tolerance = 1e-4;
    task.own = p;
    return bench_add(tasks, task);
}

bool bench_add_openblas(bench_tasks *tasks, bench_task task, bench_openblas *blas) {
    if (blas == NULL || task.weights != &task.data->weights[0]) {
        return true;
    }
    task.name = "openblas";
    task.any_format = true;
    task.pool = BENCH_POOL_OPENBLAS;
    task.call = call;
    task.begin = begin;
    return add(tasks, task, blas, &task.data->decoded);
}

bool bench_add_decode_openblas(bench_tasks *tasks, bench_task task, bench_openblas *blas) {
    if (blas == NULL) {
        return true;
    }
    task.name = "decode_openblas";
    task.call = call_decode;
    task.begin = begin_decode;
    return add(tasks, task, blas, task.weights);
}
