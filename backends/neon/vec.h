/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of ARMv8-A's NEON; backends/scalar/vec.h says what the words mean. With ARMv8.2's dot product,
 * which multiplies four times as many int8 as NEON multiplies int16, activations are digits. */
#ifndef Q8K_NEON_VEC_H
#define Q8K_NEON_VEC_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backends/inline.h"

#ifdef __ARM_FEATURE_DOTPROD
#define Q8K_VOCABULARY dotprod
#define VEC_LIMB_DIGITS 2
#define VEC_BYTE_DIGITS 1
#else
#define Q8K_VOCABULARY neon
#endif

enum { VEC_WEIGHTS = 16 };

#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef uint8x16_t vec_bytes;

ALWAYS_INLINE vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k, unsigned to) {
    return vshlq_u8(vld1q_u8(p + k % period), vdupq_n_s8((int8_t)((int)to - (int)(bits * (k / period)))));
}

ALWAYS_INLINE vec_bytes vec_pieces(const uint8_t *p, size_t stride, unsigned k) {
    return vld1q_u8(p + k / 32 * stride + k % 32);
}

ALWAYS_INLINE vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    return vandq_u8(v, vdupq_n_u8(mask));
}

ALWAYS_INLINE vec_bytes vec_or(vec_bytes v, vec_bytes w) {
    return vorrq_u8(v, w);
}

ALWAYS_INLINE vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    return vsubq_u8(v, vdupq_n_u8(n));
}

ALWAYS_INLINE void vec_store(uint8_t *p, vec_bytes v) {
    vst1q_u8(p, v);
}

ALWAYS_INLINE void vec_products(int16_t *out, vec_bytes q, const int8_t *scales, unsigned group) {
    int8x16_t s = vreinterpretq_s8_u8(q);
    vst1q_s16(out, vmull_s8(vget_low_s8(s), vdup_n_s8(scales[0])));
    vst1q_s16(out + 8, vmull_s8(vget_high_s8(s), vdup_n_s8(scales[8 / group])));
}

ALWAYS_INLINE void vec_limb(int16_t *out, const int32_t *X) {
    VEC_UNROLL
    for (unsigned k = 0; k < VEC_WEIGHTS; k += 4)
        vst1_s16(out + k, vmovn_s32(vld1q_s32(X + k)));
}

ALWAYS_INLINE int32_t vec_round(float x) {
    return vcvtns_s32_f32(x);
}

ALWAYS_INLINE void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k += 4)
        vst1q_s32(X + k, vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + k), factor)));
}

ALWAYS_INLINE float vec_fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}

typedef float32x4_t vec_four;

ALWAYS_INLINE vec_four four_load(const float *p) {
    return vld1q_f32(p);
}

ALWAYS_INLINE void four_store(float *p, vec_four v) {
    vst1q_f32(p, v);
}

ALWAYS_INLINE vec_four four_set(float x) {
    return vdupq_n_f32(x);
}

ALWAYS_INLINE vec_four four_multiply(vec_four a, vec_four b) {
    return vmulq_f32(a, b);
}

ALWAYS_INLINE vec_four four_fma(vec_four a, vec_four b, vec_four c) {
    return vfmaq_f32(c, a, b);
}

ALWAYS_INLINE vec_four four_negate(vec_four a) {
    return vnegq_f32(a);
}

typedef struct vec_fours {
    vec_four first, second;
} vec_fours;

ALWAYS_INLINE vec_fours fours_from_halves(const uint8_t *const p[4], size_t offset) {
    uint32_t pairs[4];
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        memcpy(&pairs[r], p[r] + offset, sizeof pairs[r]);
    uint16x8_t v = vreinterpretq_u16_u32(vld1q_u32(pairs));
    return (vec_fours){vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(vuzp1q_u16(v, v)))),
                       vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(vuzp2q_u16(v, v))))};
}

typedef uint8x16x4_t vec_quad;

ALWAYS_INLINE vec_quad quad_load(const uint8_t *const p[4], size_t offset) {
    vec_quad v;
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vld1q_u8(p[r] + offset);
    return v;
}

ALWAYS_INLINE void quad_store(int8_t to[4][16], vec_quad v) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        vst1q_s8(to[r], vreinterpretq_s8_u8(v.val[r]));
}

ALWAYS_INLINE uint32x4_t neon_words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const uint32_t words[4] = {a, b, c, d};
    return vld1q_u32(words);
}

ALWAYS_INLINE vec_quad quad_pick(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    uint8x16_t order = vreinterpretq_u8_u32(neon_words(0x03020100u + a * 0x01010101u, 0x03020100u + b * 0x01010101u,
                                                       0x03020100u + c * 0x01010101u, 0x03020100u + d * 0x01010101u));
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vqtbl1q_u8(v.val[r], order);
    return v;
}

ALWAYS_INLINE vec_quad quad_shift_right(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    int32x4_t bits = vnegq_s32(vreinterpretq_s32_u32(neon_words(a, b, c, d)));
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vreinterpretq_u8_u32(vshlq_u32(vreinterpretq_u32_u8(v.val[r]), bits));
    return v;
}

ALWAYS_INLINE vec_quad quad_shift_left(vec_quad v, unsigned a, unsigned b, unsigned c, unsigned d) {
    int32x4_t bits = vreinterpretq_s32_u32(neon_words(a, b, c, d));
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vreinterpretq_u8_u32(vshlq_u32(vreinterpretq_u32_u8(v.val[r]), bits));
    return v;
}

ALWAYS_INLINE vec_quad quad_and(vec_quad v, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint8x16_t masks = vreinterpretq_u8_u32(neon_words(a, b, c, d));
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vandq_u8(v.val[r], masks);
    return v;
}

ALWAYS_INLINE vec_quad quad_or(vec_quad v, vec_quad w) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vorrq_u8(v.val[r], w.val[r]);
    return v;
}

ALWAYS_INLINE vec_quad quad_subtract(vec_quad v, uint8_t n) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vec_subtract(v.val[r], n);
    return v;
}

ALWAYS_INLINE vec_quad quad_zip_low(vec_quad v, vec_quad w) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vzip1q_u8(v.val[r], w.val[r]);
    return v;
}

ALWAYS_INLINE vec_quad quad_zip_high(vec_quad v, vec_quad w) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        v.val[r] = vzip2q_u8(v.val[r], w.val[r]);
    return v;
}

ALWAYS_INLINE void quad_min_entries(vec_quad v, int16_t *to, size_t stride) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++) {
        uint8x8_t mins = vget_high_u8(v.val[r]);
        vst1q_s16(to + r * stride, vreinterpretq_s16_u16(vshll_n_u8(mins, 8)));
        vst1q_s16(to + r * stride + 8, vreinterpretq_s16_u16(vmovl_u8(mins)));
    }
}

/* Of 16 mins, an int16 has an even one and above it the odd one. */
ALWAYS_INLINE void quad_min_entries_16(vec_quad v, int16_t *to, size_t stride) {
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++, to += stride) {
        uint16x8_t mins = vreinterpretq_u16_u8(v.val[r]), even = vandq_u16(mins, vdupq_n_u16(0xff));
        int16x8_t odd = vreinterpretq_s16_u16(vsubq_u16(vshrq_n_u16(mins, 8), even));
        vst1q_s16(to, vreinterpretq_s16_u16(vshlq_n_u16(mins, 8)));
        vst1q_s16(to + 8, vreinterpretq_s16_u16(even));
        vst1q_s16(to + 16, odd);
        vst1q_s16(to + 24, odd);
    }
}

/* Each vector's lanes, added up. */
ALWAYS_INLINE int32x4_t neon_add_lanes(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
    return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

ALWAYS_INLINE vec_four vec_dots(const int16_t *w, size_t stride, const int16_t *x, unsigned count) {
    int32x4_t even[4], odd[4];
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        even[r] = odd[r] = vdupq_n_s32(0);
    for (unsigned i = 0; i < count; i += 8) {
        int16x8_t b = vld1q_s16(x + i);
        VEC_UNROLL
        for (unsigned r = 0; r < 4; r++) {
            int16x8_t a = vld1q_s16(w + r * stride + i);
            even[r] = vmlal_s16(even[r], vget_low_s16(a), vget_low_s16(b));
            odd[r] = vmlal_high_s16(odd[r], a, b);
        }
    }
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        even[r] = vaddq_s32(even[r], odd[r]);
    return vcvtq_f32_s32(neon_add_lanes(even[0], even[1], even[2], even[3]));
}

#ifdef __ARM_FEATURE_DOTPROD

ALWAYS_INLINE void vec_scales(int32_t *out, const int8_t *eight) {
    int16x8_t s = vmovl_s8(vld1_s8(eight));
    vst1q_s32(out, vmovl_s16(vget_low_s16(s)));
    vst1q_s32(out + 4, vmovl_high_s16(s));
}

/* The sums of four products each of `length` quants with the activations, whose digits are `stride` apart. */
ALWAYS_INLINE int32x4_t dotprod_sums(const uint8_t *q, const uint8_t *x, size_t stride, unsigned digits,
                                     unsigned length) {
    int32x4_t sums = vdupq_n_s32(0);
    VEC_UNROLL
    for (unsigned digit = 0; digit < digits; digit++) {
        if (digit != 0)
            sums = vshlq_n_s32(sums, 7);
        VEC_UNROLL
        for (unsigned k = 0; k < length; k += 16)
            sums = vdotq_s32(sums, vreinterpretq_s8_u8(vld1q_u8(q + k)),
                             vreinterpretq_s8_u8(vld1q_u8(x + digit * stride + k)));
    }
    return sums;
}

/* The sums of four groups of quants. */
ALWAYS_INLINE int32x4_t dotprod_groups(const uint8_t *q, unsigned group, const uint8_t *x, size_t stride,
                                       unsigned digits) {
    if (group == 8)
        return vpaddq_s32(dotprod_sums(q, x, stride, digits, 16), dotprod_sums(q + 16, x + 16, stride, digits, 16));
    return neon_add_lanes(dotprod_sums(q, x, stride, digits, group),
                          dotprod_sums(q + group, x + group, stride, digits, group),
                          dotprod_sums(q + 2 * group, x + 2 * group, stride, digits, group),
                          dotprod_sums(q + 3 * group, x + 3 * group, stride, digits, group));
}

ALWAYS_INLINE vec_four vec_digit_dots(const uint8_t *q, size_t q_stride, const int32_t *scales, size_t scales_stride,
                                      unsigned group, const uint8_t *x, size_t x_stride, unsigned digits,
                                      unsigned count) {
    int32x4_t sums[4];
    VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        sums[r] = vdupq_n_s32(0);
    for (unsigned k = 0; k < count; k += 4 * group)
        VEC_UNROLL
    for (unsigned r = 0; r < 4; r++)
        sums[r] = vmlaq_s32(sums[r], dotprod_groups(q + r * q_stride + k, group, x + k, x_stride, digits),
                            vld1q_s32(scales + r * scales_stride + k / group));
    return vcvtq_f32_s32(neon_add_lanes(sums[0], sums[1], sums[2], sums[3]));
}

ALWAYS_INLINE vec_four vec_digit_dots_32(const uint8_t *q, size_t q_stride, const uint8_t *x, size_t x_stride,
                                         unsigned digits) {
    return vcvtq_f32_s32(neon_add_lanes(dotprod_sums(q, x, x_stride, digits, 32),
                                        dotprod_sums(q + q_stride, x, x_stride, digits, 32),
                                        dotprod_sums(q + 2 * q_stride, x, x_stride, digits, 32),
                                        dotprod_sums(q + 3 * q_stride, x, x_stride, digits, 32)));
}

#endif

#endif
