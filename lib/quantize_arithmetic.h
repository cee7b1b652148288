/* SPDX-License-Identifier: MIT */
/*
 * What the quantizers share. Everything is inline and made of operations that IEEE arithmetic defines to the bit;
 * loops run over fixed numbers of independent lanes, so that compilers turn them into vector code without having to
 * change the order of a sum. (The x87 FPU's wider intermediate results may lead to other bytes, as good as these: for the
 * same ones there, compile with -msse2 -mfpmath=sse.)
 */
#ifndef Q8K_LIB_QUANTIZE_ARITHMETIC_H
#define Q8K_LIB_QUANTIZE_ARITHMETIC_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "backends/formats/formats.h"

/*
 * A step this small beside a block's largest value, which is 1 to 2, is as good as none; its inverse might overflow.
 */
#define Q8K_STEP_NONE 0x1p-100f

/* An fp16 factor: its bits, and its value in units of the block's 2^exponent. */
struct half_factor {
    uint16_t bits;
    float value;
};

/* 2^exponent, for the exponents of normal doubles. */
static inline double power_of_two(int exponent) {
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/*
 * The integer within [low, high] that is nearest to a value, ties to even, as a float; |low|, |high| < 2^22.
 *
 * Adding 1.5 * 2^23 leaves no bits for a fraction and makes the low bits of the float the integer. The bits, as an
 * int32, do not decrease as the value grows, however large it is: so the limits can be applied to them, for which
 * compilers have vector code, where float comparisons would hinder it.
 */
static inline float nearest_quant(float value, int32_t low, int32_t high) {
    const float shift = 12582912.0f;
    const int32_t zero = 0x4b400000;
    int32_t bits;
    value += shift;
    memcpy(&bits, &value, sizeof bits);
    bits = bits < zero + low ? zero + low : bits;
    bits = bits > zero + high ? zero + high : bits;
    memcpy(&value, &bits, sizeof value);
    return value - shift;
}

/* To the nearest integer, ties to even, for 0 <= value < 2^31. */
static inline uint32_t round_double(double value) {
    uint32_t whole = (uint32_t)value;
    double rest = value - whole;
    return whole + (rest > 0.5 || (rest >= 0.5 && whole % 2 != 0));
}

static inline float absolute(float value) {
    return value < 0 ? -value : value;
}

/* nearest_quant() for what may be too large for a float. */
static inline int nearest(double value, int low, int high) {
    value = value < low ? low : value;
    value = value > high ? high : value;
    return (int)nearest_quant((float)value, low, high);
}

/* Sums with a fixed tree of additions; the array is scratch. */
static inline float sum_8(float *v) {
    for (unsigned i = 0; i < 4; i++)
        v[i] += v[i + 4];
    return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float sum_16(float *v) {
    for (unsigned i = 0; i < 8; i++)
        v[i] += v[i + 8];
    return sum_8(v);
}

static inline float sum_32(float *v) {
    for (unsigned i = 0; i < 16; i++)
        v[i] += v[i + 16];
    return sum_16(v);
}

/* floor(log2(value)) of a normal, positive value; -127 for subnormal ones and zero. */
static inline int float_exponent(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 23 & 255) - 127;
}

/* floor(log2(value)) of a normal, positive value. */
static inline int double_exponent(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 52) - 1023;
}

/*
 * Scales a block by a power of two, which is exact, so that its largest magnitude lies in [1, 2): then no square
 * overflows, and none that matters underflows. A largest magnitude below float32's normal range stays below 1.
 * Returns the exponent: input = x * 2^exponent; or INT32_MIN if the block holds only zeros.
 */
static inline int normalize_block(const float *input, float x[BLOCK]) {
    float largest = 0;
    for (unsigned k = 0; k < BLOCK; k++)
        largest = absolute(input[k]) > largest ? absolute(input[k]) : largest;
    if (largest <= 0)
        return INT32_MIN;
    int exponent = float_exponent(largest);
    double factor = power_of_two(-exponent);
    for (unsigned k = 0; k < BLOCK; k++)
        x[k] = (float)(input[k] * factor);
    return exponent;
}

/*
 * The fp16 number nearest to value * 2^exponent, ties to even; of the largest finite magnitude where that would
 * overflow.
 */
static inline struct half_factor half_round(double value, int exponent) {
    double magnitude = (value < 0 ? -value : value) * power_of_two(exponent);
    uint32_t bits;
    if (magnitude >= 65504)
        bits = 0x7bff;
    else if (magnitude < 0x1p-14)
        bits = round_double(magnitude * 0x1p24);
    else {
        int e = double_exponent(magnitude);
        uint32_t fraction = round_double(magnitude * power_of_two(10 - e));
        /* The fraction counts 1024ths, from 1024 itself to 2048, which carries into the exponent as it should. */
        bits = ((uint32_t)(e + 14) << 10) + fraction;
    }
    bits |= value < 0 ? 0x8000u : 0;
    uint8_t bytes[2] = {(uint8_t)bits, (uint8_t)(bits >> 8)};
    return (struct half_factor){(uint16_t)bits, (float)(half_load(bytes) * power_of_two(-exponent))};
}

/* The same for a factor that must be positive: what would be zero or less becomes the smallest one. */
static inline struct half_factor half_round_positive(double value, int exponent) {
    struct half_factor smallest = {1, (float)(0x1p-24 * power_of_two(-exponent))};
    struct half_factor rounded = half_round(value, exponent);
    return value > 0 && rounded.bits != 0 ? rounded : smallest;
}

static inline void half_store(uint8_t *bytes, struct half_factor factor) {
    bytes[0] = (uint8_t)factor.bits;
    bytes[1] = (uint8_t)(factor.bits >> 8);
}

#endif
