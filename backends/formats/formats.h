/* SPDX-License-Identifier: MIT */
/*
 * The weight formats, in one table. A format is
 *
 *     weight[k] = d[k / PART] * scale[k / GROUP] * q[k] + min_factor * min[k / MIN_GROUP]
 *
 * over blocks of 256 weights. Its header NAME.h has two halves:
 *
 *   layout  constants NAME_BLOCK_BYTES, NAME_GGUF_TYPE (-1: none), NAME_D and NAME_DMIN (where those fields are; -1:
 *           nowhere), NAME_PARTS (equal parts of which the block consists, each with a d of its own), NAME_SPAN (weights
 *           whose products are summed as one exact integer), NAME_PRODUCT_MAX (the largest |scale * q|),
 *           NAME_STORED_MAX and NAME_OFFSET (the largest number that quants are stored as, where these have no sign,
 *           else 0, and what is subtracted from it), NAME_MIN_MAX (the largest min; 0: no min term). Anyone may
 *           include it.
 *   traits  a `struct format` of functions that take a block apart in the words of a vector vocabulary (vec.h).
 *           Compiled only where a vocabulary was included first, and written once for all of them.
 *
 * To add a format: its header, its include and its line below, its value in q8k.h, its quantizer, its vectors.
 * doc/numerics.md lists all places.
 */
#ifndef Q8K_FORMATS_FORMATS_H
#define Q8K_FORMATS_FORMATS_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK = 256 };

/* The most parts and spans of a block. */
enum { PARTS_MAX = 8, SPANS_MAX = 8 };

/* The largest integer that an activation's limb can be, in any precision. */
enum { LIMB_MAX = 4095 };

/* Sums of a span must fit int32, whatever the block and the activations hold. */
#define FORMAT_CHECK_BOUNDS(NAME)                                                                                      \
    _Static_assert(NAME##_PARTS <= (int)PARTS_MAX && BLOCK / NAME##_PARTS % NAME##_SPAN == 0, "one d to a span");      \
    _Static_assert(BLOCK / NAME##_SPAN <= SPANS_MAX, "spans");                                                         \
    _Static_assert((int64_t)NAME##_SPAN * NAME##_PRODUCT_MAX * LIMB_MAX < INT64_C(1) << 31, "sum of products");        \
    _Static_assert((int64_t)BLOCK * NAME##_MIN_MAX * LIMB_MAX < INT64_C(1) << 31, "sum of mins");                      \
    _Static_assert(NAME##_PRODUCT_MAX <= INT16_MAX, "product of scale and quant as int16");                            \
    /* kernels/vectors.h: four quants that have no sign where they are stored times activations of BYTE, as int16 */   \
    /* before they meet their scale. */                                                                                \
    _Static_assert(4 * NAME##_OFFSET * 127 <= INT16_MAX, "sum of four products as int16");                             \
    _Static_assert(4 * (NAME##_STORED_MAX - NAME##_OFFSET) * 127 <= INT16_MAX, "sum of four products as int16");       \
    /* kernels/prepare.h: the sum of 32, at most 32 * 4095, as two digits of base 256; beside it two sums of 8. */     \
    _Static_assert(256 * NAME##_MIN_MAX <= INT16_MAX, "256 * min as int16");                                           \
    _Static_assert((int64_t)8 * NAME##_MIN_MAX * (256 * 512 + 256 + 2 * 8 * LIMB_MAX) < INT64_C(1) << 31,              \
                   "sum of min entries")

_Static_assert(8 * LIMB_MAX <= INT16_MAX, "sum of eight activations as int16");

#ifdef Q8K_VOCABULARY

/* What has a min: nothing, each group of 32 or 16, or the block as a whole (where it is the constant 1). */
enum format_min { MIN_NONE, MIN_GROUP_32, MIN_GROUP_16, MIN_BLOCK };

/* What is never negative: instructions that multiply bytes want one such operand. */
enum format_signs { QUANTS_UNSIGNED, SCALES_UNSIGNED, BOTH_SIGNED };

/* What stands beside the quants in the blocks of four rows. */
struct headers {
    /* Scale g of row r is scales[g / 16][r][g % 16]. Eight scales, of groups of 32, are followed by the eight mins; the
     * sixteen mins of groups of 16 are scales[1]. */
    _Alignas(64) int8_t scales[2][4][16];
    /* Where the mins are once more, in registers: scales[0], or of groups of 16 scales[1]. */
    vec_quad fields;
    /* Each part's d, and the factor of the min term with its sign: -dmin or +dmin. */
    vec_four d[PARTS_MAX], min_factor;
};

struct format {
    size_t block_bytes;
    unsigned parts, span;
    /* Weights that share a scale: 8, 16 or 32. */
    unsigned group;
    enum format_min min;
    enum format_signs signs;
    /* What is subtracted from each quant as it is stored; where it is not 0, these have no sign. */
    uint8_t offset;
    /* The stored quants of weights k to k + VEC_WEIGHTS - 1, a byte each; k is a multiple of VEC_WEIGHTS. */
    vec_bytes (*quants)(const uint8_t *block, unsigned k);
    /* Takes four rows together: one alone would leave most of a vector empty. */
    void (*headers)(const uint8_t *const blocks[4], struct headers *h);
};

/* Whose d belongs to weight k. */
ALWAYS_INLINE unsigned format_part(const struct format *f, unsigned k) {
    return k * f->parts / BLOCK;
}

#endif

#include "backends/formats/half.h"

#include "backends/formats/q2_k.h"
#include "backends/formats/q3_k.h"
#include "backends/formats/q4_k.h"
#include "backends/formats/q5_k.h"
#include "backends/formats/q6_k.h"
#include "backends/formats/q8_0.h"
#include "backends/formats/q8_k.h"

/* In the order of the Q8K_FORMAT_* values. */
#define Q8K_EACH_FORMAT(X)                                                                                             \
    X(q8_k, Q8_K)                                                                                                      \
    X(q4_k, Q4_K)                                                                                                      \
    X(q5_k, Q5_K)                                                                                                      \
    X(q6_k, Q6_K)                                                                                                      \
    X(q2_k, Q2_K)                                                                                                      \
    X(q3_k, Q3_K)                                                                                                      \
    X(q8_0, Q8_0)

enum {
#define Q8K_COUNT_FORMAT(name, NAME) Q8K_INDEX_OF_##NAME,
    Q8K_EACH_FORMAT(Q8K_COUNT_FORMAT)
#undef Q8K_COUNT_FORMAT
        Q8K_FORMAT_COUNT
};

#endif
