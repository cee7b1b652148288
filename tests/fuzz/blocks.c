/* SPDX-License-Identifier: MIT */
/* The input is a product: some bytes for its shape, then its weights and activations, any bits at all. Every function of
 * every backend that works here must give what the definition says, to the bit. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "tests/blocks.h"
#include "tests/support.h"
#include "tools/definition.h"

enum { SHAPE_BYTES = 8, BLOCK = 256, BACKENDS_MAX = 16, ROWS_MAX = 5, BLOCKS_MAX = 3, BATCH_MAX = 6, PARTS_MAX = 4 };

const char fuzz_name[] = "blocks";

/* ---- seeds ---- */

size_t fuzz_seed(size_t index, uint8_t to[FUZZ_MAX_BYTES]) {
    enum { EACH = 3 };
    test_random random = random_start(0x736565 + index);
    int pair = (int)(index % EVERY_PAIR);
    size_t used = SHAPE_BYTES, bytes = definition_block_bytes(format_of(pair));
    float input[BLOCK];
    if (index >= EVERY_PAIR * EACH)
        return 0;
    memcpy(to, (const uint8_t[SHAPE_BYTES]){(uint8_t)pair, 1, 1, 1, 1, (uint8_t)index}, SHAPE_BYTES);
    for (size_t i = 0; i < 4; i++, used += bytes)
        block_fill(&random, format_of(pair), (block_kind)((index / EVERY_PAIR + i) % BLOCK_KINDS), to + used);
    for (size_t i = 0; i < 4; i++, used += sizeof input) {
        input_fill(&random, precision_of(pair), (input_kind)((index + i) % INPUT_KINDS), input);
        memcpy(to + used, input, sizeof input);
    }
    return used;
}

/* ---- one product ---- */

typedef struct product_case {
    q8k_format format;
    q8k_precision precision;
    size_t rows, blocks, batch, prepare_parts, parts, cols, row_bytes;
    uint8_t *weights;
    float *input, *output, *decoded, *wanted, *wanted_decoded;
} product_case;

/* Bytes of the input, which starts anew where it ends. */
static void take(const uint8_t *data, size_t size, size_t *at, void *to, size_t count) {
    for (size_t i = 0; i < count; i++, ++*at)
        ((uint8_t *)to)[i] = size > SHAPE_BYTES ? data[SHAPE_BYTES + *at % (size - SHAPE_BYTES)] : 0;
}

static product_case make(const uint8_t *data, size_t size) {
    uint8_t shape[SHAPE_BYTES] = {0};
    size_t at = 0;
    memcpy(shape, data, size < SHAPE_BYTES ? size : SHAPE_BYTES);
    product_case c = {.format = format_of(shape[0] % EVERY_PAIR), .precision = precision_of(shape[0] % EVERY_PAIR)};
    c.rows = 1 + shape[1] % ROWS_MAX;
    c.blocks = 1 + shape[2] % BLOCKS_MAX;
    c.batch = 1 + shape[3] % BATCH_MAX;
    c.prepare_parts = 1 + shape[4] % PARTS_MAX;
    c.parts = 1 + shape[5] % PARTS_MAX;
    c.cols = c.blocks * BLOCK;
    c.row_bytes = c.blocks * definition_block_bytes(c.format);
    c.weights = test_alloc(c.rows * c.row_bytes);
    c.input = test_alloc(c.batch * c.cols * sizeof *c.input);
    c.output = test_alloc(c.batch * c.rows * sizeof *c.output);
    c.wanted = test_alloc(c.batch * c.rows * sizeof *c.wanted);
    c.decoded = test_alloc(c.rows * c.cols * sizeof *c.decoded);
    c.wanted_decoded = test_alloc(c.rows * c.cols * sizeof *c.wanted_decoded);
    take(data, size, &at, c.weights, c.rows * c.row_bytes);
    take(data, size, &at, c.input, c.batch * c.cols * sizeof *c.input);
    for (size_t i = 0; i < c.batch * c.rows; i++)
        c.wanted[i] = definition_accumulate(c.format, c.precision, c.blocks, c.weights + i % c.rows * c.row_bytes,
                                            c.input + i / c.rows * c.cols, 0);
    for (size_t i = 0; i < c.rows * c.blocks; i++)
        definition_decode(c.format, c.weights + i * definition_block_bytes(c.format), c.wanted_decoded + i * BLOCK);
    return c;
}

static void unmake(product_case *c) {
    free(c->weights);
    free(c->input);
    free(c->output);
    free(c->wanted);
    free(c->decoded);
    free(c->wanted_decoded);
}

/* Whether the results are the same; they are then made others, so that the next function has to write them. */
static void compare(const product_case *c, const char *backend, const char *what, float *found, const float *wanted,
                    size_t count) {
    for (size_t i = 0; i < count; i++)
        demand(same_float(found[i], wanted[i]), "%s, %s, %s %s, %zu x %zu, batch %zu: result %zu = %a (%a)", backend,
               what, q8k_format_name(c->format), q8k_precision_name(c->precision), c->rows, c->cols, c->batch, i,
               (double)found[i], (double)wanted[i]);
    memset(found, 0x5a, count * sizeof *found);
}

static void check_status(q8k_status status, const char *backend, const char *what) {
    demand(status == Q8K_OK, "%s, %s: %s", backend, what, q8k_last_error());
}

static void check_prepared(const product_case *c, const q8k_context *context, const q8k_matmul_args *args,
                           const char *backend) {
    q8k_input_args input = {
        .size = sizeof input, .precision = c->precision, .in_features = c->cols, .batch = c->batch, .input = c->input};
    size_t bytes;
    check_status(q8k_input_bytes(context, &input, &bytes), backend, "q8k_input_bytes");
    void *prepared = test_alloc(bytes);
    for (size_t i = 0; i < c->prepare_parts; i++)
        check_status(q8k_input_prepare(context, &input, prepared, bytes, i, c->prepare_parts), backend,
                     "q8k_input_prepare");
    for (size_t i = c->parts; i-- > 0;)
        check_status(q8k_matmul_prepared(context, args, prepared, bytes, i, c->parts), backend, "q8k_matmul_prepared");
    free(prepared);
    compare(c, backend, "q8k_matmul_prepared", c->output, c->wanted, c->batch * c->rows);
}

static void check_accumulate(const product_case *c, const q8k_context *context, const char *backend) {
    for (size_t i = 0; i < c->batch * c->rows; i++) {
        q8k_accumulate_args args = {.size = sizeof args,
                                    .format = c->format,
                                    .precision = c->precision,
                                    .in_features = c->cols,
                                    .weights = c->weights + i % c->rows * c->row_bytes,
                                    .weights_bytes = c->row_bytes,
                                    .input = c->input + i / c->rows * c->cols,
                                    .sum = &c->output[i]};
        c->output[i] = 0;
        check_status(q8k_accumulate(context, &args), backend, "q8k_accumulate");
    }
    compare(c, backend, "q8k_accumulate", c->output, c->wanted, c->batch * c->rows);
}

static void check_backend(const product_case *c, const q8k_context *context) {
    const char *backend = q8k_context_backend(context);
    q8k_dequantize_args decode = {.size = sizeof decode,
                                  .format = c->format,
                                  .rows = c->rows,
                                  .cols = c->cols,
                                  .weights = c->weights,
                                  .weights_bytes = c->rows * c->row_bytes,
                                  .output = c->decoded};
    q8k_matmul_args args = {.size = sizeof args,
                            .format = c->format,
                            .precision = c->precision,
                            .out_features = c->rows,
                            .in_features = c->cols,
                            .batch = c->batch,
                            .weights = c->weights,
                            .weights_bytes = c->rows * c->row_bytes,
                            .input = c->input,
                            .output = c->output};
    check_status(q8k_dequantize(context, &decode), backend, "q8k_dequantize");
    compare(c, backend, "q8k_dequantize", c->decoded, c->wanted_decoded, c->rows * c->cols);
    check_status(q8k_matmul(context, &args), backend, "q8k_matmul");
    compare(c, backend, "q8k_matmul", c->output, c->wanted, c->batch * c->rows);
    check_prepared(c, context, &args, backend);
    check_accumulate(c, context, backend);
}

/* ---- backends: their contexts are made once ---- */

static q8k_context *contexts[BACKENDS_MAX];
static size_t backends;

/* Before any input, which is allowed a second: the known answers of all backends may take longer in a build that is not
 * optimised. */
__attribute__((constructor)) static void open_backends(void) {
    q8k_backend_list *list = NULL;
    check_status(q8k_backend_list_create(&list, NULL), "all", "q8k_backend_list_create");
    for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        check_status(q8k_backend_list_get(list, i, &info), "all", "q8k_backend_list_get");
        q8k_context_options options = {.size = sizeof options, .backend = info.name};
        if (info.state == Q8K_BACKEND_REJECTED)
            continue;
        demand(backends < BACKENDS_MAX, "more than %d backends", BACKENDS_MAX);
        check_status(q8k_context_create(&contexts[backends++], &options), info.name, "q8k_context_create");
    }
    q8k_backend_list_destroy(list);
    demand(backends >= 2, "only %zu backends work: Q8K_BACKEND_DIR is not the build's?", backends);
}

void fuzz_input(const uint8_t *data, size_t size) {
    product_case c = make(data, size);
    for (size_t i = 0; i < backends; i++)
        check_backend(&c, contexts[i]);
    unmake(&c);
}
