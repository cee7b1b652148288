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

typedef enum q8k_cpu_kind { Q8K_CPU_KIND_X86, Q8K_CPU_KIND_ARM, Q8K_CPU_KIND_OTHER } q8k_cpu_kind;

/* The kind that this is compiled for. */
#if defined(__x86_64__) || defined(__i386__)
#define Q8K_CPU_KIND Q8K_CPU_KIND_X86
#elif defined(__aarch64__)
#define Q8K_CPU_KIND Q8K_CPU_KIND_ARM
#else
#define Q8K_CPU_KIND Q8K_CPU_KIND_OTHER
#endif

/* Where features are reported: registers of CPUID's leaves, or words of the auxiliary vector. */
enum {
    Q8K_CPUID_1_ECX,
    Q8K_CPUID_7_EBX,
    Q8K_CPUID_7_ECX,
    Q8K_CPUID_7_EDX,
    Q8K_CPUID_7_1_EAX,
    Q8K_CPUID_7_1_EDX,
    Q8K_CPUID_EXTENDED_ECX,
    Q8K_HWCAP = 0,
    Q8K_HWCAP2,
    Q8K_CPU_WORDS = 7
};

typedef struct q8k_cpu_words {
    uint32_t words[Q8K_CPU_WORDS];
    uint64_t xcr0; /* which registers the operating system saves; 0 elsewhere than on x86 */
} q8k_cpu_words;

/* What a CPU of some kind that reports these words can do. */
q8k_cpu q8k_cpu_decode(q8k_cpu_kind kind, const q8k_cpu_words *words);

/* This CPU. */
q8k_cpu q8k_cpu_probe(void);

#ifdef Q8K_TEST_HOOKS
/* Only in the tests' build of the library: what the probe reads instead of the CPU, where it is not NULL. */
extern const q8k_cpu_words *q8k_test_cpu;
#endif

/* Writes the names of a set of features, separated by spaces; a bit without a name as its number. */
void q8k_cpu_names(uint64_t features, char *text, size_t bytes);

#endif
