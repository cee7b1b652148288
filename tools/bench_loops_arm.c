/* SPDX-License-Identifier: MIT */
/* In assembly: a compiler would take what does not change out of the loop, or keep accumulators in memory.
 *
 * Sixteen accumulators, registers 0 to 15: these instructions take up to four cycles and four begin in each. 30 and 31
 * are the operands, 16 to 19 hold products on their way to an accumulator. */
#define _GNU_SOURCE
#include "bench_loops.h"

#ifdef __aarch64__

static const float floats[8] = {0.5f, -0.25f, 1.5f, -1.0f, -1.0f, 0.5f, -0.75f, 1.25f};
static const uint8_t integers[32] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3,
                                     2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 4, 5, 2};

#define ACCUMULATORS 16
#define FOUR(line, a, b, c, d) line(a, "16") line(b, "17") line(c, "18") line(d, "19")
#define ALL(line)                                                                                                      \
    FOUR(line, "0", "1", "2", "3")                                                                                     \
    FOUR(line, "4", "5", "6", "7") FOUR(line, "8", "9", "10", "11") FOUR(line, "12", "13", "14", "15")
#define CLOBBERS                                                                                                       \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",       \
        "v17", "v18", "v19", "v30", "v31", "cc", "memory"
#define CLEAR(n, spare) "movi v" n ".4s, #0\n\t"
#define START "ldp q30, q31, [%1]\n\t" ALL(CLEAR) "1:\n\t"
#define AGAIN "subs %0, %0, #1\n\tb.ne 1b"

#define FMLA(n, spare) "fmla v" n ".4s, v30.4s, v31.4s\n\t"
/* Both halves of the operands in turn, as a product over vectors has it. */
#define SMLAL(n, spare) "smlal v" n ".4s, v30.4h, v31.4h\n\tsmlal2 v" n ".4s, v30.8h, v31.8h\n\t"
#define SMULL(n, spare)                                                                                                \
    "smull v" spare ".8h, v30.8b, v31.8b\n\tsmlal2 v" spare ".8h, v30.16b, v31.16b\n\tsadalp v" n ".4s, v" spare       \
    ".8h\n\t"

static void fmla(size_t times) {
    __asm__ volatile(START ALL(FMLA) AGAIN : "+&r"(times) : "r"(floats) : CLOBBERS);
}

static void smlal(size_t times) {
    __asm__ volatile(START ALL(SMLAL) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

static void smull(size_t times) {
    __asm__ volatile(START ALL(SMULL) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

static void read_128(const uint8_t *bytes, size_t count) {
    const uint8_t *end = bytes + count;
    __asm__ volatile("1:\n\tldp q0, q1, [%0]\n\tldp q2, q3, [%0, #32]\n\tldp q4, q5, [%0, #64]\n\t"
                     "ldp q6, q7, [%0, #96]\n\tadd %0, %0, #128\n\tcmp %0, %1\n\tb.lo 1b"
                     : "+&r"(bytes)
                     : "r"(end)
                     : CLOBBERS);
}

#define LOADS(from) "ldp q0, q1, [" from "]\n\tldp q2, q3, [" from ", #32]\n\tadd " from ", " from ", #64\n\t"

static void read_streams_128(const uint8_t *bytes, size_t count) {
    const size_t piece = count / BENCH_STREAMS;
    const uint8_t *second = bytes + piece, *third = second + piece, *fourth = third + piece, *end = second;
    __asm__ volatile("1:\n\t" LOADS("%0") LOADS("%1") LOADS("%2") LOADS("%3") "cmp %0, %4\n\tb.lo 1b"
                     : "+&r"(bytes), "+&r"(second), "+&r"(third), "+&r"(fourth)
                     : "r"(end)
                     : CLOBBERS);
}

const bench_loops bench_loops_neon = {
    .name = "128 bits: fmla, smlal, smull + smlal + sadalp",
    .read = read_128,
    .read_streams = read_streams_128,
    .f32 = {fmla, 2.0 * ACCUMULATORS * 4},
    .i16 = {smlal, 2.0 * ACCUMULATORS * 8},
    .i8 = {smull, 2.0 * ACCUMULATORS * 16},
};

/* sdot vN.4s, v30.16b, v31.16b, as a number, because not every assembler that this is built with knows it. */
#define SDOT(n, spare) ".inst 0x4e9f97c0 + " n "\n\t"

static void sdot(size_t times) {
    __asm__ volatile(START ALL(SDOT) AGAIN : "+&r"(times) : "r"(integers) : CLOBBERS);
}

const bench_loops bench_loops_dotprod = {
    .name = "128 bits: fmla, smlal, sdot",
    .read = read_128,
    .read_streams = read_streams_128,
    .f32 = {fmla, 2.0 * ACCUMULATORS * 4},
    .i16 = {smlal, 2.0 * ACCUMULATORS * 8},
    .i8 = {sdot, 2.0 * ACCUMULATORS * 16},
};

#endif
