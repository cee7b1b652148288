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

enum { VEC_WEIGHTS = 32, VEC_COLUMNS = 8 };
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

/* The scale of each of 16 weights as int16: the byte goes to the upper half of a lane, and is shifted down with its
 * sign. `four` are four scales, of which this half of the step uses the first or the second half. */
static inline __m256i avx2_scales(int32_t four, unsigned group, unsigned half) {
    static const int8_t index[3][2][2] = {{{0, 1}, {2, 3}}, {{0, 0}, {1, 1}}, {{0, 0}, {0, 0}}};
    const int8_t *at = index[group / 16][half];
    __m256i order =
        _mm256_setr_m128i(_mm_set1_epi16((short)(at[0] << 8 | 0x80)), _mm_set1_epi16((short)(at[1] << 8 | 0x80)));
    return _mm256_srai_epi16(_mm256_shuffle_epi8(_mm256_set1_epi32(four), order), 8);
}

static inline void vec_products(int16_t *out, vec_bytes q, const int8_t *scales, unsigned group, unsigned k) {
    int32_t four;
    memcpy(&four, scales + k / group, sizeof four);
    __m256i first = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(q));
    __m256i second = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(q, 1));
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_mullo_epi16(first, avx2_scales(four, group, 0)));
    _mm256_storeu_si256((__m256i *)(void *)(out + 16), _mm256_mullo_epi16(second, avx2_scales(four, group, 1)));
}

static inline __m256i avx2_add_products(__m256i sum, const int16_t *w, const int16_t *x) {
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)w);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)x);
#ifdef __AVXVNNI__
    return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
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

/* Four sums of eight lanes each to four lanes: two steps of adding pairs, then the two halves. */
static inline vec_four vec_dots(const int16_t *w, size_t stride, const int16_t *x, unsigned count) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    VEC_UNROLL
    for (unsigned i = 0; i < count; i += 16) {
        s0 = avx2_add_products(s0, w + i, x + i);
        s1 = avx2_add_products(s1, w + stride + i, x + i);
        s2 = avx2_add_products(s2, w + 2 * stride + i, x + i);
        s3 = avx2_add_products(s3, w + 3 * stride + i, x + i);
    }
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    return _mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1)));
}

typedef __m256i vec_ints;
typedef __m256 vec_floats;

static inline vec_ints ints_zero(void) {
    return _mm256_setzero_si256();
}

static inline vec_ints ints_load(const int16_t *p) {
    return _mm256_load_si256((const __m256i *)(const void *)p);
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

#endif
