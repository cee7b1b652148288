/* SPDX-License-Identifier: MIT */
/* What the own backends' kernel files give: to their plugin's entry, and the scalar ones to the core. */
#ifndef Q8K_BACKENDS_BACKEND_H
#define Q8K_BACKENDS_BACKEND_H

#include <q8k/backend.h>

#include "backends/formats/formats.h"

/* A plugin's one symbol; a backend.c consists of it. It is compiled for the baseline, since it runs before anyone knows
 * what the CPU can do. The library compares the ABI numbers itself, and tells both when they differ. */
#define BACKEND_ENTRY(vocabulary)                                                                                      \
    extern const q8k_backend q8k_##vocabulary##_backend;                                                               \
    const q8k_backend *q8k_backend_entry(uint32_t abi) {                                                               \
        (void)abi;                                                                                                     \
        return &q8k_##vocabulary##_backend;                                                                            \
    }

/* The scalar kernels that are built into the core, and their table, whose name is "builtin". */
extern const q8k_backend_kernels *const q8k_scalar_kernels[Q8K_FORMAT_COUNT];
extern const q8k_backend q8k_scalar_backend;
/* The same under the name of the plugin, in a library that has all backends inside. */
extern const q8k_backend q8k_scalar_backend_by_name;

#endif
