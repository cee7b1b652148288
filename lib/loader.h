/* SPDX-License-Identifier: MIT */
/* From the name of a backend to functions that may be called. */
#ifndef Q8K_LIB_LOADER_H
#define Q8K_LIB_LOADER_H

#include <q8k/backend.h>

#include "lib/cpu.h"
#include "lib/error.h"
#include "lib/format.h"

enum { Q8K_BACKEND_NAME_BYTES = 33, Q8K_PATH_BYTES = 4096 };

/* A backend that passed every test. It lives until the process ends. */
typedef struct q8k_loaded {
    struct q8k_loaded *next;
    const char *file; /* "" for the built-in one */
    const q8k_backend *table;
    /* By the index of the format; where the backend has none, the built-in one's, which want its preparation. */
    const q8k_backend_kernels *const *kernels;
    /* What `kernels` points to, but for the built-in backend. */
    const q8k_backend_kernels *filled[Q8K_FORMAT_COUNT];
    /* Some kernels are the built-in ones although the backend is another. */
    int borrows;
} q8k_loaded;

/* The folder that plugins come from; "" where there are none. */
typedef struct q8k_directory {
    const char *path;
    const char *source; /* "built in" or "Q8K_BACKEND_DIR" */
    int accepted;
    q8k_text problem; /* why it is not accepted; else "" */
} q8k_directory;

/* One that the library knows by itself. */
typedef struct q8k_known_backend {
    const char *name;
    uint64_t cpu_features;
} q8k_known_backend;

/* Best first. The built-in one comes after all of them. */
typedef struct q8k_known_backends {
    const q8k_known_backend *backends;
    size_t count;
} q8k_known_backends;

/* By the kind of CPU. */
extern const q8k_known_backends q8k_known[];

/* One of this kind of CPU, by its name; NULL if it is none of the library's own. */
const q8k_known_backend *q8k_known_find(const char *name);

/* The variable's value, or NULL if it is not set or the program is set-user-id. */
const char *q8k_environment(const char *name);

void q8k_find_directory(q8k_directory *directory);

/* The scalar kernels in the core: always there. */
const q8k_loaded *q8k_load_builtin(void);

/* Whether a text may name a backend; if not, says why, quoting it without control characters. */
int q8k_check_backend_name(const char *name, q8k_text *why);

/* The path of a backend's plugin; "" where it would not fit, and for those that are built in. */
void q8k_plugin_path(const q8k_directory *directory, const char *name, char path[Q8K_PATH_BYTES]);

/* The table of functions of the backend `name`, whose plugin is `file`. Nothing in it is checked. NULL and the reason if
 * it cannot be had. */
const q8k_backend *q8k_open_table(const char *file, const char *name, q8k_text *why);

/* Loads a backend by its checked name, from the table or not. NULL and the reason if it cannot be had; `status` then
 * tells a lack of memory and a refused folder from a bad backend. */
const q8k_loaded *q8k_load(const char *name, const q8k_directory *directory, q8k_status *status, q8k_text *why);

#endif
