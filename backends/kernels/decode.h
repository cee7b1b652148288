/* SPDX-License-Identifier: MIT */
/* Blocks to what the kernels multiply, and to float32. */
#ifndef Q8K_KERNELS_DECODE_H
#define Q8K_KERNELS_DECODE_H

#include "backends/kernels/prepare.h"

/* Rows whose blocks are taken apart together. */
enum { TILE_ROWS = 4 };

/* The scales of row r from weight k on; there are eight or more in one piece if k is a multiple of eight groups. */
ALWAYS_INLINE const int8_t *header_scales(const struct headers *h, const struct format *f, unsigned r, unsigned k) {
    unsigned g = k / f->group;
    return &h->scales[g / 16][r][g % 16];
}

/* The quants of weights k to k + VEC_WEIGHTS - 1, one int8 each. */
ALWAYS_INLINE vec_bytes quants(const struct format *f, const uint8_t *block, unsigned k) {
    vec_bytes stored = f->quants(block, k);
    return f->offset == 0 ? stored : vec_subtract(stored, f->offset);
}

#ifdef VEC_TILE_ROWS

/* The int16 products of quants and scales, VEC_WEIGHTS from weight k on. */
ALWAYS_INLINE vec_pair scaled_quants(const struct format *f, const uint8_t *block, const struct headers *h, unsigned r,
                                     unsigned k) {
    const int8_t *eight = header_scales(h, f, r, k / f->group / 8 * 8 * f->group);
    vec_bytes q = quants(f, block, k);
    if (f->signs == QUANTS_UNSIGNED)
        return vec_scaled_unsigned(q, eight, f->group, k);
    if (f->signs == SCALES_UNSIGNED)
        return vec_scaled_by_unsigned(q, eight, f->group, k);
    return vec_scaled(q, eight, f->group, k);
}

#endif

/* Stores them for a whole block. */
ALWAYS_INLINE void decode_products(const struct format *f, const uint8_t *block, const struct headers *h, unsigned r,
                                   int16_t *products) {
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
#ifdef VEC_TILE_ROWS
        vec_store_pair(products + k, scaled_quants(f, block, h, r, k));
#else
        vec_products(products + k, quants(f, block, k), header_scales(h, f, r, k), f->group);
#endif
}

/* So many rows at once are more streams than a CPU finds by itself. */
ALWAYS_INLINE void prefetch_block(const struct format *f, const uint8_t *block) {
    for (unsigned line = 0; line < f->block_bytes; line += 64)
        __builtin_prefetch(block + line);
}

/* The blocks of rows from r on of `rows` rows; those that are missing are the last one again. */
ALWAYS_INLINE void tile_blocks(const uint8_t *first, size_t stride, size_t rows, size_t r,
                               const uint8_t *blocks[TILE_ROWS]) {
    for (size_t i = 0; i < TILE_ROWS; i++)
        blocks[i] = first + (r + i < rows ? r + i : rows - 1) * stride;
}

/* The format without its functions. */
ALWAYS_INLINE struct format format_shape(const struct format *f) {
    struct format shape = *f;
    shape.quants = NULL;
    shape.headers = NULL;
    return shape;
}

/* How many entries meet the mins. */
ALWAYS_INLINE unsigned format_entries(const struct format *f) {
    return f->min == MIN_GROUP_32 ? MIN_ENTRIES_32 : f->min == MIN_GROUP_16 ? MIN_ENTRIES_16 : 0;
}

/* Stores what the mins of four rows are beside their products. */
ALWAYS_INLINE void decode_mins(const struct format *f, const struct headers *h, int16_t *to, size_t stride) {
    if (f->min == MIN_GROUP_32)
        quad_min_entries(h->fields, to, stride);
    if (f->min == MIN_GROUP_16)
        quad_min_entries_16(h->fields, to, stride);
}

/* The floats of batch row b's exact sums; of two limbs, the first counts 4096. */
ALWAYS_INLINE vec_four limbs_join(struct form form, const vec_four *dots_of, unsigned b) {
    return form.limbs == 1 ? dots_of[b] : four_fma(dots_of[2 * b], four_set(4096.0f), dots_of[2 * b + 1]);
}

/* d * scale has at most 19 significant bits and its product with a quant at most 25, so of the formula's operations only
 * the last one rounds. */
ALWAYS_INLINE void decode_block(const struct format *f, const uint8_t *block, float *output) {
    const uint8_t *const blocks[TILE_ROWS] = {block, block, block, block};
    uint8_t all[BLOCK];
    struct headers h;
    float d[PARTS_MAX][TILE_ROWS], min_factor[TILE_ROWS];
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
        vec_store(all + k, quants(f, block, k));
    f->headers(blocks, &h);
    for (unsigned i = 0; i < f->parts; i++)
        four_store(d[i], h.d[i]);
    four_store(min_factor, h.min_factor);
    for (unsigned g = 0; g < BLOCK / f->group; g++) {
        const float scale = d[format_part(f, g * f->group)][0] * (float)*header_scales(&h, f, 0, g * f->group);
        const int min = f->min == MIN_GROUP_32 ? h.scales[0][0][8 + g] : f->min == MIN_GROUP_16 ? h.scales[1][0][g] : 1;
        const float offset = min_factor[0] * (float)min;
        for (unsigned k = g * f->group; k < (g + 1) * f->group; k++) {
            float product = scale * (float)(int8_t)all[k];
            output[k] = f->min == MIN_NONE ? product : product + offset;
        }
    }
}

ALWAYS_INLINE void decode_blocks(const struct format *f, size_t blocks, const uint8_t *weights, float *output) {
    for (size_t i = 0; i < blocks; i++)
        decode_block(f, weights + i * f->block_bytes, output + i * BLOCK);
}

#endif
