/* SPDX-License-Identifier: MIT */
/* Arguments that must be refused, one wrong thing at a time: the status, the text, and that nothing was written. */
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "golden.h"
#include "support.h"

/* A call on one struct, in a shape that all functions share. */
typedef q8k_status call(const void *args);

static q8k_status call_matmul(const void *args) {
    return q8k_matmul(NULL, args);
}

static q8k_status call_accumulate(const void *args) {
    return q8k_accumulate(NULL, args);
}

static q8k_status call_dequantize(const void *args) {
    return q8k_dequantize(NULL, args);
}

static q8k_status call_quantize(const void *args) {
    return q8k_quantize(args);
}

/* One member set to a wrong value, and what must come of it. */
typedef struct wrong {
    const char *member;
    size_t offset, bytes;
    uint64_t value;
    q8k_status status;
    const char *words[2]; /* parts of the text beside the value: the argument, the limit; NULL: any */
} wrong;

#define MEMBER(type, name) #name, offsetof(type, name), sizeof(((type *)0)->name)

/* All that a failing call could write to. */
static struct memory {
    uint8_t weights[1024];
    float input[1024], output[1024];
} memory, before;

static void memory_fill(void) {
    memset(&memory, 0, sizeof memory);
    for (size_t i = 0; i < 1024; i++) {
        memory.input[i] = (float)i;
        memory.output[i] = -(float)i;
    }
    before = memory;
}

static void expect_failure(q8k_status found, q8k_status expected, const char *const words[3], const char *what) {
    const char *text = q8k_last_error();
    require(found == expected, "%s: %s, not %s: %s", what, q8k_status_name(found), q8k_status_name(expected), text);
    for (size_t i = 0; i < 3; i++)
        require(words[i] == NULL || strstr(text, words[i]) != NULL, "%s: \"%s\" not in \"%s\"", what, words[i], text);
    require(strchr(text, '\n') == NULL, "%s: %s", what, text);
    require(memcmp(&memory, &before, sizeof memory) == 0, "%s: something was written", what);
}

static void expect_wrong(call *function, const void *good, size_t bytes, const wrong *w) {
    uint8_t args[256];
    char number[32];
    uint32_t narrow = (uint32_t)w->value;
    size_t wide = (size_t)w->value;
    memcpy(args, good, bytes);
    ck_assert(w->bytes == sizeof narrow || w->bytes == sizeof wide);
    memcpy(args + w->offset, w->bytes == sizeof wide ? (void *)&wide : (void *)&narrow, w->bytes);
    snprintf(number, sizeof number, "%" PRIu64, w->value);
    const char *value = w->status == Q8K_ERROR_NULL ? "NULL" : number;
    expect_failure(function(args), w->status, (const char *const[3]){value, w->words[0], w->words[1]}, w->member);
}

/* The struct itself: no pointer, too small, larger than known with and without something in it. */
static void expect_struct_checks(call *function, const void *good, size_t bytes) {
    uint8_t args[256] = {0};
    size_t sizes[] = {0, 1, sizeof(size_t), bytes - 1, SIZE_MAX};
    expect_failure(function(NULL), Q8K_ERROR_NULL, (const char *const[3]){"args", "NULL"}, "args");
    memcpy(args, good, bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char number[32];
        snprintf(number, sizeof number, "%zu", sizes[i]);
        memcpy(args, &sizes[i], sizeof(size_t));
        expect_failure(function(args), Q8K_ERROR_STRUCT, (const char *const[3]){"size", number}, "size");
    }
    size_t larger = bytes + 24;
    memcpy(args, &larger, sizeof larger);
    for (size_t i = bytes; i < larger; i++) {
        args[i] = 1;
        expect_failure(function(args), Q8K_ERROR_STRUCT, (const char *const[3]){"size"}, "unknown member");
        args[i] = 0;
    }
    args[larger] = 1; /* not part of it */
    require(function(args) == Q8K_OK, "%s", q8k_last_error());
    memory = before;
}

/* ---------------------------------------------------------------------------------------------------- matmul --- */

/* 3 rows of 512 columns of Q4_K, 288 bytes each, times 2 rows. */
static q8k_matmul_args good_matmul(void) {
    memory_fill();
    return (q8k_matmul_args){.size = sizeof(q8k_matmul_args),
                             .format = Q8K_FORMAT_Q4_K,
                             .out_features = 3,
                             .in_features = 512,
                             .batch = 2,
                             .weights = memory.weights,
                             .weights_bytes = 864,
                             .input = memory.input,
                             .output = memory.output};
}

#define MATMUL(name) MEMBER(q8k_matmul_args, name)
static const wrong wrong_matmul[] = {
    {MATMUL(weights), 0, Q8K_ERROR_NULL, {"weights"}},
    {MATMUL(input), 0, Q8K_ERROR_NULL, {"input"}},
    {MATMUL(output), 0, Q8K_ERROR_NULL, {"output"}},
    {MATMUL(format), 0, Q8K_ERROR_FORMAT, {"format", "q8_k"}},
    {MATMUL(format), 8, Q8K_ERROR_FORMAT, {"format", "q6_k"}},
    {MATMUL(format), 15, Q8K_ERROR_FORMAT, {"format"}},
    {MATMUL(format), UINT32_MAX, Q8K_ERROR_FORMAT, {"format"}},
    {MATMUL(precision), 3, Q8K_ERROR_PRECISION, {"precision", "2"}},
    {MATMUL(precision), UINT32_MAX, Q8K_ERROR_PRECISION, {"precision"}},
    {MATMUL(in_features), 1, Q8K_ERROR_COLUMNS, {"in_features", "256"}},
    {MATMUL(in_features), 255, Q8K_ERROR_COLUMNS, {"in_features", "256"}},
    {MATMUL(in_features), 257, Q8K_ERROR_COLUMNS, {"in_features", "256"}},
    {MATMUL(in_features), 768, Q8K_ERROR_BYTES, {"weights_bytes", "1296"}},
    {MATMUL(in_features), SIZE_MAX - 255, Q8K_ERROR_OVERFLOW, {"in_features"}},
    {MATMUL(out_features), 2, Q8K_ERROR_BYTES, {"weights_bytes", "576"}},
    {MATMUL(out_features), 4, Q8K_ERROR_BYTES, {"weights_bytes", "1152"}},
    {MATMUL(out_features), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"out_features"}},
    {MATMUL(out_features), SIZE_MAX / 288 + 1, Q8K_ERROR_OVERFLOW, {"out_features"}},
    {MATMUL(batch), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"batch = ", "output"}},
    {MATMUL(batch), SIZE_MAX / 12 + 1, Q8K_ERROR_OVERFLOW, {"batch = ", "output"}},
    {MATMUL(batch), SIZE_MAX / 2048 + 1, Q8K_ERROR_OVERFLOW, {"batch = ", "input"}},
    {MATMUL(weights_bytes), 0, Q8K_ERROR_BYTES, {"weights_bytes", "864"}},
    {MATMUL(weights_bytes), 863, Q8K_ERROR_BYTES, {"weights_bytes", "864"}},
    {MATMUL(weights_bytes), 865, Q8K_ERROR_BYTES, {"weights_bytes", "864"}},
    {MATMUL(weights_bytes), SIZE_MAX, Q8K_ERROR_BYTES, {"weights_bytes", "864"}},
    {MATMUL(weights_stride), 287, Q8K_ERROR_STRIDE, {"weights_stride", "288"}},
    {MATMUL(weights_stride), 1, Q8K_ERROR_STRIDE, {"weights_stride", "288"}},
    {MATMUL(weights_stride), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"weights_stride = "}},
    {MATMUL(weights_stride), SIZE_MAX / 2 + 1, Q8K_ERROR_OVERFLOW, {"weights_stride = "}},
    {MATMUL(weights_stride), SIZE_MAX / 4, Q8K_ERROR_OVERFLOW, {"out_features = 3"}},
    {MATMUL(input_stride), 511, Q8K_ERROR_STRIDE, {"input_stride", "512"}},
    {MATMUL(input_stride), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"input_stride = "}},
    {MATMUL(input_stride), SIZE_MAX / 4 + 1, Q8K_ERROR_OVERFLOW, {"input_stride = "}},
    {MATMUL(input_stride), SIZE_MAX / 8 + 1, Q8K_ERROR_OVERFLOW, {"input_stride = "}},
    {MATMUL(input_stride), SIZE_MAX / 8 - 256, Q8K_ERROR_OVERFLOW, {"batch = 2", "input"}},
    {MATMUL(output_stride), 2, Q8K_ERROR_STRIDE, {"output_stride", "3"}},
    {MATMUL(output_stride), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"output_stride = "}},
    {MATMUL(output_stride), SIZE_MAX / 8 + 1, Q8K_ERROR_OVERFLOW, {"output_stride = "}},
};

START_TEST(matmul_refuses_each_wrong_member) {
    const q8k_matmul_args good = good_matmul();
    expect_wrong(call_matmul, &good, sizeof good, &wrong_matmul[_i]);
}
END_TEST

START_TEST(matmul_checks_its_struct) {
    const q8k_matmul_args good = good_matmul();
    expect_struct_checks(call_matmul, &good, sizeof good);
}
END_TEST

/* With a stride the bytes may end anywhere between the last row's end and where the next would start. */
START_TEST(strided_weights_have_a_range_of_bytes) {
    q8k_matmul_args args = good_matmul();
    args.weights_stride = 300;
    for (size_t bytes = 880; bytes <= 910; bytes++) {
        args.weights_bytes = bytes;
        if (bytes >= 888 && bytes <= 900)
            require(q8k_matmul(NULL, &args) == Q8K_OK, "%zu: %s", bytes, q8k_last_error());
        else
            ck_assert_int_eq(q8k_matmul(NULL, &args), Q8K_ERROR_BYTES);
    }
}
END_TEST

/* Each output at each place around what is read: an overlap of a byte is one, touching is not. */
static void expect_overlaps(call *function, const void *good, size_t bytes, size_t written_offset, size_t written_bytes,
                            size_t read_offset, size_t read_bytes, const char *written, const char *read) {
    static const ptrdiff_t apart[] = {-1, 0, 1};
    size_t step = strcmp(read, "weights") == 0 || strcmp(written, "weights") == 0 ? 1 : sizeof(float);
    uint8_t *arena = test_alloc(16384), args[256];
    for (size_t i = 0; i < 6; i++) {
        ptrdiff_t at = i < 3 ? -(ptrdiff_t)written_bytes : (ptrdiff_t)read_bytes;
        ptrdiff_t offset = at + apart[i % 3] * (ptrdiff_t)step;
        /* The floats stay where floats may be, whichever of the two they are. */
        size_t shift = strcmp(written, "weights") == 0 ? 0 : (size_t)(8192 + offset) % 4;
        void *read_start = arena + 8192 - shift, *written_start = arena + 8192 - shift + offset;
        memset(arena, 0, 16384);
        memcpy(args, good, bytes);
        memcpy(args + read_offset, &read_start, sizeof read_start);
        memcpy(args + written_offset, &written_start, sizeof written_start);
        bool overlap = offset > -(ptrdiff_t)written_bytes && offset < (ptrdiff_t)read_bytes;
        q8k_status status = function(args);
        require(status == (overlap ? Q8K_ERROR_OVERLAP : Q8K_OK), "%s at %td from %s: %s", written, offset, read,
                q8k_status_name(status));
        if (overlap)
            expect_failure(status, Q8K_ERROR_OVERLAP, (const char *const[3]){written, read, "overlap"}, written);
        for (size_t k = 0; overlap && k < 16384; k++)
            require(arena[k] == 0, "%s: byte %zu was written", written, k);
    }
    free(arena);
}

START_TEST(matmul_refuses_overlaps) {
    const q8k_matmul_args good = good_matmul();
    size_t output = offsetof(q8k_matmul_args, output);
    expect_overlaps(call_matmul, &good, sizeof good, output, 24, offsetof(q8k_matmul_args, input), 4096, "output",
                    "input");
    expect_overlaps(call_matmul, &good, sizeof good, output, 24, offsetof(q8k_matmul_args, weights), 864, "output",
                    "weights");
    /* With strides, the extent goes from the first element to the last. */
    q8k_matmul_args strided = good;
    strided.output_stride = 10;
    strided.input_stride = 600;
    expect_overlaps(call_matmul, &strided, sizeof strided, output, 52, offsetof(q8k_matmul_args, input), 4448, "output",
                    "input");
}
END_TEST

/* ------------------------------------------------------------------------------------------------ accumulate --- */

static q8k_accumulate_args good_accumulate(void) {
    memory_fill();
    return (q8k_accumulate_args){.size = sizeof(q8k_accumulate_args),
                                 .format = Q8K_FORMAT_Q6_K,
                                 .in_features = 512,
                                 .weights = memory.weights,
                                 .weights_bytes = 420,
                                 .input = memory.input,
                                 .sum = memory.output};
}

#define ACCUMULATE(name) MEMBER(q8k_accumulate_args, name)
static const wrong wrong_accumulate[] = {
    {ACCUMULATE(weights), 0, Q8K_ERROR_NULL, {"weights"}},
    {ACCUMULATE(input), 0, Q8K_ERROR_NULL, {"input"}},
    {ACCUMULATE(sum), 0, Q8K_ERROR_NULL, {"sum"}},
    {ACCUMULATE(format), 8, Q8K_ERROR_FORMAT, {"format"}},
    {ACCUMULATE(precision), 3, Q8K_ERROR_PRECISION, {"precision", "2"}},
    {ACCUMULATE(in_features), 257, Q8K_ERROR_COLUMNS, {"in_features", "256"}},
    {ACCUMULATE(in_features), SIZE_MAX - 255, Q8K_ERROR_OVERFLOW, {"in_features"}},
    {ACCUMULATE(weights_bytes), 419, Q8K_ERROR_BYTES, {"weights_bytes", "420"}},
    {ACCUMULATE(weights_bytes), 421, Q8K_ERROR_BYTES, {"weights_bytes", "420"}},
};

START_TEST(accumulate_refuses_each_wrong_member) {
    const q8k_accumulate_args good = good_accumulate();
    expect_wrong(call_accumulate, &good, sizeof good, &wrong_accumulate[_i]);
}
END_TEST

START_TEST(accumulate_checks_its_struct_and_overlaps) {
    const q8k_accumulate_args good = good_accumulate();
    expect_struct_checks(call_accumulate, &good, sizeof good);
    size_t sum = offsetof(q8k_accumulate_args, sum);
    expect_overlaps(call_accumulate, &good, sizeof good, sum, 4, offsetof(q8k_accumulate_args, input), 2048, "sum",
                    "input");
    expect_overlaps(call_accumulate, &good, sizeof good, sum, 4, offsetof(q8k_accumulate_args, weights), 420, "sum",
                    "weights");
}
END_TEST

/* ------------------------------------------------------------------------------------ dequantize and quantize --- */

static q8k_dequantize_args good_dequantize(void) {
    memory_fill();
    return (q8k_dequantize_args){.size = sizeof(q8k_dequantize_args),
                                 .format = Q8K_FORMAT_Q8_K,
                                 .rows = 3,
                                 .cols = 256,
                                 .weights = memory.weights,
                                 .weights_bytes = 876,
                                 .output = memory.output};
}

#define DEQUANTIZE(name) MEMBER(q8k_dequantize_args, name)
static const wrong wrong_dequantize[] = {
    {DEQUANTIZE(weights), 0, Q8K_ERROR_NULL, {"weights"}},
    {DEQUANTIZE(output), 0, Q8K_ERROR_NULL, {"output"}},
    {DEQUANTIZE(format), 0, Q8K_ERROR_FORMAT, {"format"}},
    {DEQUANTIZE(cols), 255, Q8K_ERROR_COLUMNS, {"cols", "256"}},
    {DEQUANTIZE(cols), SIZE_MAX - 255, Q8K_ERROR_OVERFLOW, {"cols"}},
    {DEQUANTIZE(rows), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"rows"}},
    {DEQUANTIZE(rows), 4, Q8K_ERROR_BYTES, {"weights_bytes", "1168"}},
    {DEQUANTIZE(weights_bytes), 875, Q8K_ERROR_BYTES, {"weights_bytes", "876"}},
    {DEQUANTIZE(weights_bytes), 877, Q8K_ERROR_BYTES, {"weights_bytes", "876"}},
    {DEQUANTIZE(weights_stride), 291, Q8K_ERROR_STRIDE, {"weights_stride", "292"}},
    {DEQUANTIZE(weights_stride), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"weights_stride = "}},
    {DEQUANTIZE(output_stride), 255, Q8K_ERROR_STRIDE, {"output_stride", "256"}},
    {DEQUANTIZE(output_stride), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"output_stride = "}},
};

START_TEST(dequantize_refuses_each_wrong_member) {
    const q8k_dequantize_args good = good_dequantize();
    expect_wrong(call_dequantize, &good, sizeof good, &wrong_dequantize[_i]);
}
END_TEST

START_TEST(dequantize_checks_its_struct_and_overlaps) {
    const q8k_dequantize_args good = good_dequantize();
    expect_struct_checks(call_dequantize, &good, sizeof good);
    expect_overlaps(call_dequantize, &good, sizeof good, offsetof(q8k_dequantize_args, output), 3072,
                    offsetof(q8k_dequantize_args, weights), 876, "output", "weights");
}
END_TEST

static q8k_quantize_args good_quantize(void) {
    memory_fill();
    return (q8k_quantize_args){.size = sizeof(q8k_quantize_args),
                               .format = Q8K_FORMAT_Q5_K,
                               .rows = 3,
                               .cols = 256,
                               .input = memory.input,
                               .weights = memory.weights,
                               .weights_bytes = 528};
}

#define QUANTIZE(name) MEMBER(q8k_quantize_args, name)
static const wrong wrong_quantize[] = {
    {QUANTIZE(weights), 0, Q8K_ERROR_NULL, {"weights"}},
    {QUANTIZE(input), 0, Q8K_ERROR_NULL, {"input"}},
    {QUANTIZE(format), 99, Q8K_ERROR_FORMAT, {"format"}},
    {QUANTIZE(cols), 257, Q8K_ERROR_COLUMNS, {"cols", "256"}},
    {QUANTIZE(cols), SIZE_MAX - 255, Q8K_ERROR_OVERFLOW, {"cols"}},
    {QUANTIZE(rows), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"rows"}},
    {QUANTIZE(weights_bytes), 527, Q8K_ERROR_BYTES, {"weights_bytes", "528"}},
    {QUANTIZE(weights_bytes), 529, Q8K_ERROR_BYTES, {"weights_bytes", "528"}},
    {QUANTIZE(weights_stride), 175, Q8K_ERROR_STRIDE, {"weights_stride", "176"}},
    {QUANTIZE(input_stride), 1, Q8K_ERROR_STRIDE, {"input_stride", "256"}},
    {QUANTIZE(input_stride), SIZE_MAX, Q8K_ERROR_OVERFLOW, {"input_stride = "}},
};

START_TEST(quantize_refuses_each_wrong_member) {
    const q8k_quantize_args good = good_quantize();
    expect_wrong(call_quantize, &good, sizeof good, &wrong_quantize[_i]);
}
END_TEST

START_TEST(quantize_checks_its_struct_and_overlaps) {
    const q8k_quantize_args good = good_quantize();
    expect_struct_checks(call_quantize, &good, sizeof good);
    expect_overlaps(call_quantize, &good, sizeof good, offsetof(q8k_quantize_args, weights), 528,
                    offsetof(q8k_quantize_args, input), 3072, "weights", "input");
}
END_TEST

/* ----------------------------------------------------------------------------------------------- many threads --- */

/* Every member of every table, each thread from another one on: the text is that of the thread's own failure. */
static const q8k_matmul_args *shared_matmul;
static const q8k_accumulate_args *shared_accumulate;
static const q8k_dequantize_args *shared_dequantize;
static const q8k_quantize_args *shared_quantize;

static size_t wrong_in_thread(call *function, const void *good, size_t bytes, const wrong *w) {
    uint8_t args[256];
    uint32_t narrow = (uint32_t)w->value;
    size_t wide = (size_t)w->value;
    memcpy(args, good, bytes);
    memcpy(args + w->offset, w->bytes == sizeof wide ? (void *)&wide : (void *)&narrow, w->bytes);
    if (function(args) != w->status)
        return 1;
    const char *text = q8k_last_error();
    char number[32];
    snprintf(number, sizeof number, "%" PRIu64, w->value);
    return strstr(text, w->status == Q8K_ERROR_NULL ? "NULL" : number) == NULL ||
           (w->words[0] != NULL && strstr(text, w->words[0]) == NULL) ||
           (w->words[1] != NULL && strstr(text, w->words[1]) == NULL);
}

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))
#define TRY_TABLE(function, good, table)                                                                               \
    for (size_t i = 0; i < COUNT_OF(table); i++)                                                                       \
    me->crew->failures[me->number] +=                                                                                  \
        wrong_in_thread(function, good, sizeof *good, &(table)[(i + me->number) % COUNT_OF(table)])

static void *every_wrong_member(void *data) {
    const member *me = data;
    pthread_barrier_wait(&me->crew->start);
    for (size_t round = 0; round < 20; round++) {
        TRY_TABLE(call_matmul, shared_matmul, wrong_matmul);
        TRY_TABLE(call_accumulate, shared_accumulate, wrong_accumulate);
        TRY_TABLE(call_dequantize, shared_dequantize, wrong_dequantize);
        TRY_TABLE(call_quantize, shared_quantize, wrong_quantize);
    }
    return NULL;
}

START_TEST(threads_have_their_own_failures) {
    const q8k_accumulate_args accumulate = good_accumulate();
    const q8k_dequantize_args dequantize = good_dequantize();
    const q8k_quantize_args quantize = good_quantize();
    const q8k_matmul_args matmul = good_matmul();
    shared_accumulate = &accumulate;
    shared_dequantize = &dequantize;
    shared_quantize = &quantize;
    shared_matmul = &matmul;
    ck_assert_uint_eq(run_crew(every_wrong_member, NULL), 0);
    require(memcmp(&memory, &before, sizeof memory) == 0, "something was written");
}
END_TEST

#define ADD_TABLE(tests, test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof *(table)))

Suite *suite_arguments(void) {
    Suite *suite = suite_create("arguments");
    TCase *tests = tcase_create("arguments");
    ADD_TABLE(tests, matmul_refuses_each_wrong_member, wrong_matmul);
    tcase_add_test(tests, matmul_checks_its_struct);
    tcase_add_test(tests, strided_weights_have_a_range_of_bytes);
    tcase_add_test(tests, matmul_refuses_overlaps);
    ADD_TABLE(tests, accumulate_refuses_each_wrong_member, wrong_accumulate);
    tcase_add_test(tests, accumulate_checks_its_struct_and_overlaps);
    ADD_TABLE(tests, dequantize_refuses_each_wrong_member, wrong_dequantize);
    tcase_add_test(tests, dequantize_checks_its_struct_and_overlaps);
    ADD_TABLE(tests, quantize_refuses_each_wrong_member, wrong_quantize);
    tcase_add_test(tests, quantize_checks_its_struct_and_overlaps);
    tcase_add_test(tests, threads_have_their_own_failures);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return suite;
}
