/* SPDX-License-Identifier: MIT */
/*
 * The Q8_0 quantizer. A part's d is searched around the one that just reaches its largest magnitude, of either sign, since
 * one of them may use the quant of -128; and then fitted to the quants.
 */
#include "lib/quantizers.h"

#include "lib/quantize_arithmetic.h"

enum { PART = 32, Q_MIN = -128, Q_MAX = 127, CANDIDATES = 10, REFINEMENTS = 2 };

/* The quants that the largest magnitude may become: up to a rounding beyond the last one. */
#define LARGEST_FIRST 128.4
#define LARGEST_STEP 0.3

struct solution {
    struct half_factor d;
    float error;
};

static float part_error(const float *x, float d) {
    float inverse = 1.0f / d, squares[PART];
    for (unsigned i = 0; i < PART; i++) {
        float difference = x[i] - d * nearest_quant(x[i] * inverse, Q_MIN, Q_MAX);
        squares[i] = difference * difference;
    }
    return sum_32(squares);
}

static void try_d(const float *x, double value, int exponent, struct solution *best) {
    struct solution s = {.d = half_round_positive(value < 0 ? -value : value, exponent)};
    if (value < 0)
        s.d = (struct half_factor){(uint16_t)(s.d.bits | 0x8000u), -s.d.value};
    s.error = part_error(x, s.d.value);
    if (s.error < best->error)
        *best = s;
}

static void quants(const float *x, float d, int8_t *q) {
    float inverse = 1.0f / d;
    for (unsigned i = 0; i < PART; i++)
        q[i] = (int8_t)nearest_quant(x[i] * inverse, Q_MIN, Q_MAX);
}

/* The d with the smallest error for its own quants. */
static double fit(const float *x, float d) {
    int8_t q[PART];
    double xq = 0, qq = 0;
    quants(x, d, q);
    for (unsigned i = 0; i < PART; i++) {
        xq += (double)x[i] * q[i];
        qq += (double)q[i] * q[i];
    }
    return qq > 0 ? xq / qq : (double)d;
}

static void quantize_part(const float *x, int exponent, uint8_t *to) {
    struct solution best = {.error = FLT_MAX};
    int8_t q[PART];
    float largest = 0;
    for (unsigned i = 0; i < PART; i++)
        largest = absolute(x[i]) > absolute(largest) ? x[i] : largest;
    if (!(absolute(largest) > 0)) {
        memset(to, 0, Q8_0_PART_BYTES);
        return;
    }
    for (int c = 0; c < CANDIDATES; c++) {
        double d = (double)largest / (LARGEST_FIRST - LARGEST_STEP * c);
        try_d(x, d, exponent, &best);
        try_d(x, -d, exponent, &best);
    }
    /* Half the distance of two subnormal fp16 numbers: where it matters, d is also rounded up, to cut nothing off. */
    double reaching = (double)absolute(largest) / -Q_MIN + power_of_two(-25 - exponent);
    try_d(x, reaching, exponent, &best);
    try_d(x, -reaching, exponent, &best);
    for (int r = 0; r < REFINEMENTS; r++)
        try_d(x, fit(x, best.d.value), exponent, &best);
    half_store(to + Q8_0_D, best.d);
    quants(x, best.d.value, q);
    memcpy(to + Q8_0_Q, q, PART);
}

void q8k_quantize_row_q8_0(size_t blocks, const float *input, uint8_t *weights) {
    float x[BLOCK] = {0};
    for (size_t b = 0; b < blocks; b++, weights += Q8_0_BLOCK_BYTES) {
        int exponent = normalize_block(input + b * BLOCK, x);
        if (exponent == INT32_MIN)
            memset(x, 0, sizeof x);
        for (unsigned p = 0; p < Q8_0_PARTS; p++)
            quantize_part(x + p * PART, exponent, weights + p * Q8_0_PART_BYTES);
    }
}
