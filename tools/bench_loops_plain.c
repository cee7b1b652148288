/* SPDX-License-Identifier: MIT */
/* Plain C, as the compiler makes the most of it without being told of any instructions. */
#include "bench_loops.h"

/* A sum takes far longer than one time of the other loops: that is as many times as SHARE. */
enum { VALUES = 1024, SHARE = 16, VECTOR = 4 };

static const int16_t words[2][VALUES] = {{1}, {2}};
static volatile int32_t sink;

/* Makes the compiler forget what a pointer points to, or it would compute the sum while compiling. */
#define FORGET(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

typedef float vec_float __attribute__((vector_size(4 * VECTOR)));
typedef uint64_t vec_bits __attribute__((vector_size(16)));

/* The accumulator is multiplied, so that no product can be taken out of the loop. */
static void f32(size_t times) {
    const vec_float factor = {0.5f, 0.25f, 0.5f, 0.25f}, term = {1, 2, 3, 4};
    vec_float a = term, b = term, c = term, d = term, e = term, f = term, g = term, h = term;
    for (size_t i = 0; i < times; i++) {
        a = a * factor + term;
        b = b * factor + term;
        c = c * factor + term;
        d = d * factor + term;
        e = e * factor + term;
        f = f * factor + term;
        g = g * factor + term;
        h = h * factor + term;
    }
    vec_float sum = a + b + c + d + e + f + g + h;
    sink = (int32_t)sum[0];
}

static void i16(size_t times) {
    for (size_t i = 0; i < times; i += SHARE) {
        const int16_t *a = words[0], *b = words[1];
        int32_t sum = 0;
        FORGET(a);
        for (size_t k = 0; k < VALUES; k++) {
            sum += a[k] * b[k];
        }
        sink = sum;
    }
}

static void keep(vec_bits bits) {
    sink = (int32_t)(bits[0] ^ bits[1]);
}

static void read_one(const uint8_t *bytes, size_t count) {
    const vec_bits *from = (const vec_bits *)(const void *)bytes, *end = from + count / sizeof *from;
    vec_bits a = {0}, b = {0}, c = {0}, d = {0};
    for (; from < end; from += 4) {
        a ^= from[0];
        b ^= from[1];
        c ^= from[2];
        d ^= from[3];
    }
    keep(a ^ b ^ c ^ d);
}

static void read_streams(const uint8_t *bytes, size_t count) {
    const size_t piece = count / BENCH_STREAMS / sizeof(vec_bits);
    const vec_bits *from = (const vec_bits *)(const void *)bytes, *end = from + piece;
    vec_bits a = {0}, b = {0}, c = {0}, d = {0};
    for (; from < end; from += 4) {
        for (size_t i = 0; i < 4; i++) {
            a ^= from[i];
            b ^= from[i + piece];
            c ^= from[i + 2 * piece];
            d ^= from[i + 3 * piece];
        }
    }
    keep(a ^ b ^ c ^ d);
}

const bench_loops bench_loops_plain = {
    .name = "plain C",
    .read = read_one,
    .read_streams = read_streams,
    .f32 = {f32, 2.0 * 8 * VECTOR},
    .i16 = {i16, 2.0 * VALUES / SHARE},
    /* Bytes are made words first, which makes nothing faster. */
    .i8 = {i16, 2.0 * VALUES / SHARE},
};
