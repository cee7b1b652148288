/* SPDX-License-Identifier: MIT */
/*
 * Q6_K, as in GGUF files:
 *
 *     0    ql[128]: low nibbles; each half of the block has 64 bytes, its first 64 weights in the low nibbles
 *     128  qh[64]: high bit pairs; each half has 32 bytes, four groups of 32 weights from the lowest pair upwards
 *     192  int8 scales[16], for groups of 16
 *     208  half d
 *
 * weight[k] = d * scale[k / 16] * (q[k] - 32)
 */
#ifndef Q8K_FORMATS_Q6_K_H
#define Q8K_FORMATS_Q6_K_H

enum {
    Q6_K_QL = 0,
    Q6_K_QH = 128,
    Q6_K_SCALES = 192,
    Q6_K_D = 208,
    Q6_K_DMIN = -1,
    Q6_K_PARTS = 1,
    Q6_K_BLOCK_BYTES = 210,
    Q6_K_GGUF_TYPE = 14,
    /* 256 products of 128 * 32 with a limb of 4095 would not fit int32. */
    Q6_K_SPAN = 128,
    Q6_K_PRODUCT_MAX = 128 * 32,
    Q6_K_STORED_MAX = 63,
    Q6_K_OFFSET = 32,
    Q6_K_MIN_MAX = 0
};
FORMAT_CHECK_BOUNDS(Q6_K);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q6_k_quants(const uint8_t *block, unsigned k) {
    vec_bytes low = vec_and(vec_planes(block + Q6_K_QL + k / 128 * 64, 64, 4, k % 128, 0), 15);
    vec_bytes high = vec_and(vec_planes(block + Q6_K_QH + k / 128 * 32, 32, 2, k % 128, 4), 48);
    return vec_or(low, high);
}

ALWAYS_INLINE void q6_k_headers(const uint8_t *const blocks[4], struct headers *h) {
    h->fields = quad_load(blocks, Q6_K_SCALES);
    quad_store(h->scales[0], h->fields);
    /* What stands before d are the last two scales. */
    h->d[0] = fours_from_halves(blocks, Q6_K_D - 2).second;
    h->min_factor = four_set(0);
}

static const struct format q6_k = {
    .block_bytes = Q6_K_BLOCK_BYTES,
    .parts = Q6_K_PARTS,
    .span = Q6_K_SPAN,
    .group = 16,
    .min = MIN_NONE,
    .signs = BOTH_SIGNED,
    .offset = Q6_K_OFFSET,
    .quants = q6_k_quants,
    .headers = q6_k_headers,
};

#endif
#endif
