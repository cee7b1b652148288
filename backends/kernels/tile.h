/* SPDX-License-Identifier: MIT */
/*
 * The register tiles of panels: decoded weight rows times VEC_COLUMNS batch rows or twice as many, exact sums in int32. One
 * instruction multiplies and adds a pair of a weight row's products, broadcast, with a panel's, in which pairs of k stand
 * side by side; or four quants with four activations.
 *
 * What bounds the loops: the two ports that multiply, which have an instruction in every cycle when nothing stalls; loads
 * take 14 of their 24 slots in a tile of 12 rows and two streams, and so all of them where a CPU has little more than one of
 * 64 bytes in a cycle, as Ice Lake. A tile of one stream has more loads than multiplications, which is why panels meet in pairs
 * or are split. Of bytes, each group's multiplication by its scale comes
 * on top: one in 9, 5 or 3 for groups of 32, 16 or 8. Behind the loop the sums are made floats and added where they are, in
 * registers: stored first, they would be waited for.
 */
#ifndef Q8K_KERNELS_TILE_H
#define Q8K_KERNELS_TILE_H

#include "backends/kernels/decode.h"

enum {
    /* Rows that are decoded together: few enough that what is decoded stays in the first level of caches, however many panels
     * it meets. A multiple of the rows of every tile. */
    DECODED_ROWS = 24,
    /* From one row to the next; no store crosses a line. */
    DECODED_STRIDE = ROW
};

_Static_assert(DECODED_STRIDE * sizeof(int16_t) % 64 == 0, "whole lines");

/* A block of each of some rows: products and then the entries for the mins. Where the form has bytes, the products' place is
 * taken by the quants and, from DECODED_SCALES on, the scales as int32. */
struct decoded {
    _Alignas(64) int16_t products[DECODED_ROWS][DECODED_STRIDE];
    _Alignas(16) float d[PARTS_MAX][DECODED_ROWS], min_factor[DECODED_ROWS];
    /* With bytes: what the 128 that was added to each activation makes of each span. */
    _Alignas(16) int32_t excess[SPANS_MAX][DECODED_ROWS];
};

enum { DECODED_SCALES = BLOCK };

#ifdef VEC_BYTES

/* The quants go by themselves, and of their products with the scales only what 128 makes of them: half of the sum of 256
 * times each, which is no larger than a span's sum may be, as 256 is less than an activation's limb may be. */
ALWAYS_INLINE void decode_bytes(const struct format *f, const uint8_t *const *blocks, const struct headers *h,
                                struct decoded *w, unsigned r) {
    const unsigned span = f->span > VEC_WEIGHTS ? f->span : VEC_WEIGHTS;
    for (unsigned first = 0; first < BLOCK; first += span) {
        int32_t *to = w->excess[first / f->span] + r;
        vec_ints sums[TILE_ROWS];
        VEC_UNROLL
        for (unsigned i = 0; i < TILE_ROWS; i++) {
            sums[i] = ints_zero();
            VEC_UNROLL
            for (unsigned k = first; k < first + span; k += VEC_WEIGHTS) {
                const int8_t *eight = header_scales(h, f, i, k / f->group / 8 * 8 * f->group);
                vec_bytes q = quants(f, blocks[i], k);
                vec_store((uint8_t *)w->products[r + i] + k, q);
                sums[i] = ints_add_scaled(sums[i], q, eight, f->group, k);
            }
        }
        if (f->span == 32)
            ints_store_piece_halves(to, DECODED_ROWS, sums[0], sums[1], sums[2], sums[3]);
        else
            ints_store_halves(to, sums[0], sums[1], sums[2], sums[3]);
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
    for (unsigned i = 0; i < f->parts; i++)
        four_store(w->d[i] + r, h.d[i]);
    four_store(w->min_factor + r, h.min_factor);
    decode_mins(f, &h, w->products[r] + BLOCK, DECODED_STRIDE);
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

/* What comes next: `rows` blocks that are decoded then, and the panel behind the one or two at hand. A tile fetches a line of
 * each into the second level of caches in each step of its loop (tiles of bytes, of the blocks alone). All at once would be
 * more than a CPU can wait for, and hold up what comes next; more in a step would be in the way of loads. Where vectors are
 * 64 bytes, the two tiles of DECODED_ROWS fetch a panel's two halves; where they are 32, four tiles fetch some panels more.
 * Lines are numbers and no pointers, as they may be behind the last block; the stride from the end of a block to the next
 * one's beginning may be less than 0. */
struct ahead {
    uintptr_t line, stride, panel;
    unsigned block_lines, lines, rows;
};

/* What stands `next` bytes from the blocks of `rows` rows. */
ALWAYS_INLINE struct ahead ahead_of(const struct format *f, const uint8_t *block, size_t next, size_t stride,
                                    unsigned rows) {
    /* A block that does not begin with a line has its end in one more. */
    const unsigned lines = (unsigned)(f->block_bytes + 63) / 64 + 1;
    return (struct ahead){(uintptr_t)block + next, stride - 64 * (uintptr_t)lines, 0, lines, lines, rows};
}

ALWAYS_INLINE void ahead_step(struct ahead *ahead) {
    if (ahead->rows == 0)
        return;
    __builtin_prefetch((const void *)ahead->line, 0, 2);
    ahead->line += 64;
    if (--ahead->lines == 0) {
        ahead->line += ahead->stride;
        ahead->lines = ahead->block_lines;
        ahead->rows--;
    }
}

/* What a register tile is of: VEC_TILE_ROWS rows and two streams, a panel's two limbs, two panels, or a split panel's two
 * halves; as many and one stream; or, so that one stream fills the registers too, twice as many rows and one. */
enum tile { TILE_LIMBS, TILE_PANELS, TILE_SPLIT, TILE_ONE, TILE_TALL };

/* Exact sums of a register tile, for narrow panels: of the second limb, or of the second half of the rows of a tall tile,
 * in sums[1]. */
struct exact {
    _Alignas(64) int32_t sums[2][VEC_TILE_ROWS][VEC_COLUMNS];
};

/* Where a tile's exact sums go, made floats, times factor * step: to the float sums of one panel or two, whose rows are
 * VEC_COLUMNS floats each. Of bytes, each row's excess is subtracted before. */
struct addition {
    const float *factor;
    const int32_t *excess;
    const float *step[2];
    float *sums[2];
};

ALWAYS_INLINE void floats_add_term(vec_floats t, const float *factor, vec_floats step, float *sums) {
    floats_store(sums, floats_fma(t, floats_multiply(floats_set(*factor), step), floats_load(sums)));
}

ALWAYS_INLINE vec_ints tile_load(const int16_t *x, unsigned shared) {
    return shared ? ints_load_piece(x) : ints_load(x);
}

/* Of products, in `runs` runs of `steps` steps of `words` pairs of k, with as many steps between the runs as they have; or
 * none, where a step is so long that a piece shares it with others, which are left out.
 * Panels have one pair in a step and VEC_COLUMNS batch rows side by side; split ones have two pairs of half of them and
 * then of the others; and their sums are added where `to` says. Narrow panels have several pairs of fewer batch rows, and
 * are so short that fetching ahead is left to others; their sums go to `out`. The sums are variables and not an array, since gcc 12 would store an array's elements in every step of the loop,
 * and are settled behind it, since gcc would merge what follows into it and spill them. */
ALWAYS_INLINE void tile_sums(enum tile tile, unsigned words, unsigned runs, const int16_t *w, const int16_t *x0,
                             const int16_t *x1, unsigned steps, struct ahead *ahead, const struct addition *to,
                             struct exact *out) {
#define TILE_ZERO(r) vec_ints a##r = ints_zero(), b##r = a##r;
#define TILE_STEP(r)                                                                                                   \
    pair = ints_words(w + r * DECODED_STRIDE + 2 * words * p, words);                                                  \
    a##r = ints_dot(a##r, pair, a);                                                                                    \
    if (tile == TILE_TALL)                                                                                             \
        pair = ints_words(w + (VEC_TILE_ROWS + r) * DECODED_STRIDE + 2 * words * p, words);                            \
    if (tile != TILE_ONE)                                                                                              \
        b##r = ints_dot(b##r, pair, b);
#define TILE_SETTLE(r)                                                                                                 \
    a##r = ints_settled(a##r);                                                                                         \
    if (tile != TILE_ONE)                                                                                              \
        b##r = ints_settled(b##r);
#define TILE_STORE(r)                                                                                                  \
    ints_store(out->sums[0][r], a##r);                                                                                 \
    if (tile != TILE_ONE)                                                                                              \
        ints_store(out->sums[1][r], b##r);
#define TILE_ADD(r)                                                                                                    \
    first = floats_convert(tile == TILE_SPLIT ? ints_add_neighbours(a##r, b##r) : a##r);                               \
    if (tile == TILE_LIMBS)                                                                                            \
        first = floats_fma(first, floats_set(4096.0f), floats_convert(b##r));                                          \
    floats_add_term(first, factor + r, step, sums + r * VEC_COLUMNS);                                                  \
    if (tile == TILE_PANELS)                                                                                           \
        floats_add_term(floats_convert(b##r), factor + r, other_step, other_sums + r * VEC_COLUMNS);                   \
    if (tile == TILE_TALL)                                                                                             \
        floats_add_term(floats_convert(b##r), factor + VEC_TILE_ROWS + r, step,                                        \
                        sums + (VEC_TILE_ROWS + r) * VEC_COLUMNS);
    const unsigned shared = words * runs > VEC_COLUMNS, streams = tile == TILE_ONE || tile == TILE_TALL ? 1 : 2;
    const unsigned adding = words == 1 || tile == TILE_SPLIT, step_shorts = (tile == TILE_SPLIT ? 4 : 2) * VEC_COLUMNS;
    struct ahead next = *ahead;
    VEC_EACH_TILE_ROW(TILE_ZERO)
    for (unsigned run = 0; run < runs; run++) {
        for (unsigned p = 0; p < steps; p++) {
            vec_ints a = tile_load(x0 + p * step_shorts, shared);
            vec_ints b = streams == 2 ? tile_load(x1 + p * step_shorts, shared) : a, pair;
            if (adding) {
                __builtin_prefetch((const void *)next.panel, 0, 2);
                next.panel += 64;
                ahead_step(&next);
            }
            VEC_EACH_TILE_ROW(TILE_STEP)
        }
        w += (shared ? 2u : 4u) * words * steps;
        x0 += (shared ? 1u : 2u) * step_shorts * steps;
        x1 += (shared ? 1u : 2u) * step_shorts * steps;
    }
    *ahead = next;
    VEC_EACH_TILE_ROW(TILE_SETTLE)
    if (adding) {
        const vec_floats step = floats_load(to->step[0]);
        const vec_floats other_step = tile == TILE_PANELS ? floats_load(to->step[1]) : step;
        const float *factor = to->factor;
        float *sums = to->sums[0], *other_sums = to->sums[1];
        vec_floats first;
        VEC_EACH_TILE_ROW(TILE_ADD)
    } else {
        VEC_EACH_TILE_ROW(TILE_STORE)
    }
#undef TILE_ZERO
#undef TILE_STEP
#undef TILE_SETTLE
#undef TILE_STORE
#undef TILE_ADD
}

/* Not inlined: with a caller's constants in registers, gcc 12 spills the sums. `pieces`: over 32 weights, where each step of
 * VEC_WEIGHTS has the even ones and then the odd ones. */
typedef void tile_add_function(const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned steps,
                               struct ahead *ahead, const struct addition *to);
typedef void tile_function(const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned steps, struct exact *out);

#define TILE_ADD_FUNCTION(name, tile, words)                                                                           \
    static __attribute__((noinline)) void name(const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned steps, \
                                               struct ahead *ahead, const struct addition *to) {                       \
        tile_sums(tile, words, 1, w, x0, x1, steps / words, ahead, to, NULL);                                          \
    }                                                                                                                  \
    static                                                                                                             \
        __attribute__((noinline)) void name##_pieces(const int16_t *w, const int16_t *x0, const int16_t *x1,           \
                                                     unsigned steps, struct ahead *ahead, const struct addition *to) { \
        tile_sums(tile, words, VEC_PIECES, w, x0, x1, steps / words / VEC_PIECES, ahead, to, NULL);                    \
    }
TILE_ADD_FUNCTION(tile_limbs, TILE_LIMBS, 1)
TILE_ADD_FUNCTION(tile_panels, TILE_PANELS, 1)
TILE_ADD_FUNCTION(tile_split, TILE_SPLIT, 2)
TILE_ADD_FUNCTION(tile_one, TILE_ONE, 1)
TILE_ADD_FUNCTION(tile_tall, TILE_TALL, 1)
#undef TILE_ADD_FUNCTION

ALWAYS_INLINE tile_add_function *tile_add_of(enum tile tile, unsigned pieces) {
    static tile_add_function *const functions[2][5] = {
        {tile_limbs, tile_panels, tile_split, tile_one, tile_tall},
        {tile_limbs_pieces, tile_panels_pieces, tile_split_pieces, tile_one_pieces, tile_tall_pieces}};
    return functions[pieces][tile];
}

#define TILE_FUNCTION(name, tile, words)                                                                               \
    static __attribute__((noinline)) void name##_##words(const int16_t *w, const int16_t *x0, const int16_t *x1,       \
                                                         unsigned steps, struct exact *out) {                          \
        struct ahead none = {0, 0, 0, 0, 0, 0};                                                                        \
        tile_sums(tile, words, 1, w, x0, x1, steps, &none, NULL, out);                                                 \
    }                                                                                                                  \
    static __attribute__((noinline)) void name##_pieces_##words(                                                       \
        const int16_t *w, const int16_t *x0, const int16_t *x1, unsigned steps, struct exact *out) {                   \
        struct ahead none = {0, 0, 0, 0, 0, 0};                                                                        \
        tile_sums(tile, words, VEC_PIECES, w, x0, x1, (steps + VEC_PIECES - 1) / VEC_PIECES, &none, NULL, out);        \
    }
#define TILE_FUNCTIONS(words)                                                                                          \
    TILE_FUNCTION(tile_limbs, TILE_LIMBS, words)                                                                       \
    TILE_FUNCTION(tile_one, TILE_ONE, words)                                                                           \
    TILE_FUNCTION(tile_tall, TILE_TALL, words)
VEC_EACH_WORDS(TILE_FUNCTIONS)
#undef TILE_FUNCTIONS
#undef TILE_FUNCTION

/* Of narrow panels, which never are two. */
ALWAYS_INLINE tile_function *tile_of(enum tile tile, unsigned words, unsigned pieces) {
#define TILE_ROW(words)                                                                                                \
    {{tile_limbs_##words, NULL, NULL, tile_one_##words, tile_tall_##words},                                            \
     {tile_limbs_pieces_##words, NULL, NULL, tile_one_pieces_##words, tile_tall_pieces_##words}},
#define TILE_WORDS(words) words,
    static tile_function *const functions[][2][5] = {VEC_EACH_WORDS(TILE_ROW)};
    static const unsigned widths[] = {VEC_EACH_WORDS(TILE_WORDS)};
#undef TILE_ROW
#undef TILE_WORDS
    unsigned i = 0;
    VEC_UNROLL
    while (widths[i] != words)
        i++;
    return functions[i][pieces][tile];
}

/* Where, among a block's products, those of a span from weight k on begin. */
ALWAYS_INLINE unsigned span_first(unsigned span, unsigned k) {
    return span == 32 ? k / VEC_WEIGHTS * VEC_WEIGHTS + k % VEC_WEIGHTS / 2 : k;
}

#ifdef VEC_BYTES

/* The rows of a tile of bytes and two panels: a group's sums and all groups' sums are in registers. */
enum { BYTES_ROWS = VEC_TILE_ROWS / 2 };

/* BYTES_ROWS rows of quants times two panels, or twice as many rows times one, over a span of `groups` groups. */
ALWAYS_INLINE void tile_bytes(unsigned panels, unsigned group, const uint8_t *q, const int32_t *scales,
                              const uint8_t *x0, const uint8_t *x1, unsigned groups, struct ahead *ahead,
                              const struct addition *to) {
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
#define BYTES_SETTLE(r)                                                                                                \
    a##r = ints_settled(a##r);                                                                                         \
    b##r = ints_settled(b##r);
#define BYTES_ADD(r)                                                                                                   \
    floats_add_term(floats_convert(ints_subtract(a##r, ints_word(excess + r))), factor + r, step,                      \
                    sums + r * VEC_COLUMNS);                                                                           \
    floats_add_term(floats_convert(ints_subtract(b##r, ints_word(excess + below + r))), factor + below + r,            \
                    other_step, other_sums + r * VEC_COLUMNS);
    struct ahead next = *ahead;
    VEC_EACH_BYTES_ROW(BYTES_ZERO)
    for (unsigned g = 0; g < groups; g++) {
        vec_ints word;
        VEC_EACH_BYTES_ROW(BYTES_CLEAR)
        VEC_UNROLL
        for (unsigned k = 0; k < group; k += 4) {
            vec_bytes x = vec_load(x0 + k * VEC_COLUMNS), y = panels == 2 ? vec_load(x1 + k * VEC_COLUMNS) : x;
            ahead_step(&next);
            VEC_EACH_BYTES_ROW(BYTES_STEP)
        }
        VEC_EACH_BYTES_ROW(BYTES_SCALE)
        q += group;
        x0 += group * VEC_COLUMNS;
        x1 += group * VEC_COLUMNS;
    }
    *ahead = next;
    VEC_EACH_BYTES_ROW(BYTES_SETTLE)
    const unsigned below = panels == 2 ? 0 : BYTES_ROWS;
    const vec_floats step = floats_load(to->step[0]), other_step = panels == 2 ? floats_load(to->step[1]) : step;
    const float *factor = to->factor;
    const int32_t *excess = to->excess;
    float *sums = to->sums[0], *other_sums = panels == 2 ? to->sums[1] : sums + BYTES_ROWS * VEC_COLUMNS;
    VEC_EACH_BYTES_ROW(BYTES_ADD)
#undef BYTES_ZERO
#undef BYTES_CLEAR
#undef BYTES_STEP
#undef BYTES_SCALE
#undef BYTES_SETTLE
#undef BYTES_ADD
}

#define TILE_BYTES(panels, group)                                                                                      \
    static __attribute__((noinline)) void tile_bytes_##panels##_##group(                                               \
        const uint8_t *q, const int32_t *scales, const uint8_t *x0, const uint8_t *x1, unsigned groups,                \
        struct ahead *ahead, const struct addition *to) {                                                              \
        tile_bytes(panels, group, q, scales, x0, x1, groups, ahead, to);                                               \
    }
TILE_BYTES(1, 8)
TILE_BYTES(1, 16)
TILE_BYTES(1, 32)
TILE_BYTES(2, 8)
TILE_BYTES(2, 16)
TILE_BYTES(2, 32)
#undef TILE_BYTES

#endif

#endif
