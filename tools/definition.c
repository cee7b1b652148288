/* SPDX-License-Identifier: MIT */
#include "definition.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { BLOCK = 256, HALF_BITS = 12, FLOAT_BITS = 24, HALF_LIMIT = 4095, FLOAT_LIMIT = 4095 * 4096 + 2047 };

/* One block as numbers: weight k is d[k] * scale[k] * q[k] + min_factor * min[k], the second term only if there is one.
 * The factors are doubles so that the products and their sum are exact: 11 bits times 13 or less, between 2^-24 and
 * 2^29. */
typedef struct unpacked {
    int32_t scale[BLOCK], q[BLOCK], min[BLOCK];
    double d[BLOCK], min_factor;
    bool has_min;
} unpacked;

/* IEEE 754 binary16, little-endian. */
static double half_value(const uint8_t *bytes) {
    unsigned bits = (unsigned)bytes[0] | (unsigned)bytes[1] << 8;
    int exponent = (int)(bits >> 10 & 31);
    int fraction = (int)(bits & 1023);
    double value;
    if (exponent == 31)
        value = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -value : value;
}

static int32_t signed_byte(uint8_t byte) {
    return byte < 128 ? byte : (int32_t)byte - 256;
}

/* Scale and min of group j, from the twelve bytes that Q4_K and Q5_K share. */
static void six_bit_pair(const uint8_t s[12], int j, int32_t *scale, int32_t *min) {
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

/* high is NULL in Q4_K. */
static void unpack_q4_q5(const uint8_t *block, const uint8_t *high, const uint8_t *low, unpacked *out) {
    for (int k = 0; k < BLOCK; k++) {
        int group = k / 32, l = k % 32;
        six_bit_pair(block + 4, group, &out->scale[k], &out->min[k]);
        out->q[k] = low[32 * (group / 2) + l] >> (group % 2 ? 4 : 0) & 15;
        if (high)
            out->q[k] += 16 * (high[l] >> group & 1);
    }
}

static void unpack_q4(const uint8_t *block, unpacked *out) {
    unpack_q4_q5(block, NULL, block + 16, out);
}

static void unpack_q5(const uint8_t *block, unpacked *out) {
    unpack_q4_q5(block, block + 16, block + 48, out);
}

static void unpack_q6(const uint8_t *block, unpacked *out) {
    for (int k = 0; k < BLOCK; k++) {
        int half = k / 128, quarter = k % 128 / 32, l = k % 32;
        int32_t low = block[64 * half + 32 * (quarter % 2) + l] >> (quarter < 2 ? 0 : 4) & 15;
        int32_t high = block[128 + 32 * half + l] >> (2 * quarter) & 3;
        out->scale[k] = signed_byte(block[192 + 8 * half + 2 * quarter + l / 16]);
        out->q[k] = (low | high << 4) - 32;
    }
}

static void unpack_q8(const uint8_t *block, unpacked *out) {
    for (int k = 0; k < BLOCK; k++) {
        int group = k / 8;
        out->scale[k] = block[256 + group / 2] >> (4 * (group % 2)) & 15;
        out->q[k] = signed_byte(block[k]);
        out->min[k] = 1;
    }
}

static void unpack_q2(const uint8_t *block, unpacked *out) {
    for (int k = 0; k < BLOCK; k++) {
        int half = k / 128, quarter = k % 128 / 32, l = k % 32;
        out->scale[k] = block[k / 16] & 15;
        out->min[k] = block[k / 16] >> 4;
        out->q[k] = block[16 + 32 * half + l] >> (2 * quarter) & 3;
    }
}

/* Scale of group g, from twelve bytes. */
static int32_t six_bits_less_32(const uint8_t s[12], int g) {
    int32_t low = s[g % 8] >> (g < 8 ? 0 : 4) & 15, high = s[8 + g % 4] >> (2 * (g / 4)) & 3;
    return (low | high << 4) - 32;
}

static void unpack_q3(const uint8_t *block, unpacked *out) {
    for (int k = 0; k < BLOCK; k++) {
        int half = k / 128, quarter = k % 128 / 32, l = k % 32;
        int32_t low = block[32 + 32 * half + l] >> (2 * quarter) & 3, high = block[l] >> (4 * half + quarter) & 1;
        out->scale[k] = six_bits_less_32(block + 96, k / 16);
        out->q[k] = low + 4 * high - 4;
    }
}

static void unpack_q8_0(const uint8_t *block, unpacked *out) {
    for (int k = 0; k < BLOCK; k++) {
        out->scale[k] = 1;
        out->q[k] = signed_byte(block[34 * (k / 32) + 2 + k % 32]);
    }
}

/* The formats: bytes, weights in a span, parts with a d of their own, where d and dmin are (NONE: nowhere), the sign of the
 * min term, and what takes the rest apart. */
enum { NONE = -1 };
static const struct format {
    size_t bytes, span, parts;
    int d, dmin, min_sign;
    void (*unpack)(const uint8_t *block, unpacked *out);
} formats[] = {
    [Q8K_FORMAT_Q8_K] = {292, 256, 1, 288, 290, 1, unpack_q8},
    [Q8K_FORMAT_Q4_K] = {144, 256, 1, 0, 2, -1, unpack_q4},
    [Q8K_FORMAT_Q5_K] = {176, 256, 1, 0, 2, -1, unpack_q5},
    [Q8K_FORMAT_Q6_K] = {210, 128, 1, 208, NONE, 0, unpack_q6},
    [Q8K_FORMAT_Q2_K] = {84, 256, 1, 80, 82, -1, unpack_q2},
    [Q8K_FORMAT_Q3_K] = {110, 256, 1, 108, NONE, 0, unpack_q3},
    [Q8K_FORMAT_Q8_0] = {272, 32, 8, 0, NONE, 0, unpack_q8_0},
};

size_t definition_block_bytes(q8k_format format) {
    return format < sizeof formats / sizeof *formats ? formats[format].bytes : 0;
}

uint8_t *definition_d(q8k_format format, uint8_t *block, size_t part) {
    const struct format *f = &formats[format];
    return part < f->parts ? block + f->d + f->bytes / f->parts * part : NULL;
}

uint8_t *definition_dmin(q8k_format format, uint8_t *block) {
    return definition_has_min(format) ? block + formats[format].dmin : NULL;
}

bool definition_has_min(q8k_format format) {
    return formats[format].dmin != NONE;
}

static void unpack(q8k_format format, const uint8_t *block, unpacked *out) {
    const struct format *f = &formats[format];
    memset(out, 0, sizeof *out);
    f->unpack(block, out);
    for (size_t k = 0; k < BLOCK; k++)
        out->d[k] = half_value(block + f->d + f->bytes / f->parts * (k * f->parts / BLOCK));
    out->has_min = f->dmin != NONE;
    if (out->has_min)
        out->min_factor = f->min_sign * half_value(block + f->dmin);
}

void definition_decode(q8k_format format, const uint8_t *block, float weights[256]) {
    unpacked u;
    unpack(format, block, &u);
    for (int k = 0; k < BLOCK; k++) {
        double a = u.d[k] * u.scale[k] * u.q[k]; /* in this order, which decides the sign of a zero */
        weights[k] = (float)(u.has_min ? a + u.min_factor * u.min[k] : a);
    }
}

/* The largest magnitude; NaN if any of the 256 is NaN or infinite. */
static float largest(const float *x) {
    float m = 0;
    for (int k = 0; k < BLOCK; k++) {
        if (!isfinite(x[k]))
            return NAN;
        m = fmaxf(m, fabsf(x[k]));
    }
    return m;
}

/* The step of 256 activations of which m is the largest. */
static float step_of(float m, q8k_precision precision) {
    if (isnan(m))
        return NAN;
    if (m == 0)
        return 1;
    if (precision == Q8K_PRECISION_BYTE)
        return fmaxf(m / 127.0F, 0x1p-126F);
    int exponent;
    (void)frexp((double)m, &exponent);
    exponent -= precision == Q8K_PRECISION_FLOAT ? FLOAT_BITS : HALF_BITS;
    double step = ldexp(1, exponent < -126 ? -126 : exponent);
    if (rint((double)m / step) > (precision == Q8K_PRECISION_FLOAT ? FLOAT_LIMIT : HALF_LIMIT))
        step *= 2;
    return (float)step;
}

/* 256 activations -> integers, and their step. */
static float to_integers(const float *x, q8k_precision precision, int64_t integers[BLOCK]) {
    float m = largest(x);
    float step = step_of(m, precision);
    memset(integers, 0, BLOCK * sizeof *integers);
    if (isnan(m) || m == 0)
        return step;
    float reciprocal = 1.0F / step;
    for (int k = 0; k < BLOCK; k++) {
        if (precision == Q8K_PRECISION_BYTE)
            integers[k] = (int64_t)fminf(fmaxf(rintf(x[k] * reciprocal), -127.0F), 127.0F);
        else
            integers[k] = (int64_t)rint((double)x[k] / (double)step);
    }
    return step;
}

/* t of one span: the sum of factor * X, by way of two limbs in FLOAT. */
static float span_sum(const int32_t *factors, const int64_t *integers, size_t columns, q8k_precision precision) {
    int64_t high_sum = 0, low_sum = 0;
    for (size_t k = 0; k < columns; k++) {
        int64_t high = 0;
        if (precision == Q8K_PRECISION_FLOAT)
            high = (int64_t)floor((double)(integers[k] + 2048) / 4096);
        high_sum += factors[k] * high;
        low_sum += factors[k] * (integers[k] - 4096 * high);
    }
    if (precision == Q8K_PRECISION_FLOAT)
        return fmaf((float)high_sum, 4096.0F, (float)low_sum);
    return (float)low_sum;
}

static float add_block(q8k_format format, q8k_precision precision, const uint8_t *block, const float *input,
                       float sum) {
    unpacked u;
    int32_t w[BLOCK];
    int64_t integers[BLOCK];
    size_t columns = formats[format].span;
    unpack(format, block, &u);
    for (int k = 0; k < BLOCK; k++)
        w[k] = u.scale[k] * u.q[k];
    float step = to_integers(input, precision, integers);
    for (size_t k = 0; k < BLOCK; k += columns) {
        sum = fmaf(span_sum(w + k, integers + k, columns, precision), (float)u.d[k] * step, sum);
        if (u.has_min)
            sum = fmaf(span_sum(u.min + k, integers + k, columns, precision), (float)u.min_factor * step, sum);
    }
    return sum;
}

float definition_accumulate(q8k_format format, q8k_precision precision, size_t blocks, const uint8_t *row,
                            const float *input, float sum) {
    for (size_t i = 0; i < blocks; i++)
        sum = add_block(format, precision, row + i * definition_block_bytes(format), input + i * BLOCK, sum);
    return sum;
}

/* A sum of doubles without any rounding: doubles that do not overlap, smallest first, whose sum it is (Shewchuk,
 * "Adaptive Precision Floating-Point Arithmetic", 1997). Terms lie between 2^-173 and 2^157 in magnitude, and the
 * parts are never adjacent, so there are fewer of them than every other bit of that range. */
typedef struct exact_sum {
    double part[192];
    size_t count;
    double not_finite; /* sum of the terms that are infinite or NaN */
} exact_sum;

static void exact_add(exact_sum *sum, double term) {
    if (!isfinite(term)) {
        sum->not_finite += term;
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < sum->count; i++) {
        double part = sum->part[i];
        double total = term + part;
        double from_part = total - term;
        double error = (term - (total - from_part)) + (part - from_part);
        if (error != 0)
            sum->part[kept++] = error;
        term = total;
    }
    if (term != 0)
        sum->part[kept++] = term;
    sum->count = kept;
}

/* The double nearest to the sum. */
static double exact_round(const exact_sum *sum) {
    size_t i = sum->count;
    if (sum->not_finite != 0)
        return sum->not_finite;
    if (i == 0)
        return 0;
    double total = sum->part[--i], error = 0;
    while (i > 0 && error == 0) {
        double larger = total;
        total = larger + sum->part[--i];
        error = sum->part[i] - (total - larger);
    }
    /* A tie was rounded to even without regard to the parts below it, which may decide otherwise. */
    if (i > 0 && error != 0 && (error > 0) == (sum->part[i - 1] > 0)) {
        double beyond = total + 2 * error;
        if (beyond - total == 2 * error)
            total = beyond;
    }
    return total;
}

/* Whether a factor times a step keeps all its bits in float32. */
static bool in_range(double factor, float step) {
    double scaled = fabs(factor * (double)step);
    return factor == 0 || (scaled >= (double)FLT_MIN && scaled <= (double)FLT_MAX);
}

definition_exact definition_product(q8k_format format, q8k_precision precision, size_t blocks, const uint8_t *row,
                                    const float *input) {
    exact_sum product = {.count = 0}, magnitude = {.count = 0};
    double step_error = 0;
    bool promised = true;
    for (size_t i = 0; i < blocks; i++) {
        unpacked u;
        double weights = 0;
        unpack(format, row + i * definition_block_bytes(format), &u);
        for (int k = 0; k < BLOCK; k++) {
            double x = (double)input[i * BLOCK + (size_t)k];
            double a = u.d[k] * u.scale[k] * u.q[k], b = u.has_min ? u.min_factor * u.min[k] : 0;
            exact_add(&product, a * x);
            exact_add(&product, b * x);
            exact_add(&magnitude, fabs(a * x));
            exact_add(&magnitude, fabs(b * x));
            weights += fabs(a) + fabs(b);
        }
        float step = step_of(largest(input + i * BLOCK), precision);
        step_error += (double)step / 2 * weights;
        for (int k = 0; k < BLOCK; k++)
            promised = promised && in_range(u.d[k], step);
        promised = promised && in_range(u.min_factor, step);
    }
    double spans = (double)(blocks * (BLOCK / formats[format].span));
    definition_exact exact = {.product = exact_round(&product), .magnitude = exact_round(&magnitude)};
    exact.bound = step_error + (2 * spans + 8) * 0x1p-24 * exact.magnitude;
    /* Where |sums| stay below 2^127 and G is normal, the roundings of the sum are within the bound. */
    exact.promised = promised && exact.magnitude < 0x1p127 && (exact.magnitude == 0 || exact.magnitude >= 0x1p-126);
    return exact;
}
