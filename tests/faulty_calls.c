/* SPDX-License-Identifier: MIT */
/* Loaded before libq8k, it makes calls go wrong as FAULT says, to see whether the examples notice:
 *     missing   half of a product's parts are not computed
 *     input     preparing a part fails
 *     product   computing a part fails
 *     threads   no thread can be started */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <q8k/q8k.h>

static int fault_is(const char *name) {
    const char *fault = getenv("FAULT");
    return fault != NULL && strcmp(fault, name) == 0;
}

/* Stores the library's own function at `function`, which is a pointer to a function. */
static void find(void *function, const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "%s is not there\n", name);
        abort();
    }
    memcpy(function, &found, sizeof found);
}

q8k_status q8k_input_prepare(const q8k_context *context, const q8k_input_args *args, void *prepared,
                             size_t prepared_bytes, size_t part, size_t parts) {
    q8k_status (*original)(const q8k_context *, const q8k_input_args *, void *, size_t, size_t, size_t);
    find(&original, "q8k_input_prepare");
    return original(context, args, prepared, prepared_bytes, fault_is("input") ? parts : part, parts);
}

q8k_status q8k_matmul_prepared(const q8k_context *context, const q8k_matmul_args *args, const void *prepared,
                               size_t prepared_bytes, size_t part, size_t parts) {
    q8k_status (*original)(const q8k_context *, const q8k_matmul_args *, const void *, size_t, size_t, size_t);
    find(&original, "q8k_matmul_prepared");
    if (fault_is("missing") && part >= parts / 2)
        return Q8K_OK;
    return original(context, args, prepared, prepared_bytes, fault_is("product") ? parts : part, parts);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *data) {
    int (*original)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    find(&original, "pthread_create");
    return fault_is("threads") ? EAGAIN : original(thread, attributes, start, data);
}
