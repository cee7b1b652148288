/* SPDX-License-Identifier: MIT */
/* Wrong arguments of the functions for callers with threads, and of contexts and lists. */
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "support.h"

enum { ROWS = 3, COLUMNS = 512, BATCH = 2, PREPARED = 65536 };

static struct memory {
    uint8_t weights[ROWS * 288];
    float input[BATCH * COLUMNS], output[BATCH * ROWS];
    uint8_t prepared[PREPARED];
} memory, before;

static q8k_input_args good_input(void) {
    return (q8k_input_args){
        .size = sizeof(q8k_input_args), .in_features = COLUMNS, .batch = BATCH, .input = memory.input};
}

static q8k_matmul_args good_product(void) {
    return (q8k_matmul_args){.size = sizeof(q8k_matmul_args),
                             .format = Q8K_FORMAT_Q4_K,
                             .out_features = ROWS,
                             .in_features = COLUMNS,
                             .batch = BATCH,
                             .weights = memory.weights,
                             .weights_bytes = sizeof memory.weights,
                             .output = memory.output};
}

static size_t prepared_bytes(const q8k_context *context, const q8k_input_args *args) {
    size_t bytes = 0;
    require(q8k_input_bytes(context, args, &bytes) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_uint_le(bytes, PREPARED);
    return bytes;
}

/* Prepares the good input with a context and returns its size. */
static size_t prepare(const q8k_context *context) {
    q8k_input_args args = good_input();
    memset(&memory, 0, sizeof memory);
    size_t bytes = prepared_bytes(context, &args);
    require(q8k_input_prepare(context, &args, memory.prepared, bytes, 0, 1) == Q8K_OK, "%s", q8k_last_error());
    for (size_t i = 0; i < BATCH * ROWS; i++)
        memory.output[i] = 77;
    before = memory;
    return bytes;
}

/* A size in decimal, for one text at a time. */
static const char *decimal(size_t value) {
    static char text[32];
    snprintf(text, sizeof text, "%zu", value);
    return text;
}

static void expect(q8k_status found, q8k_status expected, const char *a, const char *b, const char *c) {
    const char *words[] = {a, b, c}, *text = q8k_last_error();
    require(found == expected, "%s, not %s: %s", q8k_status_name(found), q8k_status_name(expected), text);
    for (size_t i = 0; i < 3; i++)
        require(strstr(text, words[i]) != NULL, "\"%s\" not in \"%s\"", words[i], text);
    require(memcmp(&memory, &before, sizeof memory) == 0, "something was written: %s", text);
}

static void check_input_bytes(const q8k_context *context, const void *data) {
    const q8k_input_args good = good_input();
    q8k_input_args args = good;
    size_t bytes = 4711;
    (void)data;
    expect(q8k_input_bytes(context, NULL, &bytes), Q8K_ERROR_NULL, "args", "NULL", "");
    expect(q8k_input_bytes(context, &good, NULL), Q8K_ERROR_NULL, "bytes", "NULL", "");
    args.size = sizeof args - 1;
    expect(q8k_input_bytes(context, &args, &bytes), Q8K_ERROR_STRUCT, "size", "", "");
    args = good;
    args.precision = 3;
    expect(q8k_input_bytes(context, &args, &bytes), Q8K_ERROR_PRECISION, "precision", "3", "2");
    args = good;
    args.in_features = 257;
    expect(q8k_input_bytes(context, &args, &bytes), Q8K_ERROR_COLUMNS, "in_features", "257", "256");
    args.in_features = SIZE_MAX - 255;
    expect(q8k_input_bytes(context, &args, &bytes), Q8K_ERROR_OVERFLOW, "in_features = ", decimal(SIZE_MAX - 255), "");
    args = good;
    args.batch = SIZE_MAX;
    expect(q8k_input_bytes(context, &args, &bytes), Q8K_ERROR_OVERFLOW, "batch = ", decimal(SIZE_MAX), "prepared");
    args.batch = SIZE_MAX / 2048 / 2;
    expect(q8k_input_bytes(context, &args, &bytes), Q8K_ERROR_OVERFLOW, "batch = ", decimal(args.batch), "prepared");
    ck_assert_uint_eq(bytes, 4711);
    /* It does not look at the floats. */
    args = good;
    args.input = NULL;
    args.input_stride = 1;
    ck_assert_int_eq(q8k_input_bytes(context, &args, &bytes), Q8K_OK);
}

START_TEST(input_bytes_refuses_what_is_wrong) {
    before = memory;
    on_every_backend(check_input_bytes, NULL);
}
END_TEST

/* At most twice the activations and a constant, whatever the batch does not fill. */
static void check_workspace(const q8k_context *context, const void *data) {
    (void)data;
    for (q8k_precision precision = 0; precision < PRECISION_COUNT; precision++)
        for (size_t batch = 0; batch <= 70; batch++)
            for (size_t blocks = 0; blocks <= 20; blocks++) {
                q8k_input_args args = {
                    .size = sizeof args, .precision = precision, .in_features = blocks * 256, .batch = batch};
                size_t bytes = 0, activations = batch * blocks * 256 * sizeof(float);
                require(q8k_input_bytes(context, &args, &bytes) == Q8K_OK, "%s", q8k_last_error());
                require(bytes > 0 && bytes <= 2 * activations + 4096 + 128,
                        "%s, %s, %zu rows of %zu blocks: %zu bytes for %zu", q8k_context_backend(context),
                        q8k_precision_name(precision), batch, blocks, bytes, activations);
            }
}

START_TEST(a_workspace_is_twice_the_activations_at_most) {
    on_every_backend(check_workspace, NULL);
}
END_TEST

static void check_input_prepare(const q8k_context *context, const void *data) {
    const q8k_input_args good = good_input();
    q8k_input_args args = good;
    (void)data;
    size_t bytes = prepare(context);
    uint8_t *to = memory.prepared;
    char have[32], need[32];
    snprintf(have, sizeof have, "%zu", bytes - 1);
    snprintf(need, sizeof need, "%zu", bytes);
    expect(q8k_input_prepare(context, NULL, to, bytes, 0, 1), Q8K_ERROR_NULL, "args", "NULL", "");
    expect(q8k_input_prepare(context, &good, NULL, bytes, 0, 1), Q8K_ERROR_NULL, "prepared", "NULL", "");
    expect(q8k_input_prepare(context, &good, to, bytes - 1, 0, 1), Q8K_ERROR_BYTES, "prepared_bytes", have, need);
    expect(q8k_input_prepare(context, &good, to, 0, 0, 1), Q8K_ERROR_BYTES, "prepared_bytes", "0", need);
    expect(q8k_input_prepare(context, &good, to, bytes, 0, 0), Q8K_ERROR_PART, "parts", "0", "1");
    expect(q8k_input_prepare(context, &good, to, bytes, 3, 3), Q8K_ERROR_PART, "part", "3", "3");
    expect(q8k_input_prepare(context, &good, to, bytes, 9, 3), Q8K_ERROR_PART, "part", "9", "3");
    expect(q8k_input_prepare(context, &good, to, bytes, SIZE_MAX, 1), Q8K_ERROR_PART, "part", decimal(SIZE_MAX), "1");
    args.input = NULL;
    expect(q8k_input_prepare(context, &args, to, bytes, 0, 1), Q8K_ERROR_NULL, "input", "NULL", "");
    args = good;
    args.input_stride = 511;
    expect(q8k_input_prepare(context, &args, to, bytes, 0, 1), Q8K_ERROR_STRIDE, "input_stride", "511", "512");
    args.input_stride = SIZE_MAX / 4;
    expect(q8k_input_prepare(context, &args, to, bytes, 0, 1), Q8K_ERROR_OVERFLOW, "input", decimal(args.input_stride),
           "");
    args = good;
    args.precision = 3;
    expect(q8k_input_prepare(context, &args, to, bytes, 0, 1), Q8K_ERROR_PRECISION, "precision", "3", "2");
    args = good;
    args.in_features = 255;
    expect(q8k_input_prepare(context, &args, to, bytes, 0, 1), Q8K_ERROR_COLUMNS, "in_features", "255", "256");
    /* One byte of the buffer in the input, at either end; then just beside it. */
    args = good;
    for (size_t i = 0; i < 4; i++) {
        size_t input_bytes = sizeof memory.input, at = 16384;
        uint8_t *start = memory.prepared + at - (i < 2 ? bytes - i : 0) + (i < 2 ? 0 : input_bytes + 2 - i);
        args.input = (const float *)(const void *)(memory.prepared + at);
        /* i = 0: ends where the input starts; 1: a byte further; 2: starts where the input ends... */
        bool overlap = start < memory.prepared + at + input_bytes && start + bytes > memory.prepared + at;
        q8k_status status = q8k_input_prepare(context, &args, start, bytes, 0, 1);
        ck_assert_int_eq(overlap, i == 1 || i == 3);
        if (overlap) {
            expect(status, Q8K_ERROR_OVERLAP, "prepared", "input", "overlap");
            continue;
        }
        require(status == Q8K_OK, "%s", q8k_last_error());
        memory = before;
    }
}

START_TEST(input_prepare_refuses_what_is_wrong) {
    on_every_backend(check_input_prepare, NULL);
}
END_TEST

static void check_product_arguments(const q8k_context *context, const void *data) {
    const q8k_matmul_args good = good_product();
    q8k_matmul_args args = good;
    (void)data;
    size_t bytes = prepare(context);
    const uint8_t *from = memory.prepared;
    char have[32], need[32];
    snprintf(have, sizeof have, "%zu", bytes - 1);
    snprintf(need, sizeof need, "%zu", bytes);
    expect(q8k_matmul_prepared(context, NULL, from, bytes, 0, 1), Q8K_ERROR_NULL, "args", "NULL", "");
    expect(q8k_matmul_prepared(context, &good, NULL, bytes, 0, 1), Q8K_ERROR_NULL, "prepared", "NULL", "");
    expect(q8k_matmul_prepared(context, &good, from, bytes - 1, 0, 1), Q8K_ERROR_BYTES, "prepared_bytes", have, need);
    expect(q8k_matmul_prepared(context, &good, from, bytes, 0, 0), Q8K_ERROR_PART, "parts", "0", "1");
    expect(q8k_matmul_prepared(context, &good, from, bytes, 7, 7), Q8K_ERROR_PART, "part", "7", "7");
    args.weights = NULL;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_NULL, "weights", "NULL", "");
    args = good;
    args.output = NULL;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_NULL, "output", "NULL", "");
    args = good;
    args.format = 8;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_FORMAT, "format", "8", "");
    args = good;
    args.precision = 3;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_PRECISION, "precision", "3", "2");
    args = good;
    args.in_features = 511;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_COLUMNS, "in_features", "511", "256");
    args = good;
    args.weights_bytes++;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_BYTES, "weights_bytes", "865", "864");
    args = good;
    args.weights_stride = 287;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_STRIDE, "weights_stride", "287", "288");
    args = good;
    args.output_stride = 2;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_STRIDE, "output_stride", "2", "3");
    args = good;
    args.output = (float *)(void *)memory.weights;
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_OVERLAP, "output", "weights", "overlap");
    args.output = (float *)(void *)(memory.prepared + (bytes - 4) / 4 * 4);
    expect(q8k_matmul_prepared(context, &args, from, bytes, 0, 1), Q8K_ERROR_OVERLAP, "output", "prepared", "overlap");
}

START_TEST(matmul_prepared_refuses_what_is_wrong) {
    on_every_backend(check_product_arguments, NULL);
}
END_TEST

/* A buffer that holds no preparation, or one of something else. */
static void check_mismatches(const q8k_context *context, const void *data) {
    const q8k_matmul_args good = good_product();
    q8k_matmul_args args = good;
    (void)data;
    size_t bytes = prepare(context);
    /* Half the batch of twice the columns has the same size: the bytes cannot tell. */
    uint8_t weights[ROWS * 2 * 288] = {0};
    args.in_features = 2 * COLUMNS;
    args.batch = BATCH / 2;
    args.weights = weights;
    args.weights_bytes = sizeof weights;
    expect(q8k_matmul_prepared(context, &args, memory.prepared, PREPARED, 0, 1), Q8K_ERROR_PREPARED, "prepared", "",
           "");
    args = good;
    args.batch = BATCH - 1;
    expect(q8k_matmul_prepared(context, &args, memory.prepared, PREPARED, 0, 1), Q8K_ERROR_PREPARED, "batch", "1", "2");
    args.batch = BATCH + 1;
    float larger[(BATCH + 1) * ROWS] = {0};
    args.output = larger;
    expect(q8k_matmul_prepared(context, &args, memory.prepared, PREPARED, 0, 1), Q8K_ERROR_PREPARED, "batch", "3", "2");
    for (q8k_precision precision = 1; precision < PRECISION_COUNT; precision++) {
        args = good;
        args.precision = precision;
        expect(q8k_matmul_prepared(context, &args, memory.prepared, PREPARED, 0, 1), Q8K_ERROR_PREPARED, "precision",
               q8k_precision_name(precision), "float");
    }
    static const uint8_t garbage[] = {0x00, 0xff, 0x5a};
    for (size_t i = 0; i < sizeof garbage; i++) {
        memset(memory.prepared, garbage[i], sizeof memory.prepared);
        before = memory;
        expect(q8k_matmul_prepared(context, &good, memory.prepared, bytes, 0, 1), Q8K_ERROR_PREPARED, "prepared", "",
               "");
    }
}

START_TEST(other_preparations_are_refused) {
    on_every_backend(check_mismatches, NULL);
}
END_TEST

static q8k_context *context_of(const char *backend) {
    q8k_context_options options = {.size = sizeof options, .backend = backend};
    q8k_context *context = NULL;
    require(q8k_context_create(&context, &options) == Q8K_OK, "%s", q8k_last_error());
    return context;
}

START_TEST(preparations_of_another_backend_are_refused) {
    q8k_context *scalar = context_of("scalar"), *builtin = context_of("builtin"), *same = context_of("scalar");
    const q8k_matmul_args good = good_product();
    prepare(scalar);
    expect(q8k_matmul_prepared(builtin, &good, memory.prepared, PREPARED, 0, 1), Q8K_ERROR_PREPARED, "prepared",
           "builtin", "");
    /* Another context with the same backend is as good. */
    require(q8k_matmul_prepared(same, &good, memory.prepared, PREPARED, 0, 1) == Q8K_OK, "%s", q8k_last_error());
    q8k_context_destroy(scalar);
    q8k_context_destroy(builtin);
    q8k_context_destroy(same);
}
END_TEST

START_TEST(contexts_refuse_what_is_wrong) {
    struct {
        q8k_context_options known;
        uint64_t unknown;
    } larger = {{.size = sizeof larger, .backend = "builtin"}, 1};
    q8k_context *context = NULL;
    before = memory;
    expect(q8k_context_create(NULL, NULL), Q8K_ERROR_NULL, "out", "NULL", "");
    expect(q8k_context_create(&context, &larger.known), Q8K_ERROR_STRUCT, "size", "", "");
    larger.known.size = sizeof(size_t);
    expect(q8k_context_create(&context, &larger.known), Q8K_ERROR_STRUCT, "size", "", "");
    ck_assert_ptr_null(context);
    larger.known.size = sizeof larger;
    larger.unknown = 0;
    require(q8k_context_create(&context, &larger.known) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_str_eq(q8k_context_backend(context), "builtin");
    q8k_context_destroy(context);
    q8k_context_destroy(NULL);
}
END_TEST

START_TEST(lists_refuse_what_is_wrong) {
    q8k_backend_list *list = NULL;
    q8k_backend_info info = {.size = sizeof info};
    char count[32];
    before = memory;
    expect(q8k_backend_list_create(NULL, NULL), Q8K_ERROR_NULL, "out", "NULL", "");
    ck_assert_int_eq(q8k_backend_list_create(&list, NULL), Q8K_OK);
    size_t entries = q8k_backend_list_count(list);
    ck_assert_uint_ge(entries, 2);
    snprintf(count, sizeof count, "%zu", entries);
    expect(q8k_backend_list_get(NULL, 0, &info), Q8K_ERROR_NULL, "list", "NULL", "");
    expect(q8k_backend_list_get(list, 0, NULL), Q8K_ERROR_NULL, "info", "NULL", "");
    expect(q8k_backend_list_get(list, entries, &info), Q8K_ERROR_INDEX, "index", count, count);
    expect(q8k_backend_list_get(list, SIZE_MAX, &info), Q8K_ERROR_INDEX, "index", decimal(SIZE_MAX), count);
    info.size = offsetof(q8k_backend_info, state);
    expect(q8k_backend_list_get(list, 0, &info), Q8K_ERROR_STRUCT, "size", "", "");
    ck_assert_ptr_null(info.name);
    q8k_backend_list_destroy(list);
    ck_assert_uint_eq(q8k_backend_list_count(NULL), 0);
    ck_assert_ptr_null(q8k_backend_list_directory(NULL, NULL));
    ck_assert_ptr_null(q8k_backend_list_directory_source(NULL));
    q8k_backend_list_destroy(NULL);
}
END_TEST

/* Some feature is there on any CPU that is tested, and the index ends. */
START_TEST(cpu_features_can_be_read) {
    size_t count = 0;
    for (const char *name; (name = q8k_cpu_feature(count, NULL, NULL)) != NULL; count++) {
        int32_t seen = -1, usable = -1;
        ck_assert_ptr_eq(q8k_cpu_feature(count, &seen, &usable), name);
        require((seen == 0 || seen == 1) && (usable == 0 || usable == 1) && usable <= seen, "%s: %d, %d", name,
                (int)seen, (int)usable);
    }
    int32_t seen = 77, usable = 77;
    ck_assert_ptr_null(q8k_cpu_feature(count, &seen, &usable));
    ck_assert_ptr_null(q8k_cpu_feature(SIZE_MAX, &seen, &usable));
    ck_assert_int_eq(seen, 77);
    ck_assert_int_eq(usable, 77);
    ck_assert_uint_lt(count, 64);
}
END_TEST

Suite *suite_part_arguments(void) {
    Suite *suite = suite_create("part arguments");
    TCase *tests = tcase_create("part arguments");
    tcase_add_test(tests, input_bytes_refuses_what_is_wrong);
    tcase_add_test(tests, a_workspace_is_twice_the_activations_at_most);
    tcase_add_test(tests, input_prepare_refuses_what_is_wrong);
    tcase_add_test(tests, matmul_prepared_refuses_what_is_wrong);
    tcase_add_test(tests, other_preparations_are_refused);
    tcase_add_test(tests, preparations_of_another_backend_are_refused);
    tcase_add_test(tests, contexts_refuse_what_is_wrong);
    tcase_add_test(tests, lists_refuse_what_is_wrong);
    tcase_add_test(tests, cpu_features_can_be_read);
    suite_add_tcase(suite, tests);
    return suite;
}
