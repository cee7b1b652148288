/* SPDX-License-Identifier: MIT */
#include "verify_case.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { ROWS = 19, BLOCKS = 3, BATCH = 17, BLOCK = 256, PATTERN_COUNT = 16, SPECIAL_COUNT = 8 };

const char *verify_kind_name(verify_kind kind) {
    static const char *const names[VERIFY_KINDS] = {"random", "extreme", "special"};
    return names[kind];
}

/* SplitMix64: small, and the same everywhere. */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The sum of twelve uniform numbers. */
float verify_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += ldexp((double)(draw(state) >> 11), -53);
    }
    return (float)sum;
}

static void put_factor(uint8_t *to, uint16_t half) {
    to[0] = (uint8_t)half;
    to[1] = (uint8_t)(half >> 8);
}

/* Either sign, 2^-7 to nearly 2: far from what overflows or underflows. */
static uint16_t draw_factor(uint64_t *state) {
    uint64_t bits = draw(state);
    return (uint16_t)((bits & 0x83ff) | (8 + (bits >> 16) % 8) << 10);
}

static uint16_t choose_factor(verify_kind kind, uint64_t *state) {
    /* 1, -1, 2^-14, 65504 and their like keep sums exact or make them large. */
    static const uint16_t extreme[SPECIAL_COUNT] = {0x3c00, 0xbc00, 0x0400, 0x7bff, 0xfbff, 0x3bff, 0x3c01, 0x8400};
    /* Infinity, NaN, zeros, the smallest and the largest subnormal number. */
    static const uint16_t special[SPECIAL_COUNT] = {0x7c00, 0xfc00, 0x7e01, 0x0000, 0x8000, 0x0001, 0x83ff, 0x3c00};
    switch (kind) {
    case VERIFY_EXTREME:
        return extreme[draw(state) % SPECIAL_COUNT];
    case VERIFY_SPECIAL:
        /* Mostly ordinary ones, or no row would be left that is not NaN. */
        return draw(state) % 4 == 0 ? special[draw(state) % SPECIAL_COUNT] : draw_factor(state);
    default:
        return draw_factor(state);
    }
}

static void make_block(verify_case *c, size_t row, uint8_t *block, uint64_t *state) {
    static const uint8_t patterns[PATTERN_COUNT] = {0x00, 0xff, 0x80, 0x7f, 0x0f, 0xf0, 0x88, 0x77,
                                                    0x01, 0x10, 0xfe, 0x81, 0x55, 0xaa, 0x3f, 0xc0};
    for (size_t i = 0; i < definition_block_bytes(c->format); i++) {
        bool pattern = c->kind == VERIFY_EXTREME && row < PATTERN_COUNT;
        block[i] = pattern ? patterns[row] : (uint8_t)draw(state);
    }
    for (size_t part = 0; definition_d(c->format, block, part) != NULL; part++) {
        put_factor(definition_d(c->format, block, part), choose_factor(c->kind, state));
    }
    if (definition_dmin(c->format, block) != NULL) {
        put_factor(definition_dmin(c->format, block), choose_factor(c->kind, state));
    }
}

/* Activation k of a batch row, so that limbs and sums reach their ends: rows of one full-scale value, alternating
 * ones, a lone outlier, values just below a power of two (whose step doubles), ties. */
static float extreme_activation(size_t b, size_t k, uint64_t *state) {
    const float below_one = 0x1.fffffep-1F;
    switch (b % 8) {
    case 0:
        return below_one;
    case 1:
        return -below_one;
    case 2:
        return k % 2 ? below_one : -below_one;
    case 3:
        return k / 8 % 2 ? 1.0F : -1.0F;
    case 4:
        return k % BLOCK == 77 ? 30000.0F : verify_normal(state);
    case 5:
        return k % BLOCK == 255 ? -0x1.ffep-1F : ((float)(k % 4095) + 0.5F) * 0x1p-12F;
    case 6:
        return k % BLOCK < 128 ? 0x1.ffdffep-1F : -0x1.001p-12F;
    default:
        return verify_normal(state) * 1e-20F;
    }
}

static float special_activation(size_t b, size_t k, uint64_t *state) {
    bool first = k % BLOCK == 3 * b, second_block = k / BLOCK == 1;
    switch (b % 8) {
    case 0:
        return first && second_block ? NAN : verify_normal(state);
    case 1:
        return first && second_block ? INFINITY : verify_normal(state);
    case 2:
        return first ? -INFINITY : verify_normal(state);
    case 3:
        return second_block ? 0.0F : verify_normal(state);
    case 4:
        return k % 2 ? FLT_MAX : verify_normal(state);
    case 5:
        return verify_normal(state) * 0x1p-133F;
    case 6:
        return -0.0F;
    default:
        return k % 3 ? 0x1p-149F : verify_normal(state);
    }
}

static float make_activation(verify_kind kind, size_t b, size_t k, uint64_t *state) {
    switch (kind) {
    case VERIFY_EXTREME:
        return extreme_activation(b, k, state);
    case VERIFY_SPECIAL:
        return special_activation(b, k, state);
    default:
        return verify_normal(state);
    }
}

bool verify_case_make(verify_case *c, verify_kind kind, q8k_format format, uint64_t seed) {
    *c = (verify_case){.kind = kind, .format = format, .rows = ROWS, .blocks = BLOCKS, .batch = BATCH};
    uint64_t state = seed ^ (uint64_t)format << 32 ^ (uint64_t)kind << 40;
    size_t block_bytes = definition_block_bytes(format), blocks = c->rows * c->blocks, cols = c->blocks * BLOCK;
    c->memory = malloc(blocks * block_bytes + 1);
    c->input = malloc(c->batch * cols * sizeof *c->input);
    c->decoded = malloc(c->rows * cols * sizeof *c->decoded);
    c->output = malloc(c->batch * c->rows * sizeof *c->output);
    c->exact = malloc(c->batch * c->rows * sizeof *c->exact);
    if (c->memory == NULL || c->input == NULL || c->decoded == NULL || c->output == NULL || c->exact == NULL) {
        return false;
    }
    c->weights = c->memory + 1;
    for (size_t i = 0; i < blocks; i++) {
        make_block(c, i / c->blocks, c->weights + i * block_bytes, &state);
        definition_decode(format, c->weights + i * block_bytes, c->decoded + i * BLOCK);
    }
    for (size_t i = 0; i < c->batch * cols; i++) {
        c->input[i] = make_activation(kind, i / cols, i % cols, &state);
    }
    return true;
}

void verify_case_expect(verify_case *c, q8k_precision precision) {
    c->precision = precision;
    size_t row_bytes = c->blocks * definition_block_bytes(c->format);
    for (size_t i = 0; i < c->batch * c->rows; i++) {
        const uint8_t *row = c->weights + i % c->rows * row_bytes;
        const float *input = c->input + i / c->rows * c->blocks * BLOCK;
        c->output[i] = definition_accumulate(c->format, precision, c->blocks, row, input, 0);
        c->exact[i] = definition_product(c->format, precision, c->blocks, row, input);
    }
}

void verify_case_free(verify_case *c) {
    free(c->memory);
    free(c->input);
    free(c->decoded);
    free(c->output);
    free(c->exact);
}
