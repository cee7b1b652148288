/* SPDX-License-Identifier: MIT */
/*
 * The product, lanes along the batch: for batches that fill them. VEC_COLUMNS batch rows are prepared as a panel, in
 * which pairs of k stand side by side, and one instruction multiplies and adds a pair of a weight row's products,
 * broadcast, with a panel's. The tile of VEC_TILE_ROWS rows and two streams stays in registers. A stream is a limb
 * of a panel: FLOAT has two of them, the other precisions take two panels at once.
 */
#ifndef Q8K_KERNELS_PANEL_H
#define Q8K_KERNELS_PANEL_H

#include "backends/kernels/decode.h"
#include "backends/kernels/prepare.h"

enum {
    /* Rows that are decoded together: few enough that what is decoded stays in the first level of caches, however many panels
     * it meets. A multiple of the rows of every tile. */
    DECODED_ROWS = 24,
    /* From one row to the next: ROW, padded so that no store crosses a line. */
    DECODED_STRIDE = BLOCK + 32
};

/* A block of each of some rows: products and then the entries for the mins. Where the form has bytes, the products' place is
 * taken by the quants and, from DECODED_SCALES on, the scales as int32. */
struct decoded {
    _Alignas(64) int16_t products[DECODED_ROWS][DECODED_STRIDE];
    _Alignas(16) float d[DECODED_ROWS], min_factor[DECODED_ROWS];
    /* With bytes: what the 128 that was added to each activation makes of each span. */
    _Alignas(16) int32_t excess[2][DECODED_ROWS];
};

enum { DECODED_SCALES = BLOCK };

#ifdef VEC_BYTES

/* The products are formed here too, but only to be summed. */
ALWAYS_INLINE void decode_bytes(const struct format *f, const uint8_t *const *blocks, const struct headers *h,
                                struct decoded *w, unsigned r) {
    const vec_ints all_128 = ints_all(128);
    for (unsigned first = 0; first < BLOCK; first += f->span) {
        vec_ints sums[TILE_ROWS];
        VEC_UNROLL
        for (unsigned i = 0; i < TILE_ROWS; i++) {
            sums[i] = ints_zero();
            VEC_UNROLL
            for (unsigned k = first; k < first + f->span; k += VEC_WEIGHTS) {
                vec_pair products = scaled_quants(f, blocks[i], h, i, k);
                vec_store((uint8_t *)w->products[r + i] + k, f->quants(blocks[i], k));
                sums[i] = ints_dot(ints_dot(sums[i], products.first, all_128), products.second, all_128);
            }
        }
        ints_store_four(w->excess[first / f->span] + r, sums[0], sums[1], sums[2], sums[3]);
    }
    for (unsigned i = 0; i < TILE_ROWS; i++)
        for (unsigned g = 0; g < BLOCK / f->group; g += 16)
            bytes_widen(header_scales(h, f, i, g * f->group),
                        (int32_t *)(void *)((uint8_t *)w->products[r + i] + DECODED_SCALES) + g);
}

#endif

/* The blocks of rows r to r + TILE_ROWS - 1. */
ALWAYS_INLINE void decode_rows(const struct format *f, struct form form, const uint8_t *const *blocks,
                               struct decoded *w, unsigned r) {
    struct headers h;
    f->headers(blocks, &h);
    four_store(w->d + r, h.d);
    four_store(w->min_factor + r, h.min_factor);
    if (f->min == MIN_GROUP_32)
        quad_min_entries(h.fields, w->products[r] + BLOCK, DECODED_STRIDE);
#ifdef VEC_BYTES
    if (form.bytes) {
        decode_bytes(f, blocks, &h, w, r);
        return;
    }
#else
    (void)form;
#endif
    VEC_UNROLL
    for (unsigned i = 0; i < TILE_ROWS; i++)
        decode_products(f, blocks[i], &h, i, w->products[r + i]);
}

/* How far ahead, in bytes, activations are fetched into the second-level cache: a panel of two limbs, or two of one. */
enum { TILE_AHEAD = 2 * sizeof(int16_t) * ROW * VEC_COLUMNS };

/* Exact sums of a register tile, streams apart. */
struct exact {
    _Alignas(64) int32_t sums[2][VEC_TILE_ROWS][VEC_COLUMNS];
};

/* What a register tile is of: VEC_TILE_ROWS rows and two streams; as many and one; or, so that one stream fills the
 * registers too, twice as many rows and one. */
enum tile { TILE_TWO_STREAMS, TILE_ONE_STREAM, TILE_TALL };

/* Of products, over `pairs` pairs of k. The second stream's sums, or the second half of a tall tile's, are in
 * out->sums[1]. The sums are variables and not an array, since gcc 12 would store an array's elements in every step of the
 * loop. */
ALWAYS_INLINE void tile_sums(enum tile tile, const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned pairs,
                             struct exact *out) {
#define TILE_ZERO(r) vec_ints a##r = ints_zero(), b##r = a##r;
#define TILE_STEP(r)                                                                                                   \
    pair = ints_word(w + r * DECODED_STRIDE + 2 * p);                                                                  \
    a##r = ints_dot(a##r, pair, a);                                                                                    \
    if (tile == TILE_TALL)                                                                                             \
        pair = ints_word(w + (VEC_TILE_ROWS + r) * DECODED_STRIDE + 2 * p);                                            \
    if (tile != TILE_ONE_STREAM)                                                                                       \
        b##r = ints_dot(b##r, pair, b);
#define TILE_STORE(r)                                                                                                  \
    ints_store(out->sums[0][r], a##r);                                                                                 \
    if (tile != TILE_ONE_STREAM)                                                                                       \
        ints_store(out->sums[1][r], b##r);
    VEC_EACH_TILE_ROW(TILE_ZERO)
    for (unsigned p = 0; p < pairs; p++) {
        vec_ints a = ints_load(x0 + p * 2 * VEC_COLUMNS);
        vec_ints b = tile == TILE_TWO_STREAMS ? ints_load(x1 + p * 2 * VEC_COLUMNS) : a, pair;
        __builtin_prefetch((const uint8_t *)(x0 + p * 2 * VEC_COLUMNS) + TILE_AHEAD, 0, 2);
        if (tile == TILE_TWO_STREAMS)
            __builtin_prefetch((const uint8_t *)(x1 + p * 2 * VEC_COLUMNS) + TILE_AHEAD, 0, 2);
        VEC_EACH_TILE_ROW(TILE_STEP)
    }
    VEC_EACH_TILE_ROW(TILE_STORE)
#undef TILE_ZERO
#undef TILE_STEP
#undef TILE_STORE
    /* gcc would otherwise merge the conversions that follow into the loop above, and spill its sums. */
    __asm__ volatile("" : : "r"(out) : "memory");
}

/* Not inlined: with a caller's constants in registers, gcc 12 spills the sums. */
#define TILE_SUMS(name, tile)                                                                                          \
    static __attribute__((noinline)) void name(const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned pairs, \
                                               struct exact *out) {                                                    \
        tile_sums(tile, w, x0, x1, pairs, out);                                                                        \
    }
TILE_SUMS(tile_two_streams, TILE_TWO_STREAMS)
TILE_SUMS(tile_one_stream, TILE_ONE_STREAM)
TILE_SUMS(tile_tall, TILE_TALL)
#undef TILE_SUMS

#ifdef VEC_BYTES

/* The rows of a tile of bytes and two panels: a group's sums and all groups' sums are in registers. */
enum { BYTES_ROWS = VEC_TILE_ROWS / 2 };

/* BYTES_ROWS rows of quants times two panels, or twice as many rows times one, over a span of `groups` groups. The sums of
 * row r of a panel go to out[(VEC_TILE_ROWS * panel + r) * VEC_COLUMNS]. */
ALWAYS_INLINE void tile_bytes(unsigned panels, unsigned group, const uint8_t *q, const int32_t *scales,
                              const uint8_t *x0, const uint8_t *x1, unsigned groups, int32_t *out) {
    enum { ROW_BYTES = sizeof(int16_t) * DECODED_STRIDE, ROW_WORDS = ROW_BYTES / sizeof(int32_t) };
#define BYTES_ZERO(r) vec_ints a##r = ints_zero(), b##r = a##r;
#define BYTES_CLEAR(r) vec_ints c##r = ints_zero(), d##r = c##r;
#define BYTES_STEP(r)                                                                                                  \
    word = ints_word(q + r * ROW_BYTES + k);                                                                           \
    c##r = bytes_dot(c##r, x, word);                                                                                   \
    if (panels == 1)                                                                                                   \
        word = ints_word(q + (BYTES_ROWS + r) * ROW_BYTES + k);                                                        \
    d##r = bytes_dot(d##r, y, word);
#define BYTES_SCALE(r)                                                                                                 \
    word = ints_word(scales + r * ROW_WORDS + g);                                                                      \
    a##r = ints_add(a##r, ints_multiply(c##r, word));                                                                  \
    if (panels == 1)                                                                                                   \
        word = ints_word(scales + (BYTES_ROWS + r) * ROW_WORDS + g);                                                   \
    b##r = ints_add(b##r, ints_multiply(d##r, word));
#define BYTES_STORE(r)                                                                                                 \
    ints_store(out + r * VEC_COLUMNS, a##r);                                                                           \
    ints_store(out + ((panels == 2 ? VEC_TILE_ROWS : BYTES_ROWS) + r) * VEC_COLUMNS, b##r);
    VEC_EACH_BYTES_ROW(BYTES_ZERO)
    for (unsigned g = 0; g < groups; g++) {
        vec_ints word;
        VEC_EACH_BYTES_ROW(BYTES_CLEAR)
        VEC_UNROLL
        for (unsigned k = 0; k < group; k += 4) {
            vec_bytes x = vec_load(x0 + k * VEC_COLUMNS), y = panels == 2 ? vec_load(x1 + k * VEC_COLUMNS) : x;
            VEC_EACH_BYTES_ROW(BYTES_STEP)
        }
        VEC_EACH_BYTES_ROW(BYTES_SCALE)
        q += group;
        x0 += group * VEC_COLUMNS;
        x1 += group * VEC_COLUMNS;
    }
    VEC_EACH_BYTES_ROW(BYTES_STORE)
#undef BYTES_ZERO
#undef BYTES_CLEAR
#undef BYTES_STEP
#undef BYTES_SCALE
#undef BYTES_STORE
    __asm__ volatile("" : : "r"(out) : "memory");
}

#define TILE_BYTES(panels, group)                                                                                      \
    static __attribute__((noinline)) void tile_bytes_##panels##_##group(const uint8_t *q, const int32_t *scales,       \
                                                                        const uint8_t *x0, const uint8_t *x1,          \
                                                                        unsigned groups, int32_t *out) {               \
        tile_bytes(panels, group, q, scales, x0, x1, groups, out);                                                     \
    }
TILE_BYTES(1, 8)
TILE_BYTES(1, 16)
TILE_BYTES(1, 32)
TILE_BYTES(2, 8)
TILE_BYTES(2, 16)
TILE_BYTES(2, 32)
#undef TILE_BYTES

/* VEC_TILE_ROWS rows from r on and one panel or two, over the span from k. */
ALWAYS_INLINE void tile_span_bytes(const struct format *f, unsigned panels, const struct decoded *w, unsigned r,
                                   unsigned k, const uint8_t *x0, const uint8_t *x1, struct exact *out) {
    for (unsigned i = 0; i < VEC_TILE_ROWS; i += VEC_TILE_ROWS / panels) {
        const uint8_t *row = (const uint8_t *)w->products[r + i];
        const int32_t *scales = (const int32_t *)(const void *)(row + DECODED_SCALES) + k / f->group;
        (panels == 2      ? f->group == 8    ? tile_bytes_2_8
                            : f->group == 16 ? tile_bytes_2_16
                                             : tile_bytes_2_32
         : f->group == 8  ? tile_bytes_1_8
         : f->group == 16 ? tile_bytes_1_16
                          : tile_bytes_1_32)(row + k, scales, x0, x1, f->span / f->group, out->sums[0][i]);
    }
}

#endif

/* What is added for one block of a panel: factor[r] * step times the exact sums of a span, less their excess; or, for mins
 * of 1, times `total`. */
struct term {
    const struct exact *sums;
    const int32_t *excess;
    const float *total, *factor;
};

ALWAYS_INLINE vec_floats exact_floats(unsigned limbs, const struct term *term, unsigned stream, unsigned r) {
    const int32_t *first = term->sums->sums[stream][r];
    if (term->excess != NULL)
        return floats_from_difference(first, term->excess[r]);
    if (limbs == 1)
        return floats_from_ints(first);
    return floats_fma(floats_from_ints(first), floats_set(4096.0f), floats_from_ints(term->sums->sums[1][r]));
}

ALWAYS_INLINE vec_floats add_term(unsigned limbs, const struct term *term, unsigned stream, unsigned r, vec_floats step,
                                  vec_floats sum) {
    vec_floats t = term->total != NULL ? floats_load(term->total) : exact_floats(limbs, term, stream, r);
    return floats_fma(t, floats_multiply(floats_set(term->factor[r]), step), sum);
}

ALWAYS_INLINE void flush(unsigned limbs, unsigned terms, const struct term *term, unsigned stream, const float *step,
                         float *sums) {
    vec_floats s = floats_load(step);
    for (unsigned r = 0; r < VEC_TILE_ROWS; r++) {
        vec_floats sum = floats_load(sums + r * VEC_COLUMNS);
        for (unsigned i = 0; i < terms; i++)
            sum = add_term(limbs, &term[i], stream, r, s, sum);
        floats_store(sums + r * VEC_COLUMNS, sum);
    }
}

ALWAYS_INLINE void tile_products(enum tile tile, const int16_t *w, const uint8_t *x0, const uint8_t *x1, unsigned pairs,
                                 struct exact *out) {
    (tile == TILE_TALL ? tile_tall
     : tile == TILE_ONE_STREAM
         ? tile_one_stream
         : tile_two_streams)(w, (const int16_t *)(const void *)x0, (const int16_t *)(const void *)x1, pairs, out);
}

/* The exact sums of the tile's rows from r on over the span from k. */
ALWAYS_INLINE void tile_span(const struct format *f, struct form form, enum tile tile, const struct decoded *w,
                             unsigned r, unsigned k, const uint8_t *x0, const uint8_t *x1, struct exact *out) {
    const size_t offset = panel_integers_bytes(form) / BLOCK * k;
#ifdef VEC_BYTES
    if (form.bytes) {
        tile_span_bytes(f, tile == TILE_TWO_STREAMS ? 2 : 1, w, r, k, x0 + offset, x1 + offset, out);
        return;
    }
#endif
    tile_products(tile, w->products[r] + k, x0 + offset, x1 + offset, f->span / 2, out);
}

/* One block of a tile's decoded rows from r on, and of its panels: two if it is of two streams that are not one panel's
 * limbs. The sums of a panel begin at sums[panel * stride]. */
ALWAYS_INLINE void panel_block(const struct format *f, struct form form, enum tile tile, const struct decoded *w,
                               unsigned r, const uint8_t *x, float *sums, size_t stride) {
    struct exact spans, mins;
    const unsigned panels = tile == TILE_TWO_STREAMS && form.limbs == 1 ? 2 : 1;
    const unsigned halves = tile == TILE_TALL ? 2 : 1;
    const uint8_t *x1 = x + (form.limbs == 2 ? panel_limb_bytes(form) : panel_block_bytes(form));
    const float *step = (const float *)(const void *)(x + panel_limb_bytes(form) * form.limbs);
    const size_t entries = panel_integers_bytes(form), next = panel_block_bytes(form) / sizeof(float);
    if (f->min == MIN_GROUP_32)
        tile_products(tile, w->products[r] + BLOCK, x + entries, x1 + entries, MIN_ENTRIES / 2, &mins);
    for (unsigned k = 0; k < BLOCK; k += f->span) {
        tile_span(f, form, tile, w, r, k, x, x1, &spans);
        for (unsigned i = 0; i < panels * halves; i++) {
            const unsigned panel = i / halves, row = r + i % halves * VEC_TILE_ROWS;
            const float *total = f->min == MIN_BLOCK ? step + panel * next + VEC_COLUMNS : NULL;
            const struct term terms[2] = {{&spans, form.bytes ? w->excess[k / f->span] + row : NULL, NULL, w->d + row},
                                          {&mins, NULL, total, w->min_factor + row}};
            flush(form.limbs, f->min == MIN_NONE ? 1 : 2, terms, i, step + panel * next,
                  sums + panel * stride + row * VEC_COLUMNS);
        }
    }
}

/* The blocks that are decoded next, `rows` of them. */
struct ahead {
    const uint8_t *block;
    size_t stride;
    unsigned rows;
};

/* Each of `tiles` tiles fetches its share: all at once would be more than a CPU can wait for, and hold up what comes next. */
ALWAYS_INLINE void prefetch_share(const struct format *f, struct ahead *ahead, unsigned tiles) {
    for (unsigned i = 0; i < (DECODED_ROWS + tiles - 1) / tiles && ahead->rows != 0; i++) {
        prefetch_block_early(f, ahead->block);
        ahead->block += ahead->stride;
        ahead->rows--;
    }
}

/* All tiles of `rows` decoded rows and the `panels` panels at x. */
ALWAYS_INLINE void panel_tiles(const struct format *f, struct form form, const struct decoded *w, unsigned rows,
                               unsigned panels, const uint8_t *x, struct ahead ahead, float *sums, size_t stride) {
    const size_t bytes = panel_block_bytes(form);
    const unsigned pairs = form.limbs == 1 ? panels / 2 : 0;
    const unsigned tiles = rows / VEC_TILE_ROWS * (panels - pairs);
    for (unsigned i = 0; i < panels; i += i < 2 * pairs ? 2 : 1)
        for (unsigned r = 0; r < rows; r += VEC_TILE_ROWS) {
            prefetch_share(f, &ahead, tiles);
            if (i < 2 * pairs || form.limbs == 2) {
                panel_block(f, form, TILE_TWO_STREAMS, w, r, x + i * bytes, sums + i * stride, stride);
            } else if (r + 2 * VEC_TILE_ROWS <= rows && !form.bytes) {
                panel_block(f, form, TILE_TALL, w, r, x + i * bytes, sums + i * stride, stride);
                prefetch_share(f, &ahead, tiles);
                r += VEC_TILE_ROWS;
            } else {
                panel_block(f, form, TILE_ONE_STREAM, w, r, x + i * bytes, sums + i * stride, stride);
            }
        }
}

#endif
