/* SPDX-License-Identifier: MIT */
/* The cache of keys and values, and attention over it. */
#ifndef LLM_ATTENTION_H
#define LLM_ATTENTION_H

#include "model.h"

typedef struct cache {
    size_t positions; /* there is room for; a multiple of the vectors' lanes */
    size_t heads, head_width;
    /* Of each layer: keys lie by head, then by blocks of positions as many as a vector has lanes, then by the head's
     * columns, so that a vector has one column of so many keys. Values lie by position, all heads side by side, just as
     * the product with the value matrix gives them. */
    float *keys, *values;
} cache;

void cache_create(cache *c, const model *m, size_t positions);
void cache_destroy(cache *c);
size_t cache_bytes(const cache *c, const model *m);

/* Where the values of a position belong. */
float *cache_values(const cache *c, size_t layer, size_t position);

/* Takes the keys of all heads of a position, head_width apart. */
void cache_put_keys(const cache *c, size_t layer, size_t position, const float *keys);

/* Attention of `batch` rows of queries, already divided by the root of head_width, at `position` and those that follow
 * it, to all positions up to their own: the sum of the values, weighted by the softmax of query times key. Rows are
 * `width` floats apart, in `queries` and in `output` alike, which may be the same. Computes part `part` of `parts`.
 * Each output is computed in the same order whatever the batch and the parts, so it has the same bits.
 * `scratch`: attention_scratch() floats for this part alone. */
void attend(const cache *c, size_t layer, size_t position, size_t batch, const float *queries, float *output,
            size_t width, float *scratch, size_t part, size_t parts);

size_t attention_scratch(const cache *c);

#endif
