/* SPDX-License-Identifier: MIT */
/* What the CPU can do. The only place that asks it: backends state what they need and are not opened without it. */
#define _GNU_SOURCE
#include "lib/cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* Where a feature is reported, and which registers the operating system must save for it to be of use. */
typedef struct feature {
    const char *name;
    int number;
    unsigned word, bit;
    uint64_t state;
} feature;

#if defined(__x86_64__) || defined(__i386__)

enum { LEAF_1_ECX, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX, LEAF_7_1_EAX, LEAF_7_1_EDX, WORDS };

/* Bits of XCR0. */
#define STATE_AVX UINT64_C(0x6)
#define STATE_AVX512 UINT64_C(0xe6)
#define STATE_AMX UINT64_C(0x60000)

static const feature features[] = {
    {"ssse3", Q8K_CPU_SSSE3, LEAF_1_ECX, 9, 0},
    {"sse4.1", Q8K_CPU_SSE4_1, LEAF_1_ECX, 19, 0},
    {"avx", Q8K_CPU_AVX, LEAF_1_ECX, 28, STATE_AVX},
    {"f16c", Q8K_CPU_F16C, LEAF_1_ECX, 29, STATE_AVX},
    {"fma", Q8K_CPU_FMA, LEAF_1_ECX, 12, STATE_AVX},
    {"avx2", Q8K_CPU_AVX2, LEAF_7_EBX, 5, STATE_AVX},
    {"bmi2", Q8K_CPU_BMI2, LEAF_7_EBX, 8, 0},
    {"avxvnni", Q8K_CPU_AVX_VNNI, LEAF_7_1_EAX, 4, STATE_AVX},
    {"avxvnniint8", Q8K_CPU_AVX_VNNI_INT8, LEAF_7_1_EDX, 4, STATE_AVX},
    {"avx512f", Q8K_CPU_AVX512F, LEAF_7_EBX, 16, STATE_AVX512},
    {"avx512bw", Q8K_CPU_AVX512BW, LEAF_7_EBX, 30, STATE_AVX512},
    {"avx512dq", Q8K_CPU_AVX512DQ, LEAF_7_EBX, 17, STATE_AVX512},
    {"avx512vl", Q8K_CPU_AVX512VL, LEAF_7_EBX, 31, STATE_AVX512},
    {"avx512vnni", Q8K_CPU_AVX512_VNNI, LEAF_7_ECX, 11, STATE_AVX512},
    {"avx512vbmi", Q8K_CPU_AVX512_VBMI, LEAF_7_ECX, 1, STATE_AVX512},
    {"avx512bf16", Q8K_CPU_AVX512_BF16, LEAF_7_1_EAX, 5, STATE_AVX512},
    {"amx-tile", Q8K_CPU_AMX_TILE, LEAF_7_EDX, 24, STATE_AMX},
    {"amx-int8", Q8K_CPU_AMX_INT8, LEAF_7_EDX, 25, STATE_AMX},
};

/* Returns XCR0. */
static uint64_t read_words(uint32_t words[WORDS]) {
    unsigned eax, ebx, ecx, edx;
    memset(words, 0, WORDS * sizeof *words);
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return 0;
    words[LEAF_1_ECX] = ecx;
    if (__get_cpuid_count(7, 0, &eax, &words[LEAF_7_EBX], &words[LEAF_7_ECX], &words[LEAF_7_EDX]) && eax >= 1)
        __get_cpuid_count(7, 1, &words[LEAF_7_1_EAX], &ebx, &ecx, &words[LEAF_7_1_EDX]);
    /* OSXSAVE: without it xgetbv is not an instruction, and no register beyond SSE's survives a task switch. */
    if ((words[LEAF_1_ECX] >> 27 & 1) == 0)
        return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

#elif defined(__aarch64__) && defined(__linux__)

enum { HWCAP_1, HWCAP_2, WORDS };

/* The kernel reports only what it supports, so nothing more is to be asked. */
static const feature features[] = {
    {"neon", Q8K_CPU_NEON, HWCAP_1, 1, 0},        {"fp16", Q8K_CPU_FP16, HWCAP_1, 10, 0},
    {"dotprod", Q8K_CPU_DOTPROD, HWCAP_1, 20, 0}, {"i8mm", Q8K_CPU_I8MM, HWCAP_2, 13, 0},
    {"bf16", Q8K_CPU_BF16, HWCAP_2, 14, 0},       {"sve", Q8K_CPU_SVE, HWCAP_1, 22, 0},
    {"sve2", Q8K_CPU_SVE2, HWCAP_2, 1, 0},
};

static uint64_t read_words(uint32_t words[WORDS]) {
    words[HWCAP_1] = (uint32_t)getauxval(AT_HWCAP);
    words[HWCAP_2] = (uint32_t)getauxval(AT_HWCAP2);
    return 0;
}

#else

enum { WORDS = 1 };

/* A CPU of which nothing is known has no features; the name keeps the table from being empty. */
static const feature features[] = {{"baseline", 62, 0, 0, 0}};

static uint64_t read_words(uint32_t words[WORDS]) {
    words[0] = 1;
    return 0;
}

#endif

enum { FEATURE_COUNT = sizeof features / sizeof *features };

static q8k_cpu find_features(void) {
    uint32_t words[WORDS];
    uint64_t state = read_words(words);
    q8k_cpu cpu = {0, 0};
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        const feature *f = &features[i];
        if ((words[f->word] >> f->bit & 1) == 0)
            continue;
        cpu.seen |= Q8K_CPU_BIT(f->number);
        if ((state & f->state) == f->state)
            cpu.usable |= Q8K_CPU_BIT(f->number);
    }
    return cpu;
}

/* The probe's result. Threads that race to make it write the same values. */
static _Atomic uint64_t known_seen, known_usable;
static _Atomic int known;

q8k_cpu q8k_cpu_probe(void) {
    if (!atomic_load_explicit(&known, memory_order_acquire)) {
        q8k_cpu cpu = find_features();
        atomic_store(&known_seen, cpu.seen);
        atomic_store(&known_usable, cpu.usable);
        atomic_store_explicit(&known, 1, memory_order_release);
    }
    return (q8k_cpu){atomic_load(&known_seen), atomic_load(&known_usable)};
}

/* At load, so that no later call has to; it only reads. */
__attribute__((constructor)) static void probe_at_load(void) {
    q8k_cpu_probe();
}

const char *q8k_cpu_feature(size_t index, int32_t *seen, int32_t *usable) {
    if (index >= FEATURE_COUNT)
        return NULL;
    q8k_cpu cpu = q8k_cpu_probe();
    uint64_t bit = Q8K_CPU_BIT(features[index].number);
    if (seen != NULL)
        *seen = (cpu.seen & bit) != 0;
    if (usable != NULL)
        *usable = (cpu.usable & bit) != 0;
    return features[index].name;
}

void q8k_cpu_names(uint64_t wanted, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (int bit = 0; bit < 64 && used < bytes; bit++) {
        const char *name = NULL;
        if ((wanted & Q8K_CPU_BIT(bit)) == 0)
            continue;
        for (size_t i = 0; i < FEATURE_COUNT; i++)
            if (features[i].number == bit)
                name = features[i].name;
        int length = name != NULL ? snprintf(text + used, bytes - used, "%s%s", used != 0 ? " " : "", name)
                                  : snprintf(text + used, bytes - used, "%sfeature-%d", used != 0 ? " " : "", bit);
        used += (size_t)length;
    }
}
