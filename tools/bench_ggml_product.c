/* SPDX-License-Identifier: MIT */
/* Products by ggml: a graph of one multiplication for each copy of the weights, which are the very blocks that the
 * library reads or, repacked, a layout of ggml's own. */
#define _GNU_SOURCE
#include "bench_ggml.h"

#include <stdlib.h>

/* Of ggml's struct of parameters, which grows with its releases. */
enum { PARAMETER_BYTES = 8192, GRAPH_NODES = 4 };

/* Threads, and what computes on them. */
struct ggml_workers {
    ggml_workers *next;
    size_t threads;
    void *backend, *pool;
};

/* Tensors of weights in copies, as one set of bytes or repacked. */
struct ggml_matrices {
    ggml_matrices *next;
    const bench_weights *weights;
    void *buffer_type; /* NULL: in place */
    size_t rows, copies;
    void *context, *buffer;
    void **tensors;
    bool usable;
};

struct ggml_product {
    ggml_product *next;
    const bench_ggml *ggml;
    const ggml_workers *workers;
    void *context, *input_buffer, *output_buffer;
    size_t count;
    void **graphs;
};

static ggml_workers *workers_of(bench_ggml *g, size_t threads) {
    ggml_workers *w = g->workers;
    while (w != NULL && w->threads != threads) {
        w = w->next;
    }
    if (w != NULL) {
        return w;
    }
    w = calloc(1, sizeof *w);
    uint64_t *parameters = calloc(1, PARAMETER_BYTES);
    if (w == NULL || parameters == NULL) {
        free(w);
        free(parameters);
        return NULL;
    }
    *w = (ggml_workers){.next = g->workers, .threads = threads};
    g->workers = w;
    g->threadpool_params_init(parameters, (int)threads);
    w->pool = g->threadpool_new(parameters);
    w->backend = g->dev_init(g->device, NULL);
    free(parameters);
    if (w->pool != NULL && w->backend != NULL) {
        g->set_n_threads(w->backend, (int)threads);
        g->set_threadpool(w->backend, w->pool);
        g->threadpool_pause(w->pool);
    }
    return w;
}

/* A buffer around the library's own copies. */
static bool fill_in_place(const bench_ggml *g, ggml_matrices *m) {
    const bench_weights *weights = m->weights;
    m->buffer = g->buffer_from_ptr(weights->bytes, weights->copies * weights->copy_bytes);
    for (size_t i = 0; m->buffer != NULL && i < m->copies; i++) {
        if (g->tensor_alloc(m->buffer, m->tensors[i], weights->bytes + i * weights->copy_bytes) != GGML_STATUS_OK) {
            return false;
        }
    }
    return m->buffer != NULL;
}

/* Not every format can be repacked on every CPU, which shows when a product of such a tensor exists. */
static bool can_repack(const bench_ggml *g, const ggml_matrices *m) {
    bench_ggml_init room = {.bytes = 4 * g->tensor_overhead(), .no_alloc = true};
    void *context = g->init(room);
    if (context == NULL) {
        return false;
    }
    int64_t cols = (int64_t)(m->weights->row_bytes / q8k_format_block_bytes(m->weights->format) *
                             q8k_format_block_columns(m->weights->format));
    void *tensor = g->new_tensor_2d(context, q8k_format_gguf_type(m->weights->format), cols, (int64_t)m->rows);
    void *buffer = g->alloc_ctx_tensors_from_buft(context, m->buffer_type);
    bool can = false;
    if (buffer != NULL) {
        can = g->dev_supports_op(g->device, g->mul_mat(context, tensor, g->new_tensor_2d(context, GGML_F32, cols, 1)));
        g->buffer_free(buffer);
    }
    g->free(context);
    return can;
}

static bool fill_repacked(const bench_ggml *g, ggml_matrices *m) {
    m->buffer = g->alloc_ctx_tensors_from_buft(m->context, m->buffer_type);
    for (size_t i = 0; m->buffer != NULL && i < m->copies; i++) {
        g->tensor_set(m->tensors[i], m->weights->bytes, 0, m->rows * m->weights->row_bytes);
    }
    return m->buffer != NULL;
}

static bool make_matrices(const bench_ggml *g, ggml_matrices *m, size_t cols) {
    m->tensors = calloc(m->copies, sizeof *m->tensors);
    m->context = g->init((bench_ggml_init){.bytes = (m->copies + 1) * g->tensor_overhead(), .no_alloc = true});
    if (m->tensors == NULL || m->context == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->copies; i++) {
        m->tensors[i] =
            g->new_tensor_2d(m->context, q8k_format_gguf_type(m->weights->format), (int64_t)cols, (int64_t)m->rows);
    }
    return m->buffer_type == NULL ? fill_in_place(g, m) : fill_repacked(g, m);
}

/* NULL: no memory, or ggml does not repack these. */
static const ggml_matrices *matrices_of(bench_ggml *g, const bench_task *task, void *buffer_type) {
    ggml_matrices *m = g->matrices;
    while (m != NULL && (m->weights != task->weights || m->buffer_type != buffer_type || m->rows != task->rows ||
                         m->copies != (task->cold ? task->weights->copies : 1))) {
        m = m->next;
    }
    if (m != NULL) {
        return m->usable ? m : NULL;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    *m = (ggml_matrices){.next = g->matrices,
                         .weights = task->weights,
                         .buffer_type = buffer_type,
                         .rows = task->rows,
                         .copies = task->cold ? task->weights->copies : 1};
    g->matrices = m;
    m->usable = (buffer_type == NULL || can_repack(g, m)) && make_matrices(g, m, task->data->cols);
    return m->usable ? m : NULL;
}

static bool make_product(const bench_ggml *g, ggml_product *p, const bench_task *task, const ggml_matrices *m) {
    const bench_data *data = task->data;
    size_t room = (m->copies + 2) * (g->tensor_overhead() + g->graph_overhead_custom(GRAPH_NODES, false));
    p->context = g->init((bench_ggml_init){.bytes = room, .no_alloc = true});
    p->graphs = calloc(m->copies, sizeof *p->graphs);
    p->input_buffer = g->buffer_from_ptr(data->input, task->batch * data->cols * sizeof(float));
    p->output_buffer = g->buffer_from_ptr(data->output, task->batch * task->rows * sizeof(float));
    if (p->context == NULL || p->graphs == NULL || p->input_buffer == NULL || p->output_buffer == NULL) {
        return false;
    }
    void *input = g->new_tensor_2d(p->context, GGML_F32, (int64_t)data->cols, (int64_t)task->batch);
    bool good = g->tensor_alloc(p->input_buffer, input, data->input) == GGML_STATUS_OK;
    for (; good && p->count < m->copies; p->count++) {
        void *output = g->mul_mat(p->context, m->tensors[p->count], input);
        good = g->tensor_alloc(p->output_buffer, output, data->output) == GGML_STATUS_OK;
        p->graphs[p->count] = g->new_graph_custom(p->context, GRAPH_NODES, false);
        g->build_forward_expand(p->graphs[p->count], output);
    }
    return good;
}

static ggml_product *product_of(const bench_task *task) {
    return *(ggml_product *const *)task->own;
}

static bool call(bench_task *task, size_t turn) {
    const ggml_product *p = product_of(task);
    int status = p->ggml->backend_graph_compute(p->workers->backend, p->graphs[turn % p->count]);
    if (status != GGML_STATUS_OK) {
        command_say("ggml: a product fails with status %d", status);
    }
    return status == GGML_STATUS_OK;
}

static void begin(bench_task *task) {
    const ggml_product *p = product_of(task);
    p->ggml->threadpool_resume(p->workers->pool);
}

static void end(bench_task *task) {
    const ggml_product *p = product_of(task);
    p->ggml->threadpool_pause(p->workers->pool);
}

/* The task refers to the product, which is ggml's to free. */
static bool add(bench_tasks *tasks, bench_task task, bench_ggml *g, void *buffer_type) {
    const ggml_matrices *m = matrices_of(g, &task, buffer_type);
    if (m == NULL) {
        return true;
    }
    ggml_workers *workers = workers_of(g, task.threads);
    ggml_product *p = calloc(1, sizeof *p), **own = malloc(sizeof *own);
    if (p == NULL || own == NULL || workers == NULL || workers->pool == NULL || workers->backend == NULL) {
        command_say("no memory, or no threads for ggml");
        free(p);
        free(own);
        return false;
    }
    *p = (ggml_product){.next = g->products, .ggml = g, .workers = workers};
    g->products = p;
    *own = p;
    task.own = own;
    if (!make_product(g, p, &task, m)) {
        command_say("no memory for a product by ggml");
        free(own);
        return false;
    }
    task.pool = BENCH_POOL_GGML;
    task.tolerance = 0.08;
    task.call = call;
    task.begin = begin;
    task.end = end;
    return bench_add(tasks, task);
}

bool bench_add_ggml(bench_tasks *tasks, bench_task task, bench_ggml *ggml) {
    if (ggml == NULL || q8k_format_gguf_type(task.weights->format) < 0) {
        return true;
    }
    task.name = "ggml";
    return add(tasks, task, ggml, NULL);
}

bool bench_add_ggml_repack(bench_tasks *tasks, bench_task task, bench_ggml *ggml) {
    if (ggml == NULL || q8k_format_gguf_type(task.weights->format) < 0) {
        return true;
    }
    task.name = "ggml_repack";
    for (size_t i = 0; ggml->extra_bufts != NULL && ggml->extra_bufts[i] != NULL; i++) {
        size_t before = tasks->count;
        if (!add(tasks, task, ggml, ggml->extra_bufts[i])) {
            return false;
        }
        if (tasks->count > before) {
            break;
        }
    }
    return true;
}

void bench_ggml_free_products(bench_ggml *g) {
    for (ggml_product *p = g->products, *next; p != NULL; p = next) {
        next = p->next;
        if (p->input_buffer != NULL) {
            g->buffer_free(p->input_buffer);
        }
        if (p->output_buffer != NULL) {
            g->buffer_free(p->output_buffer);
        }
        if (p->context != NULL) {
            g->free(p->context);
        }
        free(p->graphs);
        free(p);
    }
    for (ggml_matrices *m = g->matrices, *next; m != NULL; m = next) {
        next = m->next;
        if (m->buffer != NULL) {
            g->buffer_free(m->buffer);
        }
        if (m->context != NULL) {
            g->free(m->context);
        }
        free(m->tensors);
        free(m);
    }
    for (ggml_workers *w = g->workers, *next; w != NULL; w = next) {
        next = w->next;
        if (w->backend != NULL) {
            g->backend_free(w->backend);
        }
        if (w->pool != NULL) {
            g->threadpool_free(w->pool);
        }
        free(w);
    }
}
