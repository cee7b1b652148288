/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of AVX2 and FMA; backends/scalar/vec.h says what the words mean. With AVX-VNNI the two steps of
 * a dot product are one. */
#ifndef Q8K_AVX2_VEC_H
#define Q8K_AVX2_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVXVNNI__
#define Q8K_VOCABULARY avxvnni
#else
#define Q8K_VOCABULARY avx2
#endif

enum { VEC_WEIGHTS = 32, VEC_SHORTS = 16, VEC_STREAMS = 2, VEC_COLUMNS = 8 };
#define VEC_TILE_ROWS 6
#define VEC_EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)

#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef __m256i vec_bytes;

/* Shifting 16 bits at a time moves bits of the upper byte into the lower one, above the field. */
static inline vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + k % period));
    return _mm256_srl_epi16(v, _mm_cvtsi32_si128((int)(bits * (k / period))));
}

static inline vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

static inline vec_bytes vec_join(vec_bytes low, vec_bytes high, unsigned shift) {
    return _mm256_or_si256(low, _mm256_sll_epi16(high, _mm_cvtsi32_si128((int)shift)));
}

static inline vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    return _mm256_sub_epi8(v, _mm256_set1_epi8((char)n));
}

static inline void vec_store(uint8_t *p, vec_bytes v) {
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

static inline float vec_half(const uint8_t *p) {
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return _cvtsh_ss(half);
}

/* 256 times the scale of each of 16 pairs of weights, from weight k on. Both lanes of 128 bits are given the same four
 * scales, and have 16 weights. */
static inline __m256i avx2_scales(const int8_t *scales, unsigned group, unsigned k) {
    int32_t four;
    memcpy(&four, scales + k / group, sizeof four);
#define AVX2_HALF_LANE(weight) (0x0080008000800080 + (int64_t)((weight) / group) * 0x0100010001000100)
    __m256i order = _mm256_setr_epi64x(AVX2_HALF_LANE(0), AVX2_HALF_LANE(8), AVX2_HALF_LANE(16), AVX2_HALF_LANE(24));
#undef AVX2_HALF_LANE
    return _mm256_shuffle_epi8(_mm256_set1_epi32(four), order);
}

typedef struct vec_pair {
    __m256i first, second;
} vec_pair;

/* The order: of 32 weights the even ones, then the odd ones. Both a quant and its scale are in the upper byte of an
 * int16, so that their product is the upper half of that of the int16. */
static inline vec_pair vec_scaled(vec_bytes q, const int8_t *scales, unsigned group, unsigned k) {
    __m256i s = avx2_scales(scales, group, k);
    vec_pair p = {_mm256_mulhi_epi16(_mm256_slli_epi16(q, 8), s),
                  _mm256_mulhi_epi16(_mm256_and_si256(q, _mm256_set1_epi16((short)0xff00)), s)};
    return p;
}

static inline void vec_store_pair(int16_t *out, vec_pair p) {
    _mm256_store_si256((__m256i *)(void *)out, p.first);
    _mm256_store_si256((__m256i *)(void *)(out + 16), p.second);
}

static inline __m256i avx2_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Narrows two vectors of int32, in order. */
static inline __m256i avx2_narrow(__m256i a, __m256i b) {
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

static inline void vec_limb(int16_t *out, const int32_t *X) {
    __m256i low = avx2_narrow(avx2_load(X), avx2_load(X + 8));
    __m256i high = avx2_narrow(avx2_load(X + 16), avx2_load(X + 24));
    vec_pair p = {avx2_narrow(_mm256_srai_epi32(_mm256_slli_epi32(low, 16), 16),
                              _mm256_srai_epi32(_mm256_slli_epi32(high, 16), 16)),
                  avx2_narrow(_mm256_srai_epi32(low, 16), _mm256_srai_epi32(high, 16))};
    _mm256_storeu_si256((__m256i *)(void *)out, p.first);
    _mm256_storeu_si256((__m256i *)(void *)(out + 16), p.second);
}

static inline int32_t vec_round(float x) {
    return _mm_cvtss_si32(_mm_set_ss(x));
}

static inline void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k += 8)
        _mm256_storeu_si256((__m256i *)(void *)(X + k),
                            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + k), _mm256_set1_ps(factor))));
}

static inline float vec_fma(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}

typedef __m128 vec_four;

static inline vec_four four_load(const float *p) {
    return _mm_loadu_ps(p);
}

static inline void four_store(float *p, vec_four v) {
    _mm_storeu_ps(p, v);
}

static inline vec_four four_set(float x) {
    return _mm_set1_ps(x);
}

static inline vec_four four_multiply(vec_four a, vec_four b) {
    return _mm_mul_ps(a, b);
}

static inline vec_four four_fma(vec_four a, vec_four b, vec_four c) {
    return _mm_fmadd_ps(a, b, c);
}

typedef __m256i vec_ints;
typedef __m256 vec_floats;

static inline vec_ints ints_zero(void) {
    return _mm256_setzero_si256();
}

static inline vec_ints ints_load(const int16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* The entries that stand for eight mins, as prepare.h tells them. */
static inline vec_ints ints_mins(const uint8_t mins[8]) {
    __m128i lower = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)mins));
    return _mm256_setr_m128i(_mm_slli_epi16(lower, 8), lower);
}

static inline void ints_save(int16_t *p, vec_ints v) {
    _mm256_store_si256((__m256i *)(void *)p, v);
}

static inline vec_ints ints_pair(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
}

static inline vec_ints ints_dot(vec_ints sum, vec_ints a, vec_ints b) {
#ifdef __AVXVNNI__
    return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

static inline vec_four ints_four(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1)));
}

static inline void ints_store(int32_t *p, vec_ints v) {
    _mm256_store_si256((__m256i *)(void *)p, v);
}

static inline vec_floats floats_from_ints(const int32_t *p) {
    return _mm256_cvtepi32_ps(_mm256_load_si256((const __m256i *)(const void *)p));
}

static inline vec_floats floats_set(float x) {
    return _mm256_set1_ps(x);
}

static inline vec_floats floats_load(const float *p) {
    return _mm256_load_ps(p);
}

static inline void floats_store(float *p, vec_floats v) {
    _mm256_store_ps(p, v);
}

static inline vec_floats floats_multiply(vec_floats a, vec_floats b) {
    return _mm256_mul_ps(a, b);
}

static inline vec_floats floats_fma(vec_floats a, vec_floats b, vec_floats c) {
    return _mm256_fmadd_ps(a, b, c);
}

static inline void vec_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
    __m256 a = _mm256_loadu_ps(from), b = _mm256_loadu_ps(from + from_stride);
    __m256 c = _mm256_loadu_ps(from + 2 * from_stride), d = _mm256_loadu_ps(from + 3 * from_stride);
    __m256 ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d);
    __m256 AB = _mm256_unpackhi_ps(a, b), CD = _mm256_unpackhi_ps(c, d);
    __m256 at[4] = {_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee), _mm256_shuffle_ps(AB, CD, 0x44),
                    _mm256_shuffle_ps(AB, CD, 0xee)};
    VEC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        _mm_storeu_ps(to + i * to_stride, _mm256_castps256_ps128(at[i]));
        _mm_storeu_ps(to + (i + 4) * to_stride, _mm256_extractf128_ps(at[i], 1));
    }
}

#endif
