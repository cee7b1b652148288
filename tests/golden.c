/* SPDX-License-Identifier: MIT */
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/definition.h"
#include "tools/npy.h"
#include "support.h"

static void file_path(char path[TEST_PATH_BYTES], const golden *vectors, const char *name) {
    char file[128];
    snprintf(file, sizeof file, "vectors/%s/%s.npy", vectors->name, name);
    test_path(path, test_folder("Q8K_TEST_DATA"), file);
}

static void *read_matrix(const golden *vectors, const char *name, npy_type type, size_t *rows, size_t *cols) {
    char path[TEST_PATH_BYTES], error[NPY_ERROR_BYTES];
    npy_array array;
    file_path(path, vectors, name);
    require(npy_read(path, &array, error), "%s", error);
    require(array.type == type, "%s: type %d (expected %d)", path, (int)array.type, (int)type);
    *rows = array.rows;
    *cols = array.cols;
    return array.data;
}

/* Float32 of a known shape. */
static float *read_floats(const golden *vectors, const char *name, size_t rows, size_t cols) {
    size_t found_rows, found_cols;
    float *data = read_matrix(vectors, name, NPY_FLOAT32, &found_rows, &found_cols);
    ck_assert_uint_eq(found_rows, rows);
    ck_assert_uint_eq(found_cols, cols);
    return data;
}

/* Float64 of a known shape, which npy_read() would round. */
static double *read_doubles(const golden *vectors, const char *name, size_t rows, size_t cols) {
    char path[TEST_PATH_BYTES], error[NPY_ERROR_BYTES];
    npy_header header;
    size_t bytes;
    file_path(path, vectors, name);
    uint8_t *file = file_read(path, &bytes);
    require(npy_parse(file, bytes, bytes, &header, error), "%s: %s", path, error);
    ck_assert_int_eq((int)header.type, (int)NPY_FLOAT64);
    ck_assert(!header.fortran_order && header.dimensions == 2);
    ck_assert_uint_eq(header.shape[0], rows);
    ck_assert_uint_eq(header.shape[1], cols);
    double *data = test_alloc(header.data_bytes);
    memcpy(data, file + header.data_offset, header.data_bytes);
    free(file);
    return data;
}

void golden_load(golden *vectors, size_t index) {
    static const char *const formats[FORMAT_COUNT] = {"q8_k", "q4_k", "q5_k", "q6_k", "q2_k", "q3_k", "q8_0"};
    static const char *const cases[] = {"plain", "wild", "edge"};
    static const char *const precisions[PRECISION_COUNT] = {"float", "half", "byte"};
    memset(vectors, 0, sizeof *vectors);
    vectors->format = (q8k_format)(index / 3 + 1);
    snprintf(vectors->name, sizeof vectors->name, "%s-%s", formats[index / 3], cases[index % 3]);
    vectors->blocks = read_matrix(vectors, "blocks", NPY_UINT8, &vectors->rows, &vectors->row_bytes);
    vectors->input = read_matrix(vectors, "input", NPY_FLOAT32, &vectors->batch, &vectors->cols);
    ck_assert_uint_eq(vectors->row_bytes, vectors->cols / 256 * definition_block_bytes(vectors->format));
    vectors->dequant = read_floats(vectors, "dequant", vectors->rows, vectors->cols);
    vectors->output = read_doubles(vectors, "output", vectors->batch, vectors->rows);
    vectors->magnitude = read_doubles(vectors, "magnitude", vectors->batch, vectors->rows);
    for (size_t i = 0; i < PRECISION_COUNT; i++)
        vectors->result[i] = read_floats(vectors, precisions[i], vectors->batch, vectors->rows);
}

void golden_free(golden *vectors) {
    free(vectors->blocks);
    free(vectors->input);
    free(vectors->dequant);
    free(vectors->output);
    free(vectors->magnitude);
    for (size_t i = 0; i < PRECISION_COUNT; i++)
        free(vectors->result[i]);
}
