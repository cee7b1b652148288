/* SPDX-License-Identifier: MIT */
/* Activations, aimed at the integers that they become: X = 4096 * hi + lo in FLOAT, X alone in HALF and BYTE. */
#include <math.h>

#include "kernels.h"

/* The largest X of a precision, and of its first limb. */
static int largest_integer(q8k_precision precision) {
    return precision == Q8K_PRECISION_FLOAT ? 16775167 : precision == Q8K_PRECISION_HALF ? 4095 : 127;
}

static int largest_limb(q8k_precision precision) {
    return precision == Q8K_PRECISION_BYTE ? 127 : 4095;
}

/* ------------------------------------------------------------------------------------------------- extremes --- */

typedef enum extreme {
    HIGH,
    LOW,
    SIGN_1, /* the largest, signs changing with every weight, or every 2, 8, 16, 32, 128 of them */
    SIGN_2,
    SIGN_8,
    SIGN_16,
    SIGN_32,
    SIGN_128,
    LO_LOW,       /* hi 4095, lo -2048 */
    LO_HIGH,      /* hi -4095, lo 2047 */
    LO_LOW_ALONE, /* lo -2048 with hi 0, but for the one that decides the step */
    LO_HIGH_ALONE,
    ONE_WEIGHT,   /* all but one are zero */
    ONE_GROUP,    /* all but a group of 32 are zero */
    DIGIT_HIGH,   /* sums of groups of 32 whose lower digit of base 256 is 255, and the upper one large */
    DIGIT_BORROW, /* groups that sum to -1 in each limb: digits -1 and 255 */
    RANDOM,       /* any X, evenly */
    TIES,         /* halfway between two integers */
    DOUBLED,      /* so near to a power of two that the step doubles */
    EXTREME_COUNT
} extreme;

/* Activation k, in steps; `one` is a place in the block. */
static double steps(numbers *n, q8k_precision precision, extreme which, size_t k, size_t one) {
    static const unsigned run[] = {0, 1, 3, 4, 5, 7};
    const int limb = largest_limb(precision), all = largest_integer(precision);
    const bool two = precision == Q8K_PRECISION_FLOAT;
    switch (which) {
    case HIGH:
        return all;
    case LOW:
        return -all;
    case SIGN_1:
    case SIGN_2:
    case SIGN_8:
    case SIGN_16:
    case SIGN_32:
    case SIGN_128:
        return k >> run[which - SIGN_1] & 1 ? -all : all;
    case LO_LOW:
        return two ? 4096.0 * limb - 2048 : limb - 1;
    case LO_HIGH:
        return two ? -4096.0 * limb + 2047 : 1 - limb;
    case LO_LOW_ALONE:
        return two ? -2048 : -1;
    case LO_HIGH_ALONE:
        return two ? 2047 : 1;
    case ONE_WEIGHT:
        return 0;
    case ONE_GROUP:
        return k / 32 == one / 32 ? all : 0;
    case DIGIT_HIGH:
        /* 32 * 4095 ends in 224 = 255 + 1 - 32 at base 256, as does 32 * 2047: 225 less ends in 255. */
        return (two ? 4096.0 * limb + 2047 : limb) - (k % 32 == one % 32 ? (two ? 4097.0 * 225 : 225) : 0);
    case DIGIT_BORROW:
        return k % 32 == one % 32 ? (two ? -4097 : -1) : 0;
    case TIES:
        return numbers_between(n, -all / 4, all / 4) + 0.5;
    case DOUBLED:
        return two ? numbers_between(n, -16777215, 16777215) : numbers_between(n, -4095, 4095) + 0.75;
    default:
        return numbers_between(n, -all, all);
    }
}

/* Whether one activation must be made the largest, so that the step becomes what the others count on. */
static bool needs_largest(extreme which) {
    return which == LO_LOW_ALONE || which == LO_HIGH_ALONE || which == ONE_WEIGHT || which == ONE_GROUP ||
           which == DIGIT_BORROW || which == RANDOM || which == TIES;
}

static void fill_extreme(numbers *n, q8k_precision precision, extreme which, float *to) {
    const size_t one = numbers_below(n, BLOCK);
    /* In BYTE the product with 1 / step is exact only for powers of two, which these steps are. */
    const int exponent = numbers_between(n, -20, 20);
    for (size_t k = 0; k < BLOCK; k++)
        to[k] = (float)ldexp(steps(n, precision, which, k, one), exponent);
    if (needs_largest(which))
        to[one] =
            (float)ldexp(numbers_below(n, 2) ? -largest_integer(precision) : largest_integer(precision), exponent);
    if (which == DOUBLED)
        to[one] = (float)ldexp(precision == Q8K_PRECISION_FLOAT ? 16777215 : 4095.75, exponent);
}

/* ------------------------------------------------------------------------------------------------- specials --- */

typedef enum special {
    ZEROS, /* of both signs */
    SUBNORMAL,
    SMALLEST, /* all zero but one, which is the smallest float */
    BARELY_NORMAL,
    HUGE_VALUES,
    LARGEST_FLOAT,
    NOT_A_NUMBER, /* one of them */
    INFINITE,
    NEGATIVE_INFINITE,
    OUTLIER,
    PLAIN,
    SPECIAL_COUNT
} special;

static float special_value(numbers *n, special which) {
    switch (which) {
    case ZEROS:
        return numbers_below(n, 2) ? 0.0F : -0.0F;
    case SUBNORMAL:
        return numbers_normal(n) * 0x1p-136F;
    case SMALLEST:
        return 0;
    case BARELY_NORMAL:
        return numbers_normal(n) * 0x1p-126F;
    case HUGE_VALUES:
        return numbers_normal(n) * 0x1p124F;
    case LARGEST_FLOAT:
        return numbers_below(n, 2) ? 0x1.fffffep127F : -0x1.fffffep127F;
    default:
        return numbers_normal(n);
    }
}

static void fill_special(numbers *n, special which, float *to) {
    const size_t one = numbers_below(n, BLOCK);
    for (size_t k = 0; k < BLOCK; k++)
        to[k] = special_value(n, which);
    if (which == SMALLEST)
        to[one] = 0x1p-149F;
    else if (which == NOT_A_NUMBER)
        to[one] = NAN;
    else if (which == INFINITE)
        to[one] = INFINITY;
    else if (which == NEGATIVE_INFINITE)
        to[one] = -INFINITY;
    else if (which == OUTLIER)
        to[one] *= 30000;
}

/* Two blocks whose terms are, in steps of the second, +-m * 2^(n + 1) with 24 bits of m, and +-(2^n +- 1). Their sum lies
 * next to the middle between two floats, nearer to it than a double can tell from n = 29 on: rounded to double first, it
 * falls on the middle, and from there, for one parity of m, on the wrong float. */
static void fill_rounding(numbers *n, size_t batch, size_t block, float *to) {
    const near_power *pair = &near_powers[batch % NEAR_POWERS];
    const float sign = numbers_below(n, 2) ? -1.0F : 1.0F;
    for (size_t k = 0; k < BLOCK; k++)
        to[k] = 0;
    /* Any number from 2^23 up makes the step 1, if it is the largest. */
    if (block % 2 == 0) {
        to[0] = sign * ldexpf((float)numbers_between(n, 1 << 23, 16775167), pair->exponent + 1);
    } else {
        to[0] = 0x1p23F;
        to[1] = sign * (float)pair->t;
    }
}

/* Blocks of many sizes, one in four of which has an outlier. */
static void fill_random(numbers *n, float *to) {
    const float scale = ldexpf(1, numbers_between(n, -8, 8));
    for (size_t k = 0; k < BLOCK; k++)
        to[k] = numbers_normal(n) * scale;
    if (numbers_below(n, 4) == 0)
        to[numbers_below(n, BLOCK)] *= 1000;
}

void fill_input(const kernel_case *c, size_t batch, size_t block, float *to) {
    const uint64_t keys[] = {c->precision + UINT64_C(1000), c->kind, batch, block};
    numbers n = numbers_start(c->seed, keys, sizeof keys / sizeof *keys);
    if (c->kind == KIND_EXTREME)
        fill_extreme(&n, c->precision, (extreme)((batch + 7 * block) % EXTREME_COUNT), to);
    else if (c->kind == KIND_ROUNDING)
        fill_rounding(&n, batch, block, to);
    else if (c->kind == KIND_SPECIAL)
        fill_special(&n, (special)((batch + 3 * block) % SPECIAL_COUNT), to);
    else
        fill_random(&n, to);
}
