/* SPDX-License-Identifier: MIT */
/*
 * The Q4_K, Q5_K and Q2_K quantizers, which differ in the bits of a quant and of a scale and in the size of a group:
 *
 *     weight = d * scale * q - dmin * min
 *
 * First each group gets the real step and offset that suit it best. They give d and dmin; then, group by group, the
 * pairs of integers (scale, min) around its own step and offset are tried; then d and dmin are fitted to the result,
 * and the pairs searched again.
 *
 * dmin may be negative: then all offsets lift, which suits blocks whose values all lie well above zero.
 */
#include "lib/quantizers.h"

#include "lib/quantize_arithmetic.h"

enum { GROUP_MAX = 32, GROUPS_MAX = BLOCK / 16 };

/* What a format has: weights in a group, the largest scale or min, and the largest quant. */
struct kind {
    unsigned group;
    int steps_max, q_max;
};

/*
 * How far a search goes: steps tried for a group, pairs tried around a group's own, rounds of fitting d and dmin. The
 * steps spread a group's range over q_max - 1.5 to q_max + 2.1 of them, which cuts off none, one or two.
 */
enum { CANDIDATES = 10, SCALE_REACH = 3, MIN_REACH = 2, REFINEMENTS = 2 };
#define CANDIDATE_FIRST (-1.5f)
#define CANDIDATE_STEP 0.4f

/* Ranges of a block's widest quants, in distances of two mins, below which widen() is tried. */
enum { NARROW = 20 };

/* A line of quants: weight = step * q - offset. */
struct line {
    double step, offset;
};

struct solution {
    struct half_factor d, dmin;
    int scales[GROUPS_MAX], mins[GROUPS_MAX];
    double error;
};

/* The quants of a group on a line, and their error. */
static float group_error(const struct kind *kind, const float *x, float step, float offset, float *q) {
    float inverse = step > Q8K_STEP_NONE ? 1.0f / step : 0, squares[16] = {0};
    for (unsigned first = 0; first < kind->group; first += 16)
        for (unsigned i = 0; i < 16; i++) {
            float y = x[first + i] + offset, n = nearest_quant(y * inverse, 0, kind->q_max), difference = y - step * n;
            q[first + i] = n;
            squares[i] += difference * difference;
        }
    return sum_16(squares);
}

/* The line with the smallest error for a group's quants. */
static struct line fit_line(const struct kind *kind, const float *x, const float *q, int sign) {
    double sx = 0, sq = 0, qq = 0, qx = 0;
    for (unsigned i = 0; i < kind->group; i++) {
        double xi = (double)x[i], qi = (double)q[i];
        sx += xi;
        sq += qi;
        qq += qi * qi;
        qx += qi * xi;
    }
    double det = kind->group * qq - sq * sq;
    struct line line = {.step = det > 0 ? (kind->group * qx - sq * sx) / det : 0};
    line.offset = (line.step * sq - sx) / kind->group;
    if (line.offset * sign < 0) {
        line.offset = 0;
        line.step = qq > 0 ? qx / qq : 0;
    }
    return line;
}

/* The best line of a group whose offset has the given sign, or is zero. */
static struct line search_line(const struct kind *kind, const float *x, int sign) {
    float low = x[0], high = x[0], q[GROUP_MAX];
    for (unsigned i = 1; i < kind->group; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    if (low * (float)sign > 0)
        low = 0;
    struct line best = {0, -(double)low};
    if (!(high > low))
        return best;
    float best_error = FLT_MAX;
    for (int c = 0; c < CANDIDATES; c++) {
        float step = (high - low) / ((float)kind->q_max + CANDIDATE_FIRST + CANDIDATE_STEP * (float)c);
        group_error(kind, x, step, -low, q);
        struct line line = fit_line(kind, x, q, sign);
        float error = group_error(kind, x, (float)line.step, (float)line.offset, q);
        if (error < best_error) {
            best_error = error;
            best = line;
        }
    }
    return best;
}

/* The best scale and min of a group near its line. */
static float search_pair(const struct kind *kind, const float *x, const struct line *line, const struct solution *s,
                         int *scale, int *min) {
    float q[GROUP_MAX], best = FLT_MAX;
    double d = (double)s->d.value, dmin = (double)s->dmin.value, half_width = 0.5 * kind->q_max;
    *scale = *min = 0;
    int middle = nearest(line->step / d, 0, kind->steps_max);
    for (int i = middle - SCALE_REACH; i <= middle + SCALE_REACH; i++) {
        if (i < 0 || i > kind->steps_max)
            continue;
        double offset = line->offset + (i * d - line->step) * half_width;
        int m = s->dmin.bits != 0 ? nearest(offset / dmin, 0, kind->steps_max) : 0;
        for (int j = m - MIN_REACH; j <= m + MIN_REACH; j++) {
            if (j < 0 || j > kind->steps_max)
                continue;
            float error = group_error(kind, x, s->d.value * (float)i, s->dmin.value * (float)j, q);
            if (error < best) {
                best = error;
                *scale = i;
                *min = j;
            }
        }
    }
    return best;
}

static void search_pairs(const struct kind *kind, const float *x, const struct line *lines, struct solution *s) {
    s->error = 0;
    for (unsigned k = 0, g = 0; k < BLOCK; k += kind->group, g++)
        s->error += (double)search_pair(kind, x + k, &lines[g], s, &s->scales[g], &s->mins[g]);
}

static void quants(const struct kind *kind, const float *x, const struct solution *s, float q[BLOCK]) {
    for (unsigned k = 0, g = 0; k < BLOCK; k += kind->group, g++)
        group_error(kind, x + k, s->d.value * (float)s->scales[g], s->dmin.value * (float)s->mins[g], q + k);
}

/* dmin must keep its sign, which the lines were made for. */
static struct half_factor round_dmin(double value, int sign, int exponent) {
    struct half_factor dmin = half_round_positive(value * sign, exponent);
    if (sign < 0)
        dmin = (struct half_factor){(uint16_t)(dmin.bits | 0x8000u), -dmin.value};
    return dmin;
}

/* The d and dmin with the smallest error for the solution's scales, mins and quants: d * a - dmin * b = x. */
static void fit(const struct kind *kind, const float *x, int sign, int exponent, struct solution *s) {
    float q[BLOCK];
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    quants(kind, x, s, q);
    for (unsigned k = 0; k < BLOCK; k++) {
        double a = s->scales[k / kind->group] * (double)q[k], b = s->mins[k / kind->group], xk = (double)x[k];
        aa += a * a;
        ab += a * b;
        bb += b * b;
        ax += a * xk;
        bx += b * xk;
    }
    /* Exact, as aa < 2^30 and bb < 2^20: it is 0 if and only if a and b are proportional. */
    double det = aa * bb - ab * ab;
    if (det > 0)
        s->d = half_round_positive((ax * bb - ab * bx) / det, exponent);
    else if (aa > 0)
        s->d = half_round_positive((ax + (double)s->dmin.value * ab) / aa, exponent);
    if (bb > 0)
        s->dmin = round_dmin(((double)s->d.value * ab - bx) / bb, sign, exponent);
}

static void keep_better(struct solution *best, const struct solution *other) {
    if (other->error < best->error)
        *best = *other;
}

/* The solution that lines lead to. */
static void search_from(const struct kind *kind, const float *x, const struct line *lines, int sign, int exponent,
                        struct solution *best) {
    double widest = 0, farthest = 0;
    for (unsigned g = 0; g < BLOCK / kind->group; g++) {
        widest = lines[g].step > widest ? lines[g].step : widest;
        farthest = lines[g].offset * sign > farthest ? lines[g].offset * sign : farthest;
    }
    /* Half the distance of two subnormal fp16 numbers: where it matters, d and dmin are rounded up, so that the
     * widest and the farthest group can be reached. */
    double up = power_of_two(-25 - exponent);
    struct solution s = {.d = half_round_positive(widest / kind->steps_max + up, exponent)};
    if (farthest > 0)
        s.dmin = round_dmin((farthest / kind->steps_max + up) * sign, sign, exponent);
    search_pairs(kind, x, lines, &s);
    keep_better(best, &s);
    for (int r = 0; r < REFINEMENTS; r++) {
        fit(kind, x, sign, exponent, &s);
        search_pairs(kind, x, lines, &s);
        keep_better(best, &s);
    }
}

/*
 * Where groups are narrow beside the distance between two mins, their steps have to be wider than they would like, so
 * that values between two mins can be reached: a quant's range must be as much wider as the mins are apart.
 */
static int widen(const struct kind *kind, struct line *lines, int sign) {
    double widest = 0, distance = 0;
    for (unsigned g = 0; g < BLOCK / kind->group; g++) {
        double offset = lines[g].offset * sign / kind->steps_max;
        widest = lines[g].step > widest ? lines[g].step : widest;
        distance = offset > distance ? offset : distance;
    }
    for (unsigned g = 0; g < BLOCK / kind->group; g++) {
        lines[g].step += distance / kind->q_max;
        lines[g].offset += 0.5 * distance;
    }
    return widest * kind->q_max < NARROW * distance;
}

static void search(const struct kind *kind, const float *x, int sign, int exponent, struct solution *best) {
    struct line lines[GROUPS_MAX];
    for (unsigned g = 0; g < BLOCK / kind->group; g++)
        lines[g] = search_line(kind, x + g * kind->group, sign);
    search_from(kind, x, lines, sign, exponent, best);
    if (widen(kind, lines, sign))
        search_from(kind, x, lines, sign, exponent, best);
}

/* Whether a group lies above zero altogether, so that a negative dmin may serve the block. */
static int lifted(const struct kind *kind, const float *x) {
    for (unsigned k = 0; k < BLOCK; k += kind->group) {
        unsigned above = 0;
        for (unsigned i = k; i < k + kind->group; i++)
            above += x[i] > 0;
        if (above == kind->group)
            return 1;
    }
    return 0;
}

static void pack_head(const struct solution *s, uint8_t *block) {
    uint8_t *packed = block + Q4_K_SCALES;
    half_store(block + Q4_K_D, s->d);
    half_store(block + Q4_K_DMIN, s->dmin);
    for (unsigned j = 0; j < 4; j++) {
        packed[j] = (uint8_t)(s->scales[j] | s->scales[j + 4] >> 4 << 6);
        packed[j + 4] = (uint8_t)(s->mins[j] | s->mins[j + 4] >> 4 << 6);
        packed[j + 8] = (uint8_t)((s->scales[j + 4] & 15) | (s->mins[j + 4] & 15) << 4);
    }
}

static void pack_nibbles(const float q[BLOCK], uint8_t *qs) {
    for (unsigned k = 0; k < BLOCK / 2; k++) {
        unsigned first = k / 32 * 64 + k % 32;
        qs[k] = (uint8_t)(((int)q[first] & 15) | ((int)q[first + 32] & 15) << 4);
    }
}

static void pack_fifth_bits(const float q[BLOCK], uint8_t *qh) {
    for (unsigned l = 0; l < 32; l++) {
        int bits = 0;
        for (unsigned j = 0; j < 8; j++)
            bits |= (int)q[32 * j + l] >> 4 << j;
        qh[l] = (uint8_t)bits;
    }
}

static void quantize_block(const struct kind *kind, const float *input, struct solution *s, float q[BLOCK]) {
    float x[BLOCK];
    int exponent = normalize_block(input, x);
    memset(s, 0, sizeof *s);
    memset(q, 0, BLOCK * sizeof *q);
    if (exponent == INT32_MIN)
        return;
    s->error = DBL_MAX;
    search(kind, x, 1, exponent, s);
    if (lifted(kind, x))
        search(kind, x, -1, exponent, s);
    quants(kind, x, s, q);
}

void q8k_quantize_row_q4_k(size_t blocks, const float *input, uint8_t *weights) {
    static const struct kind kind = {32, 63, 15};
    struct solution s;
    float q[BLOCK];
    for (size_t b = 0; b < blocks; b++, weights += Q4_K_BLOCK_BYTES) {
        quantize_block(&kind, input + b * BLOCK, &s, q);
        pack_head(&s, weights);
        pack_nibbles(q, weights + Q4_K_QS);
    }
}

void q8k_quantize_row_q5_k(size_t blocks, const float *input, uint8_t *weights) {
    static const struct kind kind = {32, 63, 31};
    struct solution s;
    float q[BLOCK];
    for (size_t b = 0; b < blocks; b++, weights += Q5_K_BLOCK_BYTES) {
        quantize_block(&kind, input + b * BLOCK, &s, q);
        pack_head(&s, weights);
        pack_fifth_bits(q, weights + Q5_K_QH);
        pack_nibbles(q, weights + Q5_K_QS);
    }
}

void q8k_quantize_row_q2_k(size_t blocks, const float *input, uint8_t *weights) {
    static const struct kind kind = {16, 15, 3};
    struct solution s;
    float q[BLOCK];
    for (size_t b = 0; b < blocks; b++, weights += Q2_K_BLOCK_BYTES) {
        quantize_block(&kind, input + b * BLOCK, &s, q);
        half_store(weights + Q2_K_D, s.d);
        half_store(weights + Q2_K_DMIN, s.dmin);
        for (unsigned g = 0; g < BLOCK / 16; g++)
            weights[Q2_K_SCALES + g] = (uint8_t)(s.scales[g] | s.mins[g] << 4);
        for (unsigned k = 0; k < BLOCK / 4; k++) {
            unsigned first = k / 32 * 128 + k % 32, pairs = 0;
            for (unsigned t = 0; t < 4; t++)
                pairs |= (unsigned)q[first + 32 * t] << (2 * t);
            weights[Q2_K_QS + k] = (uint8_t)pairs;
        }
    }
}
