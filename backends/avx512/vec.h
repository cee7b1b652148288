/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of AVX-512 (F, BW, DQ, VL) with VNNI; backends/scalar/vec.h says what the words mean. */
#ifndef Q8K_AVX512_VEC_H
#define Q8K_AVX512_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backends/inline.h"

#define Q8K_VOCABULARY avx512
#define VEC_BYTES
#define VEC_EACH_BYTES_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)

enum { VEC_WEIGHTS = 64, VEC_PIECES = 2, VEC_SHORTS = 32, VEC_STREAMS = 4, VEC_COLUMNS = 16, VEC_SPLIT = 1 };
#define VEC_TILE_ROWS 12
/* The pairs of k in a step of narrow panels, and their batch rows. */
#define VEC_EACH_WORDS(X) X(2) X(4) X(8) X(16)
#define VEC_EACH_NARROW(X) X(8) X(4) X(2) X(1)
#define VEC_EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef __m512i vec_bytes;

/* Shifting 16 bits at a time moves bits from one byte into the other, but none into the field. Where the period is 32, the
 * two halves of a step are the same bytes in two planes; both are shifted the same way, if not equally far. */
ALWAYS_INLINE vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k, unsigned to) {
    int right = (int)(bits * (k / period)) - (int)to;
    if (period == 32) {
        __m512i both = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
        int next = right + (int)bits;
        __m256i first = _mm256_set1_epi16((short)(right < 0 ? -right : right));
        __m256i second = _mm256_set1_epi16((short)(right < 0 ? -next : next));
        __m512i distances = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
        return right < 0 ? _mm512_sllv_epi16(both, distances) : _mm512_srlv_epi16(both, distances);
    }
    __m512i v = _mm512_loadu_si512(p + k % period);
    if (right < 0)
        return _mm512_sll_epi16(v, _mm_cvtsi32_si128(-right));
    return _mm512_srl_epi16(v, _mm_cvtsi32_si128(right));
}

ALWAYS_INLINE vec_bytes vec_pieces(const uint8_t *p, size_t stride, unsigned k) {
    const uint8_t *first = p + k / 32 * stride, *second = first + stride;
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)first)),
                              _mm256_loadu_si256((const __m256i *)(const void *)second), 1);
}

ALWAYS_INLINE vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    return _mm512_and_si512(v, _mm512_set1_epi8((char)mask));
}

ALWAYS_INLINE vec_bytes vec_or(vec_bytes v, vec_bytes w) {
    return _mm512_or_si512(v, w);
}

ALWAYS_INLINE vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    return _mm512_sub_epi8(v, _mm512_set1_epi8((char)n));
}

ALWAYS_INLINE vec_bytes vec_load(const uint8_t *p) {
    return _mm512_loadu_si512(p);
}

ALWAYS_INLINE void vec_store(uint8_t *p, vec_bytes v) {
    _mm512_storeu_si512(p, v);
}

/* 256 times the scale of each of 32 pairs of weights from weight k on, of the eight scales among which they are. A lane of
 * 128 bits has 16 weights. */
ALWAYS_INLINE __m512i avx512_scales(const int8_t eight[8], unsigned group, unsigned k) {
    int64_t scales;
    memcpy(&scales, eight, sizeof scales);
#define AVX512_HALF_LANE(weight) (0x0080008000800080 + (int64_t)((k + (weight)) / group % 8) * 0x0100010001000100)
    __m512i order =
        _mm512_setr_epi64(AVX512_HALF_LANE(0), AVX512_HALF_LANE(8), AVX512_HALF_LANE(16), AVX512_HALF_LANE(24),
                          AVX512_HALF_LANE(32), AVX512_HALF_LANE(40), AVX512_HALF_LANE(48), AVX512_HALF_LANE(56));
#undef AVX512_HALF_LANE
    return _mm512_shuffle_epi8(_mm512_set1_epi64(scales), order);
}

typedef struct vec_pair {
    __m512i first, second;
} vec_pair;

/* The order: of 64 weights the even ones, then the odd ones. The instruction that multiplies bytes, one unsigned, adds two
 * products, of which one is made zero. */
ALWAYS_INLINE vec_pair vec_scaled_unsigned(vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    __m512i odd = avx512_scales(eight, group, k), even = _mm512_srli_epi16(odd, 8);
    return (vec_pair){_mm512_maddubs_epi16(q, even), _mm512_maddubs_epi16(q, odd)};
}

ALWAYS_INLINE vec_pair vec_scaled_by_unsigned(vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    __m512i odd = avx512_scales(eight, group, k), even = _mm512_srli_epi16(odd, 8);
    return (vec_pair){_mm512_maddubs_epi16(even, q), _mm512_maddubs_epi16(odd, q)};
}

/* With both a quant and its scale in the upper byte of an int16, their product is the upper half of that of the int16. */
ALWAYS_INLINE vec_pair vec_scaled(vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    __m512i scales = avx512_scales(eight, group, k);
    return (vec_pair){_mm512_mulhi_epi16(_mm512_slli_epi16(q, 8), scales),
                      _mm512_mulhi_epi16(_mm512_and_si512(q, _mm512_set1_epi16((short)0xff00)), scales)};
}

ALWAYS_INLINE void vec_store_pair(int16_t *out, vec_pair p) {
    _mm512_store_si512(out, p.first);
    _mm512_store_si512(out + 32, p.second);
}

ALWAYS_INLINE __m512i avx512_narrow(const int32_t *X) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_loadu_si512(X))),
                              _mm512_cvtepi32_epi16(_mm512_loadu_si512(X + 16)), 1);
}

ALWAYS_INLINE void vec_limb(int16_t *out, const int32_t *X) {
    __m512i low = avx512_narrow(X), high = avx512_narrow(X + 32);
    static const int16_t order[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
                                      32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    __m512i even = _mm512_loadu_si512(order);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi16(low, even, high));
    _mm512_storeu_si512(out + 32, _mm512_permutex2var_epi16(low, _mm512_add_epi16(even, _mm512_set1_epi16(1)), high));
}

ALWAYS_INLINE int32_t vec_round(float x) {
    return _mm_cvtss_si32(_mm_set_ss(x));
}

ALWAYS_INLINE void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k += 16)
        _mm512_storeu_si512(X + k, _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(in + k), _mm512_set1_ps(factor))));
}

ALWAYS_INLINE float vec_fma(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}

typedef __m128 vec_four;

ALWAYS_INLINE vec_four four_load(const float *p) {
    return _mm_loadu_ps(p);
}

ALWAYS_INLINE void four_store(float *p, vec_four v) {
    _mm_storeu_ps(p, v);
}

ALWAYS_INLINE vec_four four_set(float x) {
    return _mm_set1_ps(x);
}

ALWAYS_INLINE vec_four four_multiply(vec_four a, vec_four b) {
    return _mm_mul_ps(a, b);
}

ALWAYS_INLINE vec_four four_fma(vec_four a, vec_four b, vec_four c) {
    return _mm_fmadd_ps(a, b, c);
}

ALWAYS_INLINE vec_four four_negate(vec_four a) {
    return _mm_xor_ps(a, _mm_set1_ps(-0.0f));
}

typedef struct vec_fours {
    vec_four first, second;
} vec_fours;

ALWAYS_INLINE int32_t avx512_word(const uint8_t *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The pairs are brought together as words, then all first and all second ones. An array of the words would be written
 * one by one and read at once, which CPUs are slow at. */
ALWAYS_INLINE vec_fours fours_from_halves(const uint8_t *const p[4], size_t offset) {
    __m128i v = _mm_cvtsi32_si128(avx512_word(p[0] + offset));
    v = _mm_insert_epi32(v, avx512_word(p[1] + offset), 1);
    v = _mm_insert_epi32(v, avx512_word(p[2] + offset), 2);
    v = _mm_insert_epi32(v, avx512_word(p[3] + offset), 3);
    v = _mm_shuffle_epi8(v, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    __m256 eight = _mm256_cvtph_ps(v);
    return (vec_fours){_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)};
}

typedef __m512i vec_quad;

ALWAYS_INLINE __m128i avx512_load_16(const void *p) {
    return _mm_loadu_si128((const __m128i *)p);
}

ALWAYS_INLINE vec_quad quad_load(const uint8_t *const p[4], size_t offset) {
    __m512i v = _mm512_castsi128_si512(avx512_load_16(p[0] + offset));
    v = _mm512_inserti32x4(v, avx512_load_16(p[1] + offset), 1);
    v = _mm512_inserti32x4(v, avx512_load_16(p[2] + offset), 2);
    return _mm512_inserti32x4(v, avx512_load_16(p[3] + offset), 3);
}

ALWAYS_INLINE void quad_store(int8_t to[4][16], vec_quad v) {
    _mm512_store_si512(to, v);
}

ALWAYS_INLINE __m512i avx512_words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return _mm512_broadcast_i32x4(_mm_setr_epi32((int)a, (int)b, (int)c, (int)d));
}

ALWAYS_INLINE vec_quad quad_pick(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    return _mm512_shuffle_epi8(v, avx512_words(0x03020100u + a * 0x01010101u, 0x03020100u + b * 0x01010101u,
                                               0x03020100u + c * 0x01010101u, 0x03020100u + d * 0x01010101u));
}

ALWAYS_INLINE vec_quad quad_shift_right(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    return _mm512_srlv_epi32(v, avx512_words(a, b, c, d));
}

ALWAYS_INLINE vec_quad quad_shift_left(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    return _mm512_sllv_epi32(v, avx512_words(a, b, c, d));
}

ALWAYS_INLINE vec_quad quad_and(vec_quad v, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return _mm512_and_si512(v, avx512_words(a, b, c, d));
}

ALWAYS_INLINE vec_quad quad_or(vec_quad v, vec_quad w) {
    return _mm512_or_si512(v, w);
}

ALWAYS_INLINE vec_quad quad_subtract(vec_quad v, uint8_t n) {
    return vec_subtract(v, n);
}

ALWAYS_INLINE vec_quad quad_zip_low(vec_quad v, vec_quad w) {
    return _mm512_unpacklo_epi8(v, w);
}

ALWAYS_INLINE vec_quad quad_zip_high(vec_quad v, vec_quad w) {
    return _mm512_unpackhi_epi8(v, w);
}

typedef __m512i vec_ints;
typedef __m512 vec_floats;

ALWAYS_INLINE __m512i vec_keep(__m512i v) {
    __asm__("" : "+v"(v));
    return v;
}

ALWAYS_INLINE vec_ints ints_zero(void) {
    return _mm512_setzero_si512();
}

ALWAYS_INLINE vec_ints ints_load(const int16_t *p) {
    return _mm512_loadu_si512(p);
}

ALWAYS_INLINE vec_ints ints_load_piece(const int16_t *p) {
    return _mm512_zextsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Adding lanes of 32 bits in pairs. */
ALWAYS_INLINE __m512i avx512_add_pairs(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

/* In each lane of 128 bits, its sums of the four. */
ALWAYS_INLINE __m512i avx512_add_lanes(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    return avx512_add_pairs(avx512_add_pairs(a, c), avx512_add_pairs(b, d));
}

/* A lane's products are of 16 weights. */
ALWAYS_INLINE __m256i avx512_pieces(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    __m512i four = avx512_add_lanes(a, b, c, d);
    __m256i low = _mm512_castsi512_si256(four), high = _mm512_extracti64x4_epi64(four, 1);
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

ALWAYS_INLINE __m128i avx512_four(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    __m512i four = avx512_add_lanes(a, b, c, d);
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64(four, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

ALWAYS_INLINE vec_four ints_four(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    return _mm_cvtepi32_ps(avx512_four(a, b, c, d));
}

ALWAYS_INLINE void ints_store_halves(int32_t *p, vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    _mm_store_si128((__m128i *)(void *)p, _mm_srai_epi32(avx512_four(a, b, c, d), 1));
}

ALWAYS_INLINE void ints_pieces(vec_ints a, vec_ints b, vec_ints c, vec_ints d, vec_four out[VEC_PIECES]) {
    __m256 eight = _mm256_cvtepi32_ps(avx512_pieces(a, b, c, d));
    out[0] = _mm256_castps256_ps128(eight);
    out[1] = _mm256_extractf128_ps(eight, 1);
}

ALWAYS_INLINE void ints_store_piece_halves(int32_t *p, size_t stride, vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    __m256i eight = _mm256_srai_epi32(avx512_pieces(a, b, c, d), 1);
    _mm_store_si128((__m128i *)(void *)p, _mm256_castsi256_si128(eight));
    _mm_store_si128((__m128i *)(void *)(p + stride), _mm256_extracti128_si256(eight, 1));
}

ALWAYS_INLINE vec_ints ints_multiply(vec_ints a, vec_ints b) {
    return _mm512_mullo_epi32(a, b);
}

ALWAYS_INLINE void bytes_widen(const int8_t from[16], int32_t *to) {
    _mm512_storeu_si512(to, _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
}

/* The intrinsic in assembly: with it gcc 12 copies every sum to another register and to the stack in each step. */
ALWAYS_INLINE vec_ints ints_dot(vec_ints sum, vec_ints a, vec_ints b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

ALWAYS_INLINE vec_ints ints_add_scaled(vec_ints sum, vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    return ints_dot(sum, _mm512_maddubs_epi16(_mm512_set1_epi8(1), q), avx512_scales(eight, group, k));
}

ALWAYS_INLINE vec_ints bytes_dot(vec_ints sum, vec_bytes a, vec_bytes b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

ALWAYS_INLINE vec_ints ints_scales(const int8_t eight[8], unsigned group, unsigned k) {
    int64_t scales;
    memcpy(&scales, eight, sizeof scales);
#define AVX512_PAIR(weight)                                                                                            \
    ((int64_t)0x8080800080808000 + (int64_t)((k + (weight)) / group % 8) +                                             \
     ((int64_t)((k + (weight) + 4) / group % 8) << 32))
    __m512i order = _mm512_setr_epi64(AVX512_PAIR(0), AVX512_PAIR(8), AVX512_PAIR(16), AVX512_PAIR(24), AVX512_PAIR(32),
                                      AVX512_PAIR(40), AVX512_PAIR(48), AVX512_PAIR(56));
#undef AVX512_PAIR
    return _mm512_shuffle_epi8(_mm512_set1_epi64(scales), order);
}

ALWAYS_INLINE vec_ints ints_scales_signed(const int8_t scales[16], unsigned group, unsigned k) {
    __m512i all = _mm512_cvtepi8_epi32(avx512_load_16(scales));
#define AVX512_GROUP(weight) (int)((k + (weight)) / group)
    __m512i order = _mm512_setr_epi32(AVX512_GROUP(0), AVX512_GROUP(4), AVX512_GROUP(8), AVX512_GROUP(12),
                                      AVX512_GROUP(16), AVX512_GROUP(20), AVX512_GROUP(24), AVX512_GROUP(28),
                                      AVX512_GROUP(32), AVX512_GROUP(36), AVX512_GROUP(40), AVX512_GROUP(44),
                                      AVX512_GROUP(48), AVX512_GROUP(52), AVX512_GROUP(56), AVX512_GROUP(60));
#undef AVX512_GROUP
    return _mm512_permutexvar_epi32(order, _mm512_and_si512(all, _mm512_set1_epi32(0xffff)));
}

ALWAYS_INLINE vec_bytes vec_set(uint8_t n) {
    return _mm512_set1_epi8((char)n);
}

ALWAYS_INLINE vec_ints ints_negate(vec_ints v) {
    return _mm512_sub_epi32(_mm512_setzero_si512(), v);
}

/* As int16, the upper eight bytes of each row, and 256 times those. */
ALWAYS_INLINE __m512i avx512_mins(vec_quad v) {
    return _mm512_unpackhi_epi8(v, _mm512_setzero_si512());
}

ALWAYS_INLINE __m512i avx512_mins_256(vec_quad v) {
    return _mm512_unpackhi_epi8(_mm512_setzero_si512(), v);
}

/* Eight int16 of each row. */
ALWAYS_INLINE void avx512_store_rows(__m512i v, int16_t *to, size_t stride) {
    _mm_store_si128((__m128i *)(void *)to, _mm512_castsi512_si128(v));
    _mm_store_si128((__m128i *)(void *)(to + stride), _mm512_extracti32x4_epi32(v, 1));
    _mm_store_si128((__m128i *)(void *)(to + 2 * stride), _mm512_extracti32x4_epi32(v, 2));
    _mm_store_si128((__m128i *)(void *)(to + 3 * stride), _mm512_extracti32x4_epi32(v, 3));
}

ALWAYS_INLINE void quad_min_entries(vec_quad v, int16_t *to, size_t stride) {
    avx512_store_rows(avx512_mins_256(v), to, stride);
    avx512_store_rows(avx512_mins(v), to + 8, stride);
}

ALWAYS_INLINE __m512i avx512_entries(const int16_t *entries) {
    return _mm512_broadcast_i32x4(avx512_load_16(entries));
}

/* Four sums of each row. */
ALWAYS_INLINE vec_four avx512_min_four(__m512i sums) {
    sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32(sums, 0x4e));
    sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32(sums, 0xb1));
    __m512i firsts = _mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
    return _mm_cvtepi32_ps(_mm512_castsi512_si128(_mm512_permutexvar_epi32(firsts, sums)));
}

ALWAYS_INLINE vec_four quad_min_sums(vec_quad v, const int16_t *entries) {
    __m512i sums = ints_dot(_mm512_setzero_si512(), avx512_mins_256(v), avx512_entries(entries));
    return avx512_min_four(ints_dot(sums, avx512_mins(v), avx512_entries(entries + 8)));
}

/* Of 16 mins, an int16 has an even one and above it the odd one. */
ALWAYS_INLINE __m512i avx512_even_mins(vec_quad v) {
    return _mm512_and_si512(v, _mm512_set1_epi16(0xff));
}

ALWAYS_INLINE __m512i avx512_odd_mins(vec_quad v) {
    return _mm512_sub_epi16(_mm512_srli_epi16(v, 8), avx512_even_mins(v));
}

ALWAYS_INLINE void quad_min_entries_16(vec_quad v, int16_t *to, size_t stride) {
    __m512i odd = avx512_odd_mins(v);
    avx512_store_rows(_mm512_slli_epi16(v, 8), to, stride);
    avx512_store_rows(avx512_even_mins(v), to + 8, stride);
    avx512_store_rows(odd, to + 16, stride);
    avx512_store_rows(odd, to + 24, stride);
}

ALWAYS_INLINE vec_four quad_min_sums_16(vec_quad v, const int16_t *entries) {
    __m512i odd = avx512_odd_mins(v);
    __m512i sums = ints_dot(_mm512_setzero_si512(), _mm512_slli_epi16(v, 8), avx512_entries(entries));
    sums = ints_dot(sums, avx512_even_mins(v), avx512_entries(entries + 8));
    sums = ints_dot(sums, odd, avx512_entries(entries + 16));
    return avx512_min_four(ints_dot(sums, odd, avx512_entries(entries + 24)));
}

ALWAYS_INLINE vec_ints ints_add(vec_ints a, vec_ints b) {
    return _mm512_add_epi32(a, b);
}

ALWAYS_INLINE vec_ints ints_subtract(vec_ints a, vec_ints b) {
    return _mm512_sub_epi32(a, b);
}

ALWAYS_INLINE vec_ints ints_settled(vec_ints v) {
    __asm__("" : "+v"(v));
    return v;
}

ALWAYS_INLINE vec_ints ints_word(const void *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
}

ALWAYS_INLINE vec_ints ints_words(const int16_t *p, unsigned words) {
    if (words == 1)
        return ints_word(p);
    if (words == 2) {
        int64_t two;
        memcpy(&two, p, sizeof two);
        return _mm512_set1_epi64(two);
    }
    if (words == 4)
        return _mm512_broadcast_i32x4(avx512_load_16(p));
    if (words == 8)
        return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return ints_load(p);
}

/* No function: clang takes `order` for a constant only where it is written as one. */
#define AVX512_SHUFFLE(a, b, order)                                                                                    \
    _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), order))

ALWAYS_INLINE vec_ints ints_add_neighbours(vec_ints a, vec_ints b) {
    return _mm512_add_epi32(AVX512_SHUFFLE(a, b, 0x88), AVX512_SHUFFLE(a, b, 0xdd));
}

ALWAYS_INLINE void ints_narrow(const int32_t *a, const int32_t *b, const int32_t *c, const int32_t *d, unsigned words,
                               vec_ints *out) {
    __m512i va = _mm512_load_si512(a), vb = _mm512_load_si512(b);
    __m512i vc = _mm512_load_si512(c), vd = _mm512_load_si512(d);
    if (words == 2) {
        __m512i ab = ints_add_neighbours(va, vb), cd = ints_add_neighbours(vc, vd);
        out[0] = AVX512_SHUFFLE(ab, cd, 0x88);
        out[1] = AVX512_SHUFFLE(ab, cd, 0xdd);
        return;
    }
    out[0] = avx512_add_pairs(avx512_add_pairs(va, vc), avx512_add_pairs(vb, vd));
    if (words >= 8)
        out[0] = _mm512_add_epi32(out[0], _mm512_shuffle_i32x4(out[0], out[0], 0xb1));
    if (words == 16)
        out[0] = _mm512_add_epi32(out[0], _mm512_shuffle_i32x4(out[0], out[0], 0x4e));
}

ALWAYS_INLINE void ints_store(int32_t *p, vec_ints v) {
    _mm512_store_si512(p, v);
}

ALWAYS_INLINE vec_floats floats_convert(vec_ints v) {
    return _mm512_cvtepi32_ps(v);
}

ALWAYS_INLINE vec_floats floats_set(float x) {
    return _mm512_set1_ps(x);
}

ALWAYS_INLINE vec_floats floats_four(const float *p) {
    return _mm512_broadcast_f32x4(_mm_load_ps(p));
}

ALWAYS_INLINE vec_floats floats_load(const float *p) {
    return _mm512_load_ps(p);
}

ALWAYS_INLINE void floats_store(float *p, vec_floats v) {
    _mm512_store_ps(p, v);
}

ALWAYS_INLINE vec_floats floats_multiply(vec_floats a, vec_floats b) {
    return _mm512_mul_ps(a, b);
}

ALWAYS_INLINE vec_floats floats_fma(vec_floats a, vec_floats b, vec_floats c) {
    return _mm512_fmadd_ps(a, b, c);
}

/* Groups of four rows are transposed inside lanes of 128 bits; then the lanes are, among the groups. */
ALWAYS_INLINE void vec_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
    __m512 group[4][4];
    VEC_UNROLL
    for (unsigned g = 0; g < 4; g++) {
        const float *p = from + 4 * g * from_stride;
        __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + from_stride);
        __m512 c = _mm512_loadu_ps(p + 2 * from_stride), d = _mm512_loadu_ps(p + 3 * from_stride);
        __m512 ab = _mm512_unpacklo_ps(a, b), cd = _mm512_unpacklo_ps(c, d);
        __m512 AB = _mm512_unpackhi_ps(a, b), CD = _mm512_unpackhi_ps(c, d);
        group[g][0] = _mm512_shuffle_ps(ab, cd, 0x44);
        group[g][1] = _mm512_shuffle_ps(ab, cd, 0xee);
        group[g][2] = _mm512_shuffle_ps(AB, CD, 0x44);
        group[g][3] = _mm512_shuffle_ps(AB, CD, 0xee);
    }
    VEC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        __m512 ab = _mm512_shuffle_f32x4(group[0][i], group[1][i], 0x44);
        __m512 cd = _mm512_shuffle_f32x4(group[2][i], group[3][i], 0x44);
        __m512 AB = _mm512_shuffle_f32x4(group[0][i], group[1][i], 0xee);
        __m512 CD = _mm512_shuffle_f32x4(group[2][i], group[3][i], 0xee);
        _mm512_storeu_ps(to + i * to_stride, _mm512_shuffle_f32x4(ab, cd, 0x88));
        _mm512_storeu_ps(to + (i + 4) * to_stride, _mm512_shuffle_f32x4(ab, cd, 0xdd));
        _mm512_storeu_ps(to + (i + 8) * to_stride, _mm512_shuffle_f32x4(AB, CD, 0x88));
        _mm512_storeu_ps(to + (i + 12) * to_stride, _mm512_shuffle_f32x4(AB, CD, 0xdd));
    }
}

#endif
