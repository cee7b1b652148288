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
    uint64_t xcr0;
} feature;

#define XCR0_AVX UINT64_C(0x6)
#define XCR0_AVX512 UINT64_C(0xe6)
#define XCR0_AMX UINT64_C(0x60000)

static const feature x86_features[] = {
    {"ssse3", Q8K_CPU_SSSE3, Q8K_CPUID_1_ECX, 9, 0},
    {"sse4.1", Q8K_CPU_SSE4_1, Q8K_CPUID_1_ECX, 19, 0},
    {"movbe", Q8K_CPU_MOVBE, Q8K_CPUID_1_ECX, 22, 0},
    {"lzcnt", Q8K_CPU_LZCNT, Q8K_CPUID_EXTENDED_ECX, 5, 0},
    {"sse4a", Q8K_CPU_SSE4A, Q8K_CPUID_EXTENDED_ECX, 6, 0},
    {"bmi1", Q8K_CPU_BMI1, Q8K_CPUID_7_EBX, 3, 0},
    {"bmi2", Q8K_CPU_BMI2, Q8K_CPUID_7_EBX, 8, 0},
    {"avx", Q8K_CPU_AVX, Q8K_CPUID_1_ECX, 28, XCR0_AVX},
    {"f16c", Q8K_CPU_F16C, Q8K_CPUID_1_ECX, 29, XCR0_AVX},
    {"fma", Q8K_CPU_FMA, Q8K_CPUID_1_ECX, 12, XCR0_AVX},
    {"avx2", Q8K_CPU_AVX2, Q8K_CPUID_7_EBX, 5, XCR0_AVX},
    {"avxvnni", Q8K_CPU_AVX_VNNI, Q8K_CPUID_7_1_EAX, 4, XCR0_AVX},
    {"avxvnniint8", Q8K_CPU_AVX_VNNI_INT8, Q8K_CPUID_7_1_EDX, 4, XCR0_AVX},
    {"avx512f", Q8K_CPU_AVX512F, Q8K_CPUID_7_EBX, 16, XCR0_AVX512},
    {"avx512bw", Q8K_CPU_AVX512BW, Q8K_CPUID_7_EBX, 30, XCR0_AVX512},
    {"avx512cd", Q8K_CPU_AVX512CD, Q8K_CPUID_7_EBX, 28, XCR0_AVX512},
    {"avx512dq", Q8K_CPU_AVX512DQ, Q8K_CPUID_7_EBX, 17, XCR0_AVX512},
    {"avx512vl", Q8K_CPU_AVX512VL, Q8K_CPUID_7_EBX, 31, XCR0_AVX512},
    {"avx512vnni", Q8K_CPU_AVX512_VNNI, Q8K_CPUID_7_ECX, 11, XCR0_AVX512},
    {"avx512vbmi", Q8K_CPU_AVX512_VBMI, Q8K_CPUID_7_ECX, 1, XCR0_AVX512},
    {"avx512bf16", Q8K_CPU_AVX512_BF16, Q8K_CPUID_7_1_EAX, 5, XCR0_AVX512},
    {"amx-tile", Q8K_CPU_AMX_TILE, Q8K_CPUID_7_EDX, 24, XCR0_AMX},
    {"amx-int8", Q8K_CPU_AMX_INT8, Q8K_CPUID_7_EDX, 25, XCR0_AMX},
};

/* The kernel reports only what it supports, so nothing more is to be asked. */
static const feature arm_features[] = {
    {"neon", Q8K_CPU_NEON, Q8K_HWCAP, 1, 0},        {"fp16", Q8K_CPU_FP16, Q8K_HWCAP, 10, 0},
    {"dotprod", Q8K_CPU_DOTPROD, Q8K_HWCAP, 20, 0}, {"i8mm", Q8K_CPU_I8MM, Q8K_HWCAP2, 13, 0},
    {"bf16", Q8K_CPU_BF16, Q8K_HWCAP2, 14, 0},      {"sve", Q8K_CPU_SVE, Q8K_HWCAP, 22, 0},
    {"sve2", Q8K_CPU_SVE2, Q8K_HWCAP2, 1, 0},
};

/* By kind. Of other kinds nothing is known. */
static const struct {
    const feature *features;
    size_t count;
} kinds[] = {
    [Q8K_CPU_KIND_X86] = {x86_features, sizeof x86_features / sizeof *x86_features},
    [Q8K_CPU_KIND_ARM] = {arm_features, sizeof arm_features / sizeof *arm_features},
    [Q8K_CPU_KIND_OTHER] = {NULL, 0},
};

static q8k_cpu_words read_words(void) {
    q8k_cpu_words w = {{0}, 0};
#if defined(__x86_64__) || defined(__i386__)
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return w;
    w.words[Q8K_CPUID_1_ECX] = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        w.words[Q8K_CPUID_7_EBX] = ebx;
        w.words[Q8K_CPUID_7_ECX] = ecx;
        w.words[Q8K_CPUID_7_EDX] = edx;
        if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) {
            w.words[Q8K_CPUID_7_1_EAX] = eax;
            w.words[Q8K_CPUID_7_1_EDX] = edx;
        }
    }
    if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx))
        w.words[Q8K_CPUID_EXTENDED_ECX] = ecx;
    /* OSXSAVE: without it xgetbv is not an instruction, and no register beyond SSE's survives a task switch. */
    if ((w.words[Q8K_CPUID_1_ECX] >> 27 & 1) != 0) {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        w.xcr0 = (uint64_t)high << 32 | low;
    }
#elif defined(__aarch64__) && defined(__linux__)
    w.words[Q8K_HWCAP] = (uint32_t)getauxval(AT_HWCAP);
    w.words[Q8K_HWCAP2] = (uint32_t)getauxval(AT_HWCAP2);
#endif
    return w;
}

q8k_cpu q8k_cpu_decode(q8k_cpu_kind kind, const q8k_cpu_words *words) {
    q8k_cpu cpu = {0, 0};
    for (size_t i = 0; i < kinds[kind].count; i++) {
        const feature *f = &kinds[kind].features[i];
        if ((words->words[f->word] >> f->bit & 1) == 0)
            continue;
        cpu.seen |= Q8K_CPU_BIT(f->number);
        if ((words->xcr0 & f->xcr0) == f->xcr0)
            cpu.usable |= Q8K_CPU_BIT(f->number);
    }
    return cpu;
}

#ifdef Q8K_TEST_HOOKS
const q8k_cpu_words *q8k_test_cpu;
#endif

/* The probe's result. Threads that race to make it write the same values. */
static _Atomic uint64_t known_seen, known_usable;
static _Atomic int known;

q8k_cpu q8k_cpu_probe(void) {
#ifdef Q8K_TEST_HOOKS
    if (q8k_test_cpu != NULL)
        return q8k_cpu_decode(Q8K_CPU_KIND, q8k_test_cpu);
#endif
    if (!atomic_load_explicit(&known, memory_order_acquire)) {
        q8k_cpu_words words = read_words();
        q8k_cpu cpu = q8k_cpu_decode(Q8K_CPU_KIND, &words);
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
    if (index >= kinds[Q8K_CPU_KIND].count)
        return NULL;
    q8k_cpu cpu = q8k_cpu_probe();
    const feature *f = &kinds[Q8K_CPU_KIND].features[index];
    uint64_t bit = Q8K_CPU_BIT(f->number);
    if (seen != NULL)
        *seen = (cpu.seen & bit) != 0;
    if (usable != NULL)
        *usable = (cpu.usable & bit) != 0;
    return f->name;
}

static const char *feature_name(int number) {
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (size_t i = 0; i < kinds[kind].count; i++)
            if (kinds[kind].features[i].number == number)
                return kinds[kind].features[i].name;
    return NULL;
}

void q8k_cpu_names(uint64_t wanted, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (int bit = 0; bit < 64 && used < bytes; bit++) {
        const char *name = feature_name(bit), *space = used != 0 ? " " : "";
        if ((wanted & Q8K_CPU_BIT(bit)) == 0)
            continue;
        int length = name != NULL ? snprintf(text + used, bytes - used, "%s%s", space, name)
                                  : snprintf(text + used, bytes - used, "%sfeature-%d", space, bit);
        used += (size_t)length;
    }
}
