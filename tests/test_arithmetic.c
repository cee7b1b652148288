/* SPDX-License-Identifier: MIT */
/* Products, to the bit: on every backend, by every way of calling. */
#include "suites.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "child.h"
#include "tools/definition.h"
#include "golden.h"
#include "support.h"

/* Every way of computing it. */
static void check_product(const q8k_context *context, const void *data) {
    const product *p = data;
    product_check_matmul(context, p);
    product_check_parts(context, p, 1, 1, false);
    product_check_parts(context, p, 3, 2, true);
    product_check_accumulate(context, p, p->blocks);
}

/* ------------------------------------------------------------------------------------------------- vectors --- */

START_TEST(vectors_are_met_to_the_bit) {
    golden vectors;
    golden_load(&vectors, (size_t)_i / PRECISION_COUNT);
    q8k_precision precision = precision_of(_i);
    product p = {.args = {.size = sizeof p.args,
                          .format = vectors.format,
                          .precision = precision,
                          .out_features = vectors.rows,
                          .in_features = vectors.cols,
                          .batch = vectors.batch,
                          .weights = vectors.blocks,
                          .weights_bytes = vectors.rows * vectors.row_bytes,
                          .input = vectors.input},
                 .blocks = vectors.cols / 256,
                 .row_bytes = vectors.row_bytes,
                 .weights = vectors.blocks,
                 .input = vectors.input,
                 .expected = vectors.result[precision]};
    on_every_backend(check_product, &p);
    golden_free(&vectors);
}
END_TEST

/* The promised error of every output; of FLOAT in the plain cases also the smaller one that is published. */
static void check_bounds(const q8k_context *context, const void *data) {
    const golden *vectors = data;
    float output[64];
    ck_assert_uint_le(vectors->batch * vectors->rows, 64);
    for (q8k_precision precision = 0; precision < PRECISION_COUNT; precision++) {
        q8k_matmul_args args = {.size = sizeof args,
                                .format = vectors->format,
                                .precision = precision,
                                .out_features = vectors->rows,
                                .in_features = vectors->cols,
                                .batch = vectors->batch,
                                .weights = vectors->blocks,
                                .weights_bytes = vectors->rows * vectors->row_bytes,
                                .input = vectors->input,
                                .output = output};
        require(q8k_matmul(context, &args) == Q8K_OK, "%s", q8k_last_error());
        for (size_t i = 0; i < vectors->batch * vectors->rows; i++) {
            definition_exact exact = definition_product(vectors->format, precision, vectors->cols / 256,
                                                        vectors->blocks + i % vectors->rows * vectors->row_bytes,
                                                        vectors->input + i / vectors->rows * vectors->cols);
            double error = fabs((double)output[i] - exact.product), limit = exact.bound;
            if (strstr(vectors->name, "plain") != NULL && precision == Q8K_PRECISION_FLOAT)
                limit = 16 * 0x1p-24 * exact.magnitude;
            /* What is not promised is told apart by the definition, never by the result. */
            ck_assert(exact.promised || strstr(vectors->name, "edge") != NULL);
            if (exact.promised)
                require(error <= limit, "%s output %zu by %s: off by %g (limit %g)", vectors->name, i,
                        q8k_context_backend(context), error, limit);
            else
                ck_assert(isfinite(exact.product) || !isfinite(output[i]));
        }
    }
}

START_TEST(vectors_are_within_the_bound) {
    golden vectors;
    golden_load(&vectors, (size_t)_i);
    on_every_backend(check_bounds, &vectors);
    golden_free(&vectors);
}
END_TEST

/* ------------------------------------------------------------------------------------- random and extreme --- */

static void check_matmul(const q8k_context *context, const void *data) {
    product_check_matmul(context, data);
}

/* A row for each fp16 pattern, in d or in dmin; in a quick run, for some of each exponent. */
static void product_of_patterns(test_random *random, q8k_format format, q8k_precision precision, bool in_dmin) {
    const unsigned step = child_is_quick() ? 61 : 1, rows = 65536 / step;
    product p = product_make(random, format, precision, rows, 1, 0);
    free(p.input);
    free(p.expected);
    p.args.batch = 1;
    p.args.input = p.input = test_alloc(256 * sizeof *p.input);
    p.expected = test_alloc(rows * sizeof *p.expected);
    input_fill(random, precision, INPUT_NORMAL, p.input);
    for (unsigned i = 0; i < rows; i++) {
        unsigned other = random_factor(random), pattern = i * step;
        block_factors(format, p.weights + i * p.row_bytes, in_dmin ? other : pattern, in_dmin ? pattern : other);
    }
    product_expect(&p);
    on_every_backend(check_matmul, &p);
    product_free(&p);
}

START_TEST(every_half_pattern_is_met_to_the_bit) {
    test_random random = random_start(301 + (uint64_t)_i);
    product_of_patterns(&random, format_of(_i), precision_of(_i), false);
    if (definition_has_min(format_of(_i)))
        product_of_patterns(&random, format_of(_i), precision_of(_i), true);
}
END_TEST

/* Rows of every kind of block times batch rows of every kind of activations. */
START_TEST(every_extreme_meets_every_other) {
    test_random random = random_start(401 + (uint64_t)_i);
    for (size_t blocks = 1; blocks <= 2; blocks++) {
        product p = product_make(&random, format_of(_i), precision_of(_i), 4 * BLOCK_KINDS, blocks, 4 * INPUT_KINDS);
        on_every_backend(check_product, &p);
        product_free(&p);
    }
}
END_TEST

static void check_shape(const q8k_context *context, const void *data) {
    const product *p = data;
    static const size_t parts[] = {1, 2, 3, 7, 64};
    size_t pick = p->args.out_features + p->args.batch + p->blocks;
    product_check_matmul(context, p);
    product_check_parts(context, p, parts[pick % 5], parts[pick / 2 % 5], pick % 3 == 0);
    if (p->args.batch * p->args.out_features <= 64)
        product_check_accumulate(context, p, 1 + pick % 3);
}

START_TEST(every_shape_is_met_to_the_bit) {
    static const size_t rows[] = {1, 2, 3, 7, 13, 64}, batches[] = {1, 2, 3, 5, 17, 33}, blocks[] = {1, 2, 3, 5};
    test_random random = random_start(501 + (uint64_t)_i);
    const size_t step = child_is_quick() ? 2 : 1;
    for (size_t r = 0; r < 6; r += step)
        for (size_t b = 0; b < 6; b += step)
            for (size_t i = 0; i < 4; i += step) {
                product p = product_make(&random, format_of(_i), precision_of(_i), rows[r], blocks[i], batches[b]);
                on_every_backend(check_shape, &p);
                product_free(&p);
            }
}
END_TEST

/* Pieces of a row add up to the same bits as the whole, from any sum. */
START_TEST(pieces_equal_the_whole) {
    test_random random = random_start(601 + (uint64_t)_i);
    product p = product_make(&random, format_of(_i), precision_of(_i), 12, 7, 9);
    for (size_t piece = 1; piece <= 7; piece++) {
        product_check_accumulate(NULL, &p, piece);
    }
    product_free(&p);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ exactness --- */

/* d and dmin powers of two, activations of -2 to 2, and one block: every sum is below 2^24 in units of 2^-6. */
START_TEST(small_integers_give_the_exact_product) {
    test_random random = random_start(701 + (uint64_t)_i);
    q8k_format format = (q8k_format)(_i + 1);
    product p = product_make(&random, format, Q8K_PRECISION_FLOAT, 32, 1, 17);
    for (size_t r = 0; r < 32; r++) {
        block_fill(&random, format, r % 2 ? BLOCK_RANDOM : BLOCK_LARGEST, p.weights + r * p.row_bytes);
        /* 2^-4 and -+2^-6, signs alternating. */
        block_factors(format, p.weights + r * p.row_bytes, r % 3 ? 0x2c00 : 0xac00, r % 5 ? 0x2400 : 0xa400);
    }
    for (size_t i = 0; i < (size_t)17 * 256; i++)
        p.input[i] = (float)random_below(&random, 5) - 2;
    for (size_t i = 0; i < (size_t)17 * 32; i++) {
        double exact =
            definition_product(format, Q8K_PRECISION_FLOAT, 1, p.weights + i % 32 * p.row_bytes, p.input + i / 32 * 256)
                .product;
        p.expected[i] = (float)exact;
        ck_assert(exact == (double)p.expected[i] && fabs(exact) < 0x1p18);
    }
    on_every_backend(check_product, &p);
    product_free(&p);
}
END_TEST

Suite *suite_arithmetic(void) {
    Suite *suite = suite_create("arithmetic");
    TCase *tests = tcase_create("arithmetic");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, vectors_are_met_to_the_bit, 0, GOLDEN_COUNT * PRECISION_COUNT);
    tcase_add_loop_test(tests, vectors_are_within_the_bound, 0, GOLDEN_COUNT);
    tcase_add_loop_test(tests, every_half_pattern_is_met_to_the_bit, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, every_extreme_meets_every_other, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, every_shape_is_met_to_the_bit, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, pieces_equal_the_whole, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, small_integers_give_the_exact_product, 0, FORMAT_COUNT);
    suite_add_tcase(suite, tests);
    return suite;
}
