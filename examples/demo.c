/* SPDX-License-Identifier: MIT */
/* Real trained weights in every format, multiplied in every precision: how large, how accurate, how fast.
 *
 *     cc -O2 demo.c $(pkg-config --cflags --libs q8k) -lm -o demo && ./demo FOLDER
 *
 * FOLDER holds projection.npy, the weights (rows x columns), and tokens.npy, the activations (batch x columns), both
 * float32. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <q8k/q8k.h>

enum { REPEATS = 9 };

typedef struct matrix {
    size_t rows, cols;
    float *data;
} matrix;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "demo: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(q8k_status status) {
    if (status != Q8K_OK) {
        fail(q8k_status_name(status), q8k_last_error());
    }
}

static void *allocate(size_t count, size_t bytes) {
    void *memory = calloc(count > 0 ? count : 1, bytes);
    if (memory == NULL) {
        fail("allocation", "no memory");
    }
    return memory;
}

/* The shape, from the header of a file as NumPy writes it; nothing else is accepted. */
static matrix read_header(FILE *file, const char *path) {
    unsigned char start[10];
    char text[65536];
    matrix m = {0, 0, NULL};
    int used = 0;
    if (fread(start, 1, sizeof start, file) != sizeof start || memcmp(start, "\x93NUMPY\x01\x00", 8) != 0) {
        fail(path, "not a .npy file of version 1.0");
    }
    size_t length = start[8] + 256u * start[9];
    if (fread(text, 1, length, file) != length) {
        fail(path, "ends within its header");
    }
    text[length] = '\0';
    int found =
        sscanf(text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%6zu, %6zu), }%n", &m.rows, &m.cols, &used);
    if (found != 2 || used == 0 || m.rows == 0 || m.cols == 0) {
        fail(path, "not a matrix of float32 ('<f4') in C order, or too large");
    }
    return m;
}

static matrix read_matrix(const char *folder, const char *name) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        fail(name, "the folder's name is too long");
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail(path, "cannot be opened");
    }
    matrix m = read_header(file, path);
    size_t count = m.rows * m.cols;
    m.data = allocate(count, sizeof *m.data);
    if (fread(m.data, sizeof *m.data, count, file) != count || fgetc(file) != EOF) {
        fail(path, "holds more or less data than its shape says");
    }
    fclose(file);
    return m;
}

/* The product in double: what the others are measured against. */
static double *exact_product(const float *weights, size_t rows, const matrix *input) {
    double *output = allocate(input->rows * rows, sizeof *output);
    for (size_t b = 0; b < input->rows; b++) {
        for (size_t r = 0; r < rows; r++) {
            double sum = 0;
            for (size_t k = 0; k < input->cols; k++) {
                sum += (double)weights[r * input->cols + k] * (double)input->data[b * input->cols + k];
            }
            output[b * rows + r] = sum;
        }
    }
    return output;
}

/* sqrt(sum of squared differences / sum of squares of the reference). */
static double relative_rms(const float *output, const double *reference, size_t count) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)output[i] - reference[i];
        difference += d * d;
        size += reference[i] * reference[i];
    }
    return sqrt(difference / size);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double times[REPEATS]) {
    qsort(times, REPEATS, sizeof *times, compare_doubles);
    return times[REPEATS / 2];
}

/* The plain way: decode all weights into memory, then three loops over floats. */
static void decode_then_multiply(const q8k_dequantize_args *decode, const matrix *input, float *output) {
    check(q8k_dequantize(NULL, decode));
    for (size_t b = 0; b < input->rows; b++) {
        for (size_t r = 0; r < decode->rows; r++) {
            float sum = 0;
            for (size_t k = 0; k < input->cols; k++) {
                sum += decode->output[r * input->cols + k] * input->data[b * input->cols + k];
            }
            output[b * decode->rows + r] = sum;
        }
    }
}

/* Both ways in turn, so that whatever else the machine does meets both: medians. The plain product is held against
 * `stored` too, lest a wrong one were timed, or a compiler left it out. */
static void measure(const q8k_matmul_args *matmul, const q8k_dequantize_args *decode, const matrix *input,
                    const double *stored, double *fused, double *plain) {
    double fused_times[REPEATS], plain_times[REPEATS];
    float *plain_output = allocate(input->rows * decode->rows, sizeof *plain_output);
    for (int i = 0; i < REPEATS; i++) {
        double start = seconds();
        check(q8k_matmul(NULL, matmul));
        double middle = seconds();
        decode_then_multiply(decode, input, plain_output);
        fused_times[i] = middle - start;
        plain_times[i] = seconds() - middle;
    }
    if (!(relative_rms(plain_output, stored, input->rows * decode->rows) < 1e-5)) {
        fail("plain product", "is wrong");
    }
    free(plain_output);
    *fused = median(fused_times);
    *plain = median(plain_times);
}

static void show_format(q8k_format format, const matrix *weights, const matrix *input, const double *original) {
    size_t bytes = weights->rows * q8k_row_bytes(format, weights->cols), outputs = input->rows * weights->rows;
    void *blocks = allocate(bytes, 1);
    float *decoded = allocate(weights->rows * weights->cols, sizeof *decoded);
    float *output = allocate(outputs, sizeof *output);
    q8k_quantize_args quantize = {.size = sizeof quantize,
                                  .format = format,
                                  .rows = weights->rows,
                                  .cols = weights->cols,
                                  .input = weights->data,
                                  .weights = blocks,
                                  .weights_bytes = bytes};
    q8k_dequantize_args decode = {.size = sizeof decode,
                                  .format = format,
                                  .rows = weights->rows,
                                  .cols = weights->cols,
                                  .weights = blocks,
                                  .weights_bytes = bytes,
                                  .output = decoded};
    check(q8k_quantize(&quantize));
    check(q8k_dequantize(NULL, &decode));
    double *stored = exact_product(decoded, weights->rows, input);
    for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++) {
        q8k_matmul_args matmul = {.size = sizeof matmul,
                                  .format = format,
                                  .precision = precision,
                                  .out_features = weights->rows,
                                  .in_features = weights->cols,
                                  .batch = input->rows,
                                  .weights = blocks,
                                  .weights_bytes = bytes,
                                  .input = input->data,
                                  .output = output};
        double fused, plain;
        measure(&matmul, &decode, input, stored, &fused, &plain);
        printf("%-6s  %7zu  %6.4f  %-9s  %9.2e  %9.2e  %7.3f  %7.3f  %5.2f\n", q8k_format_name(format), bytes,
               8.0 * (double)bytes / (double)(weights->rows * weights->cols), q8k_precision_name(precision),
               relative_rms(output, original, outputs), relative_rms(output, stored, outputs), 1e3 * fused, 1e3 * plain,
               plain / fused);
    }
    free(stored);
    free(output);
    free(decoded);
    free(blocks);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: demo FOLDER\nFOLDER holds projection.npy and tokens.npy.\n");
        return 2;
    }
    matrix weights = read_matrix(argv[1], "projection.npy"), input = read_matrix(argv[1], "tokens.npy");
    if (weights.cols != input.cols) {
        fail(argv[1], "projection.npy and tokens.npy differ in their columns");
    }
    const char *backend = q8k_context_backend(NULL);
    if (backend == NULL) {
        fail("backend", q8k_last_error());
    }
    printf("libq8k %s, backend %s, one thread\n", q8k_version(), backend);
    printf("weights %zu x %zu (%zu bytes in float32), activations %zu x %zu\n\n", weights.rows, weights.cols,
           weights.rows * weights.cols * sizeof(float), input.rows, input.cols);
    printf("                bits per              error against         ms      ms    times\n"
           "format    bytes  weight  precision   original     stored    fused    plain  faster\n");
    double *original = exact_product(weights.data, weights.rows, &input);
    for (size_t i = 0; i < q8k_format_count(); i++) {
        show_format(q8k_format_at(i), &weights, &input, original);
    }
    printf("\nerror   root mean square, relative: against the product of the original weights, and against that of\n"
           "        the weights as stored, decoded to float32; both products in double\n"
           "fused   q8k_matmul(); plain: q8k_dequantize() into memory, then three loops over floats; medians of %d\n",
           REPEATS);
    free(original);
    free(weights.data);
    free(input.data);
    return 0;
}
