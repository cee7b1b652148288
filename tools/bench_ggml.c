/* SPDX-License-Identifier: MIT */
/* ggml as a peer: its shared libraries, by way of the C functions that they export. */
#define _GNU_SOURCE
#include "bench_ggml.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"

enum { PATH_BYTES = 4096, SHOWN_BYTES = 4096 };

static bool find(void *handle, const char *name, void *function_pointer) {
    void *found = dlsym(handle, name);
    if (found == NULL) {
        command_say("--ggml: its libraries have no %s", name);
        return false;
    }
    memcpy(function_pointer, &found, sizeof found);
    return true;
}

static bool find_base(bench_ggml *g) {
    void *base = g->base;
    return find(base, "ggml_log_set", &g->log_set) && find(base, "ggml_init", &g->init) &&
           find(base, "ggml_free", &g->free) && find(base, "ggml_tensor_overhead", &g->tensor_overhead) &&
           find(base, "ggml_graph_overhead_custom", &g->graph_overhead_custom) &&
           find(base, "ggml_new_tensor_2d", &g->new_tensor_2d) && find(base, "ggml_mul_mat", &g->mul_mat) &&
           find(base, "ggml_new_graph_custom", &g->new_graph_custom) &&
           find(base, "ggml_build_forward_expand", &g->build_forward_expand) &&
           find(base, "ggml_threadpool_params_init", &g->threadpool_params_init) &&
           find(base, "ggml_backend_free", &g->backend_free) &&
           find(base, "ggml_backend_graph_compute", &g->backend_graph_compute) &&
           find(base, "ggml_backend_cpu_buffer_from_ptr", &g->buffer_from_ptr) &&
           find(base, "ggml_backend_buffer_free", &g->buffer_free) &&
           find(base, "ggml_backend_tensor_alloc", &g->tensor_alloc) &&
           find(base, "ggml_backend_tensor_set", &g->tensor_set) &&
           find(base, "ggml_backend_alloc_ctx_tensors_from_buft", &g->alloc_ctx_tensors_from_buft) &&
           find(base, "ggml_backend_reg_dev_get", &g->reg_dev_get) &&
           find(base, "ggml_backend_reg_get_proc_address", &g->reg_get_proc_address) &&
           find(base, "ggml_backend_dev_init", &g->dev_init) &&
           find(base, "ggml_backend_dev_supports_op", &g->dev_supports_op);
}

static bool find_function(bench_ggml *g, void *registry, const char *name, void *function_pointer) {
    void *found = g->reg_get_proc_address(registry, name);
    if (found == NULL) {
        return find(g->cpu, name, function_pointer);
    }
    memcpy(function_pointer, &found, sizeof found);
    return true;
}

/* What the library for this CPU offers, by way of its registry, as programs that load it find it. */
static bool find_cpu(bench_ggml *g) {
    void *(*registry)(void), *(*extra_bufts)(void *device);
    const char *entry = dlsym(g->cpu, "ggml_backend_init") != NULL ? "ggml_backend_init" : "ggml_backend_cpu_reg";
    if (!find(g->cpu, entry, &registry)) {
        return false;
    }
    void *reg = registry();
    if (reg == NULL) {
        command_say("--ggml: its library for this CPU does not start");
        return false;
    }
    if (!find_function(g, reg, "ggml_backend_set_n_threads", &g->set_n_threads) ||
        !find_function(g, reg, "ggml_backend_cpu_set_threadpool", &g->set_threadpool) ||
        !find_function(g, reg, "ggml_threadpool_new", &g->threadpool_new) ||
        !find_function(g, reg, "ggml_threadpool_free", &g->threadpool_free) ||
        !find_function(g, reg, "ggml_threadpool_pause", &g->threadpool_pause) ||
        !find_function(g, reg, "ggml_threadpool_resume", &g->threadpool_resume)) {
        return false;
    }
    g->device = g->reg_dev_get(reg, 0);
    void *extra = g->reg_get_proc_address(reg, "ggml_backend_dev_get_extra_bufts");
    if (extra != NULL) {
        memcpy(&extra_bufts, &extra, sizeof extra);
        g->extra_bufts = extra_bufts(g->device);
    }
    return true;
}

static int score_of(void *handle) {
    void *found = dlsym(handle, "ggml_backend_score");
    int (*score)(void);
    memcpy(&score, &found, sizeof found);
    /* A library without one is the only one, made for the machine it was built on. */
    return found != NULL ? score() : 1;
}

/* Opens the best of the libraries for kinds of CPU. */
static bool open_cpu(bench_ggml *g, const char *folder) {
    char pattern[PATH_BYTES], shown[SHOWN_BYTES];
    glob_t files;
    int best = 0;
    snprintf(pattern, sizeof pattern, "%s/libggml-cpu*.so", folder);
    if (glob(pattern, 0, NULL, &files) != 0) {
        command_say("--ggml: no %s", escape_path(shown, sizeof shown, pattern));
        return false;
    }
    for (size_t i = 0; i < files.gl_pathc; i++) {
        void *handle = dlopen(files.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL) {
            command_say("--ggml: %s", escape_path(shown, sizeof shown, dlerror()));
            continue;
        }
        int score = score_of(handle);
        void *worse = score > best ? g->cpu : handle;
        if (score > best) {
            g->cpu = handle;
            best = score;
        }
        if (worse != NULL) {
            dlclose(worse);
        }
    }
    globfree(&files);
    if (g->cpu == NULL) {
        command_say("--ggml: no library in %s is for this CPU", escape_path(shown, sizeof shown, folder));
    }
    return g->cpu != NULL;
}

/* It would tell of every tensor. */
static void say_nothing(int level, const char *text, void *user) {
    (void)level;
    (void)text;
    (void)user;
}

bench_ggml *bench_ggml_open(const char *folder) {
    char path[PATH_BYTES], shown[SHOWN_BYTES];
    bench_ggml *g = calloc(1, sizeof *g);
    if (g == NULL) {
        command_say("no memory");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/libggml-base.so", folder);
    /* Global: the others need it, and may not be told where it is. */
    g->base = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (g->base == NULL) {
        command_say("--ggml: %s", escape_path(shown, sizeof shown, dlerror()));
    }
    if (g->base == NULL || !find_base(g) || !open_cpu(g, folder) || !find_cpu(g)) {
        bench_ggml_close(g);
        return NULL;
    }
    g->log_set(say_nothing, NULL);
    return g;
}

void bench_ggml_close(bench_ggml *ggml) {
    if (ggml == NULL) {
        return;
    }
    bench_ggml_free_products(ggml);
    /* The libraries stay: they leave threads and functions to be called at exit. */
    free(ggml);
}
