/* SPDX-License-Identifier: MIT */
/*
 * Batch rows that are too few for a panel, mostly one alone: reading the weights then takes most of the time. Four weight
 * rows are read together, from end to end. A step of each is decoded in registers, and multiplied there with the same
 * step of as many batch rows as there are registers for their sums; for further batch rows the weights are read once more.
 * A block's sums are reduced together.
 *
 * What bounds it, with one batch row and weights in the cache: the ports that multiply, shift and shuffle. Of int16, a step
 * of 64 weights takes two multiplications by scales and two for each limb, and three to five instructions that take it
 * apart. On a CPU that multiplies 512 bits a cycle (Zen 4), FLOAT's 24 multiplications for a row's block of Q4_K are 24
 * cycles; shifts and shuffles share one of the two ports, and it takes some 40. doc/performance.md tells how near others
 * come. From memory, it is the memory.
 */
#ifndef Q8K_KERNELS_VECTORS_H
#define Q8K_KERNELS_VECTORS_H

#include "backends/kernels/decode.h"

/* Room for the streams of a group, and for those of groups that are too large and never taken. */
enum { STREAMS_MAX = 8 };

/* Whether weights are fetched ahead into the first level of caches. Zen 4's and Ice Lake's has too few misses at a time for
 * their memory; Zen 5's, which SSE4A and AVX-VNNI together tell from them, has enough, and may forget what the second level is
 * asked for (doc/performance.md). An older library does not tell. */
ALWAYS_INLINE int fetches_near(const q8k_backend_product *p) {
    const uint64_t zen_5 = Q8K_CPU_BIT(Q8K_CPU_SSE4A) | Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI);
    return p->size >= sizeof *p && (p->cpu_features & zen_5) == zen_5;
}

/* What is fetched ahead are the next four rows: the CPU foresees the end of a row no better than the beginning of another.
 * Into the first level, from end to end, four blocks' bytes while a block of each of these rows is multiplied, since a
 * memory gives what is in order faster than what is in four places: `near` is the first block, of which the others are
 * `row` bytes apart, and `step` what it grows by. Into the second level, each row's next one: `far` bytes on. What is not to
 * be fetched is the block itself, which is there. */
struct fetch {
    uintptr_t near;
    size_t step, row, far;
};

static struct fetch fetch_next(const struct format *f, const q8k_backend_product *p) {
    const size_t four = TILE_ROWS * p->weights_stride;
    if (fetches_near(p))
        return (struct fetch){four, four / p->blocks, f->block_bytes, 0};
    return (struct fetch){0, f->block_bytes, p->weights_stride, four};
}

/* Step k of row r's block fetches its share of the lines: those of four blocks at once would be more than a CPU can wait
 * for. All steps have two lines each at most, of which no block has more. No loop: clang may find it too late to unroll
 * it. */
ALWAYS_INLINE void vectors_ahead(const struct format *f, const struct fetch *fetch, const uint8_t *block, unsigned r,
                                 unsigned k) {
    const unsigned first = k / VEC_WEIGHTS * 64, second = first + BLOCK / VEC_WEIGHTS * 64;
    const uintptr_t near = fetch->near + r * fetch->row, far = (uintptr_t)block + fetch->far;
    if (first < f->block_bytes) {
        __builtin_prefetch((const void *)(near + first), 0, 3);
        __builtin_prefetch((const void *)(far + first), 0, 2);
    }
    if (second < f->block_bytes) {
        __builtin_prefetch((const void *)(near + second), 0, 3);
        __builtin_prefetch((const void *)(far + second), 0, 2);
    }
}

/* Both halves of a stream's step, for the four rows. */
ALWAYS_INLINE vec_pair vectors_limb(const int16_t *x) {
    return (vec_pair){vec_keep(ints_load(x)), vec_keep(ints_load(x + VEC_SHORTS))};
}

ALWAYS_INLINE vec_ints pair_dot(vec_ints sum, vec_pair w, vec_pair x) {
    return ints_dot(ints_dot(sum, w.first, x.first), w.second, x.second);
}

/* The terms of a step in which each 32 weights are a span. */
ALWAYS_INLINE void vectors_pieces(const struct format *f, struct form form, unsigned batch,
                                  const uint8_t *const *blocks, const struct fetch *fetch, const struct headers *h,
                                  const int16_t *const *limbs, unsigned k, const struct activations *x,
                                  vec_four *sums) {
    const unsigned streams = batch * form.limbs;
    vec_ints dots[STREAMS_MAX][TILE_ROWS];
    vec_pair step[STREAMS_MAX];
    vec_four t[VEC_PIECES][STREAMS_MAX];
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        step[s] = vectors_limb(limbs[s] + k);
    VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++) {
        vec_pair w = scaled_quants(f, blocks[r], h, r, k);
        vectors_ahead(f, fetch, blocks[r], r, k);
        VEC_UNROLL
        for (unsigned s = 0; s < streams; s++)
            dots[s][r] = pair_dot(ints_zero(), w, step[s]);
    }
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++) {
        vec_four pieces[VEC_PIECES];
        ints_pieces(dots[s][0], dots[s][1], dots[s][2], dots[s][3], pieces);
        for (unsigned i = 0; i < VEC_PIECES; i++)
            t[i][s] = pieces[i];
    }
    for (unsigned i = 0; i < VEC_PIECES; i++) {
        const vec_four d = h->d[format_part(f, k + 32 * i)];
        VEC_UNROLL
        for (unsigned b = 0; b < batch; b++)
            sums[b] = four_fma(limbs_join(form, t[i], b), four_multiply(d, four_set(x[b].step)), sums[b]);
    }
}

/* The floats of the four rows' exact sums with each stream, over the span from `first`. */
ALWAYS_INLINE void vectors_span(const struct format *f, unsigned streams, const uint8_t *const *blocks,
                                const struct fetch *fetch, const struct headers *h, const int16_t *const *x,
                                unsigned first, vec_four *out) {
    vec_ints sums[STREAMS_MAX][TILE_ROWS];
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++)
        sums[s][r] = ints_zero();
    VEC_UNROLL
    for (unsigned k = first; k < first + f->span; k += VEC_WEIGHTS) {
        vec_pair step[STREAMS_MAX];
        VEC_UNROLL
        for (unsigned s = 0; s < streams; s++)
            step[s] = vectors_limb(x[s] + k);
        VEC_UNROLL
        for (unsigned r = 0; r < TILE_ROWS; r++) {
            vec_pair w = scaled_quants(f, blocks[r], h, r, k);
            vectors_ahead(f, fetch, blocks[r], r, k);
            VEC_UNROLL
            for (unsigned s = 0; s < streams; s++)
                sums[s][r] = pair_dot(sums[s][r], w, step[s]);
        }
    }
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        out[s] = ints_four(sums[s][0], sums[s][1], sums[s][2], sums[s][3]);
}

#ifdef VEC_BYTES

/* The same where stored quants have no sign, whose bytes are multiplied before the scales are. What is to be subtracted from
 * the quants is subtracted from each four products, for all rows alike. */
ALWAYS_INLINE void vectors_bytes(const struct format *f, unsigned streams, const uint8_t *const *blocks,
                                 const struct fetch *fetch, const struct headers *h, const struct activations *x,
                                 unsigned first, vec_four *out) {
    vec_ints sums[STREAMS_MAX][TILE_ROWS];
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++)
        sums[s][r] = ints_zero();
    VEC_UNROLL
    for (unsigned k = first; k < first + f->span; k += VEC_WEIGHTS) {
        vec_bytes step[STREAMS_MAX];
        vec_ints start[STREAMS_MAX];
        VEC_UNROLL
        for (unsigned s = 0; s < streams; s++) {
            step[s] = vec_keep(vec_load(x[s].bytes + k));
            start[s] = f->offset == 0 ? ints_zero() : ints_negate(bytes_dot(ints_zero(), vec_set(f->offset), step[s]));
        }
        VEC_UNROLL
        for (unsigned r = 0; r < TILE_ROWS; r++) {
            vec_bytes q = f->quants(blocks[r], k);
            vectors_ahead(f, fetch, blocks[r], r, k);
            vec_ints scales = f->signs == QUANTS_UNSIGNED
                                  ? ints_scales(header_scales(h, f, r, k / f->group / 8 * 8 * f->group), f->group, k)
                                  : ints_scales_signed(h->scales[0][r], f->group, k);
            VEC_UNROLL
            for (unsigned s = 0; s < streams; s++)
                sums[s][r] = ints_dot(sums[s][r], bytes_dot(start[s], q, step[s]), scales);
        }
    }
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        out[s] = ints_four(sums[s][0], sums[s][1], sums[s][2], sums[s][3]);
}

#endif

/* Adds the terms of one block of four rows. */
ALWAYS_INLINE void vectors_block(const struct format *f, struct form form, unsigned batch, const uint8_t *const *blocks,
                                 const struct fetch *fetch, const struct headers *h, const struct activations *x,
                                 vec_four *sums) {
    const unsigned streams = batch * form.limbs;
    const int16_t *limbs[STREAMS_MAX];
    vec_four t[STREAMS_MAX];
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        limbs[s] = (const int16_t *)(const void *)(x[s / form.limbs].limbs + s % form.limbs * limb_bytes(form));
    if (f->span == 32) {
        VEC_UNROLL
        for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
            vectors_pieces(f, form, batch, blocks, fetch, h, limbs, k, x, sums);
        return;
    }
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += f->span) {
#ifdef VEC_BYTES
        if (form.bytes && (f->signs == QUANTS_UNSIGNED || f->offset != 0))
            vectors_bytes(f, streams, blocks, fetch, h, x, k, t);
        else
#endif
            vectors_span(f, streams, blocks, fetch, h, limbs, k, t);
        VEC_UNROLL
        for (unsigned b = 0; b < batch; b++)
            sums[b] =
                four_fma(limbs_join(form, t, b), four_multiply(h->d[format_part(f, k)], four_set(x[b].step)), sums[b]);
    }
    for (unsigned s = 0; s < streams && format_entries(f) != 0; s++) {
        const int16_t *entries = x[s / form.limbs].entries + s % form.limbs * MIN_ENTRIES_16;
        t[s] = f->min == MIN_GROUP_32 ? quad_min_sums(h->fields, entries) : quad_min_sums_16(h->fields, entries);
    }
    for (unsigned b = 0; b < batch && f->min != MIN_NONE; b++)
        sums[b] = four_fma(f->min == MIN_BLOCK ? four_set(x[b].total) : limbs_join(form, t, b),
                           four_multiply(h->min_factor, four_set(x[b].step)), sums[b]);
}

/* Adds the terms of one block of four rows and `batch` batch rows, whose blocks at `prepared` are `stride` apart. */
ALWAYS_INLINE void vectors_group(const struct format *f, struct form form, unsigned batch, const uint8_t *const *blocks,
                                 const struct fetch *fetch, const struct headers *h, const uint8_t *prepared,
                                 size_t stride, vec_four *sums) {
    struct activations x[STREAMS_MAX];
    VEC_UNROLL
    for (unsigned b = 0; b < batch; b++)
        x[b] = prepared_block(prepared + b * stride, form);
    vectors_block(f, form, batch, blocks, fetch, h, x, sums);
}

/* Four rows, `count` blocks of each from end to end, with `batch` batch rows; out[b] are the sums with batch row b.
 * The headers of the next blocks are taken apart while this one's are multiplied: what they take is mostly waiting. */
ALWAYS_INLINE void vectors_rows(const struct format *f, struct form form, unsigned batch, const uint8_t *const *rows,
                                size_t count, struct fetch fetch, const uint8_t *prepared, float (*out)[TILE_ROWS]) {
    const size_t bytes = prepared_block_bytes(form);
    struct headers headers[2];
    vec_four sums[STREAMS_MAX];
    VEC_UNROLL
    for (unsigned b = 0; b < batch; b++)
        sums[b] = four_set(0);
    f->headers(rows, &headers[0]);
    fetch.near += (uintptr_t)rows[0];
    for (size_t i = 0, at = 0; i < count; i++, fetch.near += fetch.step) {
        const size_t next = i + 1 < count ? at + f->block_bytes : at;
        const uint8_t *blocks[TILE_ROWS], *following[TILE_ROWS];
        VEC_UNROLL
        for (unsigned r = 0; r < TILE_ROWS; r++) {
            blocks[r] = rows[r] + at;
            following[r] = rows[r] + next;
        }
        f->headers(following, &headers[(i + 1) % 2]);
        vectors_group(f, form, batch, blocks, &fetch, &headers[i % 2], prepared + i * bytes, count * bytes, sums);
        at = next;
    }
    VEC_UNROLL
    for (unsigned b = 0; b < batch; b++)
        four_store(out[b], sums[b]);
}

/* The batch rows are taken in groups, of which the weights are read once more each. */
ALWAYS_INLINE void vectors_groups(const struct format *f, struct form form, unsigned batch, const uint8_t *const *rows,
                                  size_t count, struct fetch fetch, const uint8_t *prepared, float (*out)[TILE_ROWS]) {
    const unsigned group = VEC_STREAMS / form.limbs, most = rows_most(form);
    const size_t stride = group * count * prepared_block_bytes(form);
    for (; group <= most && batch >= group; batch -= group, prepared += stride, out += group)
        vectors_rows(f, form, group, rows, count, fetch, prepared, out);
    if (group > 3 && batch == 3)
        vectors_rows(f, form, 3, rows, count, fetch, prepared, out);
    else if (group > 2 && batch == 2)
        vectors_rows(f, form, 2, rows, count, fetch, prepared, out);
    else if (group > 1 && batch == 1)
        vectors_rows(f, form, 1, rows, count, fetch, prepared, out);
}

/* `count` weight rows from `first` on with `batch` batch rows from `b` on, both counted from the product's first. Missing rows
 * of the last four are the last one again. */
ALWAYS_INLINE void vectors_product(const struct format *f, struct form form, const q8k_backend_product *p, size_t first,
                                   size_t count, size_t b, unsigned batch) {
    const struct fetch fetch = fetch_next(f, p);
    const uint8_t *prepared = prepared_row(p->prepared, form, p->batch, p->blocks, p->batch_first + b);
    for (size_t row = first; row < first + count; row += TILE_ROWS) {
        size_t rows = first + count - row < TILE_ROWS ? first + count - row : TILE_ROWS;
        const uint8_t *four[TILE_ROWS];
        float sums[VEC_COLUMNS][TILE_ROWS];
        tile_blocks(p->weights, p->weights_stride, first + count, row, four);
        vectors_groups(f, form, batch, four, p->blocks, fetch, prepared, sums);
        for (unsigned i = 0; i < batch; i++)
            memcpy(p->output + (b + i) * p->output_stride + row, sums[i], rows * sizeof(float));
    }
}

/* A format's, by itself: in registers, what else a product keeps would be in the way. */
typedef void vectors_function(const q8k_backend_product *p, size_t first, size_t count, size_t b, unsigned batch);

#endif
