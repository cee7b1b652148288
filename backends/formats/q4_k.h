/* SPDX-License-Identifier: MIT */
/*
 * Q4_K, as in GGUF files:
 *
 *     0   half d
 *     2   half dmin
 *     4   s[12]: eight 6-bit scales and eight 6-bit mins, for groups of 32
 *     16  qs[128]: 32 bytes hold two groups, the even one in the low nibbles
 *
 * weight[k] = d * scale[k / 32] * q[k] - dmin * min[k / 32]
 */
#ifndef Q8K_FORMATS_Q4_K_H
#define Q8K_FORMATS_Q4_K_H

enum {
    Q4_K_D = 0,
    Q4_K_DMIN = 2,
    Q4_K_SCALES = 4,
    Q4_K_QS = 16,
    Q4_K_BLOCK_BYTES = 144,
    Q4_K_GGUF_TYPE = 12,
    Q4_K_SPAN = 256,
    Q4_K_PRODUCT_MAX = 63 * 15,
    Q4_K_MIN_MAX = 63
};
FORMAT_CHECK_BOUNDS(Q4_K);

#ifdef Q8K_VOCABULARY

static inline vec_bytes q4_k_quants(const uint8_t *block, unsigned k) {
    return vec_and(vec_planes(block + Q4_K_QS + k / 64 * 32, 32, 4, k % 64), 15);
}

/* Groups 0 to 3 keep scale and min in the low six bits of s[j] and s[j + 4]; groups 4 to 7 keep their low nibbles in
 * s[j + 4] and their two high bits on top of the bytes of group j - 4. Q5_K packs them alike. */
static inline void q4_k_scales(const uint8_t *block, int8_t scales[32], uint8_t mins[8]) {
    /* Four bytes at a time, whose order does not matter: what a shift brings in from a neighbour is masked away. */
    uint32_t s[3];
    memcpy(s, block + Q4_K_SCALES, sizeof s);
    store_words(scales, s[0] & 0x3f3f3f3fu, (s[2] & 0x0f0f0f0fu) | (s[0] >> 2 & 0x30303030u));
    store_words(mins, s[1] & 0x3f3f3f3fu, (s[2] >> 4 & 0x0f0f0f0fu) | (s[1] >> 2 & 0x30303030u));
}

static inline void q4_k_factors(const uint8_t *block, float *d, float *min_factor) {
    *d = vec_half(block + Q4_K_D);
    *min_factor = -vec_half(block + Q4_K_DMIN);
}

static const struct format q4_k = {
    .block_bytes = Q4_K_BLOCK_BYTES,
    .span = Q4_K_SPAN,
    .group = 32,
    .min = MIN_GROUP_32,
    .quants = q4_k_quants,
    .scales = q4_k_scales,
    .factors = q4_k_factors,
};

#endif
#endif
