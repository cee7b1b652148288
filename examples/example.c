/* SPDX-License-Identifier: MIT */
/* Quantizes a matrix, multiplies by it, and compares with a plain product of the weights as they are stored.
 *     cc example.c $(pkg-config --cflags --libs q8k) -lm && ./a.out */
#include <math.h>
#include <stdio.h>

#include <q8k/q8k.h>

enum { ROWS = 48, COLS = 512, BYTES = ROWS * (COLS / 256) * 210 };

static float matrix[ROWS * COLS], decoded[ROWS * COLS], input[COLS], output[ROWS];
static unsigned char weights[BYTES];

int main(void) {
    for (int i = 0; i < ROWS * COLS; i++)
        matrix[i] = sinf(0.37F * (float)i) + 0.5F * sinf(1.7F * (float)(i % 97));
    for (int k = 0; k < COLS; k++)
        input[k] = cosf(1.3F * (float)k) * (float)(1 + k % 5); /* at most 5 */

    q8k_format format = Q8K_FORMAT_Q6_K;
    q8k_quantize_args quantize = {sizeof quantize, format, ROWS, COLS, matrix, 0, weights, BYTES, 0};
    q8k_dequantize_args dequantize = {sizeof dequantize, format, ROWS, COLS, weights, BYTES, 0, decoded, 0};
    q8k_matmul_args product = {.size = sizeof product, .format = format, .precision = Q8K_PRECISION_FLOAT};
    product.out_features = ROWS, product.in_features = COLS, product.batch = 1;
    product.weights = weights, product.weights_bytes = BYTES;
    product.input = input, product.output = output;
    if (q8k_quantize(&quantize) || q8k_dequantize(NULL, &dequantize) || q8k_matmul(NULL, &product)) {
        fprintf(stderr, "%s\n", q8k_last_error());
        return 1;
    }

    /* Two blocks of Q6_K are four spans: 2 * 4 + 8 roundings of half a unit in the last place, one more of the decoded
     * weight, and half the step of the activations, which is at most 2^-22 of the largest. */
    double largest = 0;
    for (int r = 0; r < ROWS; r++) {
        double plain = 0, bound = 0;
        for (int k = 0; k < COLS; k++) {
            double w = decoded[r * COLS + k];
            plain += w * input[k];
            bound += fabs(w) * (17 * fabs(input[k]) * 0x1p-24 + 5 * 0x1p-23);
        }
        if (!(fabs(output[r] - plain) <= bound)) {
            fprintf(stderr, "row %d: %.9g instead of %.9g, bound %g\n", r, output[r], plain, bound);
            return 1;
        }
        largest = fmax(largest, fabs(output[r] - plain) / bound);
    }
    printf("backend %s: %d x %d weights, error at most %.3f of its bound\n", q8k_context_backend(NULL), ROWS, COLS,
           largest);
    return 0;
}
