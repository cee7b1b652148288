/* SPDX-License-Identifier: MIT */
/* Loops that do nothing but one kind of work as fast as a CPU can, for each set of instructions. */
#ifndef Q8K_TOOLS_BENCH_LOOPS_H
#define Q8K_TOOLS_BENCH_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_STREAMS = 4, BENCH_READ_UNIT = 1024 };

/* Arithmetic, `times` times, a multiple of 1024: `ops` operations each, of which a multiplication with an addition
 * counts two. */
typedef struct bench_arithmetic {
    void (*run)(size_t times);
    double ops;
} bench_arithmetic;

typedef struct bench_loops {
    const char *name; /* of the instructions */
    /* Reads every byte once: from the start to the end, or BENCH_STREAMS pieces of equal size side by side. `count` is
     * a multiple of BENCH_READ_UNIT. */
    void (*read)(const uint8_t *bytes, size_t count);
    void (*read_streams)(const uint8_t *bytes, size_t count);
    bench_arithmetic f32, i16, i8;
} bench_loops;

extern const bench_loops bench_loops_plain;
#ifdef __x86_64__
extern const bench_loops bench_loops_avx512, bench_loops_avxvnni, bench_loops_avx2;
#endif
#ifdef __aarch64__
extern const bench_loops bench_loops_dotprod, bench_loops_neon;
#endif

#endif
