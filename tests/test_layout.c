/* SPDX-License-Identifier: MIT */
/* Where things lie and how the work is divided does not change a bit, and nothing else is read or written. */
#include "suites.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "tools/definition.h"
#include "golden.h"
#include "support.h"

enum { CANARY = 0xa5 };

/* Gaps between rows: bytes of weights, floats of the others. And where a buffer lies between its guard pages: right
 * behind the first, right before the second, or some bytes behind the first. */
typedef enum side { AT_START, AT_END, SHIFTED } side;
typedef struct placement {
    size_t weights_gap, input_gap, output_gap;
    side where;
    size_t shift;
} placement;

typedef struct placed {
    guarded memory;
    uint8_t *start;
} placed;

/* Room for `rows` rows of `row` bytes with a gap between them, but none behind the last. */
static placed place(size_t rows, size_t row, size_t gap, const placement *at, size_t unit) {
    size_t bytes = rows == 0 ? 0 : (rows - 1) * (row + gap) + row;
    size_t shift = at->where == SHIFTED ? at->shift / unit * unit : 0;
    placed p = {.memory = guarded_make(bytes + shift)};
    p.start = at->where == AT_END ? p.memory.at_end : p.memory.at_start + shift;
    memset(p.start, 0xff, bytes);
    return p;
}

static placed place_copy(const void *data, size_t rows, size_t row, size_t gap, const placement *at, size_t unit) {
    placed p = place(rows, row, gap, at, unit);
    for (size_t r = 0; r < rows; r++)
        memcpy(p.start + r * (row + gap), (const uint8_t *)data + r * row, row);
    guarded_read_only(&p.memory);
    return p;
}

/* The gaps of an output that was filled with the canary. */
static void check_gaps(const uint8_t *start, size_t rows, size_t row, size_t gap) {
    for (size_t r = 0; r + 1 < rows; r++)
        for (size_t i = 0; i < gap; i++)
            require(start[r * (row + gap) + row + i] == CANARY, "byte %zu behind row %zu was written", i, r);
}

typedef struct layout_case {
    const product *p;
    const placement *at;
} layout_case;

/* The product from an input prepared in `prepare_parts` parts, computed in `parts`. */
static void run_prepared(const q8k_context *context, q8k_matmul_args *args, const placement *at, size_t prepare_parts,
                         size_t parts) {
    size_t bytes;
    q8k_input_args input = {.size = sizeof input,
                            .precision = args->precision,
                            .in_features = args->in_features,
                            .batch = args->batch,
                            .input = args->input,
                            .input_stride = args->input_stride};
    ck_assert_int_eq(q8k_input_bytes(context, &input, &bytes), Q8K_OK);
    placed prepared = place(1, bytes, 0, at, 1);
    for (size_t i = 0; i < prepare_parts; i++)
        require(q8k_input_prepare(context, &input, prepared.start, bytes, i, prepare_parts) == Q8K_OK, "%s",
                q8k_last_error());
    guarded_read_only(&prepared.memory);
    for (size_t i = parts; i-- > 0;)
        require(q8k_matmul_prepared(context, args, prepared.start, bytes, i, parts) == Q8K_OK, "%s", q8k_last_error());
    guarded_free(&prepared.memory);
}

static void check_layout(const q8k_context *context, const void *data) {
    const product *p = ((const layout_case *)data)->p;
    const placement *at = ((const layout_case *)data)->at;
    size_t rows = p->args.out_features, batch = p->args.batch, columns = p->args.in_features;
    placed weights = place_copy(p->weights, rows, p->row_bytes, at->weights_gap, at, 1);
    placed input = place_copy(p->input, batch, columns * 4, at->input_gap * 4, at, 4);
    placed output = place(batch, rows * 4, at->output_gap * 4, at, 4);
    size_t output_bytes = batch == 0 ? 0 : ((batch - 1) * (rows + at->output_gap) + rows) * 4;
    q8k_matmul_args args = p->args;
    args.weights = weights.start;
    args.weights_bytes = (rows - 1) * (p->row_bytes + at->weights_gap) + p->row_bytes;
    args.weights_stride = at->weights_gap ? p->row_bytes + at->weights_gap : 0;
    args.input = (const float *)(const void *)input.start;
    args.input_stride = at->input_gap ? columns + at->input_gap : 0;
    args.output = (float *)(void *)output.start;
    args.output_stride = at->output_gap ? rows + at->output_gap : 0;
    for (int prepared = 0; prepared < 2; prepared++) {
        memset(output.start, CANARY, output_bytes);
        if (prepared)
            run_prepared(context, &args, at, 2, 3);
        else
            require(q8k_matmul(context, &args) == Q8K_OK, "%s", q8k_last_error());
        product_compare(context, p, args.output, rows + at->output_gap, prepared ? "prepared, laid out" : "laid out");
        check_gaps(output.start, batch, rows * 4, at->output_gap * 4);
    }
    guarded_free(&weights.memory);
    guarded_free(&input.memory);
    guarded_free(&output.memory);
}

static void check_placement(const product *p, placement at) {
    layout_case c = {p, &at};
    on_every_backend(check_layout, &c);
}

START_TEST(guard_pages_are_not_touched) {
    static const size_t rows[] = {1, 3, 8, 13}, batches[] = {1, 2, 5, 17};
    test_random random = random_start(2001 + (uint64_t)_i);
    for (size_t i = 0; i < 16; i++) {
        product p = product_make(&random, format_of(_i), precision_of(_i), rows[i / 4], 1 + i % 3, batches[i % 4]);
        check_placement(&p, (placement){.where = AT_START});
        check_placement(&p, (placement){.where = AT_END});
        product_free(&p);
    }
}
END_TEST

START_TEST(strides_leave_gaps_alone) {
    test_random random = random_start(2101 + (uint64_t)_i);
    product p = product_make(&random, format_of(_i), precision_of(_i), 7, 2, 6);
    static const placement places[] = {{1, 0, 0, AT_END, 0},        {0, 1, 0, AT_END, 0},    {0, 0, 1, AT_END, 0},
                                       {13, 3, 5, AT_END, 0},       {64, 64, 64, AT_END, 0}, {31, 17, 1, AT_START, 0},
                                       {4096, 1024, 9, AT_START, 0}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        check_placement(&p, places[i]);
    product_free(&p);
}
END_TEST

START_TEST(any_alignment_gives_the_same_bits) {
    test_random random = random_start(2201 + (uint64_t)_i);
    product p = product_make(&random, format_of(_i), precision_of(_i), 5, 2, 5);
    for (size_t shift = 0; shift < 64; shift++)
        check_placement(&p, (placement){.where = SHIFTED, .shift = shift, .weights_gap = shift % 3});
    product_free(&p);
}
END_TEST

static void check_every_split(const q8k_context *context, const void *data) {
    static const size_t parts[] = {1, 2, 3, 7, 64};
    for (size_t i = 0; i < 25; i++) {
        product_check_parts(context, data, parts[i / 5], parts[i % 5], false);
        product_check_parts(context, data, parts[i / 5], parts[i % 5], true);
    }
}

START_TEST(any_split_gives_the_same_bits) {
    static const size_t rows[] = {1, 7, 40}, batches[] = {1, 5, 40};
    test_random random = random_start(2301 + (uint64_t)_i);
    for (size_t i = 0; i < 9; i++) {
        product p = product_make(&random, format_of(_i), precision_of(_i), rows[i / 3], 2, batches[i % 3]);
        on_every_backend(check_every_split, &p);
        product_free(&p);
    }
}
END_TEST

/* One preparation serves every format. */
static void check_shared(const q8k_context *context, const void *data) {
    const product *products = data;
    q8k_input_args input = {.size = sizeof input,
                            .precision = products[0].args.precision,
                            .in_features = products[0].args.in_features,
                            .batch = products[0].args.batch,
                            .input = products[0].input};
    size_t bytes;
    ck_assert_int_eq(q8k_input_bytes(context, &input, &bytes), Q8K_OK);
    ck_assert_uint_le(bytes, 2 * input.batch * input.in_features * sizeof(float) + 16384);
    void *prepared = test_alloc(bytes);
    ck_assert_int_eq(q8k_input_prepare(context, &input, prepared, bytes, 0, 1), Q8K_OK);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        q8k_matmul_args args = products[i].args;
        args.output = test_alloc(args.batch * args.out_features * sizeof(float));
        ck_assert_int_eq(q8k_matmul_prepared(context, &args, prepared, bytes, 0, 1), Q8K_OK);
        product_compare(context, &products[i], args.output, args.out_features, "a shared preparation");
        free(args.output);
    }
    free(prepared);
}

START_TEST(a_preparation_serves_every_format) {
    test_random random = random_start(2401 + (uint64_t)_i);
    product products[FORMAT_COUNT];
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        products[i] = product_make(&random, (q8k_format)(i + 1), (q8k_precision)_i, 5 + i, 3, 9);
        memcpy(products[i].input, products[0].input, (size_t)9 * 3 * 256 * sizeof(float));
        product_expect(&products[i]);
    }
    on_every_backend(check_shared, products);
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        product_free(&products[i]);
}
END_TEST

/* ----------------------------------------------------------------------------------------------- dequantize --- */

typedef struct decode_case {
    const product *p;
    placement at;
} decode_case;

static void check_decode_layout(const q8k_context *context, const void *data) {
    const decode_case *c = data;
    const product *p = c->p;
    size_t rows = p->args.out_features, columns = p->args.in_features;
    placed weights = place_copy(p->weights, rows, p->row_bytes, c->at.weights_gap, &c->at, 1);
    placed output = place(rows, columns * 4, c->at.output_gap * 4, &c->at, 4);
    memset(output.start, CANARY, ((rows - 1) * (columns + c->at.output_gap) + columns) * 4);
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = p->args.format,
                                .rows = rows,
                                .cols = columns,
                                .weights = weights.start,
                                .weights_bytes = (rows - 1) * (p->row_bytes + c->at.weights_gap) + p->row_bytes,
                                .weights_stride = p->row_bytes + c->at.weights_gap,
                                .output = (float *)(void *)output.start,
                                .output_stride = columns + c->at.output_gap};
    require(q8k_dequantize(context, &args) == Q8K_OK, "%s", q8k_last_error());
    for (size_t i = 0; i < rows * p->blocks; i++) {
        float expected[256];
        const float *found = args.output + i / p->blocks * args.output_stride + i % p->blocks * 256;
        definition_decode(args.format, p->weights + i * definition_block_bytes(args.format), expected);
        for (size_t k = 0; k < 256; k++)
            require(same_float(found[k], expected[k]), "row block %zu weight %zu", i, k);
    }
    check_gaps(output.start, rows, columns * 4, c->at.output_gap * 4);
    guarded_free(&weights.memory);
    guarded_free(&output.memory);
}

START_TEST(decoding_keeps_to_its_buffers) {
    test_random random = random_start(2501 + (uint64_t)_i);
    product p = product_make(&random, (q8k_format)(_i + 1), Q8K_PRECISION_FLOAT, 3, 2, 0);
    for (size_t shift = 0; shift < 64; shift++) {
        decode_case c = {&p, {.where = SHIFTED, .shift = shift, .weights_gap = shift % 5, .output_gap = shift % 7}};
        on_every_backend(check_decode_layout, &c);
    }
    for (size_t i = 0; i < 2; i++) {
        decode_case c = {&p, {.where = i ? AT_START : AT_END}};
        on_every_backend(check_decode_layout, &c);
    }
    product_free(&p);
}
END_TEST

/* -------------------------------------------------------------------------------------------- empty products --- */

/* Nothing to compute: nothing is touched, and there need be nothing. */
static void check_nothing(const q8k_context *context, const void *data) {
    (void)data;
    for (int which = 0; which < 3; which++) {
        q8k_matmul_args args = {.size = sizeof args,
                                .format = Q8K_FORMAT_Q4_K,
                                .out_features = which == 1 ? 7 : 0,
                                .in_features = 512,
                                .batch = which == 2 ? 7 : 0,
                                .weights_bytes = which == 1 ? (size_t)7 * 288 : 0};
        q8k_input_args input = {.size = sizeof input, .in_features = 512, .batch = args.batch};
        float zeros[7 * 512] = {0};
        size_t bytes = 0;
        require(q8k_matmul(context, &args) == Q8K_OK, "%d: %s", which, q8k_last_error());
        ck_assert_int_eq(q8k_input_bytes(context, &input, &bytes), Q8K_OK);
        void *prepared = test_alloc(bytes);
        input.input = which == 2 ? zeros : NULL;
        require(q8k_input_prepare(context, &input, prepared, bytes, 0, 1) == Q8K_OK, "%d: %s", which, q8k_last_error());
        require(q8k_matmul_prepared(context, &args, prepared, bytes, 0, 1) == Q8K_OK, "%d: %s", which,
                q8k_last_error());
        free(prepared);
    }
}

START_TEST(without_rows_or_batch_nothing_is_touched) {
    on_every_backend(check_nothing, NULL);
}
END_TEST

static void check_no_columns(const q8k_context *context, const void *data) {
    float output[5 * 9];
    const float canary = 12345;
    q8k_matmul_args args = {.size = sizeof args,
                            .format = *(const q8k_format *)data,
                            .out_features = 7,
                            .batch = 5,
                            .output = output,
                            .output_stride = 9};
    q8k_input_args input = {.size = sizeof input, .batch = 5};
    size_t bytes = 0;
    ck_assert_int_eq(q8k_input_bytes(context, &input, &bytes), Q8K_OK);
    void *prepared = test_alloc(bytes);
    ck_assert_int_eq(q8k_input_prepare(context, &input, prepared, bytes, 0, 1), Q8K_OK);
    for (size_t parts = 0; parts <= 3; parts++) {
        for (size_t i = 0; i < sizeof output / sizeof *output; i++)
            output[i] = canary;
        if (parts == 0)
            require(q8k_matmul(context, &args) == Q8K_OK, "%s", q8k_last_error());
        for (size_t part = 0; part < parts; part++)
            require(q8k_matmul_prepared(context, &args, prepared, bytes, part, parts) == Q8K_OK, "%s",
                    q8k_last_error());
        for (size_t i = 0; i < (size_t)4 * 9 + 7; i++) {
            float expected = i % 9 < 7 ? 0.0F : canary;
            require(memcmp(&output[i], &expected, sizeof expected) == 0, "output %zu: %a", i, (double)output[i]);
        }
    }
    free(prepared);
}

START_TEST(without_columns_the_output_is_zero) {
    q8k_format format = (q8k_format)(_i + 1);
    on_every_backend(check_no_columns, &format);
}
END_TEST

START_TEST(an_empty_row_leaves_the_sum) {
    float sum = 42;
    q8k_accumulate_args args = {.size = sizeof args, .format = (q8k_format)(_i + 1), .sum = &sum};
    require(q8k_accumulate(NULL, &args) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_float_eq(sum, 42);
    q8k_dequantize_args decode = {.size = sizeof decode, .format = args.format, .cols = 256};
    require(q8k_dequantize(NULL, &decode) == Q8K_OK, "%s", q8k_last_error());
    decode = (q8k_dequantize_args){.size = sizeof decode, .format = args.format, .rows = 3};
    require(q8k_dequantize(NULL, &decode) == Q8K_OK, "%s", q8k_last_error());
    q8k_quantize_args encode = {.size = sizeof encode, .format = args.format, .cols = 256};
    require(q8k_quantize(&encode) == Q8K_OK, "%s", q8k_last_error());
    encode = (q8k_quantize_args){.size = sizeof encode, .format = args.format, .rows = 3};
    require(q8k_quantize(&encode) == Q8K_OK, "%s", q8k_last_error());
}
END_TEST

Suite *suite_layout(void) {
    Suite *suite = suite_create("layout");
    TCase *tests = tcase_create("layout");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, guard_pages_are_not_touched, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, strides_leave_gaps_alone, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, any_alignment_gives_the_same_bits, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, any_split_gives_the_same_bits, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, a_preparation_serves_every_format, 0, PRECISION_COUNT);
    tcase_add_loop_test(tests, decoding_keeps_to_its_buffers, 0, FORMAT_COUNT);
    tcase_add_test(tests, without_rows_or_batch_nothing_is_touched);
    tcase_add_loop_test(tests, without_columns_the_output_is_zero, 0, FORMAT_COUNT);
    tcase_add_loop_test(tests, an_empty_row_leaves_the_sum, 0, FORMAT_COUNT);
    suite_add_tcase(suite, tests);
    return suite;
}
