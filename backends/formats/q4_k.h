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
    Q4_K_PARTS = 1,
    Q4_K_SCALES = 4,
    Q4_K_QS = 16,
    Q4_K_BLOCK_BYTES = 144,
    Q4_K_GGUF_TYPE = 12,
    Q4_K_SPAN = 256,
    Q4_K_PRODUCT_MAX = 63 * 15,
    Q4_K_STORED_MAX = 15,
    Q4_K_OFFSET = 0,
    Q4_K_MIN_MAX = 63
};
FORMAT_CHECK_BOUNDS(Q4_K);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q4_k_quants(const uint8_t *block, unsigned k) {
    return vec_and(vec_planes(block + Q4_K_QS + k / 64 * 32, 32, 4, k % 64, 0), 15);
}

/* Groups 0 to 3 keep scale and min in the low six bits of s[j] and s[j + 4]; groups 4 to 7 keep their low nibbles in
 * s[j + 4] and their two high bits on top of the bytes of group j - 4. Q5_K packs them alike. In words of four bytes,
 * after the one of d and dmin: s0, s1, s2 become scales of groups 0 to 3 and 4 to 7, then mins alike; what a shift brings
 * in from a neighbour is masked away. */
ALWAYS_INLINE void q4_k_headers(const uint8_t *const blocks[4], struct headers *h) {
    vec_quad v = quad_load(blocks, Q4_K_D);
    vec_quad low = quad_shift_right(quad_pick(v, 4, 4, 8, 8), 0, 2, 0, 2);
    vec_quad high = quad_shift_right(quad_pick(v, 12, 12, 12, 12), 0, 0, 0, 4);
    h->fields = quad_or(quad_and(low, 0x3f3f3f3fu, 0x30303030u, 0x3f3f3f3fu, 0x30303030u),
                        quad_and(high, 0, 0x0f0f0f0fu, 0, 0x0f0f0f0fu));
    quad_store(h->scales[0], h->fields);
    vec_fours factors = fours_from_halves(blocks, Q4_K_D);
    h->d[0] = factors.first;
    h->min_factor = four_negate(factors.second);
}

static const struct format q4_k = {
    .block_bytes = Q4_K_BLOCK_BYTES,
    .parts = Q4_K_PARTS,
    .span = Q4_K_SPAN,
    .group = 32,
    .min = MIN_GROUP_32,
    .signs = QUANTS_UNSIGNED,
    .quants = q4_k_quants,
    .headers = q4_k_headers,
};

#endif
#endif
