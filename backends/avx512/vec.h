/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of AVX-512 (F, BW, DQ, VL) with VNNI; backends/scalar/vec.h says what the words mean. */
#ifndef Q8K_AVX512_VEC_H
#define Q8K_AVX512_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define Q8K_VOCABULARY avx512

enum { VEC_WEIGHTS = 64, VEC_SHORTS = 32, VEC_STREAMS = 4, VEC_COLUMNS = 16 };
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

static inline float vec_half(const uint8_t *p) {
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return _cvtsh_ss(half);
}

/* The scales of 64 weights, from weight k on, repeated. No more is loaded than was stored at once. */
static inline __m512i avx512_load_scales(const int8_t *scales, unsigned group, unsigned k) {
    int64_t eight;
    int32_t four;
    int16_t two;
    if (group == 8)
        return _mm512_set1_epi64((memcpy(&eight, scales + k / group, sizeof eight), eight));
    if (group == 16)
        return _mm512_set1_epi32((memcpy(&four, scales + k / group, sizeof four), four));
    return _mm512_set1_epi16((memcpy(&two, scales + k / group, sizeof two), two));
}

/* 256 times the scale of each of 32 pairs of weights. A lane of 128 bits has 16 weights. */
static inline __m512i avx512_scales(const int8_t *scales, unsigned group, unsigned k) {
#define AVX512_HALF_LANE(weight) (0x0080008000800080 + (int64_t)((weight) / group) * 0x0100010001000100)
    __m512i order =
        _mm512_setr_epi64(AVX512_HALF_LANE(0), AVX512_HALF_LANE(8), AVX512_HALF_LANE(16), AVX512_HALF_LANE(24),
                          AVX512_HALF_LANE(32), AVX512_HALF_LANE(40), AVX512_HALF_LANE(48), AVX512_HALF_LANE(56));
#undef AVX512_HALF_LANE
    return _mm512_shuffle_epi8(avx512_load_scales(scales, group, k), order);
}

typedef struct vec_pair {
    __m512i first, second;
} vec_pair;

/* The order: of 64 weights the even ones, then the odd ones. Both a quant and its scale are in the upper byte of an
 * int16, so that their product is the upper half of that of the int16. */
static inline vec_pair vec_scaled(vec_bytes q, const int8_t *scales, unsigned group, unsigned k) {
    __m512i s = avx512_scales(scales, group, k);
    vec_pair p = {_mm512_mulhi_epi16(_mm512_slli_epi16(q, 8), s),
                  _mm512_mulhi_epi16(_mm512_and_si512(q, _mm512_set1_epi16((short)0xff00)), s)};
    return p;
}

static inline void vec_store_pair(int16_t *out, vec_pair p) {
    _mm512_store_si512(out, p.first);
    _mm512_store_si512(out + 32, p.second);
}

static inline __m512i avx512_narrow(const int32_t *X) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_loadu_si512(X))),
                              _mm512_cvtepi32_epi16(_mm512_loadu_si512(X + 16)), 1);
}

static inline void vec_limb(int16_t *out, const int32_t *X) {
    __m512i low = avx512_narrow(X), high = avx512_narrow(X + 32);
    static const int16_t order[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
                                      32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    __m512i even = _mm512_loadu_si512(order);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi16(low, even, high));
    _mm512_storeu_si512(out + 32, _mm512_permutex2var_epi16(low, _mm512_add_epi16(even, _mm512_set1_epi16(1)), high));
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

typedef __m512i vec_ints;
typedef __m512 vec_floats;

static inline vec_ints ints_zero(void) {
    return _mm512_setzero_si512();
}

static inline vec_ints ints_load(const int16_t *p) {
    return _mm512_loadu_si512(p);
}

/* Adding lanes of 32 bits in pairs. */
static inline __m512i avx512_add_pairs(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

static inline vec_four ints_four(vec_ints a, vec_ints b, vec_ints c, vec_ints d) {
    __m512i four = avx512_add_pairs(avx512_add_pairs(a, c), avx512_add_pairs(b, d));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64(four, 1));
    return _mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
}

/* The entries that stand for eight mins, as prepare.h tells them, and zeros. */
static inline vec_ints ints_mins(const uint8_t mins[8]) {
    __m128i lower = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)mins));
    return _mm512_zextsi256_si512(_mm256_setr_m128i(_mm_slli_epi16(lower, 8), lower));
}

static inline void ints_save(int16_t *p, vec_ints v) {
    _mm512_store_si512(p, v);
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

static inline void vec_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
    __m512 a = _mm512_loadu_ps(from), b = _mm512_loadu_ps(from + from_stride);
    __m512 c = _mm512_loadu_ps(from + 2 * from_stride), d = _mm512_loadu_ps(from + 3 * from_stride);
    __m512 ab = _mm512_unpacklo_ps(a, b), cd = _mm512_unpacklo_ps(c, d);
    __m512 AB = _mm512_unpackhi_ps(a, b), CD = _mm512_unpackhi_ps(c, d);
    __m512 at[4] = {_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee), _mm512_shuffle_ps(AB, CD, 0x44),
                    _mm512_shuffle_ps(AB, CD, 0xee)};
    VEC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        _mm_storeu_ps(to + i * to_stride, _mm512_castps512_ps128(at[i]));
        _mm_storeu_ps(to + (i + 4) * to_stride, _mm512_extractf32x4_ps(at[i], 1));
        _mm_storeu_ps(to + (i + 8) * to_stride, _mm512_extractf32x4_ps(at[i], 2));
        _mm_storeu_ps(to + (i + 12) * to_stride, _mm512_extractf32x4_ps(at[i], 3));
    }
}

#endif
