/* SPDX-License-Identifier: MIT */
/* What the library allocates, and what it does where there is no memory: in its hooked build it asks this file for it. */
#include "suites.h"

#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "support.h"

void *q8k_test_malloc(size_t bytes);

enum { NEVER = 1000000, ROWS = 40, BLOCKS = 3 };

/* Allocations since reset(), and how many of them succeed before one fails. */
static struct { size_t count, bytes, good; } asked = {.good = NEVER};

void *q8k_test_malloc(size_t bytes) {
    asked.bytes += bytes;
    return asked.count++ == asked.good ? NULL : malloc(bytes);
}

static void reset(size_t good) {
    asked.count = asked.bytes = 0;
    asked.good = good;
}

static product make_product(q8k_format format, size_t batch) {
    test_random random = random_start(3201 + batch);
    return product_make(&random, format, Q8K_PRECISION_FLOAT, ROWS, BLOCKS, batch);
}

static q8k_input_args input_of(const product *p) {
    return (q8k_input_args){.size = sizeof(q8k_input_args),
                            .precision = p->args.precision,
                            .in_features = p->args.in_features,
                            .batch = p->args.batch,
                            .input = p->input};
}

/* A product takes one workspace, of the size that a preparation has. */
static void check_workspace(const q8k_context *context, const void *data) {
    product p = make_product(Q8K_FORMAT_Q4_K, *(const size_t *)data);
    q8k_input_args input = input_of(&p);
    size_t bytes = 0;
    p.args.output = test_alloc(p.args.batch * ROWS * sizeof(float));
    reset(NEVER);
    require(q8k_input_bytes(context, &input, &bytes) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_uint_eq(asked.count, 0);
    require(q8k_matmul(context, &p.args) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_uint_eq(asked.count, 1);
    ck_assert_uint_eq(asked.bytes, bytes);
    product_compare(context, &p, p.args.output, ROWS, "with one allocation");
    free(p.args.output);
    product_free(&p);
}

static const size_t batches[] = {1, 5, 40};

START_TEST(a_product_allocates_once) {
    on_every_backend(check_workspace, &batches[_i]);
}
END_TEST

/* What an engine calls with memory of its own. */
static void check_none(const q8k_context *context, const void *data) {
    product p = make_product(Q8K_FORMAT_Q6_K, *(const size_t *)data);
    q8k_input_args input = input_of(&p);
    float sum = 0, *decoded = test_alloc((size_t)ROWS * BLOCKS * 256 * sizeof *decoded);
    size_t bytes = 0;
    p.args.output = test_alloc(p.args.batch * ROWS * sizeof(float));
    require(q8k_input_bytes(context, &input, &bytes) == Q8K_OK, "%s", q8k_last_error());
    void *prepared = test_alloc(bytes);
    q8k_accumulate_args row = {.size = sizeof row,
                               .format = p.args.format,
                               .in_features = p.args.in_features,
                               .weights = p.weights,
                               .weights_bytes = p.row_bytes,
                               .input = p.input,
                               .sum = &sum};
    q8k_dequantize_args all = {.size = sizeof all,
                               .format = p.args.format,
                               .rows = ROWS,
                               .cols = p.args.in_features,
                               .weights = p.weights,
                               .weights_bytes = p.args.weights_bytes,
                               .output = decoded};
    reset(NEVER);
    for (size_t part = 0; part < 5; part++)
        require(q8k_input_prepare(context, &input, prepared, bytes, part, 5) == Q8K_OK, "%s", q8k_last_error());
    for (size_t part = 0; part < 7; part++)
        require(q8k_matmul_prepared(context, &p.args, prepared, bytes, part, 7) == Q8K_OK, "%s", q8k_last_error());
    require(q8k_accumulate(context, &row) == Q8K_OK, "%s", q8k_last_error());
    require(q8k_dequantize(context, &all) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_uint_eq(asked.count, 0);
    free(prepared);
    free(decoded);
    free(p.args.output);
    product_free(&p);
}

START_TEST(nothing_else_allocates) {
    on_every_backend(check_none, &batches[_i]);
}
END_TEST

/* Without memory a product fails, touches nothing, and can be had later. */
static void check_failure(const q8k_context *context, const void *data) {
    (void)data;
    product p = make_product(Q8K_FORMAT_Q8_K, 5);
    float output[5 * ROWS], before[5 * ROWS];
    for (size_t i = 0; i < (size_t)5 * ROWS; i++)
        output[i] = before[i] = -(float)i;
    p.args.output = output;
    reset(0);
    ck_assert_int_eq(q8k_matmul(context, &p.args), Q8K_ERROR_MEMORY);
    ck_assert_int_eq(memcmp(output, before, sizeof output), 0);
    reset(NEVER);
    ck_assert_int_eq(q8k_matmul(context, &p.args), Q8K_OK);
    product_compare(context, &p, output, ROWS, "after a failure");
    product_free(&p);
}

START_TEST(a_product_without_memory_fails) {
    on_every_backend(check_failure, NULL);
}
END_TEST

/* Each allocation fails in turn, from the first load on; once none fails, all is well. */
START_TEST(contexts_without_memory_fail) {
    static const char *const names[] = {"scalar", "builtin"};
    for (size_t i = 0; i < 2; i++) {
        q8k_context_options options = {.size = sizeof options, .backend = names[i]};
        q8k_context *context = NULL;
        q8k_status status = Q8K_ERROR_MEMORY;
        size_t good = 0;
        for (; status != Q8K_OK; good++) {
            reset(good);
            status = q8k_context_create(&context, &options);
            require(status == Q8K_OK || status == Q8K_ERROR_MEMORY, "%s, allocation %zu fails: %s", names[i], good,
                    q8k_status_name(status));
            require((status == Q8K_OK) == (context != NULL), "%s: a context after a failure", names[i]);
        }
        require(good > 1, "%s: no allocation failed", names[i]);
        ck_assert_str_eq(q8k_context_backend(context), names[i]);
        q8k_context_destroy(context);
    }
}
END_TEST

Suite *suite_memory(void) {
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_product_allocates_once, 0, sizeof batches / sizeof *batches);
    tcase_add_loop_test(tests, nothing_else_allocates, 0, sizeof batches / sizeof *batches);
    tcase_add_test(tests, a_product_without_memory_fails);
    tcase_add_test(tests, contexts_without_memory_fail);
    suite_add_tcase(suite, tests);
    return suite;
}
