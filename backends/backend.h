/* SPDX-License-Identifier: MIT */
/* What the own backends' kernel files give to their tables, and the tables to the core when they are built into it. */
#ifndef Q8K_BACKENDS_BACKEND_H
#define Q8K_BACKENDS_BACKEND_H

#include <q8k/backend.h>

#include "backends/formats/formats.h"

#define BACKEND_DECLARE(vocabulary)                                                                                    \
    extern const q8k_backend_kernels *const q8k_##vocabulary##_kernels[Q8K_FORMAT_COUNT];                              \
    size_t q8k_##vocabulary##_prepared_bytes(q8k_precision precision, size_t batch, size_t blocks);                    \
    void q8k_##vocabulary##_prepare(const q8k_backend_input *input)

BACKEND_DECLARE(scalar);

/* The scalar kernels linked into the core, under the name "builtin". */
extern const q8k_backend q8k_builtin_backend;

#endif
