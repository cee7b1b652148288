/* SPDX-License-Identifier: MIT */
/*
 * The batch rows that whole panels leave over, up to three quarters of a panel, in panels of their own. The lanes are
 * along both the batch and the columns of weights: a vector has some neighbouring pairs of k of each batch row, and meets
 * as many pairs of a weight row, repeated. So weights are decoded once for all of them, as for whole panels, and no lane is
 * idle. What that takes in the end are shuffles, which sum the lanes of four rows.
 *
 * There are none of bytes: of so few batch rows, their groups with their scales cost more than they save.
 */
#ifndef Q8K_KERNELS_NARROW_H
#define Q8K_KERNELS_NARROW_H

#include "backends/kernels/panel.h"

enum {
    /* The rows that two streams take together: whole tiles and whole fours. */
    NARROW_ROWS = 12,
    NARROW_TILES = NARROW_ROWS / VEC_TILE_ROWS
};

ALWAYS_INLINE unsigned narrow_rows(enum tile tile) {
    return tile == TILE_LIMBS ? NARROW_ROWS : tile == TILE_TALL ? 2 * VEC_TILE_ROWS : VEC_TILE_ROWS;
}

/* Where the sums of row r of stream s are. */
ALWAYS_INLINE const int32_t *narrow_exact(enum tile tile, const struct exact *exact, unsigned s, unsigned r) {
    return tile == TILE_LIMBS ? exact[r / VEC_TILE_ROWS].sums[s][r % VEC_TILE_ROWS]
                              : exact->sums[r / VEC_TILE_ROWS][r % VEC_TILE_ROWS];
}

/* Over `pairs` pairs from product k on. Where a step has more, they are entries, of which those that a format lacks are
 * zeros, or the tile leaves them out. */
ALWAYS_INLINE void narrow_products(enum tile tile, unsigned columns, unsigned pieces, const int16_t *w,
                                   const uint8_t *x0, const uint8_t *x1, unsigned k, unsigned pairs,
                                   struct exact *out) {
    const unsigned words = narrow_words(columns);
    for (unsigned i = 0; i < (tile == TILE_LIMBS ? NARROW_TILES : 1); i++)
        tile_of(tile, words,
                pieces)(w + i * VEC_TILE_ROWS * DECODED_STRIDE + k, (const int16_t *)(const void *)x0 + k * columns,
                        (const int16_t *)(const void *)x1 + k * columns, (pairs + words - 1) / words, &out[i]);
}

/* What is added for one block: factor[r] * step times the exact sums of a span; where there are none, times the totals. */
struct narrow_term {
    const struct exact *exact;
    const float *factor;
};

/* The floats of four rows' exact sums from row r on. */
ALWAYS_INLINE void narrow_floats(enum tile tile, unsigned columns, const struct exact *exact, unsigned r,
                                 vec_floats *out) {
    const unsigned limbs = tile == TILE_LIMBS ? 2 : 1;
    vec_ints sums[2][2];
    VEC_UNROLL
    for (unsigned s = 0; s < limbs; s++)
        ints_narrow(narrow_exact(tile, exact, s, r), narrow_exact(tile, exact, s, r + 1),
                    narrow_exact(tile, exact, s, r + 2), narrow_exact(tile, exact, s, r + 3), narrow_words(columns),
                    sums[s]);
    VEC_UNROLL
    for (unsigned v = 0; v < narrow_vectors(columns); v++) {
        out[v] = floats_convert(sums[0][v]);
        if (limbs == 2)
            out[v] = floats_fma(out[v], floats_set(4096.0f), floats_convert(sums[1][v]));
    }
}

ALWAYS_INLINE void narrow_add(enum tile tile, unsigned columns, unsigned terms, const struct narrow_term *term,
                              const float *steps, float *sums) {
    const unsigned vectors = narrow_vectors(columns);
    for (unsigned r = 0; r < narrow_rows(tile); r += 4, sums += vectors * VEC_COLUMNS) {
        vec_floats sum[2], t[2];
        VEC_UNROLL
        for (unsigned v = 0; v < vectors; v++)
            sum[v] = floats_load(sums + v * VEC_COLUMNS);
        for (unsigned i = 0; i < terms; i++) {
            const vec_floats factor = floats_four(term[i].factor + r);
            if (term[i].exact != NULL)
                narrow_floats(tile, columns, term[i].exact, r, t);
            VEC_UNROLL
            for (unsigned v = 0; v < vectors; v++) {
                const float *step = steps + 2 * v * VEC_COLUMNS;
                sum[v] = floats_fma(term[i].exact != NULL ? t[v] : floats_load(step + VEC_COLUMNS),
                                    floats_multiply(factor, floats_load(step)), sum[v]);
            }
        }
        VEC_UNROLL
        for (unsigned v = 0; v < vectors; v++)
            floats_store(sums + v * VEC_COLUMNS, sum[v]);
    }
}

/* Once for all formats. */
#define NARROW_FUNCTION(name, tile, columns)                                                                           \
    static __attribute__((noinline)) void name##_##columns(unsigned terms, const struct narrow_term *term,             \
                                                           const float *steps, float *sums) {                          \
        narrow_add(tile, columns, terms, term, steps, sums);                                                           \
    }
#define NARROW_FUNCTIONS(columns)                                                                                      \
    NARROW_FUNCTION(narrow_limbs, TILE_LIMBS, columns)                                                                 \
    NARROW_FUNCTION(narrow_one, TILE_ONE, columns)                                                                     \
    NARROW_FUNCTION(narrow_tall, TILE_TALL, columns)
VEC_EACH_NARROW(NARROW_FUNCTIONS)
#undef NARROW_FUNCTIONS
#undef NARROW_FUNCTION

/* One block of a tile's decoded rows from r on. */
ALWAYS_INLINE void narrow_block(const struct format *f, struct form form, enum tile tile, unsigned columns,
                                const struct decoded *w, unsigned r, const uint8_t *x, float *sums) {
    struct exact spans[NARROW_TILES], mins[NARROW_TILES];
    const uint8_t *x1 = form.limbs == 2 ? x + narrow_limb_bytes(columns) : x;
    const float *steps = (const float *)(const void *)(x + narrow_limb_bytes(columns) * form.limbs);
    if (format_entries(f) != 0)
        narrow_products(tile, columns, 0, w->products[r], x, x1, BLOCK, format_entries(f) / 2, mins);
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        const unsigned first = span_first(f->span, k);
        if (f->span == 32)
            narrow_products(tile, columns, 1, w->products[r], x, x1, first, 16, spans);
        else
            narrow_products(tile, columns, 0, w->products[r], x, x1, first, f->span / 2, spans);
        const struct narrow_term terms[2] = {{spans, w->d[format_part(f, k)] + r},
                                             {f->min == MIN_BLOCK ? NULL : mins, w->min_factor + r}};
#define NARROW_CASE(n)                                                                                                 \
    if (columns == n)                                                                                                  \
        (tile == TILE_LIMBS ? narrow_limbs_##n                                                                         \
         : tile == TILE_ONE ? narrow_one_##n                                                                           \
                            : narrow_tall_##n)(f->min == MIN_NONE ? 1 : 2, terms, steps, sums);
        VEC_EACH_NARROW(NARROW_CASE)
#undef NARROW_CASE
    }
}

/* The panel of `columns` batch rows at x with `rows` decoded rows. */
ALWAYS_INLINE void narrow_tiles(const struct format *f, struct form form, unsigned columns, const struct decoded *w,
                                unsigned rows, const uint8_t *x, float *sums) {
    for (unsigned r = 0; r < rows;) {
        float *four = sums + r / 4 * narrow_vectors(columns) * VEC_COLUMNS;
        if (form.limbs == 2) {
            narrow_block(f, form, TILE_LIMBS, columns, w, r, x, four);
            r += narrow_rows(TILE_LIMBS);
        } else if (narrow_rows(TILE_TALL) == NARROW_ROWS || r + narrow_rows(TILE_TALL) <= rows) {
            narrow_block(f, form, TILE_TALL, columns, w, r, x, four);
            r += narrow_rows(TILE_TALL);
        } else {
            narrow_block(f, form, TILE_ONE, columns, w, r, x, four);
            r += narrow_rows(TILE_ONE);
        }
    }
}

/* All of a block's narrow panels, which begin at x, with `rows` decoded rows, the chunk's from `first` on. The sums of
 * CHUNK_ROWS rows of each panel follow one another. Not inlined, and so there is one for all formats. */
static __attribute__((noinline)) void narrow_panels(const struct format *f, struct form form, unsigned narrow,
                                                    const struct decoded *w, unsigned first, unsigned rows,
                                                    const uint8_t *x, float *sums) {
#define NARROW_PANEL(columns)                                                                                          \
    if ((narrow & columns) != 0) {                                                                                     \
        const unsigned four = narrow_vectors(columns) * VEC_COLUMNS;                                                   \
        if (form.limbs == 2)                                                                                           \
            narrow_tiles(f, (struct form){2, 0, 0}, columns, w, rows, x, sums + first / 4 * four);                     \
        else                                                                                                           \
            narrow_tiles(f, (struct form){1, 0, 0}, columns, w, rows, x, sums + first / 4 * four);                     \
        x += narrow_block_bytes(form, columns);                                                                        \
        sums += CHUNK_ROWS / 4 * four;                                                                                 \
    }
    VEC_EACH_NARROW(NARROW_PANEL)
#undef NARROW_PANEL
}

#endif
