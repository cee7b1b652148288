/* SPDX-License-Identifier: MIT */
/*
 * The Q6_K quantizer. Given d, the groups are independent, and each has only a few scales worth trying: all of them
 * are tried. d in turn is searched among a few candidates, and then fitted to the quants.
 */
#include "lib/quantizers.h"

#include "lib/quantize_arithmetic.h"

enum { GROUP = 16, GROUPS = BLOCK / GROUP, SCALE_MIN = -128, SCALE_MAX = 127, Q_MIN = -32, Q_MAX = 31 };

/*
 * Steps to try in a group, as fractions of the one that just reaches its largest magnitude with a quant of 32. Wider
 * ones are worth trying because some of them happen to suit the other values; narrower ones hardly ever pay.
 */
#define NARROWEST 0.98
#define WIDEST 1.3

/*
 * Values of d to try, as multiples of the one with which the widest group just reaches its largest magnitude with a
 * scale of 127: beyond 1, so that this group has wider steps to choose from as well.
 */
enum { CANDIDATES = 3, REFINEMENTS = 2 };
#define CANDIDATE_FIRST 1.22
#define CANDIDATE_STEP 0.01

struct solution {
    struct half_factor d;
    int scales[GROUPS];
    double error;
};

static float group_error(const float *x, float step) {
    float inverse = 1.0f / step, squares[GROUP];
    for (unsigned i = 0; i < GROUP; i++) {
        float difference = x[i] - step * nearest_quant(x[i] * inverse, Q_MIN, Q_MAX);
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

/* The best scale of a group, of either sign: a negative one turns the quants' longer side, -32, to positive values. */
static float search_scale(const float *x, float d, float largest, int *scale) {
    double full = (double)largest / -Q_MIN / (double)d;
    int first = nearest(full * NARROWEST - 0.5, 0, SCALE_MAX), last = nearest(full * WIDEST + 0.5, 1, -SCALE_MIN);
    float best = zero_error(x);
    *scale = 0;
    for (int s = first > 1 ? first : 1; s <= last; s++)
        for (int sign = -1; sign <= 1; sign += 2) {
            if (sign * s > SCALE_MAX)
                continue;
            float error = group_error(x, d * (float)(sign * s));
            if (error < best) {
                best = error;
                *scale = sign * s;
            }
        }
    return best;
}

static void search_scales(const float *x, const float *largest, struct solution *s) {
    s->error = 0;
    for (unsigned g = 0; g < GROUPS; g++)
        s->error += (double)search_scale(x + g * GROUP, s->d.value, largest[g], &s->scales[g]);
}

static void quants(const float *x, const struct solution *s, int8_t q[BLOCK]) {
    for (unsigned g = 0; g < GROUPS; g++) {
        float step = s->d.value * (float)s->scales[g], inverse = step < 0 || step > 0 ? 1.0f / step : 0;
        for (unsigned i = g * GROUP; i < (g + 1) * GROUP; i++)
            q[i] = (int8_t)nearest_quant(x[i] * inverse, Q_MIN, Q_MAX);
    }
}

/* The d with the smallest error for the solution's scales and quants. */
static double fit(const float *x, const struct solution *s) {
    int8_t q[BLOCK];
    quants(x, s, q);
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

static void search(const float *x, int exponent, struct solution *best) {
    float largest[GROUPS], widest = 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        largest[g] = largest_magnitude(x + g * GROUP);
        widest = largest[g] > widest ? largest[g] : widest;
    }
    double d = (double)widest / (Q_MIN * -SCALE_MAX);
    best->error = DBL_MAX;
    for (int c = 0; c < CANDIDATES; c++) {
        struct solution s = {.d = half_round_positive(d * (CANDIDATE_FIRST - c * CANDIDATE_STEP), exponent)};
        search_scales(x, largest, &s);
        keep_better(best, &s);
    }
    for (int r = 0; r < REFINEMENTS; r++) {
        struct solution s = {.d = half_round_positive(fit(x, best), exponent)};
        search_scales(x, largest, &s);
        keep_better(best, &s);
    }
}

static void pack(const struct solution *s, const int8_t q[BLOCK], uint8_t *block) {
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

static void quantize_block(const float *input, uint8_t *block) {
    float x[BLOCK];
    int8_t q[BLOCK] = {0};
    struct solution s = {.error = 0};
    int exponent = normalize_block(input, x);
    if (exponent != INT32_MIN) {
        search(x, exponent, &s);
        quants(x, &s, q);
    }
    pack(&s, q, block);
}

void q8k_quantize_row_q6_k(size_t blocks, const float *input, uint8_t *weights) {
    for (size_t b = 0; b < blocks; b++)
        quantize_block(input + b * BLOCK, weights + b * Q6_K_BLOCK_BYTES);
}
