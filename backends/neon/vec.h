/* SPDX-License-Identifier: MIT */
/* The vector vocabulary of ARMv8-A's NEON; backends/scalar/vec.h says what the words mean. */
#ifndef Q8K_NEON_VEC_H
#define Q8K_NEON_VEC_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define Q8K_VOCABULARY neon

enum { VEC_WEIGHTS = 16 };

#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

typedef uint8x16_t vec_bytes;

static inline vec_bytes vec_planes(const uint8_t *p, unsigned period, unsigned bits, unsigned k) {
    return vshlq_u8(vld1q_u8(p + k % period), vdupq_n_s8((int8_t) - (int)(bits * (k / period))));
}

static inline vec_bytes vec_and(vec_bytes v, uint8_t mask) {
    return vandq_u8(v, vdupq_n_u8(mask));
}

static inline vec_bytes vec_join(vec_bytes low, vec_bytes high, unsigned shift) {
    return vorrq_u8(low, vshlq_u8(high, vdupq_n_s8((int8_t)shift)));
}

static inline vec_bytes vec_subtract(vec_bytes v, uint8_t n) {
    return vsubq_u8(v, vdupq_n_u8(n));
}

static inline void vec_store(uint8_t *p, vec_bytes v) {
    vst1q_u8(p, v);
}

static inline void vec_products(int16_t *out, vec_bytes q, const int8_t *scales, unsigned group, unsigned k) {
    int8x16_t s = vreinterpretq_s8_u8(q);
    vst1q_s16(out, vmull_s8(vget_low_s8(s), vdup_n_s8(scales[k / group])));
    vst1q_s16(out + 8, vmull_s8(vget_high_s8(s), vdup_n_s8(scales[(k + 8) / group])));
}

static inline int32_t vec_round(float x) {
    return vcvtns_s32_f32(x);
}

static inline void vec_round_all(const float *in, float factor, int32_t *X) {
    for (unsigned k = 0; k < 256; k += 4)
        vst1q_s32(X + k, vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + k), factor)));
}

static inline float vec_fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}

typedef float32x4_t vec_four;

static inline vec_four four_load(const float *p) {
    return vld1q_f32(p);
}

static inline void four_store(float *p, vec_four v) {
    vst1q_f32(p, v);
}

static inline vec_four four_set(float x) {
    return vdupq_n_f32(x);
}

static inline vec_four four_multiply(vec_four a, vec_four b) {
    return vmulq_f32(a, b);
}

static inline vec_four four_fma(vec_four a, vec_four b, vec_four c) {
    return vfmaq_f32(c, a, b);
}

static inline vec_four vec_dots(const int16_t *w, size_t stride, const int16_t *x, unsigned count) {
    int32x4_t even[4], odd[4];
    for (unsigned r = 0; r < 4; r++)
        even[r] = odd[r] = vdupq_n_s32(0);
    for (unsigned i = 0; i < count; i += 8) {
        int16x8_t b = vld1q_s16(x + i);
        for (unsigned r = 0; r < 4; r++) {
            int16x8_t a = vld1q_s16(w + r * stride + i);
            even[r] = vmlal_s16(even[r], vget_low_s16(a), vget_low_s16(b));
            odd[r] = vmlal_high_s16(odd[r], a, b);
        }
    }
    for (unsigned r = 0; r < 4; r++)
        even[r] = vaddq_s32(even[r], odd[r]);
    return vcvtq_f32_s32(vpaddq_s32(vpaddq_s32(even[0], even[1]), vpaddq_s32(even[2], even[3])));
}

#endif
