/* SPDX-License-Identifier: MIT */
/*
 * The Q8_K quantizer. A group's step is d times one of only 15 scales, so what matters is a d for which most groups
 * find a step little wider than they need: many are tried. Given d and dmin, the groups are independent.
 */
#include "lib/quantizers.h"

#include "lib/quantize_arithmetic.h"

enum { GROUP = 8, GROUPS = BLOCK / GROUP, SCALE_MAX = 15, Q_MIN = -128, Q_MAX = 127 };

/* Values of d to try: the widest group's scale goes from 15 down to about 10. */
enum { CANDIDATES = 20, REFINEMENTS = 2, SCALES_TRIED = 5 };
#define CANDIDATE_RATIO 1.02

/* dmin = 0 is always tried; the middle of the values is, too, unless it is nearer to 0 than this part of their reach:
 * below that it cannot save much. */
enum { OFFSET_WORTH = 8 };

struct solution {
    struct half_factor d, dmin;
    int scales[GROUPS];
    double error;
};

static float group_error(const float *y, float step) {
    float inverse = 1.0f / step, squares[GROUP];
    for (unsigned i = 0; i < GROUP; i++) {
        float difference = y[i] - step * nearest_quant(y[i] * inverse, Q_MIN, Q_MAX);
        squares[i] = difference * difference;
    }
    return sum_8(squares);
}

static float zero_error(const float *y) {
    float squares[GROUP];
    for (unsigned i = 0; i < GROUP; i++)
        squares[i] = y[i] * y[i];
    return sum_8(squares);
}

/* The narrowest step that cuts nothing off: rounding reaches half a step beyond the last quant. */
static float needed_step(const float *y) {
    float low = 0, high = 0;
    for (unsigned i = 0; i < GROUP; i++) {
        low = y[i] < low ? y[i] : low;
        high = y[i] > high ? y[i] : high;
    }
    float below = low / (Q_MIN - 0.5f), above = high / (Q_MAX + 0.5f);
    return below > above ? below : above;
}

static float search_scale(const float *y, float d, float needed, int *scale) {
    int first = nearest((double)needed / (double)d - 0.5, 1, SCALE_MAX);
    float best = zero_error(y);
    *scale = 0;
    for (int s = first; s < first + SCALES_TRIED && s <= SCALE_MAX; s++) {
        float error = group_error(y, d * (float)s);
        if (error < best) {
            best = error;
            *scale = s;
        }
    }
    return best;
}

static void shift(const float *x, float dmin, float y[BLOCK]) {
    for (unsigned k = 0; k < BLOCK; k++)
        y[k] = x[k] - dmin;
}

static void search_scales(const float *y, const float *needed, struct solution *s) {
    s->error = 0;
    for (unsigned g = 0; g < GROUPS; g++)
        s->error += (double)search_scale(y + g * GROUP, s->d.value, needed[g], &s->scales[g]);
}

static void quants(const float *y, const struct solution *s, int8_t q[BLOCK]) {
    for (unsigned g = 0; g < GROUPS; g++) {
        float inverse = s->scales[g] > 0 ? 1.0f / (s->d.value * (float)s->scales[g]) : 0;
        for (unsigned i = g * GROUP; i < (g + 1) * GROUP; i++)
            q[i] = (int8_t)nearest_quant(y[i] * inverse, Q_MIN, Q_MAX);
    }
}

static void keep_better(struct solution *best, const struct solution *other) {
    if (other->error < best->error)
        *best = *other;
}

/* The d with the smallest error for the solution's scales and quants. */
static double fit(const float *y, const struct solution *s) {
    int8_t q[BLOCK];
    quants(y, s, q);
    double yw = 0, ww = 0;
    for (unsigned k = 0; k < BLOCK; k++) {
        double w = s->scales[k / GROUP] * q[k];
        yw += (double)y[k] * w;
        ww += w * w;
    }
    return ww > 0 ? yw / ww : 0;
}

/* The best d for an offset. */
static void search_d(const float *x, int exponent, struct half_factor dmin, struct solution *best) {
    float y[BLOCK], needed[GROUPS], widest = 0;
    struct solution own = {.error = DBL_MAX};
    shift(x, dmin.value, y);
    for (unsigned g = 0; g < GROUPS; g++) {
        needed[g] = needed_step(y + g * GROUP);
        widest = needed[g] > widest ? needed[g] : widest;
    }
    double d = (double)widest / SCALE_MAX;
    for (int c = 0; c < CANDIDATES + REFINEMENTS; c++, d *= CANDIDATE_RATIO) {
        double value = c < CANDIDATES ? d : fit(y, &own);
        struct solution s = {.d = half_round_positive(value, exponent), .dmin = dmin};
        search_scales(y, needed, &s);
        keep_better(&own, &s);
    }
    keep_better(best, &own);
}

/* The offset about which the groups' values lie most evenly, on average; *extent is how far they then reach. */
static double middle(const float *x, double *extent) {
    double offset = 0;
    *extent = 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        float low = x[g * GROUP], high = low;
        for (unsigned i = g * GROUP + 1; i < (g + 1) * GROUP; i++) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        offset += ((double)low + (double)high) / (2 * GROUPS);
        *extent += ((double)high - (double)low) / (2 * GROUPS);
    }
    return offset;
}

static void search(const float *x, int exponent, struct solution *best) {
    double extent, offset = middle(x, &extent);
    best->error = DBL_MAX;
    search_d(x, exponent, half_round(0, exponent), best);
    if (offset * OFFSET_WORTH > extent || offset * -OFFSET_WORTH > extent)
        search_d(x, exponent, half_round(offset, exponent), best);
}

static void pack(const struct solution *s, const int8_t q[BLOCK], uint8_t *block) {
    memcpy(block, q, BLOCK);
    memset(block + Q8_K_SCALES, 0, Q8_K_D - Q8_K_SCALES);
    for (unsigned g = 0; g < GROUPS; g++)
        block[Q8_K_SCALES + g / 2] |= (uint8_t)(s->scales[g] << (g % 2 * 4));
    half_store(block + Q8_K_D, s->d);
    half_store(block + Q8_K_DMIN, s->dmin);
}

static void quantize_block(const float *input, uint8_t *block) {
    float x[BLOCK], y[BLOCK];
    int8_t q[BLOCK] = {0};
    struct solution s = {.error = 0};
    int exponent = normalize_block(input, x);
    if (exponent != INT32_MIN) {
        search(x, exponent, &s);
        shift(x, s.dmin.value, y);
        quants(y, &s, q);
    }
    pack(&s, q, block);
}

void q8k_quantize_row_q8_k(size_t blocks, const float *input, uint8_t *weights) {
    for (size_t b = 0; b < blocks; b++)
        quantize_block(input + b * BLOCK, weights + b * Q8_K_BLOCK_BYTES);
}
