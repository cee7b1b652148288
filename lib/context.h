/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_CONTEXT_H
#define Q8K_LIB_CONTEXT_H

#include "lib/loader.h"

struct q8k_context {
    const q8k_loaded *backend;
};

/* What options and environment ask for. */
typedef struct q8k_wish {
    const char *backend; /* NULL: any */
    const char *source;  /* "options.backend" or "Q8K_BACKEND" */
    q8k_directory directory;
} q8k_wish;

q8k_status q8k_read_wish(const q8k_context_options *options, q8k_wish *wish);

/* The context's backend; for NULL the default one's, made on first use. NULL after a failure. */
const q8k_loaded *q8k_context_loaded(const q8k_context *context, q8k_status *status);

#endif
