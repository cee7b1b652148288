/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_CPU_H
#define Q8K_LIB_CPU_H

#include <q8k/backend.h>

#include "lib/error.h"

/* Q8K_CPU_BIT()s. */
typedef struct q8k_cpu {
    uint64_t seen;   /* what the CPU reports */
    uint64_t usable; /* of that, what the operating system has enabled */
} q8k_cpu;

q8k_cpu q8k_cpu_probe(void);

/* Writes the names of a set of features, separated by spaces; a bit without a name as its number. */
void q8k_cpu_names(uint64_t features, char *text, size_t bytes);

#endif
