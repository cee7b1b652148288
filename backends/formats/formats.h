/* SPDX-License-Identifier: MIT */
/*
 * The weight formats, in one table. A format is
 *
 *     weight[k] = d * scale[k / GROUP] * q[k] + min_factor * min[k / MIN_GROUP]
 *
 * over blocks of 256 weights. Its header NAME.h has two halves:
 *
 *   layout  constants NAME_BLOCK_BYTES, NAME_GGUF_TYPE (-1: none), NAME_D and NAME_DMIN (where those fields are; -1:
 *           nowhere), NAME_SPAN (weights whose products are summed as one exact integer), NAME_PRODUCT_MAX (the
 *           largest |scale * q|), NAME_UNSIGNED_MAX (the largest q where none is negative, else 0), NAME_MIN_MAX (the
 *           largest min; 0: no min term). Anyone may include it.
 *   traits  a `struct format` of functions that take a block apart in the words of a vector vocabulary (vec.h).
 *           Compiled only where a vocabulary was included first, and written once for all of them.
 *
 * To add a format: its header, its include and its line below, its value in q8k.h, its quantizer, its vectors.
 */
#ifndef Q8K_FORMATS_FORMATS_H
#define Q8K_FORMATS_FORMATS_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK = 256 };

/* The largest integer that an activation's limb can be, in any precision. */
enum { LIMB_MAX = 4095 };

/* Sums of a span must fit int32, whatever the block and the activations hold. */
#define FORMAT_CHECK_BOUNDS(NAME)                                                                                       \
    _Static_assert((int64_t)NAME##_SPAN * NAME##_PRODUCT_MAX * LIMB_MAX < INT64_C(1) << 31, "sum of products");         \
    _Static_assert((int64_t)BLOCK * NAME##_MIN_MAX * LIMB_MAX < INT64_C(1) << 31, "sum of mins");                       \
    _Static_assert(NAME##_PRODUCT_MAX <= INT16_MAX, "product of scale and quant as int16");                             \
    /* kernels/vectors.h: four quants without sign times activations of BYTE, as int16 before they meet their scale. */ \
    _Static_assert(4 * NAME##_UNSIGNED_MAX * 127 <= INT16_MAX, "sum of four products as int16");                        \
    /* kernels/prepare.h: a group's sum, at most 32 * 4095, as two digits of base 256. */                               \
    _Static_assert(256 * NAME##_MIN_MAX <= INT16_MAX, "256 * min as int16");                                            \
    _Static_assert((int64_t)8 * NAME##_MIN_MAX * (256 * 512 + 256) < INT64_C(1) << 31, "sum of min entries")

#ifdef Q8K_VOCABULARY

/* What has a min: nothing, each group of 32, or the block as a whole (where it is the constant 1). */
enum format_min { MIN_NONE, MIN_GROUP_32, MIN_BLOCK };

/* What is never negative: instructions that multiply bytes want one such operand. */
enum format_signs { QUANTS_UNSIGNED, SCALES_UNSIGNED, BOTH_SIGNED };

/* What stands beside the quants in the blocks of four rows. */
struct headers {
    /* Scale g of row r is scales[g / 16][r][g % 16]. Eight scales, of groups of 32, are followed by the eight mins. */
    _Alignas(64) int8_t scales[2][4][16];
    /* scales[0] once more, in registers. */
    vec_quad fields;
    /* d, and the factor of the min term with its sign: -dmin or +dmin. */
    vec_four d, min_factor;
};

struct format {
    size_t block_bytes;
    unsigned span;
    /* Weights that share a scale: 8, 16 or 32. */
    unsigned group;
    enum format_min min;
    enum format_signs signs;
    /* The quants of weights k to k + VEC_WEIGHTS - 1, one int8 each; k is a multiple of VEC_WEIGHTS. */
    vec_bytes (*quants)(const uint8_t *block, unsigned k);
    /* Takes four rows together: one alone would leave most of a vector empty. */
    void (*headers)(const uint8_t *const blocks[4], struct headers *h);
};

#endif

#include "backends/formats/half.h"

#include "backends/formats/q4_k.h"
#include "backends/formats/q5_k.h"
#include "backends/formats/q6_k.h"
#include "backends/formats/q8_k.h"

/* In the order of the Q8K_FORMAT_* values. */
#define Q8K_EACH_FORMAT(X)                                                                                             \
    X(q8_k, Q8_K)                                                                                                      \
    X(q4_k, Q4_K)                                                                                                      \
    X(q5_k, Q5_K)                                                                                                      \
    X(q6_k, Q6_K)

enum {
#define Q8K_COUNT_FORMAT(name, NAME) Q8K_INDEX_OF_##NAME,
    Q8K_EACH_FORMAT(Q8K_COUNT_FORMAT)
#undef Q8K_COUNT_FORMAT
        Q8K_FORMAT_COUNT
};

#endif
