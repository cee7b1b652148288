/* SPDX-License-Identifier: MIT */
/*
 * The loader. No lock is held anywhere: a thread that takes the dynamic linker's lock inside dlopen while it holds
 * one of ours would deadlock with a thread that runs a constructor inside dlopen and calls us, and a lock held during
 * fork would stay locked in the child. Instead every step may be done by several threads at once (dlopen maps a file
 * once, tables are the same on every call), and the first finished result is published with one atomic exchange.
 */
#define _GNU_SOURCE
#include "lib/loader.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/backends.h"
#include "lib/cpu.h"
#include "lib/known_answer.h"

#define KNOWN_BACKEND(name) {#name, BACKEND_NEEDS_##name},
static const q8k_known_backend x86_backends[] = {Q8K_EACH_X86_BACKEND(KNOWN_BACKEND)};
static const q8k_known_backend arm_backends[] = {Q8K_EACH_ARM_BACKEND(KNOWN_BACKEND)};
static const q8k_known_backend other_backends[] = {Q8K_EACH_OTHER_BACKEND(KNOWN_BACKEND)};

const q8k_known_backends q8k_known[] = {
    [Q8K_CPU_KIND_X86] = {x86_backends, sizeof x86_backends / sizeof *x86_backends},
    [Q8K_CPU_KIND_ARM] = {arm_backends, sizeof arm_backends / sizeof *arm_backends},
    [Q8K_CPU_KIND_OTHER] = {other_backends, sizeof other_backends / sizeof *other_backends},
};

const q8k_known_backend *q8k_known_find(const char *name) {
    const q8k_known_backends *known = &q8k_known[Q8K_CPU_KIND];
    for (size_t i = 0; i < known->count; i++)
        if (strcmp(name, known->backends[i].name) == 0)
            return &known->backends[i];
    return NULL;
}

/* Everything loaded so far; entries are added at the front and never removed. */
static q8k_loaded *_Atomic loaded_list;

const char *q8k_environment(const char *name) {
#ifdef HAVE_SECURE_GETENV
    return secure_getenv(name);
#else
    /* Where the C library cannot tell set-user-id programs from others, the environment is never trusted. */
    (void)name;
    return NULL;
#endif
}

int q8k_check_backend_name(const char *name, q8k_text *why) {
    size_t length = strlen(name);
    if (length == 0)
        return q8k_say(why, "the name of a backend is empty");
    if (length >= Q8K_BACKEND_NAME_BYTES)
        return q8k_say(why, "the name of a backend has %zu characters (limit %d)", length, Q8K_BACKEND_NAME_BYTES - 1);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (good != length)
        return q8k_say(why,
                       "the name of a backend has the byte 0x%02x at position %zu: only a-z, 0-9, _ and - may be "
                       "in it",
                       (unsigned char)name[good], good);
    return 1;
}

static int check_kernels(const q8k_backend_kernels *kernels, size_t index, q8k_text *why) {
    if (kernels == NULL)
        return q8k_say(why, "formats[%zu] is NULL", index);
    if (kernels->size < sizeof *kernels)
        return q8k_say(why, "formats[%zu] has %zu bytes: this library needs %zu", index, kernels->size,
                       sizeof *kernels);
    const char *missing = kernels->matmul == NULL       ? "matmul"
                          : kernels->accumulate == NULL ? "accumulate"
                          : kernels->decode == NULL     ? "decode"
                                                        : NULL;
    const char *format = q8k_format_name(kernels->format);
    if (missing != NULL)
        return q8k_say(why, "formats[%zu] (%s): the function %s is NULL", index, format != NULL ? format : "unknown",
                       missing);
    if (kernels->row_step == 0)
        return q8k_say(why, "formats[%zu] (%s): row_step is 0", index, format != NULL ? format : "unknown");
    return 1;
}

static int check_table(const q8k_backend *table, const char *name, q8k_text *why) {
    if (table->size < sizeof *table)
        return q8k_say(why, "its table has %zu bytes: this library needs %zu", table->size, sizeof *table);
    if (table->name == NULL || strcmp(table->name, name) != 0)
        return q8k_say(why, "its table says that it is \"%.64s\"", table->name == NULL ? "" : table->name);
    if (table->batch_step == 0)
        return q8k_say(why, "batch_step is 0");
    if (table->prepared_bytes == NULL || table->prepare == NULL)
        return q8k_say(why, "the function %s is NULL", table->prepare == NULL ? "prepare" : "prepared_bytes");
    if (table->format_count != 0 && table->formats == NULL)
        return q8k_say(why, "formats is NULL, format_count %zu", table->format_count);
    for (size_t i = 0; i < table->format_count; i++)
        if (!check_kernels(table->formats[i], i, why))
            return 0;
    return 1;
}

/* The first two fields are read before the size is believed: they are what tells whether it can be. */
static int check_identity(const q8k_backend *table, q8k_text *why) {
    if (table->magic != Q8K_BACKEND_MAGIC)
        return q8k_say(why, "magic 0x%08x: a table of backends has 0x%08x", (unsigned)table->magic,
                       (unsigned)Q8K_BACKEND_MAGIC);
    if (table->abi != Q8K_BACKEND_ABI)
        return q8k_say(why, "backend ABI %u: this library has %u", (unsigned)table->abi, (unsigned)Q8K_BACKEND_ABI);
    return 1;
}

static int check_cpu(uint64_t needed, q8k_text *why) {
    char names[256];
    q8k_cpu cpu = q8k_cpu_probe();
    uint64_t missing = needed & ~cpu.usable;
    if (missing == 0)
        return 1;
    q8k_cpu_names(missing, names, sizeof names);
    return q8k_say(why, "this CPU lacks %s%s", names,
                   (missing & cpu.seen) != 0 ? " (or the operating system has not enabled it)" : "");
}

/* Full table first, then overlay: no kernel pointer is ever NULL. */
static void fill_kernels(q8k_loaded *loaded) {
    memcpy(loaded->filled, q8k_scalar_kernels, sizeof loaded->filled);
    for (size_t i = 0; i < loaded->table->format_count; i++) {
        const q8k_format_info *info = q8k_format_find(loaded->table->formats[i]->format);
        if (info != NULL)
            loaded->filled[info - q8k_formats] = loaded->table->formats[i];
    }
    loaded->kernels = loaded->filled;
    /* The scalar backend under its other name prepares the input as its kernels want it. */
    if (loaded->table->prepare == q8k_scalar_backend.prepare)
        return;
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++)
        loaded->borrows |= loaded->filled[i] == q8k_scalar_kernels[i];
}

/* A plugin is known by its file, one that is built in by its name. */
static const q8k_loaded *find_loaded(const q8k_loaded *from, const char *file, const char *name) {
    for (; from != NULL; from = from->next)
        if (strcmp(from->file, file) == 0 && strcmp(from->table->name, name) == 0)
            return from;
    return NULL;
}

/* Adds a copy to the list, unless another thread was faster; returns what is in the list. NULL: no memory. */
static const q8k_loaded *publish(const q8k_loaded *found) {
    size_t bytes = strlen(found->file) + 1;
    q8k_loaded *entry = malloc(sizeof *entry + bytes);
    if (entry == NULL)
        return NULL;
    char *file = (char *)(entry + 1);
    memcpy(file, found->file, bytes);
    *entry = *found;
    entry->file = file;
    entry->kernels = entry->filled;
    entry->next = atomic_load(&loaded_list);
    for (;;) {
        const q8k_loaded *other = find_loaded(entry->next, file, entry->table->name);
        if (other != NULL) {
            free(entry);
            return other;
        }
        if (atomic_compare_exchange_weak(&loaded_list, &entry->next, entry))
            return entry;
    }
}

const q8k_loaded *q8k_load_builtin(void) {
    static const q8k_loaded builtin = {.file = "", .table = &q8k_scalar_backend, .kernels = q8k_scalar_kernels};
    return &builtin;
}

const q8k_loaded *q8k_load(const char *name, const q8k_directory *directory, q8k_status *status, q8k_text *why) {
    char file[Q8K_PATH_BYTES];
    q8k_text reason;
    *status = Q8K_ERROR_BACKEND;
    if (strcmp(name, "builtin") == 0)
        return q8k_load_builtin();
    const q8k_known_backend *own = q8k_known_find(name);
    if (own != NULL && !check_cpu(own->cpu_features, why))
        return NULL;
    if (!directory->accepted) {
        *status = Q8K_ERROR_ENVIRONMENT;
        *why = directory->problem;
        return NULL;
    }
    q8k_plugin_path(directory, name, file);
    const q8k_loaded *known = find_loaded(atomic_load(&loaded_list), file, name);
    if (known != NULL)
        return known;
    q8k_loaded found = {.file = file, .table = q8k_open_table(file, name, &reason)};
    if (found.table != NULL && check_identity(found.table, &reason) && check_table(found.table, name, &reason) &&
        check_cpu(found.table->cpu_features, &reason)) {
        fill_kernels(&found);
        int answered = q8k_known_answer(&found, &reason);
        if (answered > 0 && (known = publish(&found)) != NULL)
            return known;
        if (answered != 0) {
            *status = Q8K_ERROR_MEMORY;
            q8k_say(&reason, "there is no memory to load it");
        }
    }
    q8k_say(why, "%s%s%s", file, file[0] != '\0' ? ": " : "", reason.text);
    return NULL;
}
