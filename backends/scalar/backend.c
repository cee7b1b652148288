/* SPDX-License-Identifier: MIT */
/* The scalar backend's table. It is compiled twice: as a plugin, and with Q8K_BUILTIN for the core's own copy. */
#include "backends/backend.h"

#ifdef Q8K_BUILTIN
#define TABLE q8k_builtin_backend
#define NAME "builtin"
#define STORAGE
#else
#define TABLE table
#define NAME "scalar"
#define STORAGE static
#endif

STORAGE const q8k_backend TABLE = {
    .size = sizeof(q8k_backend),
    .magic = Q8K_BACKEND_MAGIC,
    .abi = Q8K_BACKEND_ABI,
    .name = NAME,
    .cpu_features = 0,
    .batch_step = 1,
    .prepared_bytes = q8k_scalar_prepared_bytes,
    .prepare = q8k_scalar_prepare,
    .format_count = Q8K_FORMAT_COUNT,
    .formats = q8k_scalar_kernels,
};

#ifndef Q8K_BUILTIN

const q8k_backend *q8k_backend_entry(uint32_t abi) {
    /* The library compares the numbers itself, and tells both when they differ. */
    (void)abi;
    return &table;
}

#endif
