/* SPDX-License-Identifier: MIT */
/*
 * Q8_0, as in GGUF files. What is a block of 32 weights there is a part here, and eight of them are a block; part p:
 *
 *     34 * p      half d
 *     34 * p + 2  int8 q[32]
 *
 * weight[32 * p + l] = d * q[l]
 */
#ifndef Q8K_FORMATS_Q8_0_H
#define Q8K_FORMATS_Q8_0_H

enum {
    Q8_0_PART_BYTES = 34,
    Q8_0_D = 0,
    Q8_0_Q = 2,
    Q8_0_DMIN = -1,
    Q8_0_PARTS = 8,
    Q8_0_BLOCK_BYTES = Q8_0_PARTS * Q8_0_PART_BYTES,
    Q8_0_GGUF_TYPE = 8,
    /* Each part is one: there is no integer that its d could be, beside the others', without losing bits. */
    Q8_0_SPAN = 32,
    Q8_0_PRODUCT_MAX = 128,
    Q8_0_STORED_MAX = 0,
    Q8_0_OFFSET = 0,
    Q8_0_MIN_MAX = 0
};
FORMAT_CHECK_BOUNDS(Q8_0);

#ifdef Q8K_VOCABULARY

ALWAYS_INLINE vec_bytes q8_0_quants(const uint8_t *block, unsigned k) {
    return vec_pieces(block + Q8_0_Q, Q8_0_PART_BYTES, k);
}

/* Scales of 1, so that quants become int16 as they do elsewhere. */
ALWAYS_INLINE void q8_0_headers(const uint8_t *const blocks[4], struct headers *h) {
    memset(h->scales[0], 1, sizeof h->scales[0]);
    VEC_UNROLL
    for (unsigned i = 0; i < Q8_0_PARTS; i++)
        h->d[i] = fours_from_halves(blocks, i * Q8_0_PART_BYTES + Q8_0_D).first;
    h->min_factor = four_set(0);
}

static const struct format q8_0 = {
    .block_bytes = Q8_0_BLOCK_BYTES,
    .parts = Q8_0_PARTS,
    .span = Q8_0_SPAN,
    .group = 32,
    .min = MIN_NONE,
    .signs = SCALES_UNSIGNED,
    .quants = q8_0_quants,
    .headers = q8_0_headers,
};

#endif
#endif
