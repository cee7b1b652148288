/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "input.h"
#include "weights.h"

/* Weights are read and multiplied some rows at a time, which bounds the memory; so many that dividing them into parts is
 * still worth it. */
enum { ROWS_BYTES = 1 << 22, SHOWN_BYTES = 512 };

/* One product, while it is computed. */
typedef struct product {
    const q8k_context *context;
    weights_file file;
    gguf_tensor tensor; /* as it is stored */
    uint64_t row_bytes; /* as it is multiplied */
    q8k_input_args input;
    q8k_matmul_args matmul;
    void *prepared;
    size_t prepared_bytes, parts;
    int threads;
    char error[WEIGHTS_ERROR_BYTES]; /* of the first part that failed; "" if none did */
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

static bool prepare(product *p) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(p->threads) schedule(dynamic)
#endif
    for (size_t part = 0; part < p->parts; part++) {
        keep_error(p, q8k_input_prepare(p->context, &p->input, p->prepared, p->prepared_bytes, part, p->parts));
    }
    return p->error[0] == '\0';
}

static bool multiply_rows(product *p) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(p->threads) schedule(dynamic)
#endif
    for (size_t part = 0; part < p->parts; part++) {
        keep_error(p, q8k_matmul_prepared(p->context, &p->matmul, p->prepared, p->prepared_bytes, part, p->parts));
    }
    return p->error[0] == '\0';
}

/* ---- weights ---- */

static void keep_text(product *p, const char *error) {
#ifdef _OPENMP
#pragma omp critical
#endif
    if (p->error[0] == '\0') {
        snprintf(p->error, sizeof p->error, "%s", error);
    }
}

/* A piece of the weights from `first` on, of which there are `count`. */
static void quantize_piece(product *p, uint64_t first, size_t count, size_t piece, uint8_t *to) {
    char error[WEIGHTS_ERROR_BYTES];
    size_t before = piece * WEIGHTS_PIECE, left = count - before;
    weights_scratch *scratch = malloc(sizeof *scratch);
    if (scratch == NULL) {
        keep_text(p, "no memory for weights");
    } else if (!weights_quantize(&p->file, &p->tensor, p->matmul.format, first + before,
                                 left < WEIGHTS_PIECE ? left : WEIGHTS_PIECE,
                                 to + q8k_row_bytes(p->matmul.format, before), scratch, error)) {
        keep_text(p, error);
    }
    free(scratch);
}

/* The blocks of some rows. */
static bool read_rows(product *p, uint64_t row, size_t rows, uint8_t *to) {
    if (p->tensor.format != 0) {
        return weights_bytes(&p->file, &p->tensor, row * p->row_bytes, rows * (size_t)p->row_bytes, to, p->error);
    }
    uint64_t first = row * p->tensor.cols;
    size_t count = rows * (size_t)p->tensor.cols, pieces = (count + WEIGHTS_PIECE - 1) / WEIGHTS_PIECE;
#ifdef _OPENMP
#pragma omp parallel for num_threads(p->threads) schedule(dynamic)
#endif
    for (size_t piece = 0; piece < pieces; piece++) {
        quantize_piece(p, first, count, piece, to);
    }
    return p->error[0] == '\0';
}

static bool multiply_in_steps(product *p, size_t rows, size_t step, uint8_t *blocks) {
    float *result = p->matmul.output;
    for (size_t row = 0; row < rows; row += p->matmul.out_features) {
        p->matmul.out_features = rows - row < step ? rows - row : step;
        p->matmul.weights_bytes = p->matmul.out_features * (size_t)p->row_bytes;
        /* Without batch rows there is none. */
        p->matmul.output = result == NULL ? NULL : result + row;
        if (!read_rows(p, row, p->matmul.out_features, blocks) || !multiply_rows(p)) {
            return false;
        }
    }
    return true;
}

static bool multiply(product *p) {
    size_t rows = (size_t)p->tensor.rows, step = p->row_bytes > 0 ? ROWS_BYTES / (size_t)p->row_bytes : rows;
    step = step > rows ? rows : step > 0 ? step : 1;
    if (q8k_input_bytes(p->context, &p->input, &p->prepared_bytes) != Q8K_OK) {
        command_say("%s", q8k_last_error());
        return false;
    }
    p->prepared = malloc(p->prepared_bytes > 0 ? p->prepared_bytes : 1);
    uint8_t *blocks = malloc(step * (size_t)p->row_bytes + 1);
    if (p->prepared == NULL || blocks == NULL) {
        command_say("no memory for a prepared input of %zu bytes and %zu rows of %llu bytes", p->prepared_bytes, step,
                    (unsigned long long)p->row_bytes);
    } else {
        p->matmul.weights = blocks;
        if (!prepare(p) || !multiply_in_steps(p, rows, step, blocks)) {
            command_say("%s", p->error);
        }
    }
    bool good = p->prepared != NULL && blocks != NULL && p->error[0] == '\0';
    free(p->prepared);
    free(blocks);
    return good;
}

/* ---- the tensor ---- */

/* Which one of the file it is. Returns an exit status. */
static int find_tensor(const command_arguments *arguments, product *p) {
    char shown[SHOWN_BYTES], path[SHOWN_BYTES];
    const char *name = arguments->tensor;
    escape_path(path, sizeof path, arguments->files[0]);
    if (p->file.is_npy && name != NULL) {
        command_say("--tensor = '%s' (limit none: %s holds one matrix)",
                    escape_text(shown, sizeof shown, name, strlen(name)), path);
        return EXIT_USAGE;
    }
    if (name == NULL) {
        if (weights_count(&p->file) != 1) {
            command_say("--tensor is missing (limit the name of one of the %zu tensors of %s)", weights_count(&p->file),
                        path);
            return EXIT_USAGE;
        }
        p->tensor = weights_at(&p->file, 0);
    } else if (!weights_find(&p->file, (gguf_text){name, strlen(name)}, &p->tensor)) {
        return command_fail("--tensor = '%s' (limit the name of a tensor of %s)",
                            escape_text(shown, sizeof shown, name, strlen(name)), path);
    }
    return EXIT_SUCCESS;
}

/* How it is multiplied. Returns an exit status. */
static int choose_format(const command_arguments *arguments, product *p) {
    char path[SHOWN_BYTES], name[WEIGHTS_NAME_BYTES], error[WEIGHTS_ERROR_BYTES];
    gguf_tensor *tensor = &p->tensor;
    q8k_format format = arguments->format;
    escape_path(path, sizeof path, arguments->files[0]);
    weights_name(tensor, name);
    if (p->file.is_npy) {
        if (format == 0) {
            return command_missing_format("for a .npy file");
        }
        if (tensor->type == GGUF_TYPE_I8 && !weights_take_blocks(&p->file, format, error)) {
            return command_fail("%s", error);
        }
        *tensor = weights_at(&p->file, 0);
    }
    if (tensor->format != 0 && format != 0 && tensor->format != format) {
        return command_fail("%s: %s: --format = '%s' (limit '%s', which it has)", path, name, q8k_format_name(format),
                            q8k_format_name(tensor->format));
    }
    format = tensor->format != 0 ? tensor->format : format;
    if (format == 0 || !weights_known(tensor)) {
        return command_fail("%s: %s: type = %s (limit a format of libq8k; numbers with --format)", path, name,
                            weights_kind(tensor));
    }
    gguf_tensor blocks = *tensor;
    if (!gguf_set_format(&blocks, format)) {
        return command_fail("%s: columns = %llu (limit a multiple of %zu)", path, (unsigned long long)tensor->cols,
                            q8k_format_block_columns(format));
    }
    p->matmul.format = format;
    p->row_bytes = blocks.row_bytes;
    return EXIT_SUCCESS;
}

static bool read_input(const command_arguments *arguments, const product *p, npy_array *input) {
    char weights_shown[SHOWN_BYTES], input_shown[SHOWN_BYTES], name[WEIGHTS_NAME_BYTES];
    const uint64_t cols = p->tensor.cols;
    if (!command_read_floats(arguments->files[1], input)) {
        return false;
    }
    if (input->cols != cols) {
        command_say("%s: columns = %zu (limit %llu, the columns of %s%s%s)",
                    escape_path(input_shown, sizeof input_shown, arguments->files[1]), input->cols,
                    (unsigned long long)cols, escape_path(weights_shown, sizeof weights_shown, arguments->files[0]),
                    p->file.is_npy ? "" : ": ", p->file.is_npy ? "" : weights_name(&p->tensor, name));
        npy_free(input);
        return false;
    }
    return true;
}

static int multiply_and_write(const command_arguments *arguments, product *p, const npy_array *input) {
    npy_array result;
    if (!command_make_array(&result, NPY_FLOAT32, input->rows, (size_t)p->tensor.rows)) {
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
        .format = p->matmul.format,
        .precision = arguments->precision,
        .in_features = input->cols,
        .batch = input->rows,
        .input = input->data,
        .output = result.data,
        .output_stride = result.cols,
    };
    int status = multiply(p) ? command_write(arguments->files[2], &result) : EXIT_FAILURE;
    npy_free(&result);
    return status;
}

static bool check_output(const command_arguments *arguments) {
    const char *to = arguments->files[2];
    char shown[SHOWN_BYTES];
    if (input_ends_as(to, ".gguf")) {
        command_say("%s: the output is a .npy file (limit another name)", escape_path(shown, sizeof shown, to));
        return false;
    }
    return command_keeps(arguments->files[0], to) && command_keeps(arguments->files[1], to);
}

static int read_and_multiply(const command_arguments *arguments, product *p) {
    npy_array input;
    char error[WEIGHTS_ERROR_BYTES];
    if (!weights_open(&p->file, arguments->files[0], error)) {
        return command_fail("%s", error);
    }
    int status = check_output(arguments) ? find_tensor(arguments, p) : EXIT_FAILURE;
    status = status == EXIT_SUCCESS ? choose_format(arguments, p) : status;
    if (status == EXIT_SUCCESS) {
        status = EXIT_FAILURE;
        if (read_input(arguments, p, &input)) {
            status = multiply_and_write(arguments, p, &input);
            npy_free(&input);
        }
    }
    weights_close(&p->file);
    return status;
}

static int run(const command_arguments *arguments) {
    product p = {.error = ""};
    q8k_context *context;
    if (!command_threads(arguments, &p.threads)) {
        return EXIT_USAGE;
    }
    p.parts = arguments->parts > 0 ? arguments->parts : (size_t)p.threads;
    if (!command_context(arguments->backend, &context)) {
        return EXIT_FAILURE;
    }
    p.context = context;
    int status = read_and_multiply(arguments, &p);
    q8k_context_destroy(context);
    return status;
}

const command command_matmul = {
    .name = "matmul",
    .files = "WEIGHTS.gguf|WEIGHTS.npy INPUT.npy OUTPUT.npy",
    .summary = "Multiply rows of activations by a matrix of weights",
    .help =
        "The weights are the tensor --tensor of a GGUF file, or a .npy file with uint8 blocks, rows x bytes of a row,\n"
        "or float weights, rows x columns. Numbers are quantized first, to the format --format. INPUT.npy holds\n"
        "float activations, batch x columns. OUTPUT.npy becomes float32, batch x rows. The result does not\n"
        "depend on the backend, the threads or the parts.\n",
    .options = OPTION_BLOCKS_FORMAT | OPTION_TENSOR | OPTION_PRECISION | OPTION_BACKEND | OPTION_THREADS | OPTION_PARTS,
    .run = run,
};
