/* SPDX-License-Identifier: MIT */
/*
 * The library's own plugins and what each needs of the CPU: for the core's table, and for each plugin's own. To add one:
 * its folder, its needs and its place here, its call in configure.ac.
 *
 * The x86 plugins also carry the mark of the instruction set level (x86-64-v3, -v4) that makes glibc itself refuse
 * them on a lesser CPU, so everything of that level is asked for here too.
 */
#ifndef Q8K_BACKENDS_BACKENDS_H
#define Q8K_BACKENDS_BACKENDS_H

#include <q8k/backend.h>

#define BACKEND_X86_64_V3                                                                                              \
    (Q8K_CPU_BIT(Q8K_CPU_AVX) | Q8K_CPU_BIT(Q8K_CPU_AVX2) | Q8K_CPU_BIT(Q8K_CPU_BMI1) | Q8K_CPU_BIT(Q8K_CPU_BMI2) |    \
     Q8K_CPU_BIT(Q8K_CPU_F16C) | Q8K_CPU_BIT(Q8K_CPU_FMA) | Q8K_CPU_BIT(Q8K_CPU_LZCNT) | Q8K_CPU_BIT(Q8K_CPU_MOVBE))
#define BACKEND_X86_64_V4                                                                                              \
    (BACKEND_X86_64_V3 | Q8K_CPU_BIT(Q8K_CPU_AVX512F) | Q8K_CPU_BIT(Q8K_CPU_AVX512BW) |                                \
     Q8K_CPU_BIT(Q8K_CPU_AVX512CD) | Q8K_CPU_BIT(Q8K_CPU_AVX512DQ) | Q8K_CPU_BIT(Q8K_CPU_AVX512VL))

#define BACKEND_NEEDS_avx512 (BACKEND_X86_64_V4 | Q8K_CPU_BIT(Q8K_CPU_AVX512_VNNI))
#define BACKEND_NEEDS_avxvnni (BACKEND_X86_64_V3 | Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI))
#define BACKEND_NEEDS_avx2 BACKEND_X86_64_V3
#define BACKEND_NEEDS_dotprod (Q8K_CPU_BIT(Q8K_CPU_NEON) | Q8K_CPU_BIT(Q8K_CPU_DOTPROD))
#define BACKEND_NEEDS_neon Q8K_CPU_BIT(Q8K_CPU_NEON)
#define BACKEND_NEEDS_scalar 0

/* Best first, by the kind of CPU. The last one is for any. */
#define Q8K_EACH_X86_BACKEND(X) X(avx512) X(avxvnni) X(avx2) X(scalar)
#define Q8K_EACH_ARM_BACKEND(X) X(dotprod) X(neon) X(scalar)
#define Q8K_EACH_OTHER_BACKEND(X) X(scalar)

#endif
