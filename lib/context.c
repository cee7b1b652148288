/* SPDX-License-Identifier: MIT */
/* Choosing a backend, and the default context. */
#include "lib/context.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arguments.h"

static int verbose(void) {
    const char *value = q8k_environment("Q8K_VERBOSE");
    return value != NULL && strcmp(value, "1") == 0;
}

q8k_status q8k_read_wish(const q8k_context_options *options, q8k_wish *wish) {
    q8k_context_options known = {0};
    if (options != NULL) {
        q8k_status status =
            q8k_check_struct("options", options, Q8K_FIRST_SIZE(q8k_context_options, backend), &known, sizeof known);
        if (status != Q8K_OK)
            return status;
    }
    wish->source = known.backend != NULL ? "options.backend" : "Q8K_BACKEND";
    wish->backend = known.backend != NULL ? known.backend : q8k_environment("Q8K_BACKEND");
    q8k_find_directory(&wish->directory);
    return Q8K_OK;
}

/* For someone who mistyped a name. */
static void suggest_names(q8k_text *hint) {
    const q8k_known_backends *known = &q8k_known[Q8K_CPU_KIND];
    size_t used = 0;
    for (size_t i = 0; i < known->count; i++)
        used += (size_t)snprintf(hint->text + used, sizeof hint->text - used, "%s, ", known->backends[i].name);
    snprintf(hint->text + used, sizeof hint->text - used, "builtin");
}

/* The one that was asked for, or nothing. */
static const q8k_loaded *choose_named(const q8k_wish *wish, q8k_status *status) {
    q8k_text why;
    if (!q8k_check_backend_name(wish->backend, &why)) {
        *status = q8k_fail(Q8K_ERROR_ENVIRONMENT, "%s: %s", wish->source, why.text);
        return NULL;
    }
    const q8k_loaded *chosen = q8k_load(wish->backend, &wish->directory, status, &why);
    if (chosen == NULL && q8k_known_find(wish->backend) != NULL)
        q8k_fail(*status, "%s = \"%s\": %s", wish->source, wish->backend, why.text);
    else if (chosen == NULL) {
        q8k_text hint;
        suggest_names(&hint);
        q8k_fail(*status, "%s = \"%s\": %s; the library's own backends are %s", wish->source, wish->backend, why.text,
                 hint.text);
    }
    return chosen;
}

/* The best that works. A refused folder is as good as a missing one here: it costs speed, not the program. */
static const q8k_loaded *choose_best(const q8k_wish *wish, int tell) {
    const q8k_known_backends *known = &q8k_known[Q8K_CPU_KIND];
    for (size_t i = 0; i < known->count; i++) {
        q8k_text why;
        q8k_status status;
        const q8k_loaded *chosen = q8k_load(known->backends[i].name, &wish->directory, &status, &why);
        if (chosen != NULL)
            return chosen;
        if (tell)
            fprintf(stderr, "q8k: backend %s rejected: %s\n", known->backends[i].name, why.text);
    }
    return q8k_load_builtin();
}

static const q8k_loaded *choose(const q8k_wish *wish, q8k_status *status, int tell) {
    const q8k_loaded *chosen = wish->backend != NULL ? choose_named(wish, status) : choose_best(wish, tell);
    if (tell && chosen != NULL)
        fprintf(stderr, "q8k: backend %s selected%s%s\n", chosen->table->name, chosen->file[0] != '\0' ? ": " : "",
                chosen->file);
    if (tell && chosen == NULL)
        fprintf(stderr, "q8k: no backend: %s\n", q8k_last_error());
    return chosen;
}

/* Opening files and printing are points where a thread may be cancelled, which would leave a file open. */
static const q8k_loaded *choose_whole(const q8k_wish *wish, q8k_status *status, int tell) {
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    const q8k_loaded *chosen = choose(wish, status, tell);
    pthread_setcancelstate(before, &before);
    return chosen;
}

static q8k_context *make_context(const q8k_context_options *options, int tell, q8k_status *status) {
    q8k_wish wish;
    *status = q8k_read_wish(options, &wish);
    if (*status != Q8K_OK)
        return NULL;
    const q8k_loaded *chosen = choose_whole(&wish, status, tell);
    if (chosen == NULL)
        return NULL;
    q8k_context *context = malloc(sizeof *context);
    if (context == NULL) {
        *status = q8k_fail(Q8K_ERROR_MEMORY, "there is no memory for a context of %zu bytes", sizeof *context);
        return NULL;
    }
    context->backend = chosen;
    *status = Q8K_OK;
    return context;
}

q8k_status q8k_context_create(q8k_context **out, const q8k_context_options *options) {
    q8k_status status;
    if (out == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "out = NULL: must be a pointer");
    q8k_context *context = make_context(options, verbose(), &status);
    if (context != NULL)
        *out = context;
    return status;
}

void q8k_context_destroy(q8k_context *context) {
    free(context);
}

/* Threads that race to the first call each find a backend, all the same one; the first to finish is kept. After a
 * failure nothing is kept, so that a later call can succeed. */
static const q8k_loaded *default_backend(q8k_status *status) {
    static q8k_context *_Atomic shared;
    q8k_context *context = atomic_load_explicit(&shared, memory_order_acquire);
    if (context != NULL)
        return context->backend;
    q8k_context *made = make_context(NULL, verbose(), status);
    if (made == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(&shared, &context, made))
        return made->backend;
    free(made);
    return context->backend;
}

const q8k_loaded *q8k_context_loaded(const q8k_context *context, q8k_status *status) {
    *status = Q8K_OK;
    return context != NULL ? context->backend : default_backend(status);
}

const char *q8k_context_backend(const q8k_context *context) {
    q8k_status status;
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    return backend != NULL ? backend->table->name : NULL;
}
