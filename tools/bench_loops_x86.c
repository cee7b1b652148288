/* SPDX-License-Identifier: MIT */
/* In assembly: a compiler would take what does not change out of the loop, or keep accumulators in memory.
 *
 * Twelve accumulators, registers 0 to 11: these instructions take up to five cycles and two begin in each, so ten are
 * needed. 14 and 15 are the operands, 13 holds products on their way to an accumulator. */
#define _GNU_SOURCE
#include "bench_loops.h"

#ifdef __x86_64__

static const float floats[32] = {0.5f,  -0.25f, 1.5f,  -1.0f, 0.75f, -0.5f, 0.25f,  -1.25f, 1.0f,  -0.75f, 0.5f,
                                 -0.5f, 0.25f,  -1.5f, 1.0f,  -1.0f, -1.0f, 0.5f,   -0.75f, 1.25f, -0.5f,  1.0f,
                                 -1.5f, 0.25f,  -0.5f, 1.5f,  -1.0f, 0.75f, -0.25f, 1.0f,   -0.5f, 0.5f};
static const uint8_t integers[128] = {3, 1, 4, 1, 5, 9, 2,  6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8,  4, 6, 2, 6, 4, 3, 3,
                                      8, 3, 2, 7, 9, 5, 28, 8, 4, 1, 9, 7, 1, 6, 9, 3, 9, 9, 3,  7, 5, 1, 5, 8, 2, 9,
                                      7, 4, 9, 4, 4, 5, 9,  2, 3, 7, 8, 1, 2, 7, 1, 8, 2, 8, 1,  8, 2, 8, 4, 5, 9, 4,
                                      5, 2, 3, 5, 3, 6, 2,  8, 7, 4, 7, 1, 3, 5, 2, 6, 6, 2, 49, 7, 7, 5, 7, 2, 4, 7,
                                      9, 3, 6, 9, 9, 9, 5,  9, 5, 7, 4, 9, 6, 6, 9, 6, 7, 6, 2,  7, 7, 2, 4, 7};

#define ACCUMULATORS 12
#define ALL(line)                                                                                                      \
    line("0") line("1") line("2") line("3") line("4") line("5") line("6") line("7") line("8") line("9") line("10")     \
        line("11")
#define CLOBBERS                                                                                                       \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm13",         \
        "xmm14", "xmm15", "cc", "memory"

#define CLEAR(n) "vpxor %%xmm" n ", %%xmm" n ", %%xmm" n "\n\t"
#define START(reg)                                                                                                     \
    "vmovups (%1), %%" reg "14\n\tvmovups 64(%1), %%" reg                                                              \
    "15\n\tvpxor %%xmm13, %%xmm13, %%xmm13\n\t" ALL(CLEAR) "1:\n\t"
#define AGAIN "dec %0\n\tjnz 1b\n\tvzeroupper"

#define FMA(reg, n) "vfmadd231ps %%" reg "14, %%" reg "15, %%" reg n "\n\t"

/* Reading: what is loaded is not used, which hurries nothing along: memory is slower by far. */
#define LOAD(reg, from, n) "vmovups " from ", %%" reg n "\n\t"
#define NEXT(bytes) "add $" bytes ", %0\n\tcmp %1, %0\n\tjb 1b\n\tvzeroupper"

/* ---- 256 bits ---- */

#define FMA_256(n) FMA("ymm", n)
#define I16_256(n) "vpmaddwd %%ymm14, %%ymm15, %%ymm13\n\tvpaddd %%ymm13, %%ymm" n ", %%ymm" n "\n\t"
/* The ones are in 12, which no accumulator is. */
#define I8_256(n)                                                                                                      \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n\tvpmaddwd %%ymm12, %%ymm13, %%ymm13\n\tvpaddd %%ymm13, %%ymm" n            \
    ", %%ymm" n "\n\t"
#define ONES_256 "vpcmpeqw %%ymm12, %%ymm12, %%ymm12\n\tvpabsw %%ymm12, %%ymm12\n\t"

static void f32_256(size_t times) {
    __asm__ volatile(START("ymm") ALL(FMA_256) AGAIN : "+&r"(times) : "r"(floats) : CLOBBERS);
}

static void i16_256(size_t times) {
    __asm__ volatile(START("ymm") ALL(I16_256) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

static void i8_256(size_t times) {
    __asm__ volatile(ONES_256 START("ymm") ALL(I8_256) AGAIN : "+&r"(times) : "r"(integers) : "xmm12", CLOBBERS);
}

#define LOADS_256(offset0, offset1, offset2, offset3)                                                                  \
    LOAD("ymm", offset0 "(%0)", "0")                                                                                   \
    LOAD("ymm", offset1 "(%0)", "1") LOAD("ymm", offset2 "(%0)", "2") LOAD("ymm", offset3 "(%0)", "3")
#define LOADS_EACH_256(offset)                                                                                         \
    LOAD("ymm", offset "(%0)", "0")                                                                                    \
    LOAD("ymm", offset "(%0,%2)", "1") LOAD("ymm", offset "(%0,%2,2)", "2") LOAD("ymm", offset "(%0,%3)", "3")

static void read_256(const uint8_t *bytes, size_t count) {
    const uint8_t *end = bytes + count;
    __asm__ volatile("1:\n\t" LOADS_256("0", "32", "64", "96") LOADS_256("128", "160", "192", "224") NEXT("256")
                     : "+&r"(bytes)
                     : "r"(end)
                     : CLOBBERS);
}

static void read_streams_256(const uint8_t *bytes, size_t count) {
    const size_t piece = count / BENCH_STREAMS;
    const uint8_t *end = bytes + piece;
    __asm__ volatile("1:\n\t" LOADS_EACH_256("0") LOADS_EACH_256("32") LOADS_EACH_256("64") LOADS_EACH_256("96")
                         NEXT("128")
                     : "+&r"(bytes)
                     : "r"(end), "r"(piece), "r"(3 * piece)
                     : CLOBBERS);
}

const bench_loops bench_loops_avx2 = {
    .name = "256 bits: vfmadd231ps, vpmaddwd + vpaddd, vpmaddubsw + vpmaddwd + vpaddd",
    .read = read_256,
    .read_streams = read_streams_256,
    .f32 = {f32_256, 2.0 * ACCUMULATORS * 8},
    .i16 = {i16_256, 2.0 * ACCUMULATORS * 16},
    .i8 = {i8_256, 2.0 * ACCUMULATORS * 32},
};

/* ---- 256 bits with VNNI ---- */

#ifdef BENCH_AVXVNNI

#define WORDS_256(n) "%{vex%} vpdpwssd %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define BYTES_256(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" n "\n\t"

static void words_256(size_t times) {
    __asm__ volatile(START("ymm") ALL(WORDS_256) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

static void bytes_256(size_t times) {
    __asm__ volatile(START("ymm") ALL(BYTES_256) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

const bench_loops bench_loops_avxvnni = {
    .name = "256 bits: vfmadd231ps, vpdpwssd, vpdpbusd",
    .read = read_256,
    .read_streams = read_streams_256,
    .f32 = {f32_256, 2.0 * ACCUMULATORS * 8},
    .i16 = {words_256, 2.0 * ACCUMULATORS * 16},
    .i8 = {bytes_256, 2.0 * ACCUMULATORS * 32},
};

#endif

/* ---- 512 bits ---- */

#ifdef BENCH_AVX512

#define FMA_512(n) FMA("zmm", n)
#define WORDS_512(n) "vpdpwssd %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define BYTES_512(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" n "\n\t"

static void f32_512(size_t times) {
    __asm__ volatile(START("zmm") ALL(FMA_512) AGAIN : "+&r"(times) : "r"(floats) : CLOBBERS);
}

static void words_512(size_t times) {
    __asm__ volatile(START("zmm") ALL(WORDS_512) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

static void bytes_512(size_t times) {
    __asm__ volatile(START("zmm") ALL(BYTES_512) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

static void read_512(const uint8_t *bytes, size_t count) {
    const uint8_t *end = bytes + count;
    __asm__ volatile("1:\n\t" LOAD("zmm", "(%0)", "0") LOAD("zmm", "64(%0)", "1") LOAD("zmm", "128(%0)", "2")
                         LOAD("zmm", "192(%0)", "3") NEXT("256")
                     : "+&r"(bytes)
                     : "r"(end)
                     : CLOBBERS);
}

#define LOADS_EACH_512(offset)                                                                                         \
    LOAD("zmm", offset "(%0)", "0")                                                                                    \
    LOAD("zmm", offset "(%0,%2)", "1") LOAD("zmm", offset "(%0,%2,2)", "2") LOAD("zmm", offset "(%0,%3)", "3")

static void read_streams_512(const uint8_t *bytes, size_t count) {
    const size_t piece = count / BENCH_STREAMS;
    const uint8_t *end = bytes + piece;
    __asm__ volatile("1:\n\t" LOADS_EACH_512("0") LOADS_EACH_512("64") NEXT("128")
                     : "+&r"(bytes)
                     : "r"(end), "r"(piece), "r"(3 * piece)
                     : CLOBBERS);
}

const bench_loops bench_loops_avx512 = {
    .name = "512 bits: vfmadd231ps, vpdpwssd, vpdpbusd",
    .read = read_512,
    .read_streams = read_streams_512,
    .f32 = {f32_512, 2.0 * ACCUMULATORS * 16},
    .i16 = {words_512, 2.0 * ACCUMULATORS * 32},
    .i8 = {bytes_512, 2.0 * ACCUMULATORS * 64},
};

#endif

#endif
