/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>

#include "escape.h"

/* One product, while it is computed. */
typedef struct product {
    const q8k_context *context;
    q8k_input_args input;
    q8k_matmul_args matmul;
    void *prepared;
    size_t prepared_bytes, parts;
    int threads;
    char error[512]; /* of the first part that failed; "" if none did */
} product;

static void keep_error(product *p, q8k_status status) {
    if (status == Q8K_OK) {
        return;
    }
#ifdef _OPENMP
#pragma omp critical
#endif
    if (p->error[0] == '\0') {
        snprintf(p->error, sizeof p->error, "%s", q8k_last_error());
    }
}

static void compute(product *p) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(p->threads) schedule(dynamic)
#endif
    for (size_t part = 0; part < p->parts; part++) {
        keep_error(p, q8k_input_prepare(p->context, &p->input, p->prepared, p->prepared_bytes, part, p->parts));
    }
    if (p->error[0] != '\0') {
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for num_threads(p->threads) schedule(dynamic)
#endif
    for (size_t part = 0; part < p->parts; part++) {
        keep_error(p, q8k_matmul_prepared(p->context, &p->matmul, p->prepared, p->prepared_bytes, part, p->parts));
    }
}

static bool multiply(product *p) {
    if (q8k_input_bytes(p->context, &p->input, &p->prepared_bytes) != Q8K_OK) {
        command_say("%s", q8k_last_error());
        return false;
    }
    p->prepared = malloc(p->prepared_bytes > 0 ? p->prepared_bytes : 1);
    if (p->prepared == NULL) {
        command_say("no memory for a prepared input of %zu bytes", p->prepared_bytes);
        return false;
    }
    compute(p);
    free(p->prepared);
    if (p->error[0] != '\0') {
        command_say("%s", p->error);
    }
    return p->error[0] == '\0';
}

/* The weights as blocks, whichever way the file holds them. */
static bool read_weights(const char *path, q8k_format format, npy_array *blocks, size_t *cols) {
    npy_array read;
    char error[NPY_ERROR_BYTES];
    if (!npy_read(path, &read, error)) {
        command_say("%s", error);
        return false;
    }
    if (read.type == NPY_FLOAT32) {
        bool good = command_quantize_array(path, format, &read, blocks);
        *cols = read.cols;
        npy_free(&read);
        return good;
    }
    if (!command_check_blocks(path, format, &read, cols)) {
        npy_free(&read);
        return false;
    }
    *blocks = read;
    return true;
}

static bool read_input(const command_arguments *arguments, size_t cols, npy_array *input) {
    char weights_shown[512], input_shown[512];
    if (!command_read_floats(arguments->files[1], input)) {
        return false;
    }
    if (input->cols != cols) {
        command_say("%s: columns = %zu (limit %zu, the columns of %s)",
                    escape_path(input_shown, sizeof input_shown, arguments->files[1]), input->cols, cols,
                    escape_path(weights_shown, sizeof weights_shown, arguments->files[0]));
        npy_free(input);
        return false;
    }
    return true;
}

static int multiply_and_write(const command_arguments *arguments, product *p, const npy_array *blocks,
                              const npy_array *input) {
    npy_array result;
    if (!command_make_array(&result, NPY_FLOAT32, input->rows, blocks->rows)) {
        return EXIT_FAILURE;
    }
    p->input = (q8k_input_args){
        .size = sizeof p->input,
        .precision = arguments->precision,
        .in_features = input->cols,
        .batch = input->rows,
        .input = input->data,
    };
    p->matmul = (q8k_matmul_args){
        .size = sizeof p->matmul,
        .format = arguments->format,
        .precision = arguments->precision,
        .out_features = blocks->rows,
        .in_features = input->cols,
        .batch = input->rows,
        .weights = blocks->data,
        .weights_bytes = blocks->rows * blocks->cols,
        .input = input->data,
        .output = result.data,
    };
    int status = multiply(p) ? command_write(arguments->files[2], &result) : EXIT_FAILURE;
    npy_free(&result);
    return status;
}

static int read_and_multiply(const command_arguments *arguments, product *p) {
    npy_array blocks, input;
    size_t cols;
    int status = EXIT_FAILURE;
    if (!read_weights(arguments->files[0], arguments->format, &blocks, &cols)) {
        return status;
    }
    if (read_input(arguments, cols, &input)) {
        status = multiply_and_write(arguments, p, &blocks, &input);
        npy_free(&input);
    }
    npy_free(&blocks);
    return status;
}

static int run(const command_arguments *arguments) {
    product p = {.error = ""};
    q8k_context_options options = {.size = sizeof options, .backend = arguments->backend};
    q8k_context *context;
    if (!command_threads(arguments, &p.threads)) {
        return EXIT_USAGE;
    }
    p.parts = arguments->parts > 0 ? arguments->parts : (size_t)p.threads;
    if (q8k_context_create(&context, &options) != Q8K_OK) {
        return command_fail("%s", q8k_last_error());
    }
    p.context = context;
    int status = read_and_multiply(arguments, &p);
    q8k_context_destroy(context);
    return status;
}

const command command_matmul = {
    .name = "matmul",
    .files = "WEIGHTS.npy INPUT.npy OUTPUT.npy",
    .summary = "Multiply rows of activations by a matrix of weights",
    .help = "WEIGHTS.npy holds uint8 blocks, rows x bytes of a row, or float weights, rows x columns, which are\n"
            "quantized first. INPUT.npy holds float activations, batch x columns. OUTPUT.npy becomes float32,\n"
            "batch x rows. The result does not depend on the backend, the threads or the parts.\n",
    .options = OPTION_FORMAT | OPTION_PRECISION | OPTION_BACKEND | OPTION_THREADS | OPTION_PARTS,
    .run = run,
};
