/* SPDX-License-Identifier: MIT */
/* The definition itself, held to vectors that were made without it: what the other suites compare with it. */
#include "suites.h"

#include <math.h>

#include "tools/definition.h"
#include "golden.h"
#include "support.h"

START_TEST(decodes_the_vectors_to_the_bit) {
    golden vectors;
    golden_load(&vectors, (size_t)_i);
    size_t blocks = vectors.rows * vectors.cols / 256, bytes = definition_block_bytes(vectors.format);
    for (size_t i = 0; i < blocks; i++) {
        float weights[256];
        definition_decode(vectors.format, vectors.blocks + i * bytes, weights);
        for (size_t k = 0; k < 256; k++)
            require(same_float(weights[k], vectors.dequant[i * 256 + k]), "%s block %zu weight %zu: %a (%a)",
                    vectors.name, i, k, (double)weights[k], (double)vectors.dequant[i * 256 + k]);
    }
    golden_free(&vectors);
}
END_TEST

START_TEST(computes_the_vectors_to_the_bit) {
    golden vectors;
    golden_load(&vectors, (size_t)_i);
    for (size_t at = 0; at < PRECISION_COUNT * vectors.batch * vectors.rows; at++) {
        size_t row = at % vectors.rows, batch = at / vectors.rows % vectors.batch;
        q8k_precision precision = (q8k_precision)(at / vectors.rows / vectors.batch);
        float found =
            definition_accumulate(vectors.format, precision, vectors.cols / 256,
                                  vectors.blocks + row * vectors.row_bytes, vectors.input + batch * vectors.cols, 0);
        float expected = vectors.result[precision][batch * vectors.rows + row];
        require(same_float(found, expected), "%s precision %u batch %zu row %zu: %a (%a)", vectors.name,
                (unsigned)precision, batch, row, (double)found, (double)expected);
    }
    golden_free(&vectors);
}
END_TEST

/* sum of |weight| * |x|, from the vectors' own decoded weights. */
static double decoded_magnitude(const golden *vectors, size_t batch, size_t row) {
    double sum = 0;
    for (size_t k = 0; k < vectors->cols; k++)
        sum +=
            fabs((double)vectors->dequant[row * vectors->cols + k] * (double)vectors->input[batch * vectors->cols + k]);
    return sum;
}

/* The vectors' products were summed in double, in some order, so they may differ from the exact one by a rounding of
 * each term, but by no more. Their magnitudes are those of weights, a - b, so that G is larger where there is a b. */
static void compare_exact(const golden *vectors, size_t batch, size_t row, q8k_precision precision) {
    const double roundings = (double)vectors->cols * 0x1p-53;
    double output = vectors->output[batch * vectors->rows + row];
    double magnitude = vectors->magnitude[batch * vectors->rows + row];
    definition_exact exact =
        definition_product(vectors->format, precision, vectors->cols / 256, vectors->blocks + row * vectors->row_bytes,
                           vectors->input + batch * vectors->cols);
    float result = vectors->result[precision][batch * vectors->rows + row];
    if (!isfinite(output)) {
        ck_assert(!isfinite(exact.product) && !isfinite(exact.magnitude) && !exact.promised && !isfinite(result));
        return;
    }
    require(fabs(exact.product - output) <= roundings * exact.magnitude, "%s batch %zu row %zu: %.17g (%.17g)",
            vectors->name, batch, row, exact.product, output);
    ck_assert_double_ge(exact.magnitude * (1 + roundings), magnitude);
    ck_assert_double_le(fabs(decoded_magnitude(vectors, batch, row) - magnitude), 0x1p-23 * magnitude);
    if (!definition_has_min(vectors->format))
        ck_assert_double_le(fabs(exact.magnitude - magnitude), roundings * magnitude);
    if (exact.promised)
        require(fabs((double)result - exact.product) <= exact.bound, "%s batch %zu row %zu: off by %g (limit %g)",
                vectors->name, batch, row, fabs((double)result - exact.product), exact.bound);
}

START_TEST(products_and_bounds_fit_the_vectors) {
    golden vectors;
    golden_load(&vectors, (size_t)_i);
    for (size_t at = 0; at < PRECISION_COUNT * vectors.batch * vectors.rows; at++)
        compare_exact(&vectors, at / vectors.rows % vectors.batch, at % vectors.rows,
                      (q8k_precision)(at / vectors.rows / vectors.batch));
    golden_free(&vectors);
}
END_TEST

/* One block of Q6_K with weight k = value[k] for the first three, others zero, and d = 1. */
static void three_weights(uint8_t block[210], const int value[3]) {
    for (size_t i = 0; i < 210; i++)
        block[i] = i < 128 ? 0 : i < 192 ? 0xaa : i < 208 ? 1 : i == 209 ? 0x3c : 0;
    for (size_t i = 0; i < 3; i++) {
        block[i] = (uint8_t)((value[i] + 32) & 15);
        block[128 + i] = (uint8_t)(0xa8 | (value[i] + 32) >> 4);
    }
}

/* Sums that lose everything in double: the exact product must not. */
START_TEST(the_product_is_exact) {
    uint8_t block[210];
    float input[256] = {0x1p100F, 0x1p-100F, 0x1p100F};
    three_weights(block, (const int[3]){1, 1, -1});
    definition_exact exact = definition_product(Q8K_FORMAT_Q6_K, Q8K_PRECISION_FLOAT, 1, block, input);
    ck_assert(exact.product == 0x1p-100);
    /* 2^53 + 1 + tiny is a tie that the tiny part decides. */
    input[0] = 0x1p53F;
    input[1] = 1;
    input[2] = 0x1p-60F;
    three_weights(block, (const int[3]){1, 1, 1});
    exact = definition_product(Q8K_FORMAT_Q6_K, Q8K_PRECISION_FLOAT, 1, block, input);
    ck_assert(exact.product == 0x1p53 + 2);
    ck_assert(exact.magnitude == 0x1p53 + 2);
    three_weights(block, (const int[3]){1, 1, -1});
    exact = definition_product(Q8K_FORMAT_Q6_K, Q8K_PRECISION_FLOAT, 1, block, input);
    ck_assert(exact.product == 0x1p53);
}
END_TEST

Suite *suite_definition(void) {
    Suite *suite = suite_create("definition");
    TCase *tests = tcase_create("definition");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, decodes_the_vectors_to_the_bit, 0, GOLDEN_COUNT);
    tcase_add_loop_test(tests, computes_the_vectors_to_the_bit, 0, GOLDEN_COUNT);
    tcase_add_loop_test(tests, products_and_bounds_fit_the_vectors, 0, GOLDEN_COUNT);
    tcase_add_test(tests, the_product_is_exact);
    suite_add_tcase(suite, tests);
    return suite;
}
