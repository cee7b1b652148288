/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "attention.h"
#include "common.h"
#include "vector.h"

enum { TILE = ATTENTION_ROWS };

#define INLINE static inline __attribute__((always_inline))

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

/* Some rows of queries with the same head of keys. */
typedef struct tile {
    size_t rows;
    const float *query[TILE];
    float *score[TILE], *output[TILE];
    size_t seen[TILE]; /* positions that the row may look at; the last row sees most */
    float scale[TILE]; /* of the output, so that the weights' sum is 1 */
} tile;

/* The compiler makes one function for each number of rows, with all sums in registers. */
INLINE void score_rows(const tile *t, size_t first, size_t rows, const float *keys, size_t blocks, size_t head_width) {
    for (size_t b = 0; b < blocks; b++) {
        vector sum[TILE] = {{0}};
        for (size_t k = 0; k < head_width; k++) {
            vector column = load(keys + (b * head_width + k) * LANES);
            for (size_t r = 0; r < rows; r++)
                sum[r] += t->query[first + r][k] * column;
        }
        for (size_t r = 0; r < rows; r++)
            store(t->score[first + r] + b * LANES, sum[r]);
    }
}

INLINE void sum_rows(const tile *t, size_t first, size_t rows, const float *values, size_t stride, size_t positions,
                     size_t head_width) {
    for (size_t k = 0; k < head_width; k += LANES) {
        vector sum[TILE] = {{0}};
        for (size_t p = 0; p < positions; p++) {
            vector column = load(values + p * stride + k);
            for (size_t r = 0; r < rows; r++)
                sum[r] += t->score[first + r][p] * column;
        }
        for (size_t r = 0; r < rows; r++)
            store(t->output[first + r] + k, sum[r] * t->scale[first + r]);
    }
}

/* Makes weights of scores, but for a factor: those of positions that the row must not see are 0. */
static void weigh_row(tile *t, size_t r, size_t blocks) {
    float *score = t->score[r];
    for (size_t p = t->seen[r]; p < blocks * LANES; p++)
        score[p] = -INFINITY;
    vector most = load(score);
    for (size_t b = 1; b < blocks; b++) {
        vector next = load(score + b * LANES);
        most = select(next > most, next, most);
    }
    float largest = largest_of(most);
    vector sum = {0};
    for (size_t b = 0; b < blocks; b++) {
        vector weight = exponential(load(score + b * LANES) - largest);
        store(score + b * LANES, weight);
        sum += weight;
    }
    t->scale[r] = 1 / sum_of(sum);
}

/* Calls a function of the above for all rows of a tile, as many at a time as may be. */
#define FOR_ROWS(function, t, ...)                                                                                     \
    for (size_t first = 0, rows; first < (t)->rows; first += rows) {                                                   \
        rows = (t)->rows - first;                                                                                      \
        rows = rows >= TILE ? TILE : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;                                                \
        switch (rows) {                                                                                                \
        case TILE:                                                                                                     \
            function(t, first, TILE, __VA_ARGS__);                                                                     \
            break;                                                                                                     \
        case 4:                                                                                                        \
            function(t, first, 4, __VA_ARGS__);                                                                        \
            break;                                                                                                     \
        case 2:                                                                                                        \
            function(t, first, 2, __VA_ARGS__);                                                                        \
            break;                                                                                                     \
        default:                                                                                                       \
            function(t, first, 1, __VA_ARGS__);                                                                        \
            break;                                                                                                     \
        }                                                                                                              \
    }

static void attend_tile(const cache *c, size_t layer, size_t head, tile *t) {
    size_t seen = t->seen[t->rows - 1], blocks = (seen + LANES - 1) / LANES;
    const float *keys = keys_of(c, layer, head), *values = cache_values(c, layer, 0) + head * c->head_width;
    FOR_ROWS(score_rows, t, keys, blocks, c->head_width)
    for (size_t r = 0; r < t->rows; r++)
        weigh_row(t, r, blocks);
    FOR_ROWS(sum_rows, t, values, width_of(c), seen, c->head_width)
}

/* Tile `index` of a head: its rows are numbered by position, then by the heads of queries in its group. */
static tile make_tile(const cache *c, size_t index, size_t head, size_t position, size_t batch, const float *queries,
                      float *output, size_t width, float *scores) {
    size_t group = width / width_of(c), from = index * TILE, left = batch * group - from;
    tile t = {.rows = left < TILE ? left : TILE};
    for (size_t r = 0; r < t.rows; r++) {
        size_t row = (from + r) / group, at = row * width + (head * group + (from + r) % group) * c->head_width;
        t.query[r] = queries + at;
        t.output[r] = output + at;
        t.score[r] = scores + r * c->positions;
        t.seen[r] = position + row + 1;
    }
    return t;
}

void attend(const cache *c, size_t layer, size_t position, size_t batch, const float *queries, float *output,
            size_t width, float *scores, size_t part, size_t parts) {
    size_t group = width / width_of(c), tiles = (batch * group + TILE - 1) / TILE;
    /* Later tiles see more positions: every part takes some of all sizes. */
    for (size_t i = part; i < tiles * c->heads; i += parts) {
        size_t head = i % c->heads;
        tile t = make_tile(c, i / c->heads, head, position, batch, queries, output, width, scores);
        attend_tile(c, layer, head, &t);
    }
}
