/* SPDX-License-Identifier: MIT */
/*
 * Q5_K, as in GGUF files:
 *
 *     0   half d
 *     2   half dmin
 *     4   s[12]: scales and mins as in Q4_K
 *     16  qh[32]: the fifth bits; bit j of qh[l] belongs to weight l of group j
 *     48  qs[128]: the low nibbles as in Q4_K
 *
 * weight[k] = d * scale[k / 32] * q[k] - dmin * min[k / 32]
 */
#ifndef Q8K_FORMATS_Q5_K_H
#define Q8K_FORMATS_Q5_K_H

#include "backends/formats/q4_k.h"

enum {
    Q5_K_D = Q4_K_D,
    Q5_K_DMIN = Q4_K_DMIN,
    Q5_K_PARTS = 1,
    Q5_K_QH = 16,
    Q5_K_QS = 48,
    Q5_K_BLOCK_BYTES = 176,
    Q5_K_GGUF_TYPE = 13,
    Q5_K_SPAN = 256,
    Q5_K_PRODUCT_MAX = 63 * 31,
    Q5_K_STORED_MAX = 31,
    Q5_K_OFFSET = 0,
    Q5_K_MIN_MAX = 63
};
FORMAT_CHECK_BOUNDS(Q5_K);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q5_k_quants(const uint8_t *block, unsigned k) {
    vec_bytes low = vec_and(vec_planes(block + Q5_K_QS + k / 64 * 32, 32, 4, k % 64, 0), 15);
    return vec_or(low, vec_and(vec_planes(block + Q5_K_QH, 32, 1, k, 4), 16));
}

static const struct format q5_k = {
    .block_bytes = Q5_K_BLOCK_BYTES,
    .parts = Q5_K_PARTS,
    .span = Q5_K_SPAN,
    .group = 32,
    .min = MIN_GROUP_32,
    .signs = QUANTS_UNSIGNED,
    .quants = q5_k_quants,
    .headers = q4_k_headers,
};

#endif
#endif
