/* SPDX-License-Identifier: MIT */
/* The quantizers: how small the error is, on any values that a format holds, and that the bytes are always the same. */
#include "suites.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { FORMATS = 7, CANARY = 0xa5 };

/*
 * Root-mean-square errors relative to that of the data. `normal` and `real` are measured, plus 2 %; `ggml_*` are the
 * hard ceilings, what ggml makes of the same data: its quantizer for the same format without an importance matrix, and
 * for Q8_K its Q8_0. All are printed by
 *
 *     tests/compare-quantizers --ggml DIR build/lib/.libs/libq8k.so
 *
 * in the lines "test normal" and "projection".
 */
typedef struct expected {
    q8k_format format;
    float limit; /* the largest magnitude: see lib/quantizers.h */
    double normal, ggml_normal, real, ggml_real;
    double lifted;     /* of values about 1 with a deviation of 0.05 */
    double outlier;    /* of normal values with one that is 1000 */
    double beside;     /* of the groups beside it, absolute: where scales are few, nothing is left of them */
    double worst;      /* largest error over the largest magnitude, of evenly spread values */
    double requantize; /* how much the error may grow when decoded values are quantized again */
    uint64_t golden;   /* FNV-1a hash of the blocks of golden_input() */
} expected;

/* clang-format off */
static const expected formats[FORMATS] = {
    {Q8K_FORMAT_Q8_K, 65504.0f * 1905, 0.003915, 0.0052380, 0.003984, 0.0054902, 3e-4, 5e-3, 0.5, 0.008, 1.04,
     UINT64_C(0x5c94aa8bd88e496b)},
    {Q8K_FORMAT_Q4_K, 65504.0f * 63, 0.069775, 0.0701116, 0.072091, 0.0726396, 4.5e-3, 1e-2, 0.5, 0.12, 1.02,
     UINT64_C(0xacf5c6075f293ed4)},
    {Q8K_FORMAT_Q5_K, 65504.0f * 63, 0.034280, 0.0354171, 0.035390, 0.0368694, 2.3e-3, 8e-3, 0.5, 0.06, 1.04,
     UINT64_C(0x2cd266a31c2f6a69)},
    {Q8K_FORMAT_Q6_K, 65504.0f * 3968, 0.016393, 0.0173654, 0.016925, 0.0178834, 9e-3, 6e-3, 0.5, 0.03, 1.01,
     UINT64_C(0x61fc0c78af08a404)},
    {Q8K_FORMAT_Q2_K, 65504.0f * 15, 0.262939, 0.2927673, 0.265150, 0.2959760, 1.5e-2, 1.7e-2, 1.1, 0.32, 1.01,
     UINT64_C(0x2a58c49c2683901f)},
    {Q8K_FORMAT_Q3_K, 65504.0f * 96, 0.144631, 0.1492024, 0.146930, 0.1514422, 5e-2, 1.7e-2, 1.1, 0.18, 1.01,
     UINT64_C(0xcac2de6b99ff7399)},
    {Q8K_FORMAT_Q8_0, 65504.0f * 127, 0.004819, 0.0052380, 0.005086, 0.0054902, 2.4e-3, 6e-3, 0.02, 0.004, 1.01,
     UINT64_C(0xc55576b83de4dd0c)},
};
/* clang-format on */

/* For numbers that Q8K_TEST_SEED does not change: the figures above are of these. */
static const test_random fixed_seed = {20260722};

static void fill_normal(test_random random, float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] = random_normal(&random);
}

static q8k_status quantize(q8k_format format, size_t rows, size_t cols, const float *x, void *weights) {
    q8k_quantize_args args = {.size = sizeof args, .format = format, .rows = rows, .cols = cols, .input = x};
    args.weights = weights;
    args.weights_bytes = rows * q8k_row_bytes(format, cols);
    return q8k_quantize(&args);
}

static uint8_t *quantized(q8k_format format, size_t rows, size_t cols, const float *x) {
    size_t bytes = rows * q8k_row_bytes(format, cols);
    uint8_t *weights = test_alloc(bytes);
    memset(weights, CANARY, bytes);
    ck_assert_msg(quantize(format, rows, cols, x, weights) == Q8K_OK, "%s", q8k_last_error());
    return weights;
}

/* What is left of the values; to be freed. */
static float *round_trip(q8k_format format, size_t rows, size_t cols, const float *x) {
    uint8_t *weights = quantized(format, rows, cols, x);
    float *decoded = test_alloc(rows * cols * sizeof *decoded);
    q8k_dequantize_args args = {.size = sizeof args, .format = format, .rows = rows, .cols = cols};
    args.weights = weights;
    args.weights_bytes = rows * q8k_row_bytes(format, cols);
    args.output = decoded;
    ck_assert_msg(q8k_dequantize(NULL, &args) == Q8K_OK, "%s", q8k_last_error());
    free(weights);
    return decoded;
}

static double rms(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)a[i] - (b != NULL ? (double)b[i] : 0);
        sum += difference * difference;
    }
    return sqrt(sum / (double)count);
}

static double relative_error(q8k_format format, size_t rows, size_t cols, const float *x) {
    float *decoded = round_trip(format, rows, cols, x);
    double error = rms(decoded, x, rows * cols) / rms(x, NULL, rows * cols);
    free(decoded);
    return error;
}

/* Fails on NaN as well. */
static void check_below(const expected *f, double error, double limit, const char *what) {
    ck_assert_msg(error <= limit, "%s, %s: error %.7f, limit %.7f", q8k_format_name(f->format), what, error, limit);
}

START_TEST(error_on_normal_values) {
    const expected *f = &formats[_i];
    float *x = test_alloc(256 * 256 * sizeof *x);
    fill_normal(fixed_seed, x, 256 * 256);
    double error = relative_error(f->format, 256, 256, x);
    check_below(f, error, f->normal, "normal values");
    check_below(f, error, f->ggml_normal, "normal values against ggml");
    free(x);
}
END_TEST

START_TEST(error_on_real_weights) {
    const expected *f = &formats[_i];
    char path[TEST_PATH_BYTES];
    size_t bytes, count = 768 * 256;
    test_path(path, test_folder("Q8K_TEST_DATA"), "real/projection.npy");
    uint8_t *file = file_read(path, &bytes);
    float *x = test_alloc(count * sizeof *x);
    /* The floats are the file's end. */
    ck_assert_uint_gt(bytes, count * sizeof *x);
    memcpy(x, file + bytes - count * sizeof *x, count * sizeof *x);
    double error = relative_error(f->format, 768, 256, x);
    check_below(f, error, f->real, "real weights");
    check_below(f, error, f->ggml_real, "real weights against ggml");
    free(x);
    free(file);
}
END_TEST

START_TEST(zeros) {
    const expected *f = &formats[_i];
    float x[512] = {0};
    for (size_t k = 1; k < 256; k += 2)
        x[k] = -0.0f;
    float *decoded = round_trip(f->format, 1, 512, x);
    for (size_t k = 0; k < 512; k++)
        ck_assert_msg(decoded[k] == 0, "weight %zu is %g", k, (double)decoded[k]);
    free(decoded);
}
END_TEST

START_TEST(constants) {
    static const float values[] = {1, -1, 0.3f, -0.3f, 77, -12345, 0.7f};
    const expected *f = &formats[_i];
    float x[256];
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        for (size_t k = 0; k < 256; k++)
            x[k] = values[v];
        /* Half the distance of two fp16 numbers. */
        check_below(f, relative_error(f->format, 1, 256, x), 0x1p-11, "a constant");
    }
}
END_TEST

START_TEST(values_about_one) {
    const expected *f = &formats[_i];
    float x[16 * 256];
    fill_normal(fixed_seed, x, 16 * 256);
    for (size_t k = 0; k < 16 * 256; k++)
        x[k] = 1 + x[k] / 20;
    check_below(f, relative_error(f->format, 16, 256, x), f->lifted, "values about 1");
    for (size_t k = 0; k < 16 * 256; k++)
        x[k] = -x[k];
    check_below(f, relative_error(f->format, 16, 256, x), f->lifted, "values about -1");
}
END_TEST

START_TEST(outliers) {
    const expected *f = &formats[_i];
    float x[16 * 256];
    fill_normal(fixed_seed, x, 16 * 256);
    for (size_t r = 0; r < 16; r++)
        x[r * 256 + 17 * r] = r % 2 == 0 ? 1000 : -1000;
    check_below(f, relative_error(f->format, 16, 256, x), f->outlier, "outliers");
    /* The other groups hardly suffer. */
    float *decoded = round_trip(f->format, 16, 256, x);
    double error = rms(decoded + 128, x + 128, 128);
    ck_assert_msg(error <= f->beside, "beside an outlier the error is %f", error);
    free(decoded);
}
END_TEST

/* Down to where nothing is left, the error is in proportion, or below the smallest fp16 number. */
START_TEST(tiny_values) {
    const expected *f = &formats[_i];
    float normal[4 * 256], x[4 * 256];
    fill_normal(fixed_seed, normal, 4 * 256);
    for (int e = 0; e >= -150; e--) {
        for (size_t k = 0; k < 4 * 256; k++)
            x[k] = ldexpf(normal[k], e);
        float *decoded = round_trip(f->format, 4, 256, x);
        double error = rms(decoded, x, 4 * 256), size = rms(x, NULL, 4 * 256);
        ck_assert_msg(error <= 1.15 * f->normal * size + 0x1p-25, "at 2^%d the error is %g", e, error);
        ck_assert_msg(error <= size, "at 2^%d the error is %g of %g", e, error, size);
        free(decoded);
    }
}
END_TEST

static void check_at_limit(const expected *f, const float *x, double limit, const char *what) {
    float *decoded = round_trip(f->format, 2, 256, x);
    double worst = 0;
    for (size_t k = 0; k < 512; k++) {
        ck_assert_msg(isfinite(decoded[k]), "%s: weight %zu is %f", what, k, (double)decoded[k]);
        worst = fmax(worst, fabs((double)decoded[k] - (double)x[k]));
    }
    check_below(f, worst / (double)f->limit, limit, what);
    free(decoded);
}

START_TEST(values_at_the_limit) {
    const expected *f = &formats[_i];
    float x[512];
    for (size_t k = 0; k < 512; k++)
        x[k] = k < 256 ? f->limit : -f->limit;
    check_at_limit(f, x, 1e-3, "the limit");
    for (size_t k = 0; k < 512; k++)
        x[k] = k * 7 % 5 < 2 ? f->limit : -f->limit;
    check_at_limit(f, x, 1e-2, "both limits");
    for (size_t k = 0; k < 512; k++)
        x[k] = (float)((int)(k * 101 % 257) - 128) / 128 * f->limit;
    check_at_limit(f, x, f->worst, "values up to the limit");
}
END_TEST

/* A value that cannot be quantized: which, where, and what is said of it. */
static void check_refused(q8k_format format, float value, size_t row, size_t col, q8k_status status) {
    enum { ROWS = 3, COLS = 768 };
    static float x[ROWS * COLS];
    size_t bytes = ROWS * q8k_row_bytes(format, COLS);
    uint8_t *weights = test_alloc(bytes);
    char place[64];
    memset(weights, CANARY, bytes);
    fill_normal(fixed_seed, x, ROWS * COLS);
    x[row * COLS + col] = value;
    ck_assert_int_eq(quantize(format, ROWS, COLS, x, weights), status);
    snprintf(place, sizeof place, "row %zu, column %zu:", row, col);
    ck_assert_msg(strstr(q8k_last_error(), place) != NULL, "no \"%s\" in \"%s\"", place, q8k_last_error());
    for (size_t i = 0; i < bytes; i++)
        ck_assert_msg(weights[i] == CANARY, "byte %zu was written", i);
    free(weights);
}

START_TEST(values_beyond_the_limit) {
    const expected *f = &formats[_i];
    float beyond = nextafterf(f->limit, INFINITY);
    check_refused(f->format, beyond, 0, 0, Q8K_ERROR_RANGE);
    check_refused(f->format, -beyond, 1, 300, Q8K_ERROR_RANGE);
    check_refused(f->format, 3e38f, 2, 767, Q8K_ERROR_RANGE);
}
END_TEST

START_TEST(values_that_are_not_finite) {
    static const size_t rows[] = {0, 1, 2}, cols[] = {0, 1, 255, 256, 700, 767};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
            check_refused(formats[_i].format, NAN, rows[r], cols[c], Q8K_ERROR_NOT_FINITE);
            check_refused(formats[_i].format, INFINITY, rows[r], cols[c], Q8K_ERROR_NOT_FINITE);
            check_refused(formats[_i].format, -INFINITY, rows[r], cols[c], Q8K_ERROR_NOT_FINITE);
        }
}
END_TEST

/* Rows with gaps: the same bytes, and gaps neither read nor written. */
START_TEST(strides) {
    enum { ROWS = 5, COLS = 512, INPUT_STRIDE = COLS + 3, GAP = 7 };
    q8k_format format = formats[_i].format;
    size_t row_bytes = q8k_row_bytes(format, COLS), stride = row_bytes + GAP;
    float x[ROWS * COLS], strided[ROWS * INPUT_STRIDE];
    fill_normal(random_start(1), x, ROWS * COLS);
    for (size_t i = 0; i < ROWS * INPUT_STRIDE; i++)
        strided[i] = i % INPUT_STRIDE < COLS ? x[i / INPUT_STRIDE * COLS + i % INPUT_STRIDE] : NAN;
    uint8_t *packed = quantized(format, ROWS, COLS, x), *weights = test_alloc(ROWS * stride);
    memset(weights, CANARY, ROWS * stride);
    q8k_quantize_args args = {.size = sizeof args, .format = format, .rows = ROWS, .cols = COLS, .input = strided};
    args.input_stride = INPUT_STRIDE;
    args.weights = weights;
    args.weights_bytes = ROWS * stride;
    args.weights_stride = stride;
    ck_assert_msg(q8k_quantize(&args) == Q8K_OK, "%s", q8k_last_error());
    for (size_t r = 0; r < ROWS; r++) {
        ck_assert_mem_eq(weights + r * stride, packed + r * row_bytes, row_bytes);
        for (size_t i = row_bytes; i < stride; i++)
            ck_assert_uint_eq(weights[r * stride + i], CANARY);
    }
    free(weights);
    free(packed);
}
END_TEST

/* Each block depends on its own values alone, each of its bytes is written, and nothing beside it is touched. */
START_TEST(blocks_are_independent) {
    enum { ROWS = 4, COLS = 768, BLOCKS = ROWS * COLS / 256, INPUT_BYTES = 256 * sizeof(float) };
    q8k_format format = formats[_i].format;
    size_t block_bytes = q8k_format_block_bytes(format);
    guarded input = guarded_make(INPUT_BYTES), block = guarded_make(block_bytes);
    float x[ROWS * COLS];
    fill_normal(random_start(2), x, ROWS * COLS);
    uint8_t *weights = quantized(format, ROWS, COLS, x);
    for (size_t b = 0; b < BLOCKS; b++) {
        uint8_t *from = b % 2 == 0 ? input.at_start : input.at_end, *to = b % 2 == 0 ? block.at_start : block.at_end;
        memcpy(from, x + b * 256, INPUT_BYTES);
        memset(to, (int)b, block_bytes);
        ck_assert_int_eq(quantize(format, 1, 256, (const float *)(const void *)from, to), Q8K_OK);
        ck_assert_mem_eq(to, weights + b * block_bytes, block_bytes);
    }
    free(weights);
    guarded_free(&input);
    guarded_free(&block);
}
END_TEST

START_TEST(q8_k_reserved_bytes_are_zero) {
    static const uint8_t zero[16] = {0};
    float x[4 * 256];
    fill_normal(random_start(3), x, 4 * 256);
    uint8_t *weights = quantized(Q8K_FORMAT_Q8_K, 4, 256, x);
    for (size_t b = 0; b < 4; b++)
        ck_assert_mem_eq(weights + b * 292 + 272, zero, 16);
    free(weights);
}
END_TEST

/* Normal values; in other blocks multiplied, squared, lifted, thinned out, constant, tiny, and at the limits. */
static void golden_input(const expected *f, float x[64 * 256]) {
    test_random random = fixed_seed;
    for (size_t k = 0; k < 64 * 256; k++) {
        size_t b = k / 256;
        float value = random_normal(&random) * ldexpf(1, (int)(b * 5 % 40) - 30);
        switch (b % 8) {
        case 1:
            value = value * value;
            break;
        case 2:
            value = 1 + value;
            break;
        case 3:
            value = k % 9 == 0 ? value : 0;
            break;
        case 4:
            value = (float)b - 31.3f;
            break;
        case 5:
            value = (k * 13 + b) % 7 < 3 ? f->limit : -f->limit / (float)b;
            break;
        default:
            break;
        }
        x[k] = value;
    }
}

/* The bytes of every CPU, compiler and release: a change of a quantizer changes them on purpose or not at all. */
START_TEST(golden_bytes) {
    const expected *f = &formats[_i];
    float x[64 * 256];
    golden_input(f, x);
    uint8_t *weights = quantized(f->format, 64, 256, x);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < 64 * q8k_format_block_bytes(f->format); i++)
        hash = (hash ^ weights[i]) * UINT64_C(0x100000001b3);
    ck_assert_msg(hash == f->golden, "%s: the hash is now 0x%016llx", q8k_format_name(f->format),
                  (unsigned long long)hash);
    free(weights);
}
END_TEST

START_TEST(decoded_values_survive) {
    const expected *f = &formats[_i];
    size_t count = 64 * 256;
    float *x = test_alloc(count * sizeof *x);
    fill_normal(fixed_seed, x, count);
    float *once = round_trip(f->format, 64, 256, x), *twice = round_trip(f->format, 64, 256, once);
    double growth = rms(twice, x, count) / rms(once, x, count);
    check_below(f, growth, f->requantize, "error of the second time over the first");
    free(twice);
    free(once);
    free(x);
}
END_TEST

Suite *suite_quantize(void) {
    Suite *suite = suite_create("quantize");
    TCase *tests = tcase_create("quantize");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, error_on_normal_values, 0, FORMATS);
    tcase_add_loop_test(tests, error_on_real_weights, 0, FORMATS);
    tcase_add_loop_test(tests, zeros, 0, FORMATS);
    tcase_add_loop_test(tests, constants, 0, FORMATS);
    tcase_add_loop_test(tests, values_about_one, 0, FORMATS);
    tcase_add_loop_test(tests, outliers, 0, FORMATS);
    tcase_add_loop_test(tests, tiny_values, 0, FORMATS);
    tcase_add_loop_test(tests, values_at_the_limit, 0, FORMATS);
    tcase_add_loop_test(tests, values_beyond_the_limit, 0, FORMATS);
    tcase_add_loop_test(tests, values_that_are_not_finite, 0, FORMATS);
    tcase_add_loop_test(tests, strides, 0, FORMATS);
    tcase_add_loop_test(tests, blocks_are_independent, 0, FORMATS);
    tcase_add_test(tests, q8_k_reserved_bytes_are_zero);
    tcase_add_loop_test(tests, golden_bytes, 0, FORMATS);
    tcase_add_loop_test(tests, decoded_values_survive, 0, FORMATS);
    suite_add_tcase(suite, tests);
    return suite;
}
