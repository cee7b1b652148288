/* SPDX-License-Identifier: MIT */
/*
 * The scalar vector vocabulary: plain C for any CPU, the reference for the others and the last resort. Vectors are
 * arrays that a compiler may keep in whatever registers the baseline has.
 *
 * A vocabulary has these words. VEC_WEIGHTS is how many weights one step takes: 16, 32 or 64.
 *
 *   vec_bytes                        VEC_WEIGHTS bytes
 *   vec_planes(p, period, bits, k, to)
 *                                    byte i is the field of p[(k + i) % period] that begins at bit bits * ((k + i) /
 *                                    period), moved to begin at bit `to`, with anything in the other bits: how K-quants
 *                                    store every field
 *   vec_pieces(p, stride, k)         bytes k to k + VEC_WEIGHTS - 1 of pieces of 32 that begin `stride` bytes apart
 *   vec_and(v, mask), vec_or(v, w)   bit by bit
 *   vec_subtract(v, n)               v - n, modulo 256
 *   vec_store(p, v)                  stores the bytes in the order of the weights
 *   vec_products(out, q, scales, group)
 *                                    stores the int16 products of int8 quants and the scales of their groups; scales[0]
 *                                    belongs to the first quant. In any order of the VEC_WEIGHTS products, but always
 *                                    the same
 *   vec_limb(out, X)                 stores VEC_WEIGHTS int32 as int16, in that order
 *   vec_dots(w, stride, x, count)    four rows of int16, `stride` apart, times one of `count`: each sum exact in int32
 *                                    and then made a float; count is a multiple of 16, and no sum of any of the
 *                                    products may overflow
 *   vec_round(x)                     to the nearest integer, ties to even, for |x| < 2^31
 *   vec_round_all(in, factor, X)     vec_round(in[k] * factor) of a block; the product is a float
 *   vec_fma(a, b, c)                 a * b + c, rounded once
 *   vec_four                         four floats, and with them four_load, _store, _set, _multiply, _fma, _negate
 *   vec_fours                        two of them; fours_from_halves(p, offset): of each of four rows the fp16 at `offset`,
 *                                    and those behind
 *   vec_quad                         16 bytes of each of four rows: quad_load(p, offset), quad_store(to, v), quad_or(v, w)
 *   quad_pick(v, a, b, c, d)         of each row, words of four bytes from byte a, b, c, d on
 *   quad_shift_right(v, a, b, c, d)  each byte of the first word by a bits, of the second by b, ...; what comes in from
 *                                    above may be anything. quad_shift_left alike, from below
 *   quad_and(v, a, b, c, d)          each word with its mask
 *   quad_subtract(v, n)              each byte less n, modulo 256
 *   quad_zip_low(v, w), quad_zip_high(v, w)
 *                                    of each row, the lower or upper eight bytes of v and w, alternating
 *   quad_min_entries(v, out, stride) stores the upper eight bytes of each row, which are mins, as prepare.h's entries;
 *                                    quad_min_entries_16 all bytes, which are mins of groups of 16 below 64
 *   VEC_LIMB_DIGITS, VEC_BYTE_DIGITS in a vocabulary that multiplies int8: the digits of base 128 of a limb (2), and of
 *                                    BYTE's activations (1). It also has
 *   vec_scales(out, eight)           eight int8 scales as int32
 *   vec_digit_dots(q, q_stride, scales, scales_stride, group, x, x_stride, digits, count)
 *                                    four rows of int8 quants times `digits` rows of digits, the uppermost first; each
 *                                    group's sum times its scale; as vec_dots, the sums exact and then made floats
 *   vec_digit_dots_32(q, q_stride, x, x_stride, digits)
 *                                    the same of 32 quants without a scale
 *
 * A vocabulary whose vectors are wide enough for panels has VEC_TILE_ROWS, the rows of a register tile, VEC_SPLIT, which
 * is 1 if an odd panel had better be split, and instead of vec_products and vec_dots:
 *
 *   vec_pair                         the products of a step; vec_store_pair(out, pair)
 *   vec_scaled(q, eight, group, k)   of quants from weight k on, and of those scales that are among `eight`, which begin at
 *                                    a multiple of eight groups. vec_scaled_unsigned: where the quants have no sign;
 *                                    vec_scaled_by_unsigned: where the scales have none
 *   vec_ints                         VEC_SHORTS int16, or half as many int32: ints_load(p) of the former,
 *                                    ints_load_piece(p): those of one piece of 32 weights, and zeros;
 *                                    ints_word(p): the four bytes at p, repeated; ints_zero(), ints_add, ints_store;
 *                                    ints_settled(v): v, of which the compiler knows no more
 *                                    than that it is in a register
 *   ints_words(p, words)             so many times four bytes, repeated
 *   ints_add_neighbours(a, b)        a0 + a1, a2 + a3, b0 + b1, b2 + b3 of each four int32 of both
 *   ints_narrow(a, b, c, d, words, out)
 *                                    of four vectors at these addresses, the sums of each `words` neighbouring int32: in
 *                                    each four lanes of out[0] those of a, b, c and d; two words make a second vector,
 *                                    out[1], in which each second sum is; more than four words have sums repeated
 *   VEC_EACH_WORDS, VEC_EACH_NARROW  the words of a narrow panel's step, from 2 to VEC_COLUMNS; VEC_COLUMNS by each
 *   ints_dot(sum, a, b)              adds the products of pairs of int16
 *   vec_keep(v)                      the same, or the same bytes, in a register until they were used, where there are
 *                                    enough: compilers would rather load them again each time
 *   ints_four(a, b, c, d)            each vector's sum, made a float
 *   ints_pieces(a, b, c, d, out)     the same of each 32 weights of a step: VEC_PIECES times four
 *   VEC_STREAMS                      the streams that meet four rows in registers: limbs of batch rows, 2 or 4
 *   quad_min_sums(v, entries)        each row's mins times the entries, summed and made floats; and quad_min_sums_16
 *   vec_floats                       VEC_COLUMNS floats: floats_load, _store, _set, _multiply, _fma, _convert(ints),
 *                                    _four(p): four floats at p, repeated
 *   vec_transpose(from, from_stride, to, to_stride)
 *                                    a square of VEC_COLUMNS x VEC_COLUMNS words
 *
 * One of those that multiplies bytes without sign by bytes with it, and adds four products to an int32, has VEC_BYTES and:
 *
 *   bytes_dot(sum, a, b)             such a product; vec_load(p)
 *   ints_scales(eight, group, k)     the scales of weights from k on as int16, one to each sum of four products; they are
 *                                    not negative
 *   ints_scales_signed(scales, group, k)
 *                                    the same of the scales of a block's 16 groups, which may be negative
 *   vec_set(n), ints_negate(v)       n in each byte; the int32 subtracted from 0
 *   ints_multiply(a, b)              int32 by int32
 *   ints_subtract(a, b)              b from a
 *   ints_add_scaled(sum, q, eight, group, k)
 *                                    adds 256 times the products of quants and scales, in any order, as vec_scaled has them
 *   ints_store_halves(p, a, b, c, d) half of each vector's sum
 *   ints_store_piece_halves(p, stride, a, b, c, d)
 *                                    the same of each 32 weights of a step
 *   bytes_widen(from, to)            16 int8 as int32
 *
 *   VEC_UNROLL                       before a loop over a block's steps, where k must be known to the compiler
 */
#ifndef Q8K_SCALAR_VEC_H
#define Q8K_SCALAR_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backends/formats/half.h"
#include "backends/inline.h"

#define Q8K_VOCABULARY scalar

enum { VEC_WEIGHTS = 32 };

#define VEC_UNROLL

typedef struct vec_bytes {
    uint8_t at[VEC_WEIGHTS];
} vec_bytes;

/* Every period is a multiple of 32, so one step lies in one plane. */
ALWAYS_INLINE vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k, unsigned to) {
    unsigned from = bits * (k / period);
    vec_bytes v;
    for (unsigned i = 0; i < VEC_WEIGHTS; i++)
        v.at[i] = (uint8_t)(p[k % period + i] << to >> from);
    return v;
}

ALWAYS_INLINE vec_bytes vec_pieces(const uint8_t *p, size_t stride, unsigned k) {
    vec_bytes v;
    memcpy(v.at, p + k / 32 * stride, VEC_WEIGHTS);
    return v;
}

ALWAYS_INLINE vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    for (unsigned i = 0; i < VEC_WEIGHTS; i++)
        v.at[i] &= mask;
    return v;
}

ALWAYS_INLINE vec_bytes vec_or(vec_bytes v, vec_bytes w) {
    for (unsigned i = 0; i < VEC_WEIGHTS; i++)
        v.at[i] |= w.at[i];
    return v;
}

ALWAYS_INLINE vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    for (unsigned i = 0; i < VEC_WEIGHTS; i++)
        v.at[i] = (uint8_t)(v.at[i] - n);
    return v;
}

ALWAYS_INLINE void vec_store(uint8_t *p, vec_bytes v) {
    memcpy(p, v.at, VEC_WEIGHTS);
}

ALWAYS_INLINE void vec_products(int16_t *out, vec_bytes q, const int8_t *scales, unsigned group) {
    int8_t spread[VEC_WEIGHTS];
    for (unsigned g = 0; g < VEC_WEIGHTS; g += group)
        memset(spread + g, scales[g / group], group);
    for (unsigned i = 0; i < VEC_WEIGHTS; i++)
        out[i] = (int16_t)((int8_t)q.at[i] * spread[i]);
}

ALWAYS_INLINE void vec_limb(int16_t *out, const int32_t *X) {
    for (unsigned i = 0; i < VEC_WEIGHTS; i++)
        out[i] = (int16_t)X[i];
}

/* Adding 1.5 * 2^52 leaves the integer in the low half of the double. */
ALWAYS_INLINE int32_t vec_round(float x) {
    double shifted = (double)x + 0x1.8p52;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (int32_t)(uint32_t)bits;
}

ALWAYS_INLINE void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k++)
        X[k] = vec_round(in[k] * factor);
}

#ifdef __FP_FAST_FMAF

ALWAYS_INLINE float vec_fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}

#else

/* In double the product is exact and the sum is rounded once. Rounding that to float could round a second time the
 * wrong way, unless the double is rounded to odd: if the sum was not exact, its last bit is made 1, on the side where
 * the exact value lies. `lost` is what the sum's rounding left out, itself exact. */
ALWAYS_INLINE float vec_fma(float a, float b, float c) {
    double product = (double)a * (double)b, sum = product + (double)c;
    double added = sum - product;
    double lost = (product - (sum - added)) + ((double)c - added);
    int64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    /* NaN compares false, so infinities and NaN pass unchanged. */
    int inexact = (lost > 0) | (lost < 0), outwards = (lost > 0) == (sum > 0);
    bits += (inexact & ~(int)bits & 1) * (2 * outwards - 1);
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
}

#endif

typedef struct vec_four {
    float at[4];
} vec_four;

ALWAYS_INLINE vec_four four_load(const float *p) {
    vec_four v;
    memcpy(v.at, p, sizeof v.at);
    return v;
}

ALWAYS_INLINE void four_store(float *p, vec_four v) {
    memcpy(p, v.at, sizeof v.at);
}

ALWAYS_INLINE vec_four four_set(float x) {
    return (vec_four){{x, x, x, x}};
}

ALWAYS_INLINE vec_four four_multiply(vec_four a, vec_four b) {
    for (unsigned i = 0; i < 4; i++)
        a.at[i] *= b.at[i];
    return a;
}

ALWAYS_INLINE vec_four four_fma(vec_four a, vec_four b, vec_four c) {
    for (unsigned i = 0; i < 4; i++)
        a.at[i] = vec_fma(a.at[i], b.at[i], c.at[i]);
    return a;
}

ALWAYS_INLINE vec_four four_negate(vec_four a) {
    for (unsigned i = 0; i < 4; i++)
        a.at[i] = -a.at[i];
    return a;
}

typedef struct vec_fours {
    vec_four first, second;
} vec_fours;

ALWAYS_INLINE vec_fours fours_from_halves(const uint8_t *const p[4], size_t offset) {
    vec_fours v;
    for (unsigned r = 0; r < 4; r++) {
        v.first.at[r] = half_load(p[r] + offset);
        v.second.at[r] = half_load(p[r] + offset + 2);
    }
    return v;
}

typedef struct vec_quad {
    uint8_t at[4][16];
} vec_quad;

ALWAYS_INLINE vec_quad quad_load(const uint8_t *const p[4], size_t offset) {
    vec_quad v;
    for (unsigned r = 0; r < 4; r++)
        memcpy(v.at[r], p[r] + offset, 16);
    return v;
}

ALWAYS_INLINE void quad_store(int8_t to[4][16], vec_quad v) {
    memcpy(to, v.at, sizeof v.at);
}

ALWAYS_INLINE vec_quad quad_pick(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    const unsigned from[4] = {a, b, c, d};
    vec_quad to;
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 4; i++)
            memcpy(to.at[r] + 4 * i, v.at[r] + from[i], 4);
    return to;
}

ALWAYS_INLINE vec_quad quad_shift_right(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    const unsigned bits[4] = {a, b, c, d};
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            v.at[r][i] = (uint8_t)(v.at[r][i] >> bits[i / 4]);
    return v;
}

ALWAYS_INLINE vec_quad quad_shift_left(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    const unsigned bits[4] = {a, b, c, d};
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            v.at[r][i] = (uint8_t)(v.at[r][i] << bits[i / 4]);
    return v;
}

ALWAYS_INLINE vec_quad quad_and(vec_quad v, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const uint32_t masks[4] = {a, b, c, d};
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            v.at[r][i] = (uint8_t)(v.at[r][i] & masks[i / 4]);
    return v;
}

ALWAYS_INLINE vec_quad quad_or(vec_quad v, vec_quad w) {
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            v.at[r][i] = (uint8_t)(v.at[r][i] | w.at[r][i]);
    return v;
}

ALWAYS_INLINE vec_quad quad_subtract(vec_quad v, uint8_t n) {
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            v.at[r][i] = (uint8_t)(v.at[r][i] - n);
    return v;
}

ALWAYS_INLINE vec_quad quad_zip_low(vec_quad v, vec_quad w) {
    vec_quad to;
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            to.at[r][i] = i % 2 == 0 ? v.at[r][i / 2] : w.at[r][i / 2];
    return to;
}

ALWAYS_INLINE vec_quad quad_zip_high(vec_quad v, vec_quad w) {
    vec_quad to;
    for (unsigned r = 0; r < 4; r++)
        for (unsigned i = 0; i < 16; i++)
            to.at[r][i] = i % 2 == 0 ? v.at[r][8 + i / 2] : w.at[r][8 + i / 2];
    return to;
}

ALWAYS_INLINE void quad_min_entries(vec_quad v, int16_t *to, size_t stride) {
    for (unsigned r = 0; r < 4; r++)
        for (unsigned g = 0; g < 8; g++) {
            to[r * stride + g] = (int16_t)(256 * v.at[r][8 + g]);
            to[r * stride + 8 + g] = v.at[r][8 + g];
        }
}

ALWAYS_INLINE void quad_min_entries_16(vec_quad v, int16_t *to, size_t stride) {
    for (unsigned r = 0; r < 4; r++, to += stride)
        for (unsigned g = 0; g < 8; g++) {
            const uint8_t even = v.at[r][2 * g], odd = v.at[r][2 * g + 1];
            to[g] = (int16_t)(256 * even);
            to[8 + g] = even;
            to[16 + g] = to[24 + g] = (int16_t)(odd - even);
        }
}

ALWAYS_INLINE vec_four vec_dots(const int16_t *w, size_t stride, const int16_t *x, unsigned count) {
    vec_four v;
    for (unsigned r = 0; r < 4; r++) {
        int32_t sum = 0;
        for (unsigned i = 0; i < count; i++)
            sum += w[r * stride + i] * x[i];
        v.at[r] = (float)sum;
    }
    return v;
}

#endif
