/* SPDX-License-Identifier: MIT */
/* What CPUs report, and what of it the library must make. */
#ifndef Q8K_TESTS_CPU_SAMPLES_H
#define Q8K_TESTS_CPU_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/cpu.h"

typedef struct cpu_sample {
    char name[64];
    q8k_cpu_kind kind;
    q8k_cpu_words words;
    uint64_t seen;       /* exactly the features that it has */
    uint64_t denied;     /* those of them that the operating system has not enabled */
    const char *backend; /* what is best for it */
} cpu_sample;

extern const size_t cpu_sample_count;

void cpu_sample_get(size_t index, cpu_sample *sample);

/* Ends the test if there is none of this name. */
void cpu_sample_find(const char *name, cpu_sample *sample);

#endif
