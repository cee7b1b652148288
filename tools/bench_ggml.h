/* SPDX-License-Identifier: MIT */
/* What is used of ggml. Its structs are passed on as pointers and never looked into, so that any release will do. */
#ifndef Q8K_TOOLS_BENCH_GGML_H
#define Q8K_TOOLS_BENCH_GGML_H

#include "bench.h"

enum { GGML_STATUS_OK = 0, GGML_F32 = 0 };

typedef struct bench_ggml_init {
    size_t bytes;
    void *memory; /* NULL: from malloc() */
    bool no_alloc;
} bench_ggml_init;

typedef struct ggml_workers ggml_workers;
typedef struct ggml_matrices ggml_matrices;
typedef struct ggml_product ggml_product;

struct bench_ggml {
    void *base, *cpu; /* the libraries */
    void *device;
    void **extra_bufts; /* types of buffers that lay weights out anew, ending in NULL; NULL: none */

    void (*log_set)(void (*log)(int level, const char *text, void *user), void *user);
    void *(*init)(bench_ggml_init parameters);
    void (*free)(void *context);
    size_t (*tensor_overhead)(void);
    size_t (*graph_overhead_custom)(size_t size, bool gradients);
    void *(*new_tensor_2d)(void *context, int type, int64_t cols, int64_t rows);
    void *(*mul_mat)(void *context, void *weights, void *input);
    void *(*new_graph_custom)(void *context, size_t size, bool gradients);
    void (*build_forward_expand)(void *graph, void *tensor);
    void (*threadpool_params_init)(void *parameters, int threads);
    void (*backend_free)(void *backend);
    int (*backend_graph_compute)(void *backend, void *graph);
    void *(*buffer_from_ptr)(void *memory, size_t bytes);
    void (*buffer_free)(void *buffer);
    int (*tensor_alloc)(void *buffer, void *tensor, void *memory);
    void (*tensor_set)(void *tensor, const void *bytes, size_t offset, size_t count);
    void *(*alloc_ctx_tensors_from_buft)(void *context, void *buffer_type);
    void *(*reg_dev_get)(void *registry, size_t index);
    void *(*reg_get_proc_address)(void *registry, const char *name);
    void *(*dev_init)(void *device, const char *parameters);
    bool (*dev_supports_op)(void *device, const void *tensor);
    void (*set_n_threads)(void *backend, int threads);
    void (*set_threadpool)(void *backend, void *pool);
    void *(*threadpool_new)(void *parameters);
    void (*threadpool_free)(void *pool);
    void (*threadpool_pause)(void *pool);
    void (*threadpool_resume)(void *pool);

    /* What was made with them. */
    ggml_workers *workers;
    ggml_matrices *matrices;
    ggml_product *products;
};

void bench_ggml_free_products(bench_ggml *ggml);

#endif
