/* SPDX-License-Identifier: MIT */
/*
 * Q2_K, as in GGUF files:
 *
 *     0   s[16]: for each group of 16 a 4-bit scale in the low nibble, a 4-bit min in the high one
 *     16  qs[64]: bit pairs; each half of the block has 32 bytes, four times 32 weights from the lowest pair upwards
 *     80  half d
 *     82  half dmin
 *
 * weight[k] = d * scale[k / 16] * q[k] - dmin * min[k / 16]
 */
#ifndef Q8K_FORMATS_Q2_K_H
#define Q8K_FORMATS_Q2_K_H

enum {
    Q2_K_SCALES = 0,
    Q2_K_QS = 16,
    Q2_K_D = 80,
    Q2_K_DMIN = 82,
    Q2_K_PARTS = 1,
    Q2_K_BLOCK_BYTES = 84,
    Q2_K_GGUF_TYPE = 10,
    Q2_K_SPAN = 256,
    Q2_K_PRODUCT_MAX = 15 * 3,
    Q2_K_STORED_MAX = 3,
    Q2_K_OFFSET = 0,
    Q2_K_MIN_MAX = 15
};
FORMAT_CHECK_BOUNDS(Q2_K);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q2_k_quants(const uint8_t *block, unsigned k) {
    return vec_and(vec_planes(block + Q2_K_QS + k / 128 * 32, 32, 2, k % 128, 0), 3);
}

ALWAYS_INLINE void q2_k_headers(const uint8_t *const blocks[4], struct headers *h) {
    vec_quad v = quad_load(blocks, Q2_K_SCALES);
    quad_store(h->scales[0], quad_and(v, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu));
    h->fields = quad_and(quad_shift_right(v, 4, 4, 4, 4), 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu);
    quad_store(h->scales[1], h->fields);
    vec_fours factors = fours_from_halves(blocks, Q2_K_D);
    h->d[0] = factors.first;
    h->min_factor = four_negate(factors.second);
}

static const struct format q2_k = {
    .block_bytes = Q2_K_BLOCK_BYTES,
    .parts = Q2_K_PARTS,
    .span = Q2_K_SPAN,
    .group = 16,
    .min = MIN_GROUP_16,
    .signs = QUANTS_UNSIGNED,
    .quants = q2_k_quants,
    .headers = q2_k_headers,
};

#endif
#endif
