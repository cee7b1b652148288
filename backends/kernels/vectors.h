/* SPDX-License-Identifier: MIT */
/*
 * Batch rows that are too few for a panel, mostly one alone: reading the weights then takes most of the time. Four weight
 * rows are read together, from end to end. A step of each is decoded in registers, and multiplied there with the same
 * step of as many batch rows as there are registers for their sums; for further batch rows it is decoded once more. A
 * block's sums are reduced together.
 *
 * What bounds it, with one batch row and weights in the cache: the ports that multiply. Of int16, a step of 64 weights takes
 * two multiplications by scales and two for each limb; unpacking goes on beside them. doc/performance.md tells how near it comes. From memory, it is the memory.
 */
#ifndef Q8K_KERNELS_VECTORS_H
#define Q8K_KERNELS_VECTORS_H

#include "backends/kernels/decode.h"

/* Room for the streams of a group, and for those of groups that are too large and never taken. */
enum { STREAMS_MAX = 8 };

/* Step k of a block fetches its share of the lines of another one, `far` bytes on: those of four blocks at once would be
 * more than a CPU can wait for. All steps have two lines each at most, of which no block has more. No loop: clang may find
 * it too late to unroll it. */
ALWAYS_INLINE void vectors_ahead(const struct format *f, const uint8_t *block, size_t far, unsigned k) {
    const unsigned first = k / VEC_WEIGHTS * 64, second = first + BLOCK / VEC_WEIGHTS * 64;
    if (first < f->block_bytes)
        __builtin_prefetch((const void *)((uintptr_t)block + far + first));
    if (second < f->block_bytes)
        __builtin_prefetch((const void *)((uintptr_t)block + far + second));
}

/* The terms of a step in which each 32 weights are a span. */
ALWAYS_INLINE void vectors_pieces(const struct format *f, struct form form, unsigned batch,
                                  const uint8_t *const *blocks, size_t far, const struct headers *h,
                                  const int16_t *const *limbs, unsigned k, const struct activations *x,
                                  vec_four *sums) {
    const unsigned streams = batch * form.limbs;
    vec_ints dots[STREAMS_MAX][TILE_ROWS];
    vec_four t[VEC_PIECES][STREAMS_MAX];
    VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++) {
        vec_pair w = scaled_quants(f, blocks[r], h, r, k);
        vectors_ahead(f, blocks[r], far, k);
        VEC_UNROLL
        for (unsigned s = 0; s < streams; s++) {
            dots[s][r] = ints_dot(ints_zero(), w.first, ints_load(limbs[s] + k));
            dots[s][r] = ints_dot(dots[s][r], w.second, ints_load(limbs[s] + k + VEC_SHORTS));
        }
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
ALWAYS_INLINE void vectors_span(const struct format *f, unsigned streams, const uint8_t *const *blocks, size_t far,
                                const struct headers *h, const int16_t *const *x, unsigned first, vec_four *out) {
    vec_ints sums[STREAMS_MAX][TILE_ROWS];
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++)
        sums[s][r] = ints_zero();
    VEC_UNROLL
    for (unsigned k = first; k < first + f->span; k += VEC_WEIGHTS)
        VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++) {
        vec_pair w = scaled_quants(f, blocks[r], h, r, k);
        vectors_ahead(f, blocks[r], far, k);
        VEC_UNROLL
        for (unsigned s = 0; s < streams; s++) {
            sums[s][r] = ints_dot(sums[s][r], w.first, ints_load(x[s] + k));
            sums[s][r] = ints_dot(sums[s][r], w.second, ints_load(x[s] + k + VEC_SHORTS));
        }
    }
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        out[s] = ints_four(sums[s][0], sums[s][1], sums[s][2], sums[s][3]);
}

#ifdef VEC_BYTES

/* The same for a whole block of quants without sign, whose bytes are multiplied before the scales are. */
ALWAYS_INLINE void vectors_bytes(const struct format *f, unsigned streams, const uint8_t *const *blocks, size_t far,
                                 const struct headers *h, const struct activations *x, vec_four *out) {
    vec_ints sums[STREAMS_MAX][TILE_ROWS];
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++)
        sums[s][r] = ints_zero();
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
        VEC_UNROLL
    for (unsigned r = 0; r < TILE_ROWS; r++) {
        vec_bytes q = f->quants(blocks[r], k);
        vectors_ahead(f, blocks[r], far, k);
        vec_ints scales = ints_scales(header_scales(h, f, r, k / f->group / 8 * 8 * f->group), f->group, k);
        VEC_UNROLL
        for (unsigned s = 0; s < streams; s++)
            sums[s][r] = ints_dot(sums[s][r], bytes_dot(ints_zero(), q, vec_load(x[s].bytes + k)), scales);
    }
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        out[s] = ints_four(sums[s][0], sums[s][1], sums[s][2], sums[s][3]);
}

#endif

/* Adds the terms of one block of four rows. */
ALWAYS_INLINE void vectors_block(const struct format *f, struct form form, unsigned batch, const uint8_t *const *blocks,
                                 size_t far, const struct activations *x, vec_four *sums) {
    const unsigned streams = batch * form.limbs;
    const int16_t *limbs[STREAMS_MAX];
    vec_four t[STREAMS_MAX];
    struct headers h;
    f->headers(blocks, &h);
    VEC_UNROLL
    for (unsigned s = 0; s < streams; s++)
        limbs[s] = (const int16_t *)(const void *)(x[s / form.limbs].limbs + s % form.limbs * limb_bytes(form));
    if (f->span == 32) {
        VEC_UNROLL
        for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
            vectors_pieces(f, form, batch, blocks, far, &h, limbs, k, x, sums);
        return;
    }
    VEC_UNROLL
    for (unsigned k = 0; k < BLOCK; k += f->span) {
#ifdef VEC_BYTES
        if (form.bytes && f->signs == QUANTS_UNSIGNED)
            vectors_bytes(f, streams, blocks, far, &h, x, t);
        else
#endif
            vectors_span(f, streams, blocks, far, &h, limbs, k, t);
        VEC_UNROLL
        for (unsigned b = 0; b < batch; b++)
            sums[b] =
                four_fma(limbs_join(form, t, b), four_multiply(h.d[format_part(f, k)], four_set(x[b].step)), sums[b]);
    }
    for (unsigned s = 0; s < streams && format_entries(f) != 0; s++) {
        const int16_t *entries = x[s / form.limbs].entries + s % form.limbs * MIN_ENTRIES_16;
        t[s] = f->min == MIN_GROUP_32 ? quad_min_sums(h.fields, entries) : quad_min_sums_16(h.fields, entries);
    }
    for (unsigned b = 0; b < batch && f->min != MIN_NONE; b++)
        sums[b] = four_fma(f->min == MIN_BLOCK ? four_set(x[b].total) : limbs_join(form, t, b),
                           four_multiply(h.min_factor, four_set(x[b].step)), sums[b]);
}

/* Adds the terms of one block of four rows and `batch` batch rows, whose blocks at `prepared` are `stride` apart. */
ALWAYS_INLINE void vectors_group(const struct format *f, struct form form, unsigned batch, const uint8_t *const *blocks,
                                 size_t far, const uint8_t *prepared, size_t stride, vec_four *sums) {
    struct activations x[STREAMS_MAX];
    VEC_UNROLL
    for (unsigned b = 0; b < batch; b++)
        x[b] = prepared_block(prepared + b * stride, form);
    vectors_block(f, form, batch, blocks, far, x, sums);
}

ALWAYS_INLINE void vectors_groups(const struct format *f, struct form form, unsigned batch,
                                  const uint8_t *const *blocks, size_t far, const uint8_t *prepared, size_t stride,
                                  vec_four *sums) {
    const unsigned group = VEC_STREAMS / form.limbs, most = (form.bytes ? BYTES_LEAST : PANELS_LEAST) - 1;
    for (; group <= most && batch >= group; batch -= group, prepared += group * stride, sums += group)
        vectors_group(f, form, group, blocks, far, prepared, stride, sums);
    if (group > 3 && batch == 3)
        vectors_group(f, form, 3, blocks, far, prepared, stride, sums);
    else if (group > 2 && batch == 2)
        vectors_group(f, form, 2, blocks, far, prepared, stride, sums);
    else if (group > 1 && batch == 1)
        vectors_group(f, form, 1, blocks, far, prepared, stride, sums);
}

/* `count` weight rows from `first` on with `batch` batch rows from `b` on, both counted from the product's first. Missing rows
 * of the last four are the last one again. */
ALWAYS_INLINE void vectors_product(const struct format *f, struct form form, const q8k_backend_product *p, size_t first,
                                   size_t count, size_t b, unsigned batch) {
    const size_t bytes = prepared_block_bytes(form);
    /* The next four rows: the CPU foresees the end of a row no better than the beginning of another. */
    const size_t far = TILE_ROWS * p->weights_stride;
    const uint8_t *prepared = prepared_row(p->prepared, form, p->batch, p->blocks, p->batch_first + b);
    for (size_t row = first; row < first + count; row += TILE_ROWS) {
        size_t rows = first + count - row < TILE_ROWS ? first + count - row : TILE_ROWS;
        const uint8_t *blocks[TILE_ROWS];
        vec_four sums[BYTES_LEAST];
        tile_blocks(p->weights, p->weights_stride, first + count, row, blocks);
        for (unsigned i = 0; i < batch; i++)
            sums[i] = four_set(0);
        for (size_t i = 0; i < p->blocks; i++) {
            vectors_groups(f, form, batch, blocks, far, prepared + i * bytes, p->blocks * bytes, sums);
            for (unsigned r = 0; r < TILE_ROWS; r++)
                blocks[r] += f->block_bytes;
        }
        for (unsigned i = 0; i < batch; i++) {
            float four[TILE_ROWS];
            four_store(four, sums[i]);
            memcpy(p->output + (b + i) * p->output_stride + row, four, rows * sizeof(float));
        }
    }
}

#endif
