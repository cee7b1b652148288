/* SPDX-License-Identifier: MIT */
/*
 * Q3_K, as in GGUF files:
 *
 *     0    hmask[32]: the third bits; bit j of hmask[l] belongs to weight 32 * j + l
 *     32   qs[64]: the low bit pairs, as in Q2_K
 *     96   s[12]: sixteen 6-bit scales for groups of 16, less 32: low nibbles in the first eight bytes, high bit pairs in
 *          the last four
 *     108  half d
 *
 * weight[k] = d * (scale[k / 16] - 32) * (q[k] - 4)
 */
#ifndef Q8K_FORMATS_Q3_K_H
#define Q8K_FORMATS_Q3_K_H

enum {
    Q3_K_HMASK = 0,
    Q3_K_QS = 32,
    Q3_K_SCALES = 96,
    Q3_K_D = 108,
    Q3_K_DMIN = -1,
    Q3_K_PARTS = 1,
    Q3_K_BLOCK_BYTES = 110,
    Q3_K_GGUF_TYPE = 11,
    Q3_K_SPAN = 256,
    Q3_K_PRODUCT_MAX = 32 * 4,
    Q3_K_STORED_MAX = 7,
    Q3_K_OFFSET = 4,
    Q3_K_MIN_MAX = 0
};
FORMAT_CHECK_BOUNDS(Q3_K);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q3_k_quants(const uint8_t *block, unsigned k) {
    vec_bytes low = vec_and(vec_planes(block + Q3_K_QS + k / 128 * 32, 32, 2, k % 128, 0), 3);
    vec_bytes high = vec_and(vec_planes(block + Q3_K_HMASK, 32, 1, k, 2), 4);
    return vec_or(low, high);
}

/* Scales 0 to 3 have the low nibbles of s[0] to s[3], 4 to 7 those of s[4] to s[7], 8 to 15 the high ones of the same; and
 * the lowest pairs of s[8] to s[11], the next, and so on. What is loaded ends with the block: s[0] is two bytes behind. */
ALWAYS_INLINE void q3_k_headers(const uint8_t *const blocks[4], struct headers *h) {
    vec_quad v = quad_load(blocks, Q3_K_BLOCK_BYTES - 16);
    vec_quad low = quad_shift_right(quad_pick(v, 2, 6, 2, 6), 0, 0, 4, 4);
    vec_quad high = quad_shift_right(quad_shift_left(quad_pick(v, 10, 10, 10, 10), 4, 2, 0, 0), 0, 0, 0, 2);
    h->fields = quad_subtract(quad_or(quad_and(low, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu),
                                      quad_and(high, 0x30303030u, 0x30303030u, 0x30303030u, 0x30303030u)),
                              32);
    quad_store(h->scales[0], h->fields);
    /* What stands before d are the last two bytes of scales. */
    h->d[0] = fours_from_halves(blocks, Q3_K_D - 2).second;
    h->min_factor = four_set(0);
}

static const struct format q3_k = {
    .block_bytes = Q3_K_BLOCK_BYTES,
    .parts = Q3_K_PARTS,
    .span = Q3_K_SPAN,
    .group = 16,
    .min = MIN_NONE,
    .signs = BOTH_SIGNED,
    .offset = Q3_K_OFFSET,
    .quants = q3_k_quants,
    .headers = q3_k_headers,
};

#endif
#endif
