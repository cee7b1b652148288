/* SPDX-License-Identifier: MIT */
/*
 * The Q6_K and Q3_K quantizers, which differ in the bits of a quant and of a scale. Given d, the groups are independent,
 * and each has only a few scales worth trying: all of them are tried. d in turn is searched among a few candidates, and
 * then fitted to the quants.
 */
#include "lib/quantizers.h"

#include "lib/quantize_arithmetic.h"

enum { GROUP = 16, GROUPS = BLOCK / GROUP };

struct kind {
    /* The ranges are -scale_max - 1 to scale_max, and -q_max - 1 to q_max. */
    int scale_max, q_max;
    /* Steps to try in a group, as fractions of the one that just reaches its largest magnitude with the lowest quant. Wider
     * ones are worth trying because some of them happen to suit the other values; narrower ones where cutting off the
     * largest is worth it. */
    double narrowest, widest;
    /* Values of d to try, as multiples of the one with which the widest group just reaches its largest magnitude with the
     * largest scale: beyond 1, so that this group has wider steps to choose from as well. Then it is fitted. */
    int candidates, refinements;
    double first, distance;
};

struct solution {
    struct half_factor d;
    int scales[GROUPS];
    double error;
};

static float group_error(const struct kind *kind, const float *x, float step) {
    float inverse = 1.0f / step, squares[GROUP];
    for (unsigned i = 0; i < GROUP; i++) {
        float difference = x[i] - step * nearest_quant(x[i] * inverse, -kind->q_max - 1, kind->q_max);
        squares[i] = difference * difference;
    }
    return sum_16(squares);
}

static float zero_error(const float *x) {
    float squares[GROUP];
    for (unsigned i = 0; i < GROUP; i++)
        squares[i] = x[i] * x[i];
    return sum_16(squares);
}

static float largest_magnitude(const float *x) {
    float largest = 0;
    for (unsigned i = 0; i < GROUP; i++)
        largest = absolute(x[i]) > largest ? absolute(x[i]) : largest;
    return largest;
}

/* The best scale of a group, of either sign: a negative one turns the quants' longer side to positive values. */
static float search_scale(const struct kind *kind, const float *x, float d, float largest, int *scale) {
    double full = (double)largest / (kind->q_max + 1) / (double)d;
    int first = nearest(full * kind->narrowest - 0.5, 0, kind->scale_max);
    int last = nearest(full * kind->widest + 0.5, 1, kind->scale_max + 1);
    float best = zero_error(x);
    *scale = 0;
    for (int s = first > 1 ? first : 1; s <= last; s++)
        for (int sign = -1; sign <= 1; sign += 2) {
            if (sign * s > kind->scale_max)
                continue;
            float error = group_error(kind, x, d * (float)(sign * s));
            if (error < best) {
                best = error;
                *scale = sign * s;
            }
        }
    return best;
}

static void search_scales(const struct kind *kind, const float *x, const float *largest, struct solution *s) {
    s->error = 0;
    for (unsigned g = 0; g < GROUPS; g++)
        s->error += (double)search_scale(kind, x + g * GROUP, s->d.value, largest[g], &s->scales[g]);
}

static void quants(const struct kind *kind, const float *x, const struct solution *s, int8_t q[BLOCK]) {
    for (unsigned g = 0; g < GROUPS; g++) {
        float step = s->d.value * (float)s->scales[g], inverse = step < 0 || step > 0 ? 1.0f / step : 0;
        for (unsigned i = g * GROUP; i < (g + 1) * GROUP; i++)
            q[i] = (int8_t)nearest_quant(x[i] * inverse, -kind->q_max - 1, kind->q_max);
    }
}

/* The d with the smallest error for the solution's scales and quants. */
static double fit(const struct kind *kind, const float *x, const struct solution *s) {
    int8_t q[BLOCK];
    quants(kind, x, s, q);
    double xw = 0, ww = 0;
    for (unsigned k = 0; k < BLOCK; k++) {
        double w = s->scales[k / GROUP] * q[k];
        xw += (double)x[k] * w;
        ww += w * w;
    }
    return ww > 0 ? xw / ww : 0;
}

static void keep_better(struct solution *best, const struct solution *other) {
    if (other->error < best->error)
        *best = *other;
}

static void search(const struct kind *kind, const float *x, int exponent, struct solution *best) {
    float largest[GROUPS], widest = 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        largest[g] = largest_magnitude(x + g * GROUP);
        widest = largest[g] > widest ? largest[g] : widest;
    }
    double d = (double)widest / ((kind->q_max + 1) * kind->scale_max);
    best->error = DBL_MAX;
    for (int c = 0; c < kind->candidates; c++) {
        struct solution s = {.d = half_round_positive(d * (kind->first - c * kind->distance), exponent)};
        search_scales(kind, x, largest, &s);
        keep_better(best, &s);
    }
    for (int r = 0; r < kind->refinements; r++) {
        struct solution s = {.d = half_round_positive(fit(kind, x, best), exponent)};
        search_scales(kind, x, largest, &s);
        keep_better(best, &s);
    }
}

static void pack_q6_k(const struct solution *s, const int8_t q[BLOCK], uint8_t *block) {
    for (unsigned k = 0; k < BLOCK / 2; k++) {
        /* k counts low nibbles: half k / 64 of the block, the first or second 32 weights of its upper and lower 64. */
        unsigned first = k / 64 * 128 + k % 64;
        block[Q6_K_QL + k] = (uint8_t)(((q[first] + 32) & 15) | ((q[first + 64] + 32) & 15) << 4);
    }
    for (unsigned k = 0; k < BLOCK / 4; k++) {
        unsigned first = k / 32 * 128 + k % 32, pairs = 0;
        for (unsigned t = 0; t < 4; t++)
            pairs |= (unsigned)(q[first + 32 * t] + 32) >> 4 << (2 * t);
        block[Q6_K_QH + k] = (uint8_t)pairs;
    }
    for (unsigned g = 0; g < GROUPS; g++)
        block[Q6_K_SCALES + g] = (uint8_t)s->scales[g];
    half_store(block + Q6_K_D, s->d);
}

static void quantize_block(const struct kind *kind, const float *input, struct solution *s, int8_t q[BLOCK]) {
    float x[BLOCK];
    int exponent = normalize_block(input, x);
    memset(s, 0, sizeof *s);
    memset(q, 0, BLOCK);
    if (exponent == INT32_MIN)
        return;
    search(kind, x, exponent, s);
    quants(kind, x, s, q);
}

void q8k_quantize_row_q6_k(size_t blocks, const float *input, uint8_t *weights) {
    static const struct kind kind = {.scale_max = 127,
                                     .q_max = 31,
                                     .narrowest = 0.98,
                                     .widest = 1.3,
                                     .candidates = 3,
                                     .refinements = 2,
                                     .first = 1.22,
                                     .distance = 0.01};
    struct solution s;
    int8_t q[BLOCK];
    for (size_t b = 0; b < blocks; b++) {
        quantize_block(&kind, input + b * BLOCK, &s, q);
        pack_q6_k(&s, q, weights + b * Q6_K_BLOCK_BYTES);
    }
}

static void pack_q3_k(const struct solution *s, const int8_t q[BLOCK], uint8_t *block) {
    memset(block, 0, Q3_K_D);
    for (unsigned k = 0; k < BLOCK; k++) {
        unsigned quant = (unsigned)(q[k] + 4);
        block[Q3_K_HMASK + k % 32] |= (uint8_t)(quant >> 2 << k / 32);
        block[Q3_K_QS + k / 128 * 32 + k % 32] |= (uint8_t)((quant & 3) << (k / 32 % 4 * 2));
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        unsigned scale = (unsigned)(s->scales[g] + 32);
        block[Q3_K_SCALES + g % 8] |= (uint8_t)((scale & 15) << (g / 8 * 4));
        block[Q3_K_SCALES + 8 + g % 4] |= (uint8_t)(scale >> 4 << (g / 4 * 2));
    }
    half_store(block + Q3_K_D, s->d);
}

void q8k_quantize_row_q3_k(size_t blocks, const float *input, uint8_t *weights) {
    static const struct kind kind = {.scale_max = 31,
                                     .q_max = 3,
                                     .narrowest = 0.7,
                                     .widest = 1.3,
                                     .candidates = 6,
                                     .refinements = 3,
                                     .first = 1.25,
                                     .distance = 0.08};
    struct solution s;
    int8_t q[BLOCK];
    for (size_t b = 0; b < blocks; b++) {
        quantize_block(&kind, input + b * BLOCK, &s, q);
        pack_q3_k(&s, q, weights + b * Q3_K_BLOCK_BYTES);
    }
}
