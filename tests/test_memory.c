/* SPDX-License-Identifier: MIT */
/* What the library allocates, and what it does where there is no memory: in its hooked build it asks this file for it. */
#include "suites.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "support.h"

void *q8k_test_malloc(size_t bytes);
void *q8k_test_calloc(size_t count, size_t bytes);
void q8k_test_free(void *memory);

enum { NEVER = 1000000, ROWS = 40, BLOCKS = 3 };

/* Allocations since reset(), how many of them succeed before one fails, and how many were not given back. */
static struct { size_t count, bytes, good, kept; } asked = {.good = NEVER};

void *q8k_test_malloc(size_t bytes) {
    asked.bytes += bytes;
    if (asked.count++ == asked.good)
        return NULL;
    asked.kept++;
    return malloc(bytes);
}

void *q8k_test_calloc(size_t count, size_t bytes) {
    void *memory = q8k_test_malloc(count * bytes);
    return memory != NULL ? memset(memory, 0, count * bytes) : NULL;
}

void q8k_test_free(void *memory) {
    asked.kept -= memory != NULL;
    free(memory);
}

static void reset(size_t good) {
    asked.count = asked.bytes = asked.kept = 0;
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

/* What each failed allocation leaves behind is the text of the failure, which its thread keeps: one block, once. */
static void expect_nothing_kept(size_t texts, const char *what, size_t good) {
    require(asked.kept <= texts, "%s, allocation %zu fails: %zu blocks are kept", what, good, asked.kept);
}

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
            if (status != Q8K_OK)
                expect_nothing_kept(1, names[i], good);
        }
        require(good > 1, "%s: no allocation failed", names[i]);
        ck_assert_str_eq(q8k_context_backend(context), names[i]);
        q8k_context_destroy(context);
    }
}
END_TEST

/* The same for a list. Loading is one of the things that may lack memory: then a backend is rejected, and says so. */
START_TEST(lists_without_memory_fail_or_say_so) {
    q8k_status status = Q8K_ERROR_MEMORY;
    size_t failed = 0, said = 0, good = 0;
    for (bool whole = false; !whole; good++) {
        q8k_backend_list *list = NULL;
        reset(good);
        status = q8k_backend_list_create(&list, NULL);
        require((status == Q8K_OK) == (list != NULL), "allocation %zu fails: a list after a failure", good);
        whole = status == Q8K_OK;
        failed += status != Q8K_OK;
        for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
            q8k_backend_info info = {.size = sizeof info};
            ck_assert_int_eq(q8k_backend_list_get(list, i, &info), Q8K_OK);
            if (info.state == Q8K_BACKEND_REJECTED && strstr(info.reason, "no memory") != NULL) {
                said++;
                whole = false;
            }
        }
        q8k_backend_list_destroy(list);
        if (status != Q8K_OK) {
            ck_assert_int_eq(status, Q8K_ERROR_MEMORY);
            expect_nothing_kept(1, "list", good);
        }
        require(good < 100, "never whole");
    }
    ck_assert_uint_ge(failed, 1);
    ck_assert_uint_ge(said, 1);
}
END_TEST

/* A failure whose text has no memory is the same failure. A thread keeps its text: each try has a thread of its own. */
static void *fail_without_text(void *data) {
    q8k_status *status = data;
    reset(0);
    *status = q8k_matmul(NULL, NULL);
    require(strcmp(q8k_last_error(), "there is no memory for the text of this failure") == 0, "%s", q8k_last_error());
    require(q8k_matmul(NULL, NULL) == *status && strstr(q8k_last_error(), "args = NULL") != NULL, "%s",
            q8k_last_error());
    return data;
}

START_TEST(failures_without_memory_for_their_text_are_the_same) {
    q8k_status status = Q8K_OK;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_without_text, &status), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(status, Q8K_ERROR_NULL);
    /* The thread's end gave back its text. */
    ck_assert_uint_eq(asked.kept, 0);
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
    tcase_add_test(tests, lists_without_memory_fail_or_say_so);
    tcase_add_test(tests, failures_without_memory_for_their_text_are_the_same);
    suite_add_tcase(suite, tests);
    return suite;
}
