/* SPDX-License-Identifier: MIT */
/*
 * Activations to integers: the form in which matmul.h takes them. One block of one batch row becomes
 *
 *     limbs     FLOAT: hi and lo, X = 4096 * hi + lo; HALF and BYTE: X. Each has 256 integers in the order of the weights.
 *               Where the vocabulary multiplies int16, the integers are int16; where it multiplies int8, they are digits
 *               of base 128, the upper ones first
 *     entries   for each limb, what meets the mins: MIN_ENTRIES_16 of int16 (see below)
 *     step      what the integers count, a float; NaN if an activation is not finite
 *     total     the integers' sum, made a float as a span's sum is: what a min of 1 meets
 *     bytes     only BYTE where VEC_BYTES is defined: X once more, as int8 in the weights' own order
 *
 * Blocks of a batch row follow one another, batch rows follow one another.
 *
 * The min term is one more step of the same dot product. The sum S of a limb over a group of 32 does not fit int16, but
 * its two digits S = 256 * a + b with 0 <= b < 256 do, and so does 256 * min: the weights' side of the step is {256 *
 * min[8], min[8]}, the activations' side {a[8], b[8]}, and their dot product is the sum of min * S, exactly.
 *
 * Where groups of 16 have mins, the even ones meet the same digits, as if each were that of 32 weights, and the odd
 * groups what their own is more or less than that. Their sums are those of the third and of the last eight of each 32
 * activations, c and e, which fit int16: behind {a[8], b[8]} stand {c[8], e[8]}, and meet {odd - even[8], odd - even[8]}.
 */
#ifndef Q8K_KERNELS_PREPARE_H
#define Q8K_KERNELS_PREPARE_H

#include <q8k/backend.h>

#include "backends/formats/formats.h"

#ifndef VEC_LIMB_DIGITS
/* The vocabulary multiplies int16. */
enum { VEC_LIMB_DIGITS = 0, VEC_BYTE_DIGITS = 0 };
#endif

/* Entries that meet the mins of groups of 32, and of 16: all. */
enum {
    MIN_GROUPS = BLOCK / 32,
    MIN_ENTRIES_32 = 2 * MIN_GROUPS,
    MIN_ENTRIES_16 = 4 * MIN_GROUPS,
    ROW = BLOCK + MIN_ENTRIES_16
};

/* How a precision's activations are kept: in how many limbs, each of them in how many digits (0: as int16), and whether
 * also as bytes. */
struct form {
    unsigned limbs, digits, bytes;
};

struct activations {
    const uint8_t *limbs;
    const int16_t *entries;
    const uint8_t *bytes;
    float step, total;
};

ALWAYS_INLINE struct form form_of(q8k_precision precision) {
    struct form form = {precision == Q8K_PRECISION_FLOAT ? 2 : 1,
                        precision == Q8K_PRECISION_BYTE ? VEC_BYTE_DIGITS : VEC_LIMB_DIGITS, 0};
#ifdef VEC_BYTES
    form.bytes = precision == Q8K_PRECISION_BYTE;
#endif
    return form;
}

ALWAYS_INLINE int form_differs(struct form a, struct form b) {
    return a.limbs != b.limbs || a.digits != b.digits || a.bytes != b.bytes;
}

ALWAYS_INLINE size_t limb_bytes(struct form form) {
    return (form.digits != 0 ? form.digits : sizeof(int16_t)) * BLOCK;
}

/* Where in a block the entries begin, where the step is, and where the bytes begin. All but the step are at multiples of
 * 32, and limbs at multiples of 64. */
ALWAYS_INLINE size_t entries_offset(struct form form) {
    return limb_bytes(form) * form.limbs;
}

ALWAYS_INLINE size_t step_offset(struct form form) {
    return entries_offset(form) + sizeof(int16_t) * MIN_ENTRIES_16 * form.limbs;
}

ALWAYS_INLINE size_t bytes_offset(struct form form) {
    return (step_offset(form) + 2 * sizeof(float) + 63) / 64 * 64;
}

ALWAYS_INLINE size_t prepared_block_bytes(struct form form) {
    return bytes_offset(form) + form.bytes * BLOCK;
}

enum { PREPARED_BLOCK_MAX = sizeof(int16_t) * ROW * 2 + 64 };

ALWAYS_INLINE struct activations prepared_block(const uint8_t *prepared, struct form form) {
    struct activations x;
    x.limbs = prepared;
    x.entries = (const int16_t *)(const void *)(prepared + entries_offset(form));
    x.bytes = prepared + bytes_offset(form);
    memcpy(&x.step, prepared + step_offset(form), sizeof x.step);
    memcpy(&x.total, prepared + step_offset(form) + sizeof x.step, sizeof x.total);
    return x;
}

static inline uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float power_of_two(int exponent) {
    uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* FLOAT and HALF: the step is a power of two, so that x / step is exact before it is rounded. */
static inline float integers_by_power(const float *input, float largest, int bits, float limit, int32_t *X) {
    int exponent = (int)(float_bits(largest) >> 23) - 126 - bits;
    if (exponent < -126)
        exponent = -126;
    if ((float)vec_round(largest * power_of_two(-exponent)) > limit)
        exponent++;
    vec_round_all(input, power_of_two(-exponent), X);
    return power_of_two(exponent);
}

static inline float integers_by_127(const float *input, float largest, int32_t *X) {
    float step = largest / 127.0f;
    if (step < 0x1p-126f)
        step = 0x1p-126f;
    vec_round_all(input, 1.0f / step, X);
    for (unsigned k = 0; k < BLOCK; k++)
        X[k] = X[k] > 127 ? 127 : X[k] < -127 ? -127 : X[k];
    return step;
}

/* The integers of one block and their step. */
static inline float block_integers(q8k_precision precision, const float *input, int32_t X[BLOCK]) {
    uint32_t magnitude = 0;
    for (unsigned k = 0; k < BLOCK; k++) {
        uint32_t bits = float_bits(input[k]) & 0x7fffffffu;
        magnitude = bits > magnitude ? bits : magnitude;
    }
    if (magnitude == 0 || magnitude >= 0x7f800000u) {
        memset(X, 0, BLOCK * sizeof *X);
        return magnitude == 0 ? 1.0f : __builtin_nanf("");
    }
    float largest;
    memcpy(&largest, &magnitude, sizeof largest);
    if (precision == Q8K_PRECISION_FLOAT)
        return integers_by_power(input, largest, 24, 16775167.0f, X);
    if (precision == Q8K_PRECISION_HALF)
        return integers_by_power(input, largest, 12, 4095.0f, X);
    return integers_by_127(input, largest, X);
}

/* The float of an exact sum; of two limbs, the first counts 4096. */
static inline float limbs_to_float(unsigned limbs, int32_t first, int32_t second) {
    return limbs == 2 ? vec_fma((float)first, 4096.0f, (float)second) : (float)first;
}

static inline int32_t sum_of_eight(const int32_t *limb) {
    int32_t sum = 0;
    for (unsigned i = 0; i < 8; i++)
        sum += limb[i];
    return sum;
}

/* Writes the min entries of one limb and returns its sum. */
static inline int32_t min_entries(const int32_t limb[BLOCK], int16_t *entries) {
    int32_t total = 0;
    for (unsigned g = 0; g < MIN_GROUPS; g++) {
        const int32_t *of = limb + 32 * g;
        int32_t third = sum_of_eight(of + 16), last = sum_of_eight(of + 24);
        int32_t sum = sum_of_eight(of) + sum_of_eight(of + 8) + third + last;
        entries[g] = (int16_t)(sum >> 8);
        entries[MIN_GROUPS + g] = (int16_t)(sum & 255);
        entries[2 * MIN_GROUPS + g] = (int16_t)third;
        entries[3 * MIN_GROUPS + g] = (int16_t)last;
        total += sum;
    }
    return total;
}

/* The integers of a limb as digits: both of them from -64 to 63, but the upper one of 4095, which is 32. */
static inline void store_digits(const int32_t limb[BLOCK], unsigned digits, uint8_t *to) {
    for (unsigned k = 0; k < BLOCK && digits == 1; k++)
        to[k] = (uint8_t)limb[k];
    for (unsigned k = 0; k < BLOCK && digits == 2; k++) {
        int32_t high = (limb[k] + 64) >> 7;
        to[k] = (uint8_t)high;
        to[BLOCK + k] = (uint8_t)(limb[k] - 128 * high);
    }
}

/* Writes one limb and returns its sum. */
static inline int32_t store_limb(const int32_t integers[BLOCK], struct form form, unsigned limb, uint8_t *prepared) {
    uint8_t *to = prepared + limb * limb_bytes(form);
    if (form.digits != 0)
        store_digits(integers, form.digits, to);
    else
        for (unsigned k = 0; k < BLOCK; k += VEC_WEIGHTS)
            vec_limb((int16_t *)(void *)to + k, integers + k);
    return min_entries(integers, (int16_t *)(void *)(prepared + entries_offset(form)) + limb * MIN_ENTRIES_16);
}

static inline void prepare_block(q8k_precision precision, const float *input, uint8_t *prepared) {
    _Alignas(64) int32_t X[BLOCK], high[BLOCK];
    struct form form = form_of(precision);
    float step = block_integers(precision, input, X);
    int32_t first = 0;
    if (form.limbs == 2) {
        for (unsigned k = 0; k < BLOCK; k++) {
            high[k] = (X[k] + 2048) >> 12;
            X[k] -= 4096 * high[k];
        }
        first = store_limb(high, form, 0, prepared);
    }
    int32_t last = store_limb(X, form, form.limbs - 1, prepared);
    float total = limbs_to_float(form.limbs, form.limbs == 2 ? first : last, last);
    memcpy(prepared + step_offset(form), &step, sizeof step);
    memcpy(prepared + step_offset(form) + sizeof step, &total, sizeof total);
    if (form.bytes)
        store_digits(X, 1, prepared + bytes_offset(form));
}

#ifdef VEC_TILE_ROWS

/* Batch rows go by panels of VEC_COLUMNS each. What these leave over goes by narrow ones of half as many, a quarter as many
 * and so on down to one, where three go as four, since two narrow panels take longer than one that has a zero; or, if it
 * is most of a panel, as one with zeros. Bytes have no narrow panels: what is left over are rows, whose weights are decoded
 * in registers, or a panel with zeros. The numbers from which one takes less time than the other were measured with Q4_K
 * and Q6_K (doc/performance.md, "Every batch size"), since activations are prepared for all formats alike; behind whole
 * panels, for which the weights are decoded anyway, they are smaller. */

/* Smaller batches are rows: two readings of the weights, or three rows, take less time than decoding them for panels. */
ALWAYS_INLINE unsigned panels_least(struct form form) {
    const unsigned twice = 2 * VEC_STREAMS / form.limbs;
    return twice > 4 ? twice : 4;
}

/* The most batch rows that are rows where there are bytes: without whole panels, and behind them. */
enum { BYTES_ROWS_ALONE = VEC_COLUMNS / 2 + 1, BYTES_ROWS_BEHIND = VEC_COLUMNS / 4 };

ALWAYS_INLINE unsigned rows_most(struct form form) {
    return form.bytes ? BYTES_ROWS_ALONE : panels_least(form) - 1;
}

/* A block of a panel. Of each limb, its integers and then its entries for the mins: words of two int16, or of four bytes
 * where the form has them, of which those of VEC_COLUMNS batch rows stand side by side, unless the panel is split. Bytes are
 * X + 128, without sign. */
ALWAYS_INLINE size_t panel_integers_bytes(struct form form) {
    return (form.bytes ? 1 : sizeof(int16_t)) * BLOCK * VEC_COLUMNS;
}

ALWAYS_INLINE size_t panel_limb_bytes(struct form form) {
    return panel_integers_bytes(form) + sizeof(int16_t) * MIN_ENTRIES_16 * VEC_COLUMNS;
}

/* After the limbs, VEC_COLUMNS steps and as many totals. */
ALWAYS_INLINE size_t panel_block_bytes(struct form form) {
    return panel_limb_bytes(form) * form.limbs + 2 * sizeof(float) * VEC_COLUMNS;
}

/* A narrow panel is of words of two int16. Those of one batch row that a vector holds stand side by side. Steps and totals
 * are as kernels/narrow.h adds them: for each of its vectors, VEC_COLUMNS steps and as many totals. */
ALWAYS_INLINE unsigned narrow_words(unsigned columns) {
    return VEC_COLUMNS / columns;
}

/* A vector of sums has four rows of VEC_COLUMNS / 4 batch rows. */
ALWAYS_INLINE unsigned narrow_vectors(unsigned columns) {
    return columns > VEC_COLUMNS / 4 ? columns / (VEC_COLUMNS / 4) : 1;
}

/* The batch row of each four lanes of vector v. */
ALWAYS_INLINE unsigned narrow_column(unsigned columns, unsigned v, unsigned lanes) {
    return lanes * columns / (VEC_COLUMNS / 4) + v;
}

ALWAYS_INLINE size_t narrow_limb_bytes(unsigned columns) {
    return sizeof(int16_t) * ROW * columns;
}

ALWAYS_INLINE size_t narrow_block_bytes(struct form form, unsigned columns) {
    return narrow_limb_bytes(columns) * form.limbs + 2 * sizeof(float) * VEC_COLUMNS * narrow_vectors(columns);
}

/* Batch rows of all panels, with the zeros. */
ALWAYS_INLINE size_t panel_columns(struct form form, size_t batch) {
    const size_t rest = batch % VEC_COLUMNS, whole = batch - rest;
    if (form.bytes)
        return rest > (whole == 0 ? BYTES_ROWS_ALONE : BYTES_ROWS_BEHIND) ? whole + VEC_COLUMNS : whole;
    if (batch < panels_least(form))
        return 0;
    if (rest > (whole == 0 ? 3 * VEC_COLUMNS / 4 : 5 * VEC_COLUMNS / 8))
        return whole + VEC_COLUMNS;
    return rest % 4 == 3 ? batch + 1 : batch;
}

ALWAYS_INLINE size_t panel_count(struct form form, size_t batch) {
    return panel_columns(form, batch) / VEC_COLUMNS;
}

/* The last of an odd number of panels of one limb has no other one to share a weight that is loaded with. In the place of a
 * vector of pairs of all batch rows, and one of the next pairs, it has one of both pairs of half of the rows, and one of the
 * others: two streams. In each four lanes are two batch rows; the others are in the same four of the other half. Where
 * loads are not what is short, a tall tile is faster (VEC_SPLIT is 0). */
ALWAYS_INLINE unsigned panel_is_split(struct form form, size_t batch, size_t panel) {
    const size_t count = panel_count(form, batch);
    return VEC_SPLIT && form.limbs == 1 && !form.bytes && count % 2 == 1 && panel == count - 1;
}

/* Batch rows in narrow panels: each bit of it is the width of one, the widest first. */
ALWAYS_INLINE unsigned narrow_columns(struct form form, size_t batch) {
    return (unsigned)(panel_columns(form, batch) % VEC_COLUMNS);
}

/* Where a narrow panel begins, behind a block's whole panels; for the width 0, where all have ended. */
ALWAYS_INLINE size_t narrow_offset(struct form form, unsigned narrow, unsigned columns) {
    size_t offset = 0;
    for (unsigned wider = VEC_COLUMNS / 2; wider > columns; wider /= 2)
        offset += (narrow & wider) != 0 ? narrow_block_bytes(form, wider) : 0;
    return offset;
}

ALWAYS_INLINE size_t panels_block_bytes(struct form form, size_t batch) {
    return panel_count(form, batch) * panel_block_bytes(form) + narrow_offset(form, narrow_columns(form, batch), 0);
}

/* The panels of a block follow one another, blocks follow one another: how products read them. */
ALWAYS_INLINE size_t panel_offset(struct form form, size_t batch, size_t block, size_t panel) {
    return block * panels_block_bytes(form, batch) + panel * panel_block_bytes(form);
}

/* Words from rows that are PREPARED_BLOCK_MAX bytes apart, so that those of one place stand side by side. */
static inline void pack_words(const uint8_t *rows, float *to, unsigned words) {
    const size_t stride = PREPARED_BLOCK_MAX / sizeof(float);
    const float *from = (const float *)(const void *)rows;
    for (unsigned i = 0; i < words; i += VEC_COLUMNS)
        vec_transpose(from + i, stride, to + i * VEC_COLUMNS, VEC_COLUMNS);
}

_Static_assert(BLOCK / 4 % VEC_COLUMNS == 0 && MIN_ENTRIES_16 / 2 % VEC_COLUMNS == 0, "words in whole squares");

/* One block of `columns` batch rows; those that are not there are zeros. */
static inline void prepare_rows(const q8k_backend_input *in, size_t batch, unsigned columns, size_t block,
                                uint8_t rows[VEC_COLUMNS][PREPARED_BLOCK_MAX]) {
    for (unsigned c = 0; c < columns; c++) {
        if (batch + c < in->batch) {
            const float *input = in->input + (batch + c) * in->input_stride + block * BLOCK;
            /* A batch row's next block lies too far from the last row's for the CPU to foresee it. */
            for (unsigned k = 0; k < BLOCK; k += 16)
                __builtin_prefetch(input + BLOCK + k);
            prepare_block(in->precision, input, rows[c]);
        } else {
            memset(rows[c], 0, sizeof rows[c]);
        }
    }
}

static inline void split_panel(int32_t *x, unsigned vectors) {
    for (unsigned i = 0; i < vectors; i += 2, x += 2 * VEC_COLUMNS) {
        int32_t first[VEC_COLUMNS], second[VEC_COLUMNS];
        for (unsigned c = 0; c < VEC_COLUMNS; c += 4)
            for (unsigned k = 0; k < 4; k++) {
                first[c + k] = x[k % 2 * VEC_COLUMNS + c + k / 2];
                second[c + k] = x[k % 2 * VEC_COLUMNS + c + 2 + k / 2];
            }
        memcpy(x, first, sizeof first);
        memcpy(x + VEC_COLUMNS, second, sizeof second);
    }
}

static inline void prepare_panel_block(const q8k_backend_input *in, size_t batch, size_t block, uint8_t *to) {
    _Alignas(64) uint8_t rows[VEC_COLUMNS][PREPARED_BLOCK_MAX];
    struct form form = form_of(in->precision);
    float *steps = (float *)(void *)(to + panel_limb_bytes(form) * form.limbs);
    prepare_rows(in, batch, VEC_COLUMNS, block, rows);
    for (unsigned c = 0; c < VEC_COLUMNS; c++) {
        struct activations x = prepared_block(rows[c], form);
        steps[c] = x.step;
        steps[VEC_COLUMNS + c] = x.total;
    }
    for (unsigned limb = 0; limb < form.limbs; limb++, to += panel_limb_bytes(form)) {
        const uint8_t *integers = rows[0] + (form.bytes ? bytes_offset(form) : limb * limb_bytes(form));
        const uint8_t *entries = rows[0] + entries_offset(form) + limb * MIN_ENTRIES_16 * sizeof(int16_t);
        pack_words(integers, (float *)(void *)to, (unsigned)(panel_integers_bytes(form) / (4 * VEC_COLUMNS)));
        pack_words(entries, (float *)(void *)(to + panel_integers_bytes(form)), MIN_ENTRIES_16 / 2);
    }
    to -= panel_limb_bytes(form);
    if (form.bytes)
        for (unsigned i = 0; i < BLOCK * VEC_COLUMNS; i++)
            to[i] ^= 0x80;
    if (panel_is_split(form, in->batch, batch / VEC_COLUMNS))
        split_panel((int32_t *)(void *)to, (unsigned)(panel_limb_bytes(form) / (sizeof(int32_t) * VEC_COLUMNS)));
}

/* `columns` is a constant, so that pieces are words and vectors. */
ALWAYS_INLINE void prepare_narrow_block(const q8k_backend_input *in, size_t batch, unsigned columns, size_t block,
                                        uint8_t *to) {
    _Alignas(64) uint8_t rows[VEC_COLUMNS][PREPARED_BLOCK_MAX];
    const struct form form = form_of(in->precision);
    const size_t piece = sizeof(int32_t) * narrow_words(columns);
    prepare_rows(in, batch, columns, block, rows);
    for (unsigned limb = 0; limb < form.limbs; limb++) {
        for (size_t from = 0; from < sizeof(int16_t) * BLOCK; from += piece)
            for (unsigned c = 0; c < columns; c++, to += piece)
                memcpy(to, rows[c] + limb * limb_bytes(form) + from, piece);
        for (size_t from = 0; from < sizeof(int16_t) * MIN_ENTRIES_16; from += piece)
            for (unsigned c = 0; c < columns; c++, to += piece)
                memcpy(to, rows[c] + entries_offset(form) + limb * MIN_ENTRIES_16 * sizeof(int16_t) + from, piece);
    }
    float *steps = (float *)(void *)to;
    for (unsigned v = 0; v < narrow_vectors(columns); v++, steps += 2 * VEC_COLUMNS)
        for (unsigned i = 0; i < VEC_COLUMNS; i++) {
            struct activations x = prepared_block(rows[narrow_column(columns, v, i / 4)], form);
            steps[i] = x.step;
            steps[VEC_COLUMNS + i] = x.total;
        }
}

#else

enum { VEC_COLUMNS = 1 };

ALWAYS_INLINE size_t panels_block_bytes(struct form form, size_t batch) {
    (void)form, (void)batch;
    return 0;
}

ALWAYS_INLINE size_t panel_columns(struct form form, size_t batch) {
    (void)form, (void)batch;
    return 0;
}

#endif

static size_t prepared_bytes(q8k_precision precision, size_t batch, size_t blocks) {
    struct form form = form_of(precision);
    size_t columns = panel_columns(form, batch), rows = batch > columns ? batch - columns : 0;
    return (panels_block_bytes(form, batch) + rows * prepared_block_bytes(form)) * blocks;
}

/* Where row b of the batch is, which is in no panel: behind all of them. */
ALWAYS_INLINE uint8_t *prepared_row(const void *prepared, struct form form, size_t batch, size_t blocks, size_t b) {
    return (uint8_t *)(uintptr_t)prepared + panels_block_bytes(form, batch) * blocks +
           (b - panel_columns(form, batch)) * prepared_block_bytes(form) * blocks;
}

static void prepare(const q8k_backend_input *in) {
    struct form form = form_of(in->precision);
    size_t b = in->batch_first, end = b + in->batch_count, last = in->block_first + in->block_count;
#ifdef VEC_TILE_ROWS
    const unsigned narrow = narrow_columns(form, in->batch);
    for (; b < end && b / VEC_COLUMNS < panel_count(form, in->batch); b += VEC_COLUMNS)
        for (size_t i = in->block_first; i < last; i++)
            prepare_panel_block(in, b, i, (uint8_t *)in->prepared + panel_offset(form, in->batch, i, b / VEC_COLUMNS));
#define PREPARE_NARROW(columns)                                                                                        \
    if (b < end && (narrow & columns) != 0) {                                                                          \
        for (size_t i = in->block_first; i < last; i++)                                                                \
            prepare_narrow_block(in, b, columns, i,                                                                    \
                                 (uint8_t *)in->prepared + narrow_offset(form, narrow, columns) +                      \
                                     panel_offset(form, in->batch, i, panel_count(form, in->batch)));                  \
        b += columns;                                                                                                  \
    }
    VEC_EACH_NARROW(PREPARE_NARROW)
#undef PREPARE_NARROW
#endif
    for (; b < end; b++) {
        uint8_t *row = prepared_row(in->prepared, form, in->batch, in->blocks, b);
        for (size_t i = in->block_first; i < last; i++)
            prepare_block(in->precision, in->input + b * in->input_stride + i * BLOCK,
                          row + i * prepared_block_bytes(form));
    }
}

#endif
