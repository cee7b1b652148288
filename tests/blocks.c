/* SPDX-License-Identifier: MIT */
#include "blocks.h"

#include <stdlib.h>
#include <string.h>

#include "tools/definition.h"

q8k_format format_of(int index) {
    return (q8k_format)(index / PRECISION_COUNT + 1);
}

q8k_precision precision_of(int index) {
    return (q8k_precision)(index % PRECISION_COUNT);
}

/* Where things lie in a block. */
typedef struct block_layout {
    size_t bytes, quants, quant_bytes, high, high_bytes, scales, scale_bytes;
} block_layout;

static const block_layout layouts[] = {
    [Q8K_FORMAT_Q8_K] = {292, 0, 256, 0, 0, 256, 32},  [Q8K_FORMAT_Q4_K] = {144, 16, 128, 0, 0, 4, 12},
    [Q8K_FORMAT_Q5_K] = {176, 48, 128, 16, 32, 4, 12}, [Q8K_FORMAT_Q6_K] = {210, 0, 128, 128, 64, 192, 16},
    [Q8K_FORMAT_Q2_K] = {84, 16, 64, 0, 0, 0, 16},     [Q8K_FORMAT_Q3_K] = {110, 32, 64, 0, 32, 96, 12},
    [Q8K_FORMAT_Q8_0] = {272, 0, 272, 0, 0, 0, 0},
};

static void put_half(uint8_t *to, unsigned bits) {
    to[0] = (uint8_t)bits;
    to[1] = (uint8_t)(bits >> 8);
}

void block_factors(q8k_format format, uint8_t *block, unsigned d, unsigned dmin) {
    for (size_t part = 0; definition_d(format, block, part) != NULL; part++)
        put_half(definition_d(format, block, part), d);
    if (definition_has_min(format))
        put_half(definition_dmin(format, block), dmin);
}

unsigned random_factor(test_random *random) {
    return (unsigned)(random_below(random, 2) << 15 | (7 + random_below(random, 6)) << 10 | random_below(random, 1024));
}

/* Any fp16 bits but those of infinity and NaN, extremes more often than chance has them. */
static unsigned wild_factor(test_random *random) {
    static const unsigned extremes[] = {0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0xfbff};
    if (random_below(random, 3) == 0)
        return extremes[random_below(random, sizeof extremes / sizeof *extremes)];
    return (unsigned)(random_below(random, 2) << 15 | random_below(random, 0x7c00));
}

/* Quants and scales whose products are the largest, or the largest of the other sign. */
static void fill_extreme(q8k_format format, bool opposite, uint8_t *block) {
    const block_layout *layout = &layouts[format];
    if (format == Q8K_FORMAT_Q8_K || format == Q8K_FORMAT_Q8_0) {
        memset(block, opposite ? 0x7f : 0x80, layout->quant_bytes);
        memset(block + layout->scales, 0xff, layout->scale_bytes);
    } else if (format == Q8K_FORMAT_Q6_K) {
        /* -32 * -128, and -32 * 127. */
        memset(block, 0, layout->bytes);
        memset(block + layout->scales, opposite ? 0x7f : 0x80, layout->scale_bytes);
    } else if (format == Q8K_FORMAT_Q3_K) {
        /* -4 * -32, and -4 * 31. */
        memset(block, 0, layout->bytes);
        memset(block + layout->scales, opposite ? 0xff : 0, layout->scale_bytes);
    } else {
        /* Quants of one sign only: the other extreme is that of the min term alone. */
        memset(block, 0xff, layout->bytes);
        if (opposite)
            memset(block + layout->quants, 0, layout->quant_bytes);
        if (opposite && layout->high_bytes > 0)
            memset(block + layout->high, 0, layout->high_bytes);
    }
}

void block_fill(test_random *random, q8k_format format, block_kind kind, uint8_t *block) {
    size_t bytes = layouts[format].bytes;
    if (kind == BLOCK_ZERO) {
        memset(block, 0, bytes);
        return;
    }
    if (kind == BLOCK_LARGEST || kind == BLOCK_OPPOSITE)
        fill_extreme(format, kind == BLOCK_OPPOSITE, block);
    else if (kind == BLOCK_ONES)
        memset(block, 0xff, bytes);
    else
        for (size_t i = 0; i < bytes; i++)
            block[i] = (uint8_t)random_below(random, 256);
    unsigned (*draw)(test_random *) = kind == BLOCK_WILD ? wild_factor : random_factor;
    for (size_t part = 0; definition_d(format, block, part) != NULL; part++)
        put_half(definition_d(format, block, part), draw(random));
    if (definition_has_min(format))
        put_half(definition_dmin(format, block), draw(random));
}

static float largest_integer(q8k_precision precision) {
    return precision == Q8K_PRECISION_FLOAT ? 16775167.0F : precision == Q8K_PRECISION_HALF ? 4095.0F : 127.0F;
}

/* Activation k of the kinds that are integers X times a step of 1. */
static float integer_activation(test_random *random, q8k_precision precision, input_kind kind) {
    float largest = largest_integer(precision);
    float sign = random_below(random, 2) ? 1.0F : -1.0F;
    if (kind == INPUT_LARGEST)
        return largest;
    if (kind == INPUT_OPPOSITE)
        return -largest;
    if (kind == INPUT_DOUBLED)
        return precision == Q8K_PRECISION_FLOAT ? sign * (16777215.0F - (float)random_below(random, 4000))
                                                : sign * (4095.6F + (float)random_below(random, 4) / 16);
    if (kind == INPUT_TIES)
        return sign * ((float)random_below(random, (size_t)largest / 4) + 0.5F);
    return 4096 * (float)((double)random_below(random, 8188) - 4094) + (random_below(random, 2) ? 2047.0F : -2048.0F);
}

void input_fill(test_random *random, q8k_precision precision, input_kind kind, float *input) {
    for (size_t k = 0; k < 256; k++) {
        if (kind == INPUT_NORMAL || kind == INPUT_OUTLIER)
            input[k] = random_normal(random);
        else if (kind == INPUT_TINY)
            input[k] = random_normal(random) * 0x1p-136F;
        else if (kind == INPUT_ZERO)
            input[k] = random_below(random, 2) ? 0.0F : -0.0F;
        else
            input[k] = integer_activation(random, precision, kind);
    }
    size_t one = random_below(random, 256);
    if (kind == INPUT_OUTLIER)
        input[one] *= 20000;
    /* The largest of the block decides the step: make it the one that the kind is about. */
    if (kind == INPUT_TIES || kind == INPUT_LIMBS)
        input[one] = largest_integer(kind == INPUT_LIMBS ? Q8K_PRECISION_FLOAT : precision);
}

static void product_fill(test_random *random, product *p) {
    size_t block_bytes = layouts[p->args.format].bytes;
    for (size_t r = 0; r < p->args.out_features; r++)
        for (size_t i = 0; i < p->blocks; i++)
            block_fill(random, p->args.format, (block_kind)((r + i) % BLOCK_KINDS),
                       p->weights + r * p->row_bytes + i * block_bytes);
    for (size_t b = 0; b < p->args.batch; b++)
        for (size_t i = 0; i < p->blocks; i++)
            input_fill(random, p->args.precision, (input_kind)((b + i) % INPUT_KINDS),
                       p->input + (b * p->blocks + i) * 256);
}

product product_make(test_random *random, q8k_format format, q8k_precision precision, size_t rows, size_t blocks,
                     size_t batch) {
    product p = {.blocks = blocks, .row_bytes = blocks * layouts[format].bytes};
    p.weights = test_alloc(rows * p.row_bytes);
    p.input = test_alloc(batch * blocks * 256 * sizeof *p.input);
    p.expected = test_alloc(batch * rows * sizeof *p.expected);
    p.args = (q8k_matmul_args){.size = sizeof p.args,
                               .format = format,
                               .precision = precision,
                               .out_features = rows,
                               .in_features = blocks * 256,
                               .batch = batch,
                               .weights = p.weights,
                               .weights_bytes = rows * p.row_bytes,
                               .input = p.input};
    product_fill(random, &p);
    product_expect(&p);
    return p;
}

void product_expect(product *p) {
    size_t rows = p->args.out_features;
    for (size_t b = 0; b < p->args.batch; b++)
        for (size_t r = 0; r < rows; r++)
            p->expected[b * rows + r] =
                definition_accumulate(p->args.format, p->args.precision, p->blocks, p->weights + r * p->row_bytes,
                                      p->input + b * p->blocks * 256, 0);
}

void product_free(product *p) {
    free(p->weights);
    free(p->input);
    free(p->expected);
}

void product_compare(const q8k_context *context, const product *p, const float *output, size_t output_stride,
                     const char *how) {
    size_t rows = p->args.out_features;
    for (size_t b = 0; b < p->args.batch; b++)
        for (size_t r = 0; r < rows; r++) {
            float found = output[b * output_stride + r], expected = p->expected[b * rows + r];
            require(same_float(found, expected),
                    "%s by %s: %s %s, %zu rows of %zu blocks, batch %zu: row %zu, batch row %zu: %a (expected %a)", how,
                    q8k_context_backend(context), q8k_format_name(p->args.format),
                    q8k_precision_name(p->args.precision), rows, p->blocks, p->args.batch, r, b, (double)found,
                    (double)expected);
        }
}

/* An output in which every value not written shows: bits of a NaN, which no small product gives. */
static float *fresh_output(const product *p) {
    size_t bytes = p->args.batch * p->args.out_features * sizeof(float);
    float *output = test_alloc(bytes);
    memset(output, 0xa5, bytes);
    return output;
}

void product_check_matmul(const q8k_context *context, const product *p) {
    q8k_matmul_args args = p->args;
    float *output = fresh_output(p);
    args.output = output;
    require(q8k_matmul(context, &args) == Q8K_OK, "%s", q8k_last_error());
    product_compare(context, p, output, args.out_features, "q8k_matmul");
    free(output);
}

void product_check_parts(const q8k_context *context, const product *p, size_t prepare_parts, size_t parts,
                         bool backwards) {
    q8k_input_args input = {.size = sizeof input,
                            .precision = p->args.precision,
                            .in_features = p->args.in_features,
                            .batch = p->args.batch,
                            .input = p->input};
    q8k_matmul_args args = p->args;
    size_t bytes = 0;
    args.input = NULL;
    args.output = fresh_output(p);
    require(q8k_input_bytes(context, &input, &bytes) == Q8K_OK, "%s", q8k_last_error());
    void *prepared = test_alloc(bytes);
    memset(prepared, 0x5a, bytes);
    for (size_t i = 0; i < prepare_parts; i++)
        require(q8k_input_prepare(context, &input, prepared, bytes, backwards ? prepare_parts - 1 - i : i,
                                  prepare_parts) == Q8K_OK,
                "%s", q8k_last_error());
    for (size_t i = 0; i < parts; i++)
        require(q8k_matmul_prepared(context, &args, prepared, bytes, backwards ? parts - 1 - i : i, parts) == Q8K_OK,
                "%s", q8k_last_error());
    product_compare(context, p, args.output, args.out_features, "q8k_matmul_prepared");
    free(prepared);
    free(args.output);
}

/* One output of row r and batch row b, some blocks at a time. */
static float accumulate_pieces(const q8k_context *context, const product *p, size_t r, size_t b, size_t piece) {
    float sum = 0;
    for (size_t first = 0; first < p->blocks; first += piece) {
        size_t blocks = p->blocks - first < piece ? p->blocks - first : piece;
        size_t block_bytes = layouts[p->args.format].bytes;
        q8k_accumulate_args args = {.size = sizeof args,
                                    .format = p->args.format,
                                    .precision = p->args.precision,
                                    .in_features = blocks * 256,
                                    .weights = p->weights + r * p->row_bytes + first * block_bytes,
                                    .weights_bytes = blocks * block_bytes,
                                    .input = p->input + (b * p->blocks + first) * 256,
                                    .sum = &sum};
        require(q8k_accumulate(context, &args) == Q8K_OK, "%s", q8k_last_error());
    }
    return sum;
}

void product_check_accumulate(const q8k_context *context, const product *p, size_t piece) {
    size_t rows = p->args.out_features;
    float *output = test_alloc(p->args.batch * rows * sizeof *output);
    for (size_t b = 0; b < p->args.batch; b++)
        for (size_t r = 0; r < rows; r++)
            output[b * rows + r] = accumulate_pieces(context, p, r, b, piece);
    product_compare(context, p, output, rows, "q8k_accumulate");
    free(output);
}
