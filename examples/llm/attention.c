/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "attention.h"
#include "common.h"
#include "vector.h"

/* Rows of queries of one head of keys that are computed together, so that what is loaded of keys and values serves all:
 * as many as hide how long a multiplication takes. */
enum { TILE = 8 };

/* ------------------------------------------------------------------------------------------------- cache --- */

void cache_create(cache *c, const model *m, size_t positions) {
    *c = (cache){
        .positions = (positions + LANES - 1) / LANES * LANES, .heads = m->kv_heads, .head_width = m->head_width};
    c->keys = allocate(m->layers * c->positions, m->kv_width * sizeof(float));
    c->values = allocate(m->layers * c->positions, m->kv_width * sizeof(float));
}

void cache_destroy(cache *c) {
    free(c->keys);
    free(c->values);
}

size_t cache_bytes(const cache *c, const model *m) {
    return 2 * m->layers * c->positions * m->kv_width * sizeof(float);
}

static size_t width_of(const cache *c) {
    return c->heads * c->head_width;
}

float *cache_values(const cache *c, size_t layer, size_t position) {
    return c->values + (layer * c->positions + position) * width_of(c);
}

static float *keys_of(const cache *c, size_t layer, size_t head) {
    return c->keys + (layer * c->heads + head) * c->positions * c->head_width;
}

void cache_put_keys(const cache *c, size_t layer, size_t position, const float *keys) {
    for (size_t head = 0; head < c->heads; head++) {
        float *block = keys_of(c, layer, head) + position / LANES * LANES * c->head_width + position % LANES;
        for (size_t k = 0; k < c->head_width; k++)
            block[k * LANES] = keys[head * c->head_width + k];
    }
}

/* ------------------------------------------------------------------------------------------------- tiles --- */

/* Rows of queries that share a head of keys, interleaved: queries by column, then by row; scores by block of positions,
 * by row, by position in the block. So both loops below step through memory with one pointer. */
typedef struct tile {
    size_t rows;
    size_t from[TILE]; /* where a row is in queries and output; rows that are missing repeat the last one */
    size_t seen[TILE]; /* positions that the row may look at; the last row sees most */
    float scale[TILE]; /* of the output, so that the weights' sum is 1 */
    float *query, *score;
} tile;

static float *score_at(const tile *t, size_t block, size_t row) {
    return t->score + (block * TILE + row) * LANES;
}

static void score_block(const tile *t, const float *keys, size_t block, size_t head_width) {
    vector sum[TILE] = {{0}};
    for (size_t k = 0; k < head_width; k++) {
        vector column = load(keys + (block * head_width + k) * LANES);
        const float *query = t->query + k * TILE;
#pragma GCC unroll 8
        for (size_t r = 0; r < TILE; r++)
            sum[r] += query[r] * column;
    }
    for (size_t r = 0; r < TILE; r++)
        store(score_at(t, block, r), sum[r]);
}

/* Makes weights of scores, but for a factor: those of positions that the row must not see are 0. */
static void weigh_row(tile *t, size_t r, size_t blocks) {
    for (size_t p = t->seen[r]; p < blocks * LANES; p++)
        score_at(t, p / LANES, r)[p % LANES] = -INFINITY;
    vector most = load(score_at(t, 0, r));
    for (size_t b = 1; b < blocks; b++) {
        vector next = load(score_at(t, b, r));
        most = select(next > most, next, most);
    }
    float largest = largest_of(most);
    vector sum = {0};
    for (size_t b = 0; b < blocks; b++) {
        vector weight = exponential(load(score_at(t, b, r)) - largest);
        store(score_at(t, b, r), weight);
        sum += weight;
    }
    t->scale[r] = 1 / sum_of(sum);
}

/* As many columns of the output as a vector has lanes. */
static void sum_columns(const tile *t, const float *values, size_t stride, float *output) {
    vector sum[TILE] = {{0}};
    for (size_t p = 0; p < t->seen[TILE - 1]; p++) {
        vector column = load(values + p * stride);
        const float *weight = score_at(t, p / LANES, 0) + p % LANES;
#pragma GCC unroll 8
        for (size_t r = 0; r < TILE; r++)
            sum[r] += weight[r * LANES] * column;
    }
    for (size_t r = 0; r < t->rows; r++)
        store(output + t->from[r], sum[r] * t->scale[r]);
}

static void attend_tile(const cache *c, size_t layer, size_t head, tile *t, float *output) {
    size_t blocks = (t->seen[TILE - 1] + LANES - 1) / LANES;
    const float *keys = keys_of(c, layer, head), *values = cache_values(c, layer, 0) + head * c->head_width;
    for (size_t b = 0; b < blocks; b++)
        score_block(t, keys, b, c->head_width);
    for (size_t r = 0; r < TILE; r++)
        weigh_row(t, r, blocks);
    for (size_t k = 0; k < c->head_width; k += LANES)
        sum_columns(t, values + k, width_of(c), output + k);
}

/* Tile `index` of a head: its rows are numbered by position, then by the heads of queries in its group. */
static void fill_tile(const cache *c, tile *t, size_t index, size_t head, size_t position, size_t batch,
                      const float *queries, size_t width) {
    size_t group = width / width_of(c), first = index * TILE, left = batch * group - first;
    t->rows = left < TILE ? left : TILE;
    for (size_t r = 0; r < TILE; r++) {
        size_t number = first + (r < t->rows ? r : t->rows - 1), row = number / group;
        t->from[r] = row * width + (head * group + number % group) * c->head_width;
        t->seen[r] = position + row + 1;
        for (size_t k = 0; k < c->head_width; k++)
            t->query[k * TILE + r] = queries[t->from[r] + k];
    }
}

size_t attention_scratch(const cache *c) {
    return TILE * (c->positions + c->head_width);
}

void attend(const cache *c, size_t layer, size_t position, size_t batch, const float *queries, float *output,
            size_t width, float *scratch, size_t part, size_t parts) {
    size_t group = width / width_of(c), tiles = (batch * group + TILE - 1) / TILE;
    tile t = {.score = scratch, .query = scratch + TILE * c->positions};
    /* Later tiles see more positions: every part takes some of all sizes. */
    for (size_t i = part; i < tiles * c->heads; i += parts) {
        size_t head = i % c->heads;
        fill_tile(c, &t, i / c->heads, head, position, batch, queries, width);
        attend_tile(c, layer, head, &t, output);
    }
}
