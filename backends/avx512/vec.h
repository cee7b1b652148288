/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of AVX-512 (F, BW, DQ, VL) with VNNI; backends/scalar/vec.h says what the words mean. */
#ifndef Q8K_AVX512_VEC_H
#define Q8K_AVX512_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define Q8K_VOCABULARY avx512

enum { VEC_WEIGHTS = 64, VEC_COLUMNS = 16 };
#define VEC_TILE_ROWS 12
#define VEC_EACH_TILE_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef __m512i vec_bytes;

/* Shifting 16 bits at a time moves bits of the upper byte into the lower one, above the field. Where the period is 32,
 * the two halves of a step are the same bytes in two planes. */
static inline vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k) {
    if (period == 32) {
        __m512i both = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
        __m256i first = _mm256_set1_epi16((short)(bits * (k / 32)));
        __m256i second = _mm256_set1_epi16((short)(bits * (k / 32 + 1)));
        return _mm512_srlv_epi16(both, _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1));
    }
    __m512i v = _mm512_loadu_si512(p + k % period);
    return _mm512_srl_epi16(v, _mm_cvtsi32_si128((int)(bits * (k / period))));
}

static inline vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    return _mm512_and_si512(v, _mm512_set1_epi8((char)mask));
}

static inline vec_bytes vec_join(vec_bytes low, vec_bytes high, unsigned shift) {
    return _mm512_or_si512(low, _mm512_sll_epi16(high, _mm_cvtsi32_si128((int)shift)));
}

static inline vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    return _mm512_sub_epi8(v, _mm512_set1_epi8((char)n));
}

static inline void vec_store(uint8_t *p, vec_bytes v) {
    _mm512_storeu_si512(p, v);
}

/* The scale of each of 32 weights as int16: the byte goes to the upper half of a lane, and is shifted down with its
 * sign. A lane of 128 bits has 8 weights, so that one scale, of the four or eight given, fills it. */
static inline __m512i avx512_scales(int64_t eight, unsigned group, unsigned half) {
    unsigned first = half * 32 / group, step = 8 < group ? 0 : 1, pair = group == 16 ? 1 : 0;
    __m512i order = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_setr_m128i(_mm_set1_epi16((short)(first << 8 | 0x80)),
                                                 _mm_set1_epi16((short)((first + step) << 8 | 0x80)))),
        _mm256_setr_m128i(_mm_set1_epi16((short)((first + 2 * step + pair) << 8 | 0x80)),
                          _mm_set1_epi16((short)((first + 3 * step + pair) << 8 | 0x80))),
        1);
    return _mm512_srai_epi16(_mm512_shuffle_epi8(_mm512_set1_epi64(eight), order), 8);
}

static inline void vec_products(int16_t *out, vec_bytes q, const int8_t *scales, unsigned group, unsigned k) {
    int64_t eight;
    memcpy(&eight, scales + k / group, sizeof eight);
    __m512i first = _mm512_cvtepi8_epi16(_mm512_castsi512_si256(q));
    __m512i second = _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(q, 1));
    _mm512_storeu_si512(out, _mm512_mullo_epi16(first, avx512_scales(eight, group, 0)));
    _mm512_storeu_si512(out + 32, _mm512_mullo_epi16(second, avx512_scales(eight, group, 1)));
}

static inline int32_t vec_round(float x) {
    return _mm_cvtss_si32(_mm_set_ss(x));
}

static inline void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k += 16)
        _mm512_storeu_si512(X + k, _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(in + k), _mm512_set1_ps(factor))));
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

static inline __m512i avx512_add_pairs(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

/* Four sums of 16 lanes each to four lanes: transposing additions inside lanes of 128 bits, then of the lanes. */
static inline vec_four vec_dots(const int16_t *w, size_t stride, const int16_t *x, unsigned count) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    VEC_UNROLL
    for (unsigned i = 0; i < count; i += 32) {
        __m512i b = _mm512_loadu_si512(x + i);
        s0 = _mm512_dpwssd_epi32(s0, b, _mm512_loadu_si512(w + i));
        s1 = _mm512_dpwssd_epi32(s1, b, _mm512_loadu_si512(w + stride + i));
        s2 = _mm512_dpwssd_epi32(s2, b, _mm512_loadu_si512(w + 2 * stride + i));
        s3 = _mm512_dpwssd_epi32(s3, b, _mm512_loadu_si512(w + 3 * stride + i));
    }
    __m512i four = avx512_add_pairs(avx512_add_pairs(s0, s2), avx512_add_pairs(s1, s3));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64(four, 1));
    return _mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
}

typedef __m512i vec_ints;
typedef __m512 vec_floats;

static inline vec_ints ints_zero(void) {
    return _mm512_setzero_si512();
}

static inline vec_ints ints_load(const int16_t *p) {
    return _mm512_load_si512(p);
}

static inline vec_ints ints_pair(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
}

/* The intrinsic in assembly: with it gcc 12 copies every sum to another register and to the stack in each step. */
static inline vec_ints ints_dot(vec_ints sum, vec_ints a, vec_ints b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

static inline void ints_store(int32_t *p, vec_ints v) {
    _mm512_store_si512(p, v);
}

static inline vec_floats floats_from_ints(const int32_t *p) {
    return _mm512_cvtepi32_ps(_mm512_load_si512(p));
}

static inline vec_floats floats_set(float x) {
    return _mm512_set1_ps(x);
}

static inline vec_floats floats_load(const float *p) {
    return _mm512_load_ps(p);
}

static inline void floats_store(float *p, vec_floats v) {
    _mm512_store_ps(p, v);
}

static inline vec_floats floats_multiply(vec_floats a, vec_floats b) {
    return _mm512_mul_ps(a, b);
}

static inline vec_floats floats_fma(vec_floats a, vec_floats b, vec_floats c) {
    return _mm512_fmadd_ps(a, b, c);
}

#endif
