/* SPDX-License-Identifier: MIT */
/*
 * Where the words come from: for x86, dumps of CPUID on the CPU in brackets, as libcpuid's tests collect them, and for
 * Sapphire Rapids its model in QEMU; XCR0 is what Linux enables of leaf 13. For Arm, the features that Linux lists in
 * /proc/cpuinfo, as the bits of its <asm/hwcap.h>. The features are named apart from that, as the vendors' manuals do.
 */
#include "cpu_samples.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#define FEATURE(name) Q8K_CPU_BIT(Q8K_CPU_##name)

/* Each generation has what is named before it. */
#define NEHALEM (FEATURE(SSSE3) | FEATURE(SSE4_1))
#define SANDY_BRIDGE (NEHALEM | FEATURE(AVX))
#define IVY_BRIDGE (SANDY_BRIDGE | FEATURE(F16C))
#define HASWELL                                                                                                        \
    (IVY_BRIDGE | FEATURE(FMA) | FEATURE(AVX2) | FEATURE(BMI1) | FEATURE(BMI2) | FEATURE(LZCNT) | FEATURE(MOVBE))
#define ALDER_LAKE (HASWELL | FEATURE(AVX_VNNI))
#define ARROW_LAKE (ALDER_LAKE | FEATURE(AVX_VNNI_INT8))
#define SKYLAKE_X                                                                                                      \
    (HASWELL | FEATURE(AVX512F) | FEATURE(AVX512BW) | FEATURE(AVX512CD) | FEATURE(AVX512DQ) | FEATURE(AVX512VL))
#define CASCADE_LAKE (SKYLAKE_X | FEATURE(AVX512_VNNI))
#define ICE_LAKE (CASCADE_LAKE | FEATURE(AVX512_VBMI))
#define AMX (FEATURE(AMX_TILE) | FEATURE(AMX_INT8))
#define SAPPHIRE_RAPIDS (ICE_LAKE | FEATURE(AVX512_BF16) | FEATURE(AVX_VNNI) | AMX)
#define ZEN_2 (HASWELL | FEATURE(SSE4A))
#define ZEN_4 (ICE_LAKE | FEATURE(AVX512_BF16) | FEATURE(SSE4A))
#define ZEN_5 (ZEN_4 | FEATURE(AVX_VNNI))

/* What uses the upper halves of 256-bit registers; what uses 512-bit or mask registers. */
#define YMM (FEATURE(AVX) | FEATURE(F16C) | FEATURE(FMA) | FEATURE(AVX2))
#define ZMM (ICE_LAKE & ~HASWELL)

#define CORTEX_A53 FEATURE(NEON)
#define NEOVERSE_N1 (CORTEX_A53 | FEATURE(FP16) | FEATURE(DOTPROD))
#define APPLE (NEOVERSE_N1 | FEATURE(I8MM) | FEATURE(BF16))
#define NEOVERSE_V2 (APPLE | FEATURE(SVE) | FEATURE(SVE2))

/* clang-format off */

/* XCR0, then the registers in the order of cpu.h: leaf 1 ECX; leaf 7 EBX, ECX, EDX; leaf 7.1 EAX, EDX; leaf 0x80000001
 * ECX. */
#define X86(xcr0, ...) Q8K_CPU_KIND_X86, {{__VA_ARGS__}, xcr0}
#define ARM(hwcap, hwcap2) Q8K_CPU_KIND_ARM, {{hwcap, hwcap2}, 0}

static const cpu_sample samples[] = {
    {"Nehalem", /* Core i7-920 */
     X86(0, 0x0098e3bd, 0, 0, 0, 0, 0, 0x00000001), NEHALEM, 0, "scalar"},
    {"Sandy Bridge", /* Core i7-2600K */
     X86(0x7, 0x1f9ae3bf, 0, 0, 0, 0, 0, 0x00000001), SANDY_BRIDGE, 0, "scalar"},
    {"Ivy Bridge", /* Core i7-3770K */
     X86(0x7, 0x7f9ae3bf, 0x00000281, 0, 0, 0, 0, 0x00000001), IVY_BRIDGE, 0, "scalar"},
    {"Haswell", /* Core i7-4770 */
     X86(0x7, 0x7ffafbff, 0x000027ab, 0, 0, 0, 0, 0x00000021), HASWELL, 0, "avx2"},
    {"Zen 2", /* Ryzen 7 3700X */
     X86(0x207, 0x7ed8320b, 0x219c91a9, 0x00400004, 0, 0, 0, 0x75c237ff), ZEN_2, 0, "avx2"},
    {"Skylake-X", /* Core i9-7900X */
     X86(0xff, 0x7ffefbbf, 0xd39ffffb, 0, 0, 0, 0, 0x00000121), SKYLAKE_X, 0, "avx2"},
    {"Cascade Lake", /* Core i9-10980XE */
     X86(0xff, 0x7ffefbbf, 0xd39ffffb, 0x00000800, 0xbc000400, 0, 0, 0x00000121), CASCADE_LAKE, 0, "avx512"},
    {"Ice Lake", /* Core i7-1065G7 */
     X86(0x2e7, 0x7ffafbbf, 0xf2bf27ef, 0x40405f4e, 0xbc000410, 0, 0, 0x00000121), ICE_LAKE, 0, "avx512"},
    {"Alder Lake", /* Core i9-12900K */
     X86(0x207, 0x7ffafbff, 0x239ca7eb, 0x98c027ac, 0xfc1cc410, 0x00400810, 0, 0x00000121), ALDER_LAKE, 0,
     "avxvnni"},
    {"Arrow Lake", /* Core Ultra 7 265K */
     X86(0x207, 0x7ffafbff, 0x239ca7eb, 0x994027ac, 0xfc18c430, 0x44c009d7, 0x00040430, 0x00000121), ARROW_LAKE,
     0, "avxvnni"},
    {"Sapphire Rapids",
     X86(0x602e7, 0xfffa3203, 0xf1bf0fb9, 0x01415f4e, 0xa7c14010, 0x00001c30, 0, 0x00000121), SAPPHIRE_RAPIDS, 0,
     "avx512"},
    {"Zen 4", /* Ryzen 9 7900X */
     X86(0x2e7, 0x7ef8320b, 0xf1bf97a9, 0x00405fce, 0x10000010, 0x00000020, 0, 0x75c237ff), ZEN_4, 0, "avx512"},
    {"Zen 5", /* Ryzen 9 9950X */
     X86(0x2e7, 0x7ed8320b, 0xf1bf97ab, 0x19405fce, 0x10000110, 0x00000030, 0, 0x75c237ff), ZEN_5, 0, "avx512"},

    /* Virtual machines and old kernels. Of the three parts of AVX-512's state, each is needed. */
    {"Ice Lake, AVX-512 not enabled",
     X86(0x7, 0x7ffafbbf, 0xf2bf27ef, 0x40405f4e, 0xbc000410, 0, 0, 0x00000121), ICE_LAKE, ZMM, "avx2"},
    {"Ice Lake, opmask not enabled",
     X86(0xc7, 0x7ffafbbf, 0xf2bf27ef, 0x40405f4e, 0xbc000410, 0, 0, 0x00000121), ICE_LAKE, ZMM, "avx2"},
    {"Ice Lake, ZMM_Hi256 not enabled",
     X86(0xa7, 0x7ffafbbf, 0xf2bf27ef, 0x40405f4e, 0xbc000410, 0, 0, 0x00000121), ICE_LAKE, ZMM, "avx2"},
    {"Ice Lake, Hi16_ZMM not enabled",
     X86(0x67, 0x7ffafbbf, 0xf2bf27ef, 0x40405f4e, 0xbc000410, 0, 0, 0x00000121), ICE_LAKE, ZMM, "avx2"},
    {"Zen 5, AVX-512 not enabled",
     X86(0x7, 0x7ed8320b, 0xf1bf97ab, 0x19405fce, 0x10000110, 0x00000030, 0, 0x75c237ff), ZEN_5, ZEN_4 & ~ZEN_2,
     "avxvnni"},
    {"Sapphire Rapids, AMX not enabled",
     X86(0x2e7, 0xfffa3203, 0xf1bf0fb9, 0x01415f4e, 0xa7c14010, 0x00001c30, 0, 0x00000121), SAPPHIRE_RAPIDS, AMX,
     "avx512"},
    {"Haswell, AVX not enabled",
     X86(0x3, 0x7ffafbff, 0x000027ab, 0, 0, 0, 0, 0x00000021), HASWELL, YMM, "scalar"},
    {"Haswell, OSXSAVE hidden",
     X86(0, 0x77fafbff, 0x000027ab, 0, 0, 0, 0, 0x00000021), HASWELL, YMM, "scalar"},

    {"Cortex-A53", ARM(0x000008ff, 0), CORTEX_A53, 0, "neon"},
    {"A64FX", ARM(0x00415fe7, 0), CORTEX_A53 | FEATURE(FP16) | FEATURE(SVE), 0, "neon"},
    {"Neoverse N1", ARM(0x10119fff, 0), NEOVERSE_N1, 0, "dotprod"},
    {"Neoverse V2", ARM(0xeff3ffff, 0x0003f3bf), NEOVERSE_V2, 0, "dotprod"},
    {"Apple", /* a virtual machine on an M2 or later */
     ARM(0xefb3ffff, 0x00126181), APPLE, 0, "dotprod"},
    {"Arm without Advanced SIMD", ARM(0x00000884, 0), 0, 0, "scalar"},

    {"another kind of CPU", Q8K_CPU_KIND_OTHER, {{UINT32_MAX, UINT32_MAX, UINT32_MAX}, UINT64_MAX}, 0, 0, "scalar"},
};
/* clang-format on */

/* Each feature masked in turn, as hypervisors let their users do. */
static const struct masked {
    const char *of;
    unsigned word, bit;
    uint64_t feature;
    const char *name, *backend;
} masked[] = {
    {"Nehalem", Q8K_CPUID_1_ECX, 9, FEATURE(SSSE3), "SSSE3", "scalar"},
    {"Nehalem", Q8K_CPUID_1_ECX, 19, FEATURE(SSE4_1), "SSE4.1", "scalar"},
    {"Haswell", Q8K_CPUID_1_ECX, 12, FEATURE(FMA), "FMA", "scalar"},
    {"Haswell", Q8K_CPUID_1_ECX, 22, FEATURE(MOVBE), "MOVBE", "scalar"},
    {"Haswell", Q8K_CPUID_1_ECX, 28, FEATURE(AVX), "AVX", "scalar"},
    {"Haswell", Q8K_CPUID_1_ECX, 29, FEATURE(F16C), "F16C", "scalar"},
    {"Haswell", Q8K_CPUID_7_EBX, 3, FEATURE(BMI1), "BMI1", "scalar"},
    {"Haswell", Q8K_CPUID_7_EBX, 5, FEATURE(AVX2), "AVX2", "scalar"},
    {"Haswell", Q8K_CPUID_7_EBX, 8, FEATURE(BMI2), "BMI2", "scalar"},
    {"Haswell", Q8K_CPUID_EXTENDED_ECX, 5, FEATURE(LZCNT), "LZCNT", "scalar"},
    {"Zen 5", Q8K_CPUID_EXTENDED_ECX, 6, FEATURE(SSE4A), "SSE4A", "avx512"},
    {"Zen 5", Q8K_CPUID_1_ECX, 12, FEATURE(FMA), "FMA", "scalar"},
    {"Zen 5", Q8K_CPUID_7_EBX, 16, FEATURE(AVX512F), "AVX512F", "avxvnni"},
    {"Zen 4", Q8K_CPUID_7_EBX, 17, FEATURE(AVX512DQ), "AVX512DQ", "avx2"},
    {"Zen 4", Q8K_CPUID_7_EBX, 28, FEATURE(AVX512CD), "AVX512CD", "avx2"},
    {"Zen 4", Q8K_CPUID_7_EBX, 30, FEATURE(AVX512BW), "AVX512BW", "avx2"},
    {"Zen 4", Q8K_CPUID_7_EBX, 31, FEATURE(AVX512VL), "AVX512VL", "avx2"},
    {"Zen 4", Q8K_CPUID_7_ECX, 11, FEATURE(AVX512_VNNI), "AVX512_VNNI", "avx2"},
    {"Zen 4", Q8K_CPUID_7_ECX, 1, FEATURE(AVX512_VBMI), "AVX512_VBMI", "avx512"},
    {"Zen 4", Q8K_CPUID_7_1_EAX, 5, FEATURE(AVX512_BF16), "AVX512_BF16", "avx512"},
    {"Sapphire Rapids", Q8K_CPUID_7_EDX, 24, FEATURE(AMX_TILE), "AMX_TILE", "avx512"},
    {"Sapphire Rapids", Q8K_CPUID_7_EDX, 25, FEATURE(AMX_INT8), "AMX_INT8", "avx512"},
    {"Alder Lake", Q8K_CPUID_7_1_EAX, 4, FEATURE(AVX_VNNI), "AVX_VNNI", "avx2"},
    {"Arrow Lake", Q8K_CPUID_7_1_EDX, 4, FEATURE(AVX_VNNI_INT8), "AVX_VNNI_INT8", "avxvnni"},
    {"Neoverse V2", Q8K_HWCAP, 1, FEATURE(NEON), "ASIMD", "scalar"},
    {"Neoverse V2", Q8K_HWCAP, 10, FEATURE(FP16), "ASIMDHP", "dotprod"},
    {"Neoverse V2", Q8K_HWCAP, 20, FEATURE(DOTPROD), "ASIMDDP", "neon"},
    {"Neoverse V2", Q8K_HWCAP, 22, FEATURE(SVE), "SVE", "dotprod"},
    {"Neoverse V2", Q8K_HWCAP2, 1, FEATURE(SVE2), "SVE2", "dotprod"},
    {"Neoverse V2", Q8K_HWCAP2, 13, FEATURE(I8MM), "I8MM", "dotprod"},
    {"Neoverse V2", Q8K_HWCAP2, 14, FEATURE(BF16), "BF16", "dotprod"},
};

enum { WHOLE = sizeof samples / sizeof *samples, MASKED = sizeof masked / sizeof *masked };

const size_t cpu_sample_count = WHOLE + MASKED;

void cpu_sample_get(size_t index, cpu_sample *sample) {
    if (index < WHOLE) {
        *sample = samples[index];
        return;
    }
    const struct masked *m = &masked[index - WHOLE];
    cpu_sample_find(m->of, sample);
    ck_assert_msg((sample->seen & m->feature) != 0, "%s has no %s to mask", m->of, m->name);
    snprintf(sample->name, sizeof sample->name, "%s, %s masked", m->of, m->name);
    sample->words.words[m->word] &= ~(UINT32_C(1) << m->bit);
    sample->seen &= ~m->feature;
    sample->backend = m->backend;
}

void cpu_sample_find(const char *name, cpu_sample *sample) {
    size_t i = 0;
    while (i < WHOLE && strcmp(samples[i].name, name) != 0)
        i++;
    ck_assert_msg(i < WHOLE, "no sample is called %s", name);
    *sample = samples[i];
}
