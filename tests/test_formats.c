/* SPDX-License-Identifier: MIT */
/* Names, sizes and decoded weights. */
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "tools/definition.h"
#include "golden.h"
#include "support.h"

static const struct {
    q8k_format format;
    const char *name, *upper;
    int32_t gguf_type;
    size_t block_bytes;
} known[FORMAT_COUNT] = {
    {Q8K_FORMAT_Q8_K, "q8_k", "Q8_K", -1, 292}, {Q8K_FORMAT_Q4_K, "q4_k", "Q4_K", 12, 144},
    {Q8K_FORMAT_Q5_K, "q5_k", "Q5_K", 13, 176}, {Q8K_FORMAT_Q6_K, "q6_k", "Q6_K", 14, 210},
    {Q8K_FORMAT_Q2_K, "q2_k", "Q2_K", 10, 84},  {Q8K_FORMAT_Q3_K, "q3_k", "Q3_K", 11, 110},
    {Q8K_FORMAT_Q8_0, "q8_0", "Q8_0", 8, 272},
};

START_TEST(versions_agree) {
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", Q8K_VERSION_MAJOR, Q8K_VERSION_MINOR, Q8K_VERSION_PATCH);
    ck_assert_str_eq(q8k_version(), text);
    ck_assert_uint_eq(q8k_version_number(), Q8K_VERSION_NUMBER);
    ck_assert_uint_eq(Q8K_VERSION_NUMBER, Q8K_VERSION_MAJOR * 1000000 + Q8K_VERSION_MINOR * 1000 + Q8K_VERSION_PATCH);
}
END_TEST

START_TEST(every_status_has_its_name) {
#define STATUS(name)                                                                                                   \
    { name, #name }
    static const struct {
        q8k_status status;
        const char *name;
    } all[] = {STATUS(Q8K_OK),
               STATUS(Q8K_ERROR_NULL),
               STATUS(Q8K_ERROR_STRUCT),
               STATUS(Q8K_ERROR_FORMAT),
               STATUS(Q8K_ERROR_PRECISION),
               STATUS(Q8K_ERROR_COLUMNS),
               STATUS(Q8K_ERROR_BYTES),
               STATUS(Q8K_ERROR_OVERFLOW),
               STATUS(Q8K_ERROR_STRIDE),
               STATUS(Q8K_ERROR_OVERLAP),
               STATUS(Q8K_ERROR_PART),
               STATUS(Q8K_ERROR_PREPARED),
               STATUS(Q8K_ERROR_NOT_FINITE),
               STATUS(Q8K_ERROR_RANGE),
               STATUS(Q8K_ERROR_MEMORY),
               STATUS(Q8K_ERROR_BACKEND),
               STATUS(Q8K_ERROR_ENVIRONMENT),
               STATUS(Q8K_ERROR_INDEX),
               STATUS(Q8K_ERROR_NAME)};
#undef STATUS
    const q8k_status count = sizeof all / sizeof *all;
    for (q8k_status i = 0; i < count; i++) {
        ck_assert_int_eq(all[i].status, i);
        ck_assert_str_eq(q8k_status_name(i), all[i].name);
    }
    ck_assert_str_eq(q8k_status_name(count), "unknown status");
    ck_assert_str_eq(q8k_status_name(-1), "unknown status");
    ck_assert_str_eq(q8k_status_name(INT32_MAX), "unknown status");
    ck_assert_str_eq(q8k_status_name(INT32_MIN), "unknown status");
}
END_TEST

START_TEST(formats_are_found_by_index_name_and_type) {
    ck_assert_uint_eq(q8k_format_count(), FORMAT_COUNT);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        q8k_format found = 0;
        ck_assert_uint_eq(q8k_format_at(i), known[i].format);
        ck_assert_str_eq(q8k_format_name(known[i].format), known[i].name);
        ck_assert_int_eq(q8k_format_gguf_type(known[i].format), known[i].gguf_type);
        ck_assert_uint_eq(q8k_format_block_columns(known[i].format), 256);
        ck_assert_uint_eq(q8k_format_block_bytes(known[i].format), known[i].block_bytes);
        ck_assert_int_eq(q8k_format_from_name(known[i].name, &found), Q8K_OK);
        ck_assert_uint_eq(found, known[i].format);
        found = 0;
        ck_assert_int_eq(q8k_format_from_name(known[i].upper, &found), Q8K_OK);
        ck_assert_uint_eq(found, known[i].format);
        if (known[i].gguf_type < 0)
            continue;
        found = 0;
        ck_assert_int_eq(q8k_format_from_gguf_type((uint32_t)known[i].gguf_type, &found), Q8K_OK);
        ck_assert_uint_eq(found, known[i].format);
    }
}
END_TEST

START_TEST(unknown_formats_have_nothing) {
    static const q8k_format unknown[] = {0, FORMAT_COUNT + 1, 12, 255, UINT32_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ck_assert_ptr_null(q8k_format_name(unknown[i]));
        ck_assert_int_eq(q8k_format_gguf_type(unknown[i]), -1);
        ck_assert_uint_eq(q8k_format_block_columns(unknown[i]), 0);
        ck_assert_uint_eq(q8k_format_block_bytes(unknown[i]), 0);
        ck_assert_uint_eq(q8k_row_bytes(unknown[i], 256), 0);
    }
    ck_assert_uint_eq(q8k_format_at(FORMAT_COUNT), 0);
    ck_assert_uint_eq(q8k_format_at(SIZE_MAX), 0);
}
END_TEST

START_TEST(unknown_format_names_are_refused) {
    static const char *const wrong[] = {"", "q", "q4", "q4_", "q4_kk", " q4_k", "q4_k ", "q8_1", "q3_k_m", "float"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        q8k_format format = 77;
        ck_assert_int_eq(q8k_format_from_name(wrong[i], &format), Q8K_ERROR_NAME);
        ck_assert_uint_eq(format, 77);
        require(strstr(q8k_last_error(), wrong[i]) != NULL, "%s", q8k_last_error());
    }
    q8k_format format = 77;
    ck_assert_int_eq(q8k_format_from_name(NULL, &format), Q8K_ERROR_NULL);
    ck_assert_uint_eq(format, 77);
    ck_assert_int_eq(q8k_format_from_name("q4_k", NULL), Q8K_ERROR_NULL);
}
END_TEST

START_TEST(unknown_gguf_types_are_refused) {
    static const uint32_t wrong[] = {0, 1, 2, 3, 6, 7, 9, 15, 16, 24, 30, 255, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        q8k_format format = 77;
        char number[16];
        snprintf(number, sizeof number, "%u", (unsigned)wrong[i]);
        ck_assert_int_eq(q8k_format_from_gguf_type(wrong[i], &format), Q8K_ERROR_NAME);
        ck_assert_uint_eq(format, 77);
        require(strstr(q8k_last_error(), number) != NULL, "%s", q8k_last_error());
        require((strstr(q8k_last_error(), "block_q8_K") != NULL) == (wrong[i] == 15), "%s", q8k_last_error());
    }
    ck_assert_int_eq(q8k_format_from_gguf_type(12, NULL), Q8K_ERROR_NULL);
}
END_TEST

START_TEST(precisions_have_names) {
    static const char *const names[PRECISION_COUNT] = {"float", "half", "byte"};
    q8k_precision found;
    for (q8k_precision i = 0; i < PRECISION_COUNT; i++) {
        found = 77;
        ck_assert_str_eq(q8k_precision_name(i), names[i]);
        ck_assert_int_eq(q8k_precision_from_name(names[i], &found), Q8K_OK);
        ck_assert_uint_eq(found, i);
    }
    ck_assert_ptr_null(q8k_precision_name(PRECISION_COUNT));
    ck_assert_ptr_null(q8k_precision_name(UINT32_MAX));
    found = 77;
    ck_assert_int_eq(q8k_precision_from_name("double", &found), Q8K_ERROR_NAME);
    ck_assert(strstr(q8k_last_error(), "double") != NULL);
    ck_assert_int_eq(q8k_precision_from_name("", &found), Q8K_ERROR_NAME);
    ck_assert_int_eq(q8k_precision_from_name(NULL, &found), Q8K_ERROR_NULL);
    ck_assert_uint_eq(found, 77);
    ck_assert_int_eq(q8k_precision_from_name("half", NULL), Q8K_ERROR_NULL);
}
END_TEST

START_TEST(rows_have_sizes) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        q8k_format format = known[i].format;
        ck_assert_uint_eq(q8k_row_bytes(format, 0), 0);
        ck_assert_uint_eq(q8k_row_bytes(format, 256), known[i].block_bytes);
        ck_assert_uint_eq(q8k_row_bytes(format, 4096), 16 * known[i].block_bytes);
        ck_assert_uint_eq(q8k_row_bytes(format, 1), 0);
        ck_assert_uint_eq(q8k_row_bytes(format, 255), 0);
        ck_assert_uint_eq(q8k_row_bytes(format, 257), 0);
        ck_assert_uint_eq(q8k_row_bytes(format, SIZE_MAX), 0);
        /* No object is larger than PTRDIFF_MAX. */
        size_t most = (size_t)PTRDIFF_MAX / known[i].block_bytes;
        if (most >= SIZE_MAX / 256)
            most = SIZE_MAX / 256 - 1;
        ck_assert_uint_eq(q8k_row_bytes(format, most * 256), most * known[i].block_bytes);
        if (known[i].block_bytes > 128)
            ck_assert_uint_eq(q8k_row_bytes(format, (most + 1) * 256), 0);
        if (known[i].block_bytes > 128)
            ck_assert_uint_eq(q8k_row_bytes(format, SIZE_MAX / 256 * 256), 0);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------- decoded weights --- */

typedef struct decoding {
    q8k_format format;
    size_t rows, cols;
    const uint8_t *weights;
    const float *expected;
    const char *what;
} decoding;

static void check_decoding(const q8k_context *context, const void *data) {
    const decoding *d = data;
    float *output = test_alloc(d->rows * d->cols * sizeof *output);
    q8k_dequantize_args args = {.size = sizeof args,
                                .format = d->format,
                                .rows = d->rows,
                                .cols = d->cols,
                                .weights = d->weights,
                                .weights_bytes = d->rows * q8k_row_bytes(d->format, d->cols),
                                .output = output};
    require(q8k_dequantize(context, &args) == Q8K_OK, "%s", q8k_last_error());
    for (size_t i = 0; i < d->rows * d->cols; i++)
        require(same_float(output[i], d->expected[i]), "%s by %s: row %zu weight %zu: %a (expected %a)", d->what,
                q8k_context_backend(context), i / d->cols, i % d->cols, (double)output[i], (double)d->expected[i]);
    free(output);
}

START_TEST(every_backend_decodes_the_vectors) {
    golden vectors;
    golden_load(&vectors, (size_t)_i);
    decoding d = {vectors.format, vectors.rows, vectors.cols, vectors.blocks, vectors.dequant, vectors.name};
    on_every_backend(check_decoding, &d);
    golden_free(&vectors);
}
END_TEST

static void decode_expected(decoding *d, float *expected) {
    size_t block_bytes = definition_block_bytes(d->format);
    for (size_t i = 0; i < d->rows * d->cols / 256; i++)
        definition_decode(d->format, d->weights + i * block_bytes, expected + i * 256);
    d->expected = expected;
}

/* Blocks whose d is every fp16 pattern from `first`, beside any dmin, and the other way round. */
static void decode_patterns(test_random *random, q8k_format format, unsigned first, unsigned count, bool in_dmin) {
    size_t block_bytes = definition_block_bytes(format);
    uint8_t *blocks = test_alloc(count * block_bytes);
    float *expected = test_alloc((size_t)count * 256 * sizeof *expected);
    for (unsigned i = 0; i < count; i++) {
        unsigned other = random_factor(random);
        block_fill(random, format, BLOCK_RANDOM, blocks + i * block_bytes);
        block_factors(format, blocks + i * block_bytes, in_dmin ? other : first + i, in_dmin ? first + i : other);
    }
    decoding d = {.format = format, .rows = count, .cols = 256, .weights = blocks, .what = "fp16 patterns"};
    decode_expected(&d, expected);
    on_every_backend(check_decoding, &d);
    free(blocks);
    free(expected);
}

START_TEST(every_backend_decodes_every_half_pattern) {
    enum { COUNT = 8192 };
    test_random random = random_start(101 + (uint64_t)_i);
    for (unsigned first = 0; first < 65536; first += COUNT) {
        decode_patterns(&random, known[_i].format, first, COUNT, false);
        if (definition_has_min(known[_i].format))
            decode_patterns(&random, known[_i].format, first, COUNT, true);
    }
}
END_TEST

START_TEST(every_backend_decodes_random_and_extreme_blocks) {
    test_random random = random_start(201 + (uint64_t)_i);
    for (size_t cols = 256; cols <= 5 * 256; cols += 256) {
        product p = product_make(&random, known[_i].format, Q8K_PRECISION_FLOAT, 13, cols / 256, 0);
        float *expected = test_alloc(13 * cols * sizeof *expected);
        decoding d = {.format = known[_i].format, .rows = 13, .cols = cols, .weights = p.weights, .what = "random"};
        decode_expected(&d, expected);
        on_every_backend(check_decoding, &d);
        free(expected);
        product_free(&p);
    }
}
END_TEST

Suite *suite_formats(void) {
    Suite *suite = suite_create("formats");
    TCase *names = tcase_create("names");
    TCase *decode = tcase_create("decode");
    tcase_add_test(names, versions_agree);
    tcase_add_test(names, every_status_has_its_name);
    tcase_add_test(names, formats_are_found_by_index_name_and_type);
    tcase_add_test(names, unknown_formats_have_nothing);
    tcase_add_test(names, unknown_format_names_are_refused);
    tcase_add_test(names, unknown_gguf_types_are_refused);
    tcase_add_test(names, precisions_have_names);
    tcase_add_test(names, rows_have_sizes);
    tcase_set_timeout(decode, 120);
    tcase_add_loop_test(decode, every_backend_decodes_the_vectors, 0, GOLDEN_COUNT);
    tcase_add_loop_test(decode, every_backend_decodes_every_half_pattern, 0, FORMAT_COUNT);
    tcase_add_loop_test(decode, every_backend_decodes_random_and_extreme_blocks, 0, FORMAT_COUNT);
    suite_add_tcase(suite, names);
    suite_add_tcase(suite, decode);
    return suite;
}
