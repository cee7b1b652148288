/* SPDX-License-Identifier: MIT */
/* Blocks of weights. The layouts are written down here once more: nothing is shared with what is tested. */
#include <string.h>

#include "kernels.h"

enum { NO_DMIN = -1 };

/* The range of each field, the weights that share a scale or a min, and where the factors stand: a d in each of so many
 * parts. */
typedef struct ranges {
    size_t bytes, parts;
    int q_low, q_high, scale_low, scale_high;
    unsigned group;
    int min_high;
    unsigned min_group;
    int d, dmin;
} ranges;

static const ranges formats[] = {
    [Q8K_FORMAT_Q8_K] = {292, 1, -128, 127, 0, 15, 8, 0, 32, 288, 290},
    [Q8K_FORMAT_Q4_K] = {144, 1, 0, 15, 0, 63, 32, 63, 32, 0, 2},
    [Q8K_FORMAT_Q5_K] = {176, 1, 0, 31, 0, 63, 32, 63, 32, 0, 2},
    [Q8K_FORMAT_Q6_K] = {210, 1, -32, 31, -128, 127, 16, 0, 32, 208, NO_DMIN},
    [Q8K_FORMAT_Q2_K] = {84, 1, 0, 3, 0, 15, 16, 15, 16, 80, 82},
    [Q8K_FORMAT_Q3_K] = {110, 1, -4, 3, -32, 31, 16, 0, 32, 108, NO_DMIN},
    [Q8K_FORMAT_Q8_0] = {272, 8, -128, 127, 1, 1, 32, 0, 32, 0, NO_DMIN},
};

/* A block taken apart. */
typedef struct fields {
    int q[BLOCK], scale[32], min[16];
} fields;

static void pack_q8(const fields *f, uint8_t *block) {
    for (int k = 0; k < BLOCK; k++)
        block[k] = (uint8_t)f->q[k];
    for (int i = 0; i < 16; i++)
        block[256 + i] = (uint8_t)(f->scale[2 * i] | f->scale[2 * i + 1] << 4);
}

static void pack_q4_q5(const fields *f, uint8_t *s, uint8_t *high, uint8_t *low) {
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(f->scale[j] | (f->scale[j + 4] >> 4) << 6);
        s[j + 4] = (uint8_t)(f->min[j] | (f->min[j + 4] >> 4) << 6);
        s[j + 8] = (uint8_t)((f->scale[j + 4] & 15) | (f->min[j + 4] & 15) << 4);
    }
    memset(low, 0, 128);
    for (int k = 0; k < BLOCK; k++)
        low[k / 64 * 32 + k % 32] |= (uint8_t)((f->q[k] & 15) << (k / 32 % 2 * 4));
    if (high == NULL)
        return;
    memset(high, 0, 32);
    for (int k = 0; k < BLOCK; k++)
        high[k % 32] |= (uint8_t)(f->q[k] >> 4 << k / 32);
}

static void pack_q6(const fields *f, uint8_t *block) {
    memset(block, 0, 192);
    for (int k = 0; k < BLOCK; k++) {
        int half = k / 128, quarter = k / 32 % 4, l = k % 32, q = f->q[k] + 32;
        block[64 * half + 32 * (quarter % 2) + l] |= (uint8_t)((q & 15) << (quarter / 2 * 4));
        block[128 + 32 * half + l] |= (uint8_t)(q >> 4 << 2 * quarter);
    }
    for (int g = 0; g < 16; g++)
        block[192 + g] = (uint8_t)f->scale[g];
}

static void pack_q2(const fields *f, uint8_t *block) {
    memset(block, 0, 80);
    for (int k = 0; k < BLOCK; k++)
        block[16 + 32 * (k / 128) + k % 32] |= (uint8_t)(f->q[k] << (k / 32 % 4 * 2));
    for (int g = 0; g < 16; g++)
        block[g] = (uint8_t)(f->scale[g] | f->min[g] << 4);
}

static void pack_q3(const fields *f, uint8_t *block) {
    memset(block, 0, 108);
    for (int k = 0; k < BLOCK; k++) {
        int q = f->q[k] + 4;
        block[k % 32] |= (uint8_t)(q >> 2 << k / 32);
        block[32 + 32 * (k / 128) + k % 32] |= (uint8_t)((q & 3) << (k / 32 % 4 * 2));
    }
    for (int g = 0; g < 16; g++) {
        int scale = f->scale[g] + 32;
        block[96 + g % 8] |= (uint8_t)((scale & 15) << (g < 8 ? 0 : 4));
        block[104 + g % 4] |= (uint8_t)(scale >> 4 << g / 4 * 2);
    }
}

/* Where scales are to be 0, quants are. */
static void pack_q8_0(const fields *f, uint8_t *block) {
    for (int k = 0; k < BLOCK; k++)
        block[34 * (k / 32) + 2 + k % 32] = (uint8_t)(f->scale[k / 32] * f->q[k]);
}

/* Leaves factors and reserved bytes as they are. */
static void pack(q8k_format format, const fields *f, uint8_t *block) {
    if (format == Q8K_FORMAT_Q8_K)
        pack_q8(f, block);
    else if (format == Q8K_FORMAT_Q6_K)
        pack_q6(f, block);
    else if (format == Q8K_FORMAT_Q2_K)
        pack_q2(f, block);
    else if (format == Q8K_FORMAT_Q3_K)
        pack_q3(f, block);
    else if (format == Q8K_FORMAT_Q8_0)
        pack_q8_0(f, block);
    else if (format == Q8K_FORMAT_Q5_K)
        pack_q4_q5(f, block + 4, block + 16, block + 48);
    else
        pack_q4_q5(f, block + 4, NULL, block + 16);
}

static void fill_bytes(numbers *n, uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)numbers_next(n);
}

typedef unsigned draw_factor(numbers *n);

static void put_half(uint8_t *to, unsigned bits) {
    to[0] = (uint8_t)bits;
    to[1] = (uint8_t)(bits >> 8);
}

static void set_factors(numbers *n, const ranges *r, uint8_t *block, draw_factor *draw) {
    for (size_t part = 0; part < r->parts; part++)
        put_half(block + r->d + part * (r->bytes / r->parts), draw(n));
    if (r->dmin != NO_DMIN)
        put_half(block + r->dmin, draw(n));
}

/* fp16 bits of 2^-8 to 2^-2, of either sign. */
static unsigned moderate(numbers *n) {
    return (unsigned)(numbers_below(n, 2) << 15 | (7 + numbers_below(n, 6)) << 10 | numbers_below(n, 1024));
}

/* ------------------------------------------------------------------------------------------------- extremes --- */

/* Per row and block, in turn; batch rows have theirs, so that each meets each. */
typedef enum extreme {
    LARGEST,     /* each scale * q the largest in magnitude */
    OPPOSITE,    /* and the largest of the other sign */
    ALTERNATING, /* the two ends of q in turn */
    HIGH_ENDS,   /* every field at its upper end */
    MINS_ALONE,  /* the largest mins, scales of 0 */
    ZERO_MINS,   /* the largest products, mins of 0 */
    ONE_GROUP,   /* a scale in one group alone */
    ONE_MIN,     /* a min in one group alone, scales of 0 */
    ONE_WEIGHT,  /* a quant in one place alone */
    BYTES_00,    /* raw bytes, but for the factors */
    BYTES_80,
    BYTES_FF,
    RANDOM_FIELDS,
    EXTREME_COUNT
} extreme;

static void random_fields(numbers *n, const ranges *r, fields *f) {
    for (int k = 0; k < BLOCK; k++)
        f->q[k] = numbers_between(n, r->q_low, r->q_high);
    for (int g = 0; g < 32; g++)
        f->scale[g] = numbers_between(n, r->scale_low, r->scale_high);
    for (int g = 0; g < 16; g++)
        f->min[g] = numbers_between(n, 0, r->min_high);
}

static void same_fields(fields *f, int even, int odd, int scale, int min) {
    for (int k = 0; k < BLOCK; k++)
        f->q[k] = k % 2 == 0 ? even : odd;
    for (int g = 0; g < 32; g++)
        f->scale[g] = scale;
    for (int g = 0; g < 16; g++)
        f->min[g] = min;
}

/* What is alone in a block: a scale, a min or a quant. */
static void single_field(numbers *n, extreme which, const ranges *r, fields *f) {
    int min = r->min_high > 0 ? numbers_between(n, 1, r->min_high) : 0;
    random_fields(n, r, f);
    size_t group = numbers_below(n, BLOCK / r->group), k = numbers_below(n, BLOCK);
    int scale = f->scale[group], q = f->q[k];
    if (which == ONE_WEIGHT)
        memset(f->q, 0, sizeof f->q);
    else
        memset(f->scale, 0, sizeof f->scale);
    memset(f->min, 0, sizeof f->min);
    if (which == ONE_GROUP)
        f->scale[group] = scale != 0 ? scale : r->scale_high;
    else if (which == ONE_MIN)
        f->min[k / r->min_group] = min;
    else
        f->q[k] = q != 0 ? q : r->q_high;
}

static void extreme_fields(numbers *n, extreme which, const ranges *r, fields *f) {
    int far = -r->q_low > r->q_high ? r->q_low : r->q_high, near = r->q_low + r->q_high - far;
    int scale = -r->scale_low > r->scale_high ? r->scale_low : r->scale_high;
    switch (which) {
    case LARGEST:
        same_fields(f, far, far, scale, r->min_high);
        break;
    case OPPOSITE:
        same_fields(f, r->scale_low < 0 ? far : near, r->scale_low < 0 ? far : near, r->scale_high, r->min_high);
        break;
    case ALTERNATING:
        same_fields(f, r->q_low, r->q_high, scale, 0);
        break;
    case HIGH_ENDS:
        same_fields(f, r->q_high, r->q_high, r->scale_high, r->min_high);
        break;
    case MINS_ALONE:
        same_fields(f, r->q_high, r->q_high, 0, r->min_high);
        break;
    case ZERO_MINS:
        same_fields(f, far, far, scale, 0);
        break;
    case ONE_GROUP:
    case ONE_MIN:
    case ONE_WEIGHT:
        single_field(n, which, r, f);
        break;
    default:
        random_fields(n, r, f);
    }
}

static void fill_extreme(numbers *n, q8k_format format, extreme which, uint8_t *block) {
    const ranges *r = &formats[format];
    fields f;
    /* So that reserved bytes are not zero. */
    fill_bytes(n, block, r->bytes);
    if (which == BYTES_00 || which == BYTES_80 || which == BYTES_FF) {
        memset(block, which == BYTES_00 ? 0x00 : which == BYTES_80 ? 0x80 : 0xff, r->bytes);
    } else {
        extreme_fields(n, which, r, &f);
        pack(format, &f, block);
    }
    set_factors(n, r, block, moderate);
}

/* ------------------------------------------------------------------------------------------------ rounding --- */

const near_power near_powers[NEAR_POWERS] = {
    {29, 177, 3033169}, {29, 233, 2304167}, {30, 1321, 812825}, {32, 641, 6700417}, {33, 683, 12576771}};

/* fp16 bits of a whole number from 1 to 2047. */
static unsigned whole_factor(int value) {
    int exponent = 0;
    while (value >> (exponent + 1) != 0)
        exponent++;
    return (unsigned)((exponent + 15) << 10 | (value - (1 << exponent)) << 10 >> exponent);
}

/* A single weight of 1: in even blocks that of the first activation, times 1; in odd ones that of the second, times a
 * pair's d. kernels_input.c tells what the activations make of it. */
static void fill_rounding(q8k_format format, size_t row, size_t block, uint8_t *to) {
    const ranges *r = &formats[format];
    fields f;
    same_fields(&f, 0, 0, 1, 0);
    f.q[block % 2] = 1;
    memset(to, 0, r->bytes);
    pack(format, &f, to);
    for (size_t part = 0; part < r->parts; part++)
        put_half(to + r->d + part * (r->bytes / r->parts),
                 whole_factor(block % 2 == 0 ? 1 : near_powers[row % NEAR_POWERS].d));
}

/* ------------------------------------------------------------------------------------------------- factors --- */

/* Any fp16 bits, with the ends of each range more often than chance has them. */
static unsigned any_factor(numbers *n) {
    static const unsigned ends[] = {0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x8400, 0x7bff, 0xfbff};
    switch (numbers_below(n, 8)) {
    case 0:
    case 1:
        return ends[numbers_below(n, sizeof ends / sizeof *ends)];
    case 2:
    case 3: /* subnormal */
        return (unsigned)(numbers_below(n, 2) << 15 | numbers_below(n, 1024));
    case 4: /* infinite or NaN, as often as leaves most rows finite */
        return numbers_below(n, 8) == 0 ? (unsigned)(0x7c00 | numbers_below(n, 2) << 15 | numbers_below(n, 4) << 8)
                                        : moderate(n);
    default:
        return (unsigned)(numbers_below(n, 2) << 15 | numbers_below(n, 0x7c00));
    }
}

void fill_weights(const kernel_case *c, size_t row, size_t block, uint8_t *to) {
    const ranges *r = &formats[c->format];
    const uint64_t keys[] = {c->format, c->kind, row, block};
    numbers n = numbers_start(c->seed, keys, sizeof keys / sizeof *keys);
    if (c->kind == KIND_EXTREME) {
        fill_extreme(&n, c->format, (extreme)((row + 5 * block) % EXTREME_COUNT), to);
        return;
    }
    if (c->kind == KIND_ROUNDING) {
        fill_rounding(c->format, row, block, to);
        return;
    }
    fill_bytes(&n, to, r->bytes);
    set_factors(&n, r, to, c->kind == KIND_SPECIAL ? any_factor : moderate);
}
