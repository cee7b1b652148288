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
    Q8_K_BLOCK_BYTES = 292,
    Q8_K_GGUF_TYPE = -1,
    Q8_K_SPAN = 256,
    Q8_K_PRODUCT_MAX = 15 * 128,
    Q8_K_MIN_MAX = 1
};
FORMAT_CHECK_BOUNDS(Q8_K);

#ifdef Q8K_VOCABULARY

static inline vec_bytes q8_k_quants(const uint8_t *block, unsigned k) {
    return vec_planes(block, BLOCK, 0, k);
}

static inline void q8_k_scales(const uint8_t *block, int8_t scales[32], uint8_t mins[8]) {
    (void)mins;
    for (unsigned i = 0; i < 16; i++) {
        scales[2 * i] = (int8_t)(block[Q8_K_SCALES + i] & 15);
        scales[2 * i + 1] = (int8_t)(block[Q8_K_SCALES + i] >> 4);
    }
}

static inline void q8_k_factors(const uint8_t *block, float *d, float *min_factor) {
    *d = vec_half(block + Q8_K_D);
    *min_factor = vec_half(block + Q8_K_DMIN);
}

static const struct format q8_k = {
    .block_bytes = Q8_K_BLOCK_BYTES,
    .span = Q8_K_SPAN,
    .group = 8,
    .min = MIN_BLOCK,
    .quants = q8_k_quants,
    .scales = q8_k_scales,
    .factors = q8_k_factors,
};

#endif
#endif
