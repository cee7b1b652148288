/* SPDX-License-Identifier: MIT */
/* libopenblas.so.0 as far as `q8k bench` uses it, for tests/bench.bats; in plain loops, and with one of these faults:
 *     -DFAULT=1  one output of each product is another's
 *     -DFAULT=2  one output is not written
 *     -DFAULT=3  cblas_sgemv is missing
 * Where the environment names a kernel that OpenBLAS is to take, nothing is written at all. */
#include <stdlib.h>

#ifndef FAULT
#define FAULT 0
#endif

void openblas_set_num_threads(int threads);
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                 int a_stride, const float *b, int b_stride, float beta, float *c, int c_stride);
void cblas_sgemv(int order, int transpose, int rows, int cols, float alpha, const float *a, int a_stride,
                 const float *x, int x_step, float beta, float *y, int y_step);

void openblas_set_num_threads(int threads) {
    (void)threads;
}

static float product(const float *a, const float *b, int count) {
    float sum = 0;
    for (int i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                 int a_stride, const float *b, int b_stride, float beta, float *c, int c_stride) {
    if (order != 101 || transpose_a != 111 || transpose_b != 112 || beta != 0 || getenv("OPENBLAS_CORETYPE") != NULL) {
        return;
    }
    for (int i = 0; i < m; i++) {
        for (int j = FAULT == 2; j < n; j++) {
            int row = FAULT == 1 && j == 0 ? 1 : j;
            c[i * c_stride + j] = alpha * product(a + i * a_stride, b + row * b_stride, k);
        }
    }
}

#if FAULT != 3
void cblas_sgemv(int order, int transpose, int rows, int cols, float alpha, const float *a, int a_stride,
                 const float *x, int x_step, float beta, float *y, int y_step) {
    if (order != 101 || transpose != 111 || x_step != 1 || y_step != 1) {
        return;
    }
    cblas_sgemm(order, 111, 112, 1, rows, cols, alpha, x, cols, a, a_stride, beta, y, rows);
}
#endif
