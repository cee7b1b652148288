/* SPDX-License-Identifier: MIT */
/*
 * Activations to integers: the form in which matmul.h takes them. One block of one batch row becomes
 *
 *     limbs     FLOAT: hi and lo, X = 4096 * hi + lo; HALF and BYTE: X. Each has 256 integers in the order of the weights.
 *               Where the vocabulary multiplies int16, the integers are int16; where it multiplies int8, they are digits
 *               of base 128, the upper ones first
 *     entries   for each limb, what meets the mins: MIN_ENTRIES of int16 (see below)
 *     step      what the integers count, a float; NaN if an activation is not finite
 *     total     the integers' sum, made a float as a span's sum is: what a min of 1 meets
 *     bytes     only BYTE where VEC_BYTES is defined: X once more, as int8 in the weights' own order
 *
 * Blocks of a batch row follow one another, batch rows follow one another.
 *
 * The min term is one more step of the same dot product. The sum S of a limb over a group of 32 does not fit int16, but
 * its two digits S = 256 * a + b with 0 <= b < 256 do, and so does 256 * min: the weights' side of the step is {256 *
 * min[8], min[8]}, the activations' side {a[8], b[8]}, and their dot product is the sum of min * S, exactly.
 */
#ifndef Q8K_KERNELS_PREPARE_H
#define Q8K_KERNELS_PREPARE_H

#include <q8k/backend.h>

#include "backends/formats/formats.h"

#ifndef VEC_LIMB_DIGITS
/* The vocabulary multiplies int16. */
enum { VEC_LIMB_DIGITS = 0, VEC_BYTE_DIGITS = 0 };
#endif

enum { MIN_GROUPS = BLOCK / 32, MIN_ENTRIES = 2 * MIN_GROUPS, ROW = BLOCK + MIN_ENTRIES };

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

ALWAYS_INLINE size_t limb_bytes(struct form form) {
    return (form.digits != 0 ? form.digits : sizeof(int16_t)) * BLOCK;
}

/* Where in a block the entries begin, where the step is, and where the bytes begin. All but the step are at multiples of
 * 32, and limbs at multiples of 64. */
ALWAYS_INLINE size_t entries_offset(struct form form) {
    return limb_bytes(form) * form.limbs;
}

ALWAYS_INLINE size_t step_offset(struct form form) {
    return entries_offset(form) + sizeof(int16_t) * MIN_ENTRIES * form.limbs;
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

/* Writes the min entries of one limb and returns its sum. */
static inline int32_t min_entries(const int32_t limb[BLOCK], int16_t *entries) {
    int32_t total = 0;
    for (unsigned g = 0; g < MIN_GROUPS; g++) {
        int32_t sum = 0;
        for (unsigned i = 0; i < 32; i++)
            sum += limb[32 * g + i];
        entries[g] = (int16_t)(sum >> 8);
        entries[MIN_GROUPS + g] = (int16_t)(sum & 255);
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
    return min_entries(integers, (int16_t *)(void *)(prepared + entries_offset(form)) + limb * MIN_ENTRIES);
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

/* A remainder of at least so many batch rows makes a panel of its own, padded with zeros; fewer are rows. */
enum { PANEL_LEAST = VEC_COLUMNS * 3 / 4 };

/* A block of a panel. Of each limb, its integers and then its entries for the mins: words of two int16, or of four bytes
 * where the form has them, of which those of VEC_COLUMNS batch rows stand side by side. Bytes are X + 128, without sign. */
ALWAYS_INLINE size_t panel_integers_bytes(struct form form) {
    return (form.bytes ? 1 : sizeof(int16_t)) * BLOCK * VEC_COLUMNS;
}

ALWAYS_INLINE size_t panel_limb_bytes(struct form form) {
    return panel_integers_bytes(form) + sizeof(int16_t) * MIN_ENTRIES * VEC_COLUMNS;
}

/* After the limbs, VEC_COLUMNS steps and as many totals. */
ALWAYS_INLINE size_t panel_block_bytes(struct form form) {
    return panel_limb_bytes(form) * form.limbs + 2 * sizeof(float) * VEC_COLUMNS;
}

ALWAYS_INLINE size_t panel_count(size_t batch) {
    return batch / VEC_COLUMNS + (batch % VEC_COLUMNS >= PANEL_LEAST);
}

/* The panels of a block follow one another, blocks follow one another: how products read them. */
ALWAYS_INLINE size_t panel_offset(struct form form, size_t batch, size_t block, size_t panel) {
    return (block * panel_count(batch) + panel) * panel_block_bytes(form);
}

/* Words from rows that are PREPARED_BLOCK_MAX bytes apart, so that those of one place stand side by side. */
static inline void pack_words(const uint8_t *rows, float *to, unsigned words) {
    const size_t stride = PREPARED_BLOCK_MAX / sizeof(float);
    const float *from = (const float *)(const void *)rows;
    unsigned i = 0;
    for (; i + VEC_COLUMNS <= words; i += VEC_COLUMNS)
        vec_transpose(from + i, stride, to + i * VEC_COLUMNS, VEC_COLUMNS);
    if (i < words) {
        float last[VEC_COLUMNS * VEC_COLUMNS];
        vec_transpose(from + i, stride, last, VEC_COLUMNS);
        memcpy(to + i * VEC_COLUMNS, last, (words - i) * VEC_COLUMNS * sizeof *to);
    }
}

static inline void prepare_panel_block(const q8k_backend_input *in, size_t batch, size_t block, uint8_t *to) {
    _Alignas(64) uint8_t rows[VEC_COLUMNS][PREPARED_BLOCK_MAX];
    struct form form = form_of(in->precision);
    float *steps = (float *)(void *)(to + panel_limb_bytes(form) * form.limbs);
    for (unsigned c = 0; c < VEC_COLUMNS; c++) {
        const float *input = in->input + (batch + c) * in->input_stride + block * BLOCK;
        if (batch + c < in->batch) {
            /* A batch row's next block lies too far from the last row's for the CPU to foresee it. */
            for (unsigned k = 0; k < BLOCK; k += 16)
                __builtin_prefetch(input + BLOCK + k);
            prepare_block(in->precision, input, rows[c]);
        } else {
            memset(rows[c], 0, sizeof rows[c]);
        }
        struct activations x = prepared_block(rows[c], form);
        steps[c] = x.step;
        steps[VEC_COLUMNS + c] = x.total;
    }
    for (unsigned limb = 0; limb < form.limbs; limb++, to += panel_limb_bytes(form)) {
        const uint8_t *integers = rows[0] + (form.bytes ? bytes_offset(form) : limb * limb_bytes(form));
        const uint8_t *entries = rows[0] + entries_offset(form) + limb * MIN_ENTRIES * sizeof(int16_t);
        pack_words(integers, (float *)(void *)to, (unsigned)(panel_integers_bytes(form) / (4 * VEC_COLUMNS)));
        pack_words(entries, (float *)(void *)(to + panel_integers_bytes(form)), MIN_ENTRIES / 2);
    }
    if (form.bytes)
        for (unsigned i = 0; i < BLOCK * VEC_COLUMNS; i++)
            (to - panel_limb_bytes(form))[i] ^= 0x80;
}

#else

enum { VEC_COLUMNS = 1 };

ALWAYS_INLINE size_t panel_block_bytes(struct form form) {
    (void)form;
    return 0;
}

ALWAYS_INLINE size_t panel_count(size_t batch) {
    (void)batch;
    return 0;
}

#endif

static size_t prepared_bytes(q8k_precision precision, size_t batch, size_t blocks) {
    struct form form = form_of(precision);
    size_t panels = panel_count(batch), rows = batch > panels * VEC_COLUMNS ? batch - panels * VEC_COLUMNS : 0;
    return (panels * panel_block_bytes(form) + rows * prepared_block_bytes(form)) * blocks;
}

/* Where the rows begin, behind the panels: row b of the batch would be at b * blocks * prepared_block_bytes() from
 * there if there were no panels. */
ALWAYS_INLINE uint8_t *prepared_row(const void *prepared, struct form form, size_t batch, size_t blocks, size_t b) {
    size_t panels = panel_count(batch);
    return (uint8_t *)(uintptr_t)prepared + panels * panel_block_bytes(form) * blocks +
           (b - panels * VEC_COLUMNS) * prepared_block_bytes(form) * blocks;
}

static void prepare(const q8k_backend_input *in) {
    struct form form = form_of(in->precision);
    size_t b = in->batch_first, end = b + in->batch_count, last = in->block_first + in->block_count;
#ifdef VEC_TILE_ROWS
    for (; b < end && b / VEC_COLUMNS < panel_count(in->batch); b += VEC_COLUMNS)
        for (size_t i = in->block_first; i < last; i++)
            prepare_panel_block(in, b, i, (uint8_t *)in->prepared + panel_offset(form, in->batch, i, b / VEC_COLUMNS));
#endif
    for (; b < end; b++) {
        uint8_t *row = prepared_row(in->prepared, form, in->batch, in->blocks, b);
        for (size_t i = in->block_first; i < last; i++)
            prepare_block(in->precision, in->input + b * in->input_stride + i * BLOCK,
                          row + i * prepared_block_bytes(form));
    }
}

#endif
