/* SPDX-License-Identifier: MIT */
/* What became of every backend, for people. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arguments.h"
#include "lib/context.h"
#include "lib/cpu.h"

typedef struct entry {
    char name[Q8K_BACKEND_NAME_BYTES];
    char file[Q8K_PATH_BYTES];
    char needs[256];
    q8k_text reason;
    q8k_backend_state state;
} entry;

struct q8k_backend_list {
    char directory[Q8K_PATH_BYTES];
    const char *source;
    q8k_text problem;
    size_t count;
    entry entries[];
};

static void fill_entry(entry *e, const char *name, const q8k_wish *wish) {
    uint64_t needs = 0;
    q8k_status status;
    int builtin = strcmp(name, "builtin") == 0;
    strncpy(e->name, name, sizeof e->name - 1);
    if (!builtin && wish->directory.accepted)
        q8k_plugin_path(&wish->directory, name, e->file);
    const q8k_loaded *loaded = q8k_load(name, &wish->directory, &status, &e->reason);
    e->state = loaded != NULL ? Q8K_BACKEND_AVAILABLE : Q8K_BACKEND_REJECTED;
    const q8k_known_backend *known = q8k_known_find(name);
    if (known != NULL)
        needs = known->cpu_features;
    if (loaded != NULL)
        needs |= loaded->table->cpu_features;
    q8k_cpu_names(needs, e->needs, sizeof e->needs);
}

/* The same choice as a context makes: the named one or, without a name, the first that works. */
static void select_entry(q8k_backend_list *list, const q8k_wish *wish) {
    entry *selected = NULL;
    for (size_t i = 0; i < list->count && selected == NULL; i++) {
        entry *e = &list->entries[i];
        if (e->state == Q8K_BACKEND_AVAILABLE && (wish->backend == NULL || strcmp(wish->backend, e->name) == 0))
            selected = e;
    }
    if (selected != NULL)
        selected->state = Q8K_BACKEND_SELECTED;
    for (size_t i = 0; i < list->count; i++) {
        entry *e = &list->entries[i];
        if (e->state != Q8K_BACKEND_AVAILABLE)
            continue;
        if (wish->backend != NULL)
            q8k_say(&e->reason, "%s asks for another one", wish->source);
        else if (selected != NULL)
            q8k_say(&e->reason, "%s is preferred", selected->name);
    }
}

static int is_listed(const q8k_backend_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->entries[i].name, name) == 0)
            return 1;
    return 0;
}

/* A name that cannot be a backend's gets an entry all the same, with what is wrong with it. */
static void add_named(q8k_backend_list *list, const q8k_wish *wish) {
    q8k_text why;
    entry *e = &list->entries[list->count];
    if (q8k_check_backend_name(wish->backend, &why)) {
        if (!is_listed(list, wish->backend)) {
            fill_entry(e, wish->backend, wish);
            list->count++;
        }
        return;
    }
    strcpy(e->name, "?");
    e->state = Q8K_BACKEND_REJECTED;
    q8k_say(&e->reason, "%s: %s", wish->source, why.text);
    list->count++;
}

static void fill_list(q8k_backend_list *list, const q8k_wish *wish) {
    const q8k_known_backends *known = &q8k_known[Q8K_CPU_KIND];
    for (size_t i = 0; i < known->count; i++)
        fill_entry(&list->entries[list->count++], known->backends[i].name, wish);
    fill_entry(&list->entries[list->count++], "builtin", wish);
    if (wish->backend != NULL)
        add_named(list, wish);
    select_entry(list, wish);
}

q8k_status q8k_backend_list_create(q8k_backend_list **out, const q8k_context_options *options) {
    q8k_wish wish;
    int before;
    if (out == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "out = NULL: must be a pointer");
    q8k_status status = q8k_read_wish(options, &wish);
    if (status != Q8K_OK)
        return status;
    /* The table, the built-in one, and one more by name. */
    size_t bytes = sizeof(q8k_backend_list) + (q8k_known[Q8K_CPU_KIND].count + 2) * sizeof(entry);
    q8k_backend_list *list = calloc(1, bytes);
    if (list == NULL)
        return q8k_fail(Q8K_ERROR_MEMORY, "there is no memory for a list of backends of %zu bytes", bytes);
    strncpy(list->directory, wish.directory.path, sizeof list->directory - 1);
    list->source = wish.directory.source;
    list->problem = wish.directory.problem;
    /* Opening a file is a point where a thread may be cancelled, which would leave the file open. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    fill_list(list, &wish);
    pthread_setcancelstate(before, &before);
    *out = list;
    return Q8K_OK;
}

void q8k_backend_list_destroy(q8k_backend_list *list) {
    free(list);
}

size_t q8k_backend_list_count(const q8k_backend_list *list) {
    return list != NULL ? list->count : 0;
}

q8k_status q8k_backend_list_get(const q8k_backend_list *list, size_t index, q8k_backend_info *info) {
    q8k_backend_info known = {0};
    if (list == NULL || info == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "%s = NULL: must be a pointer", list == NULL ? "list" : "info");
    q8k_status status = q8k_check_struct("info", info, Q8K_FIRST_SIZE(q8k_backend_info, state), &known, sizeof known);
    if (status != Q8K_OK)
        return status;
    if (index >= list->count)
        return q8k_fail(Q8K_ERROR_INDEX, "index = %zu: must be below the number of backends, %zu", index, list->count);
    const entry *e = &list->entries[index];
    info->name = e->name;
    info->file = e->file;
    info->needs = e->needs;
    info->reason = e->reason.text;
    info->state = e->state;
    return Q8K_OK;
}

const char *q8k_backend_list_directory(const q8k_backend_list *list, const char **problem) {
    if (list == NULL)
        return NULL;
    if (problem != NULL)
        *problem = list->problem.text;
    return list->directory;
}

const char *q8k_backend_list_directory_source(const q8k_backend_list *list) {
    return list != NULL ? list->source : NULL;
}
