/* SPDX-License-Identifier: MIT */
/*
 * Q8_K, the library's own:
 *
 *     0    int8 q[256]
 *     256  4-bit scales[32], two a byte, the lower nibble first; bytes 272 to 287 are reserved, written as zero
 *     288  half d
 *     290  half dmin
 *
 * weight[k] = d * scale[k / 8] * q[k] + dmin: the offset is added, once per weight, whatever the scale. It is not
 * ggml's block_q8_K, which has the same size and name, and is a working format for activations.
 */
#ifndef Q8K_FORMATS_Q8_K_H
#define Q8K_FORMATS_Q8_K_H

enum {
    Q8_K_SCALES = 256,
    Q8_K_D = 288,
    Q8_K_DMIN = 290,
    Q8_K_PARTS = 1,
    Q8_K_BLOCK_BYTES = 292,
    Q8_K_GGUF_TYPE = -1,
    Q8_K_SPAN = 256,
    Q8_K_PRODUCT_MAX = 15 * 128,
    Q8_K_STORED_MAX = 0,
    Q8_K_OFFSET = 0,
    Q8_K_MIN_MAX = 1
};
FORMAT_CHECK_BOUNDS(Q8_K);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q8_k_quants(const uint8_t *block, unsigned k) {
    return vec_planes(block, BLOCK, 0, k, 0);
}

ALWAYS_INLINE void q8_k_headers(const uint8_t *const blocks[4], struct headers *h) {
    vec_quad v = quad_load(blocks, Q8_K_SCALES);
    vec_quad even = quad_and(v, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu);
    vec_quad odd = quad_and(quad_shift_right(v, 4, 4, 4, 4), 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu, 0x0f0f0f0fu);
    h->fields = quad_zip_low(even, odd);
    quad_store(h->scales[0], h->fields);
    quad_store(h->scales[1], quad_zip_high(even, odd));
    vec_fours factors = fours_from_halves(blocks, Q8_K_D);
    h->d[0] = factors.first;
    h->min_factor = factors.second;
}

static const struct format q8_k = {
    .block_bytes = Q8_K_BLOCK_BYTES,
    .parts = Q8_K_PARTS,
    .span = Q8_K_SPAN,
    .group = 8,
    .min = MIN_BLOCK,
    .signs = SCALES_UNSIGNED,
    .quants = q8_k_quants,
    .headers = q8_k_headers,
};

#endif
#endif
