/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of AVX2 and FMA; backends/scalar/vec.h says what the words mean. With AVX-VNNI the two steps of
 * a dot product are one. */
#ifndef Q8K_AVX2_VEC_H
#define Q8K_AVX2_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backends/inline.h"

#ifdef __AVXVNNI__
#define Q8K_VOCABULARY avxvnni
#define VEC_BYTES
#define VEC_EACH_BYTES_ROW(X) X(0) X(1) X(2)
#else
#define Q8K_VOCABULARY avx2
#endif

enum { VEC_WEIGHTS = 32, VEC_PIECES = 1, VEC_SHORTS = 16, VEC_STREAMS = 2, VEC_COLUMNS = 8, VEC_SPLIT = 0 };
#define VEC_TILE_ROWS 6
/* The pairs of k in a step of narrow panels, and their batch rows. */
#define VEC_EACH_WORDS(X) X(2) X(4) X(8)
#define VEC_EACH_NARROW(X) X(4) X(2) X(1)
#define VEC_EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)

#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef __m256i vec_bytes;

/* Shifting 16 bits at a time moves bits from one byte into the other, but none into the field. */
ALWAYS_INLINE vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k, unsigned to) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + k % period));
    unsigned from = bits * (k / period);
    if (from < to)
        return _mm256_sll_epi16(v, _mm_cvtsi32_si128((int)(to - from)));
    return _mm256_srl_epi16(v, _mm_cvtsi32_si128((int)(from - to)));
}

ALWAYS_INLINE vec_bytes vec_pieces(const uint8_t *p, size_t stride, unsigned k) {
    return _mm256_loadu_si256((const __m256i *)(const void *)(p + k / 32 * stride));
}

ALWAYS_INLINE vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

ALWAYS_INLINE vec_bytes vec_or(vec_bytes v, vec_bytes w) {
    return _mm256_or_si256(v, w);
}

ALWAYS_INLINE vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    return _mm256_sub_epi8(v, _mm256_set1_epi8((char)n));
}

ALWAYS_INLINE void vec_store(uint8_t *p, vec_bytes v) {
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

/* 256 times the scale of each of 16 pairs of weights from weight k on, of the eight scales among which they are. A lane of
 * 128 bits has 16 weights. */
ALWAYS_INLINE __m256i avx2_scales(const int8_t eight[8], unsigned group, unsigned k) {
    int64_t scales;
    memcpy(&scales, eight, sizeof scales);
#define AVX2_HALF_LANE(weight) (0x0080008000800080 + (int64_t)((k + (weight)) / group % 8) * 0x0100010001000100)
    __m256i order = _mm256_setr_epi64x(AVX2_HALF_LANE(0), AVX2_HALF_LANE(8), AVX2_HALF_LANE(16), AVX2_HALF_LANE(24));
#undef AVX2_HALF_LANE
    return _mm256_shuffle_epi8(_mm256_set1_epi64x(scales), order);
}

typedef struct vec_pair {
    __m256i first, second;
} vec_pair;

/* The order: of 32 weights the even ones, then the odd ones. The instruction that multiplies bytes, one unsigned, adds two
 * products, of which one is made zero. */
ALWAYS_INLINE vec_pair vec_scaled_unsigned(vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    __m256i odd = avx2_scales(eight, group, k), even = _mm256_srli_epi16(odd, 8);
    return (vec_pair){_mm256_maddubs_epi16(q, even), _mm256_maddubs_epi16(q, odd)};
}

ALWAYS_INLINE vec_pair vec_scaled_by_unsigned(vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    __m256i odd = avx2_scales(eight, group, k), even = _mm256_srli_epi16(odd, 8);
    return (vec_pair){_mm256_maddubs_epi16(even, q), _mm256_maddubs_epi16(odd, q)};
}

/* With both a quant and its scale in the upper byte of an int16, their product is the upper half of that of the int16. */
ALWAYS_INLINE vec_pair vec_scaled(vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    __m256i scales = avx2_scales(eight, group, k);
    return (vec_pair){_mm256_mulhi_epi16(_mm256_slli_epi16(q, 8), scales),
                      _mm256_mulhi_epi16(_mm256_and_si256(q, _mm256_set1_epi16((short)0xff00)), scales)};
}

ALWAYS_INLINE void vec_store_pair(int16_t *out, vec_pair p) {
    _mm256_store_si256((__m256i *)(void *)out, p.first);
    _mm256_store_si256((__m256i *)(void *)(out + 16), p.second);
}

ALWAYS_INLINE __m256i avx2_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Narrows two vectors of int32, in order. */
ALWAYS_INLINE __m256i avx2_narrow(__m256i a, __m256i b) {
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

ALWAYS_INLINE void vec_limb(int16_t *out, const int32_t *X) {
    __m256i low = avx2_narrow(avx2_load(X), avx2_load(X + 8));
    __m256i high = avx2_narrow(avx2_load(X + 16), avx2_load(X + 24));
    vec_pair p = {avx2_narrow(_mm256_srai_epi32(_mm256_slli_epi32(low, 16), 16),
                              _mm256_srai_epi32(_mm256_slli_epi32(high, 16), 16)),
                  avx2_narrow(_mm256_srai_epi32(low, 16), _mm256_srai_epi32(high, 16))};
    _mm256_storeu_si256((__m256i *)(void *)out, p.first);
    _mm256_storeu_si256((__m256i *)(void *)(out + 16), p.second);
}

ALWAYS_INLINE int32_t vec_round(float x) {
    return _mm_cvtss_si32(_mm_set_ss(x));
}

ALWAYS_INLINE void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k += 8)
        _mm256_storeu_si256((__m256i *)(void *)(X + k),
                            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + k), _mm256_set1_ps(factor))));
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

ALWAYS_INLINE int32_t avx2_word(const uint8_t *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The pairs are brought together as words, then all first and all second ones. An array of the words would be written
 * one by one and read at once, which CPUs are slow at. */
ALWAYS_INLINE vec_fours fours_from_halves(const uint8_t *const p[4], size_t offset) {
    __m128i v = _mm_cvtsi32_si128(avx2_word(p[0] + offset));
    v = _mm_insert_epi32(v, avx2_word(p[1] + offset), 1);
    v = _mm_insert_epi32(v, avx2_word(p[2] + offset), 2);
    v = _mm_insert_epi32(v, avx2_word(p[3] + offset), 3);
    v = _mm_shuffle_epi8(v, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    __m256 eight = _mm256_cvtph_ps(v);
    return (vec_fours){_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)};
}

typedef __m256i vec_ints;
typedef __m256 vec_floats;

/* Half as many registers as AVX-512 has: what does not fit is better loaded again. */
ALWAYS_INLINE __m256i vec_keep(__m256i v) {
    return v;
}

ALWAYS_INLINE vec_ints ints_zero(void) {
    return _mm256_setzero_si256();
}

ALWAYS_INLINE vec_ints ints_load(const int16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

ALWAYS_INLINE vec_ints ints_load_piece(const int16_t *p) {
    return ints_load(p);
}

ALWAYS_INLINE vec_ints ints_add(vec_ints a, vec_ints b) {
    return _mm256_add_epi32(a, b);
}

ALWAYS_INLINE vec_ints ints_subtract(vec_ints a, vec_ints b) {
    return _mm256_sub_epi32(a, b);
}

ALWAYS_INLINE vec_ints ints_settled(vec_ints v) {
    __asm__("" : "+x"(v));
    return v;
}

ALWAYS_INLINE vec_ints ints_word(const void *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return _mm256_set1_epi32(word);
}

ALWAYS_INLINE vec_ints ints_words(const int16_t *p, unsigned words) {
    if (words == 1)
        return ints_word(p);
    if (words == 2) {
        int64_t two;
        memcpy(&two, p, sizeof two);
        return _mm256_set1_epi64x(two);
    }
    if (words == 4)
        return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)p));
    return ints_load(p);
}

/* No function: clang takes `order` for a constant only where it is written as one. */
#define AVX2_SHUFFLE(a, b, order)                                                                                      \
    _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), order))

ALWAYS_INLINE vec_ints ints_add_neighbours(vec_ints a, vec_ints b) {
    return _mm256_hadd_epi32(a, b);
}

ALWAYS_INLINE void ints_narrow(const int32_t *a, const int32_t *b, const int32_t *c, const int32_t *d, unsigned words,
                               vec_ints *out) {
    __m256i va = _mm256_load_si256((const __m256i *)(const void *)a);
    __m256i vb = _mm256_load_si256((const __m256i *)(const void *)b);
    __m256i vc = _mm256_load_si256((const __m256i *)(const void *)c);
    __m256i vd = _mm256_load_si256((const __m256i *)(const void *)d);
    __m256i ab = _mm256_hadd_epi32(va, vb), cd = _mm256_hadd_epi32(vc, vd);
    if (words == 2) {
        out[0] = AVX2_SHUFFLE(ab, cd, 0x88);
        out[1] = AVX2_SHUFFLE(ab, cd, 0xdd);
    } else {
        out[0] = _mm256_hadd_epi32(ab, cd);
        if (words == 8)
            out[0] = _mm256_add_epi32(out[0], _mm256_permute2x128_si256(out[0], out[0], 0x01));
    }
}

/* The last instruction in assembly: else gcc 12 moves every sum to another register and to the stack in each step. */
ALWAYS_INLINE vec_ints ints_dot(vec_ints sum, vec_ints a, vec_ints b) {
#ifdef __AVXVNNI__
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
#else
    __m256i product = _mm256_madd_epi16(a, b);
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(product));
#endif
    return sum;
}

/* Rows 0 and 1, rows 2 and 3. */
typedef struct vec_quad {
    __m256i rows[2];
} vec_quad;

ALWAYS_INLINE __m128i avx2_load_16(const void *p) {
    return _mm_loadu_si128((const __m128i *)p);
}

ALWAYS_INLINE vec_quad quad_load(const uint8_t *const p[4], size_t offset) {
    return (vec_quad){{_mm256_setr_m128i(avx2_load_16(p[0] + offset), avx2_load_16(p[1] + offset)),
                       _mm256_setr_m128i(avx2_load_16(p[2] + offset), avx2_load_16(p[3] + offset))}};
}

ALWAYS_INLINE void quad_store(int8_t to[4][16], vec_quad v) {
    _mm256_store_si256((__m256i *)(void *)to, v.rows[0]);
    _mm256_store_si256((__m256i *)(void *)(to + 2), v.rows[1]);
}

ALWAYS_INLINE __m256i avx2_words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return _mm256_setr_epi32((int)a, (int)b, (int)c, (int)d, (int)a, (int)b, (int)c, (int)d);
}

ALWAYS_INLINE vec_quad quad_pick(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    __m256i order = avx2_words(0x03020100u + a * 0x01010101u, 0x03020100u + b * 0x01010101u,
                               0x03020100u + c * 0x01010101u, 0x03020100u + d * 0x01010101u);
    return (vec_quad){{_mm256_shuffle_epi8(v.rows[0], order), _mm256_shuffle_epi8(v.rows[1], order)}};
}

ALWAYS_INLINE vec_quad quad_shift_right(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    __m256i bits = avx2_words(a, b, c, d);
    return (vec_quad){{_mm256_srlv_epi32(v.rows[0], bits), _mm256_srlv_epi32(v.rows[1], bits)}};
}

ALWAYS_INLINE vec_quad quad_shift_left(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    __m256i bits = avx2_words(a, b, c, d);
    return (vec_quad){{_mm256_sllv_epi32(v.rows[0], bits), _mm256_sllv_epi32(v.rows[1], bits)}};
}

ALWAYS_INLINE vec_quad quad_and(vec_quad v, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    __m256i masks = avx2_words(a, b, c, d);
    return (vec_quad){{_mm256_and_si256(v.rows[0], masks), _mm256_and_si256(v.rows[1], masks)}};
}

ALWAYS_INLINE vec_quad quad_or(vec_quad v, vec_quad w) {
    return (vec_quad){{_mm256_or_si256(v.rows[0], w.rows[0]), _mm256_or_si256(v.rows[1], w.rows[1])}};
}

ALWAYS_INLINE vec_quad quad_subtract(vec_quad v, uint8_t n) {
    return (vec_quad){{vec_subtract(v.rows[0], n), vec_subtract(v.rows[1], n)}};
}

ALWAYS_INLINE vec_quad quad_zip_low(vec_quad v, vec_quad w) {
    return (vec_quad){{_mm256_unpacklo_epi8(v.rows[0], w.rows[0]), _mm256_unpacklo_epi8(v.rows[1], w.rows[1])}};
}

ALWAYS_INLINE vec_quad quad_zip_high(vec_quad v, vec_quad w) {
    return (vec_quad){{_mm256_unpackhi_epi8(v.rows[0], w.rows[0]), _mm256_unpackhi_epi8(v.rows[1], w.rows[1])}};
}

/* As int16, the upper eight bytes of two rows, and 256 times those. */
ALWAYS_INLINE __m256i avx2_mins(__m256i v) {
    return _mm256_unpackhi_epi8(v, _mm256_setzero_si256());
}

ALWAYS_INLINE __m256i avx2_mins_256(__m256i v) {
    return _mm256_unpackhi_epi8(_mm256_setzero_si256(), v);
}

ALWAYS_INLINE void quad_min_entries(vec_quad v, int16_t *to, size_t stride) {
    for (unsigned i = 0; i < 2; i++, to += 2 * stride) {
        __m256i upper = avx2_mins_256(v.rows[i]), lower = avx2_mins(v.rows[i]);
        _mm256_store_si256((__m256i *)(void *)to, _mm256_permute2x128_si256(upper, lower, 0x20));
        _mm256_store_si256((__m256i *)(void *)(to + stride), _mm256_permute2x128_si256(upper, lower, 0x31));
    }
}

ALWAYS_INLINE __m256i avx2_min_sums(__m256i rows, __m256i upper, __m256i lower) {
    return ints_dot(ints_dot(_mm256_setzero_si256(), avx2_mins_256(rows), upper), avx2_mins(rows), lower);
}

/* Of 16 mins, an int16 has an even one and above it the odd one. */
ALWAYS_INLINE __m256i avx2_even_mins(__m256i v) {
    return _mm256_and_si256(v, _mm256_set1_epi16(0xff));
}

ALWAYS_INLINE __m256i avx2_odd_mins(__m256i v) {
    return _mm256_sub_epi16(_mm256_srli_epi16(v, 8), avx2_even_mins(v));
}

ALWAYS_INLINE void quad_min_entries_16(vec_quad v, int16_t *to, size_t stride) {
    for (unsigned i = 0; i < 2; i++, to += 2 * stride) {
        __m256i upper = _mm256_slli_epi16(v.rows[i], 8), lower = avx2_even_mins(v.rows[i]),
                odd = avx2_odd_mins(v.rows[i]);
        _mm256_store_si256((__m256i *)(void *)to, _mm256_permute2x128_si256(upper, lower, 0x20));
        _mm256_store_si256((__m256i *)(void *)(to + 16), _mm256_permute2x128_si256(odd, odd, 0x00));
        _mm256_store_si256((__m256i *)(void *)(to + stride), _mm256_permute2x128_si256(upper, lower, 0x31));
        _mm256_store_si256((__m256i *)(void *)(to + stride + 16), _mm256_permute2x128_si256(odd, odd, 0x11));
    }
}

/* Two sums of two rows each. */
ALWAYS_INLINE vec_four avx2_min_four(__m256i first, __m256i second) {
    __m256i sums = _mm256_hadd_epi32(first, second);
    /* Rows 0 2, 1 3 by then, two sums each. */
    __m128i even = _mm256_castsi256_si128(sums), odd = _mm256_extracti128_si256(sums, 1);
    return _mm_cvtepi32_ps(_mm_shuffle_epi32(_mm_hadd_epi32(even, odd), 0xd8));
}

ALWAYS_INLINE vec_four quad_min_sums(vec_quad v, const int16_t *entries) {
    __m256i upper = _mm256_broadcastsi128_si256(avx2_load_16(entries));
    __m256i lower = _mm256_broadcastsi128_si256(avx2_load_16(entries + 8));
    return avx2_min_four(avx2_min_sums(v.rows[0], upper, lower), avx2_min_sums(v.rows[1], upper, lower));
}

ALWAYS_INLINE vec_four quad_min_sums_16(vec_quad v, const int16_t *entries) {
    __m256i upper = _mm256_broadcastsi128_si256(avx2_load_16(entries));
    __m256i lower = _mm256_broadcastsi128_si256(avx2_load_16(entries + 8));
    __m256i third = _mm256_broadcastsi128_si256(avx2_load_16(entries + 16));
    __m256i last = _mm256_broadcastsi128_si256(avx2_load_16(entries + 24));
    __m256i sums[2];
    VEC_UNROLL
    for (unsigned i = 0; i < 2; i++) {
        __m256i odd = avx2_odd_mins(v.rows[i]);
        sums[i] = ints_dot(_mm256_setzero_si256(), _mm256_slli_epi16(v.rows[i], 8), upper);
        sums[i] = ints_dot(sums[i], avx2_even_mins(v.rows[i]), lower);
        sums[i] = ints_dot(ints_dot(sums[i], odd, third), odd, last);
    }
    return avx2_min_four(sums[0], sums[1]);
}

ALWAYS_INLINE __m128i avx2_four(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
}

ALWAYS_INLINE vec_four ints_four(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    return _mm_cvtepi32_ps(avx2_four(a, b, c, d));
}

ALWAYS_INLINE void ints_pieces(vec_ints a, vec_ints b, vec_ints c, vec_ints d, vec_four out[VEC_PIECES]) {
    out[0] = ints_four(a, b, c, d);
}

#ifdef VEC_BYTES

ALWAYS_INLINE vec_bytes vec_load(const uint8_t *p) {
    return avx2_load(p);
}

ALWAYS_INLINE vec_ints ints_add_scaled(vec_ints sum, vec_bytes q, const int8_t eight[8], unsigned group, unsigned k) {
    return ints_dot(sum, _mm256_maddubs_epi16(_mm256_set1_epi8(1), q), avx2_scales(eight, group, k));
}

ALWAYS_INLINE vec_ints bytes_dot(vec_ints sum, vec_bytes a, vec_bytes b) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}

ALWAYS_INLINE vec_ints ints_scales(const int8_t eight[8], unsigned group, unsigned k) {
    int64_t scales;
    memcpy(&scales, eight, sizeof scales);
#define AVX2_PAIR(weight)                                                                                              \
    ((int64_t)0x8080800080808000 + (int64_t)((k + (weight)) / group % 8) +                                             \
     ((int64_t)((k + (weight) + 4) / group % 8) << 32))
    __m256i order = _mm256_setr_epi64x(AVX2_PAIR(0), AVX2_PAIR(8), AVX2_PAIR(16), AVX2_PAIR(24));
#undef AVX2_PAIR
    return _mm256_shuffle_epi8(_mm256_set1_epi64x(scales), order);
}

ALWAYS_INLINE vec_ints ints_scales_signed(const int8_t scales[16], unsigned group, unsigned k) {
    __m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)(scales + k / group / 8 * 8));
#define AVX2_GROUP(weight) (int)((k + (weight)) / group % 8)
    __m256i order = _mm256_setr_epi32(AVX2_GROUP(0), AVX2_GROUP(4), AVX2_GROUP(8), AVX2_GROUP(12), AVX2_GROUP(16),
                                      AVX2_GROUP(20), AVX2_GROUP(24), AVX2_GROUP(28));
#undef AVX2_GROUP
    __m256i all = _mm256_and_si256(_mm256_cvtepi8_epi32(eight), _mm256_set1_epi32(0xffff));
    return _mm256_permutevar8x32_epi32(all, order);
}

ALWAYS_INLINE vec_bytes vec_set(uint8_t n) {
    return _mm256_set1_epi8((char)n);
}

ALWAYS_INLINE vec_ints ints_negate(vec_ints v) {
    return _mm256_sub_epi32(_mm256_setzero_si256(), v);
}

ALWAYS_INLINE void ints_store_halves(int32_t *p, vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    _mm_store_si128((__m128i *)(void *)p, _mm_srai_epi32(avx2_four(a, b, c, d), 1));
}

ALWAYS_INLINE void ints_store_piece_halves(int32_t *p, size_t stride, vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    (void)stride;
    ints_store_halves(p, a, b, c, d);
}

ALWAYS_INLINE vec_ints ints_multiply(vec_ints a, vec_ints b) {
    return _mm256_mullo_epi32(a, b);
}

ALWAYS_INLINE void bytes_widen(const int8_t from[16], int32_t *to) {
    __m128i bytes = avx2_load_16(from);
    _mm256_store_si256((__m256i *)(void *)to, _mm256_cvtepi8_epi32(bytes));
    _mm256_store_si256((__m256i *)(void *)(to + 8), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)));
}

#endif

ALWAYS_INLINE void ints_store(int32_t *p, vec_ints v) {
    _mm256_store_si256((__m256i *)(void *)p, v);
}

ALWAYS_INLINE vec_floats floats_convert(vec_ints v) {
    return _mm256_cvtepi32_ps(v);
}

ALWAYS_INLINE vec_floats floats_set(float x) {
    return _mm256_set1_ps(x);
}

ALWAYS_INLINE vec_floats floats_four(const float *p) {
    return _mm256_broadcast_ps((const __m128 *)(const void *)p);
}

ALWAYS_INLINE vec_floats floats_load(const float *p) {
    return _mm256_load_ps(p);
}

ALWAYS_INLINE void floats_store(float *p, vec_floats v) {
    _mm256_store_ps(p, v);
}

ALWAYS_INLINE vec_floats floats_multiply(vec_floats a, vec_floats b) {
    return _mm256_mul_ps(a, b);
}

ALWAYS_INLINE vec_floats floats_fma(vec_floats a, vec_floats b, vec_floats c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* Groups of four rows are transposed inside lanes of 128 bits; then the lanes are, among the groups. */
ALWAYS_INLINE void vec_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
    __m256 group[2][4];
    VEC_UNROLL
    for (unsigned g = 0; g < 2; g++) {
        const float *p = from + 4 * g * from_stride;
        __m256 a = _mm256_loadu_ps(p), b = _mm256_loadu_ps(p + from_stride);
        __m256 c = _mm256_loadu_ps(p + 2 * from_stride), d = _mm256_loadu_ps(p + 3 * from_stride);
        __m256 ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d);
        __m256 AB = _mm256_unpackhi_ps(a, b), CD = _mm256_unpackhi_ps(c, d);
        group[g][0] = _mm256_shuffle_ps(ab, cd, 0x44);
        group[g][1] = _mm256_shuffle_ps(ab, cd, 0xee);
        group[g][2] = _mm256_shuffle_ps(AB, CD, 0x44);
        group[g][3] = _mm256_shuffle_ps(AB, CD, 0xee);
    }
    VEC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(group[0][i], group[1][i], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(group[0][i], group[1][i], 0x31));
    }
}

#endif
