/* SPDX-License-Identifier: MIT */
/* Products: from checked arguments to rectangles for the backend. */
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "lib/arguments.h"
#include "lib/context.h"
#include "lib/cpu.h"
#include "lib/split.h"

/* Decoding a block of weights takes as long as multiplying it with 3 to 8 batch rows: the most where that is fast. */
enum { DECODE_BATCH = 8 };

/*
 * A prepared input, at the first multiple of 64 of the caller's buffer:
 *
 *     the header, 64 bytes
 *     the backend's preparation
 *     the built-in backend's preparation, where the backend borrows kernels of it
 */
enum { ALIGNMENT = 64, HEADER_BYTES = 64, BLOCK_LIMIT = 2048, BACKEND_LIMIT = 4096 };

/* What a preparation was made for, so that another use of it is refused instead of computing nonsense. */
struct header {
    uint64_t magic;
    const q8k_loaded *backend;
    size_t batch, blocks;
    q8k_precision precision;
};
_Static_assert(sizeof(struct header) <= HEADER_BYTES, "room for the header");

#define HEADER_MAGIC UINT64_C(0x7475706e496b3871)

struct layout {
    size_t own, builtin; /* offsets from the header */
    size_t bytes;        /* all of it, and what alignment may cost */
};

struct input {
    q8k_input_args args;
    q8k_range range;
    size_t blocks;
};

struct product {
    q8k_matmul_args args;
    const q8k_format_info *info;
    q8k_range weights, input, output;
};

static size_t align_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static void *aligned(const void *start) {
    return (void *)(((uintptr_t)start + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

static q8k_status plan(const q8k_loaded *backend, q8k_precision precision, size_t batch, size_t columns,
                       struct layout *layout) {
    /* With this, neither preparation can overflow, nor their sum. */
    const size_t limit = ((size_t)PTRDIFF_MAX - 4 * BACKEND_LIMIT) / (2 * BLOCK_LIMIT), blocks = columns / BLOCK;
    if (blocks > limit)
        return q8k_fail(Q8K_ERROR_OVERFLOW, "in_features = %zu: the prepared form of one row would exceed %zu bytes",
                        columns, (size_t)PTRDIFF_MAX);
    if (blocks != 0 && batch > limit / blocks)
        return q8k_fail(Q8K_ERROR_OVERFLOW,
                        "batch = %zu: with in_features = %zu the prepared form would exceed %zu bytes", batch, columns,
                        (size_t)PTRDIFF_MAX);
    layout->own = HEADER_BYTES;
    layout->builtin = layout->own;
    if (batch != 0 && blocks != 0)
        layout->builtin += align_up(backend->table->prepared_bytes(precision, batch, blocks));
    layout->bytes = layout->builtin + ALIGNMENT - 1;
    if (backend->borrows && batch != 0 && blocks != 0)
        layout->bytes += q8k_scalar_backend.prepared_bytes(precision, batch, blocks);
    return Q8K_OK;
}

static q8k_status check_activations(const float *floats, size_t batch, size_t columns, size_t *stride,
                                    q8k_range *range) {
    q8k_floats_args input = {.name = "input",
                             .rows_name = "batch",
                             .columns_name = "in_features",
                             .stride_name = "input_stride",
                             .rows = batch,
                             .columns = columns,
                             .floats = floats,
                             .stride = *stride};
    return q8k_check_floats(&input, stride, range);
}

/* Everything that q8k_input_bytes() needs; the floats themselves only where they are looked at. */
static q8k_status check_input(const q8k_input_args *given, int floats, struct input *in) {
    q8k_status status;
    if ((status = q8k_check_struct("args", given, Q8K_FIRST_SIZE(q8k_input_args, input_stride), &in->args,
                                   sizeof in->args)) != Q8K_OK ||
        (status = q8k_check_precision(in->args.precision)) != Q8K_OK ||
        (status = q8k_check_columns("in_features", in->args.in_features)) != Q8K_OK)
        return status;
    in->blocks = in->args.in_features / BLOCK;
    return floats ? check_activations(in->args.input, in->args.batch, in->args.in_features, &in->args.input_stride,
                                      &in->range)
                  : Q8K_OK;
}

/* All of a product's arguments but the input, which may be prepared already: its range is not set. Strides are
 * resolved. */
static q8k_status check_product(const q8k_matmul_args *given, struct product *p) {
    q8k_status status;
    q8k_matmul_args *args = &p->args;
    if ((status = q8k_check_struct("args", given, Q8K_FIRST_SIZE(q8k_matmul_args, output_stride), args,
                                   sizeof *args)) != Q8K_OK ||
        (status = q8k_check_format(args->format, &p->info)) != Q8K_OK ||
        (status = q8k_check_precision(args->precision)) != Q8K_OK)
        return status;
    q8k_blocks_args blocks = {.info = p->info,
                              .rows_name = "out_features",
                              .columns_name = "in_features",
                              .rows = args->out_features,
                              .columns = args->in_features,
                              .weights = args->weights,
                              .bytes = args->weights_bytes,
                              .stride = args->weights_stride,
                              .unread = args->batch == 0};
    q8k_floats_args output = {.name = "output",
                              .rows_name = "batch",
                              .columns_name = "out_features",
                              .stride_name = "output_stride",
                              .rows = args->batch,
                              .columns = args->out_features,
                              .floats = args->output,
                              .stride = args->output_stride};
    if ((status = q8k_check_blocks(&blocks, &args->weights_stride, &p->weights)) != Q8K_OK ||
        (status = q8k_check_floats(&output, &args->output_stride, &p->output)) != Q8K_OK)
        return status;
    return q8k_check_overlap(&p->output, &p->weights);
}

static q8k_status check_product_input(struct product *p) {
    /* Without rows nothing is computed, so nothing is read. */
    q8k_status status = check_activations(p->args.input, p->args.out_features != 0 ? p->args.batch : 0,
                                          p->args.in_features, &p->args.input_stride, &p->input);
    return status != Q8K_OK ? status : q8k_check_overlap(&p->output, &p->input);
}

static q8k_status check_prepared_size(const void *prepared, size_t given, size_t needed) {
    if (prepared == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "prepared = NULL: must point to %zu bytes", needed);
    if (given < needed)
        return q8k_fail(Q8K_ERROR_BYTES, "prepared_bytes = %zu: must be at least %zu", given, needed);
    if ((uintptr_t)prepared > UINTPTR_MAX - given)
        return q8k_fail(Q8K_ERROR_OVERFLOW, "prepared = %p: %zu bytes from there exceed the address space", prepared,
                        given);
    return Q8K_OK;
}

/* Sets only what is the same for both backends of a borrowing one. */
static void prepare_rectangle(const q8k_backend *table, const struct input *in, void *to, size_t part, size_t parts) {
    q8k_grid grid = {in->blocks, 1, in->args.batch, table->batch_step, 0};
    q8k_rectangle r = q8k_split(&grid, part, parts);
    q8k_backend_input input = {.size = sizeof input,
                               .precision = in->args.precision,
                               .batch = in->args.batch,
                               .blocks = in->blocks,
                               .input = in->args.input,
                               .input_stride = in->args.input_stride,
                               .prepared = to,
                               .batch_first = r.batch_first,
                               .batch_count = r.batch_count,
                               .block_first = r.row_first,
                               .block_count = r.row_count};
    if (r.row_count != 0 && r.batch_count != 0)
        table->prepare(&input);
}

static void prepare_part(const q8k_loaded *backend, const struct input *in, const struct layout *layout, void *buffer,
                         size_t part, size_t parts) {
    char *start = aligned(buffer);
    struct header header = {HEADER_MAGIC, backend, in->args.batch, in->blocks, in->args.precision};
    if (part == 0)
        memcpy(start, &header, sizeof header);
    prepare_rectangle(backend->table, in, start + layout->own, part, parts);
    if (backend->borrows)
        prepare_rectangle(&q8k_scalar_backend, in, start + layout->builtin, part, parts);
}

/* Output of no columns: sums of nothing. */
static void write_zeros(const struct product *p, const q8k_rectangle *r) {
    for (size_t b = r->batch_first; b < r->batch_first + r->batch_count; b++)
        memset(p->args.output + b * p->args.output_stride + r->row_first, 0, r->row_count * sizeof(float));
}

static void multiply_part(const q8k_loaded *backend, const struct product *p, const struct layout *layout,
                          const void *buffer, size_t part, size_t parts) {
    size_t index = (size_t)(p->info - q8k_formats);
    const q8k_backend_kernels *kernels = backend->kernels[index];
    int borrowed = kernels == q8k_scalar_kernels[index];
    const q8k_matmul_args *args = &p->args;
    q8k_grid grid = {args->out_features, kernels->row_step, args->batch,
                     borrowed ? q8k_scalar_backend.batch_step : backend->table->batch_step, DECODE_BATCH};
    q8k_rectangle r = q8k_split(&grid, part, parts);
    if (r.row_count == 0 || r.batch_count == 0)
        return;
    if (args->in_features == 0) {
        write_zeros(p, &r);
        return;
    }
    /* The built-in backend itself has no second preparation: its own is the one. */
    size_t offset = borrowed && backend->borrows ? layout->builtin : layout->own;
    q8k_backend_product product = {.size = sizeof product,
                                   .precision = args->precision,
                                   .batch = args->batch,
                                   .blocks = args->in_features / BLOCK,
                                   .prepared = (const char *)aligned(buffer) + offset,
                                   .weights = (const char *)args->weights + r.row_first * args->weights_stride,
                                   .weights_stride = args->weights_stride,
                                   .row_count = r.row_count,
                                   .batch_first = r.batch_first,
                                   .batch_count = r.batch_count,
                                   .output = args->output + r.batch_first * args->output_stride + r.row_first,
                                   .output_stride = args->output_stride,
                                   .cpu_features = q8k_cpu_probe().usable};
    kernels->matmul(&product);
}

q8k_status q8k_input_bytes(const q8k_context *context, const q8k_input_args *args, size_t *bytes) {
    struct input in;
    struct layout layout;
    q8k_status status = check_input(args, 0, &in);
    if (status != Q8K_OK)
        return status;
    if (bytes == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "bytes = NULL: must be a pointer");
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    if (backend == NULL)
        return status;
    status = plan(backend, in.args.precision, in.args.batch, in.args.in_features, &layout);
    if (status == Q8K_OK)
        *bytes = layout.bytes;
    return status;
}

q8k_status q8k_input_prepare(const q8k_context *context, const q8k_input_args *args, void *prepared,
                             size_t prepared_bytes, size_t part, size_t parts) {
    struct input in;
    struct layout layout;
    q8k_status status = check_input(args, 1, &in);
    if (status != Q8K_OK || (status = q8k_check_part(part, parts)) != Q8K_OK)
        return status;
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    if (backend == NULL)
        return status;
    q8k_range buffer = {"prepared", prepared, prepared_bytes};
    if ((status = plan(backend, in.args.precision, in.args.batch, in.args.in_features, &layout)) != Q8K_OK ||
        (status = check_prepared_size(prepared, prepared_bytes, layout.bytes)) != Q8K_OK ||
        (status = q8k_check_overlap(&buffer, &in.range)) != Q8K_OK)
        return status;
    prepare_part(backend, &in, &layout, prepared, part, parts);
    return Q8K_OK;
}

static q8k_status check_header(const q8k_loaded *backend, const q8k_matmul_args *args, const void *prepared) {
    struct header header;
    memcpy(&header, aligned(prepared), sizeof header);
    if (header.magic != HEADER_MAGIC)
        return q8k_fail(Q8K_ERROR_PREPARED,
                        "prepared = %p: not made by q8k_input_prepare(), or moved since, or its part 0 is missing",
                        prepared);
    if (header.backend != backend)
        return q8k_fail(Q8K_ERROR_PREPARED, "prepared = %p: made for another backend than the context's, %s", prepared,
                        backend->table->name);
    if (header.batch != args->batch)
        return q8k_fail(Q8K_ERROR_PREPARED, "batch = %zu: prepared for %zu", args->batch, header.batch);
    if (header.blocks != args->in_features / BLOCK)
        return q8k_fail(Q8K_ERROR_PREPARED, "in_features = %zu: prepared for %zu", args->in_features,
                        header.blocks * BLOCK);
    if (header.precision != args->precision)
        return q8k_fail(Q8K_ERROR_PREPARED, "precision = %s: prepared for %s", q8k_precision_name(args->precision),
                        q8k_precision_name(header.precision));
    return Q8K_OK;
}

q8k_status q8k_matmul_prepared(const q8k_context *context, const q8k_matmul_args *args, const void *prepared,
                               size_t prepared_bytes, size_t part, size_t parts) {
    struct product p;
    struct layout layout;
    q8k_status status = check_product(args, &p);
    if (status != Q8K_OK || (status = q8k_check_part(part, parts)) != Q8K_OK)
        return status;
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    if (backend == NULL)
        return status;
    q8k_range buffer = {"prepared", prepared, prepared_bytes};
    if ((status = plan(backend, p.args.precision, p.args.batch, p.args.in_features, &layout)) != Q8K_OK ||
        (status = check_prepared_size(prepared, prepared_bytes, layout.bytes)) != Q8K_OK ||
        (status = q8k_check_overlap(&p.output, &buffer)) != Q8K_OK ||
        (status = check_header(backend, &p.args, prepared)) != Q8K_OK)
        return status;
    multiply_part(backend, &p, &layout, prepared, part, parts);
    return Q8K_OK;
}

q8k_status q8k_matmul(const q8k_context *context, const q8k_matmul_args *args) {
    struct product p;
    struct layout layout;
    q8k_status status = check_product(args, &p);
    if (status != Q8K_OK || (status = check_product_input(&p)) != Q8K_OK)
        return status;
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    if (backend == NULL ||
        (status = plan(backend, p.args.precision, p.args.batch, p.args.in_features, &layout)) != Q8K_OK)
        return status;
    if (p.args.out_features == 0 || p.args.batch == 0)
        return Q8K_OK;
    void *workspace = malloc(layout.bytes);
    if (workspace == NULL)
        return q8k_fail(Q8K_ERROR_MEMORY, "there is no memory for a workspace of %zu bytes", layout.bytes);
    struct input in = {.args = {.precision = p.args.precision,
                                .in_features = p.args.in_features,
                                .batch = p.args.batch,
                                .input = p.args.input,
                                .input_stride = p.args.input_stride},
                       .blocks = p.args.in_features / BLOCK};
    prepare_part(backend, &in, &layout, workspace, 0, 1);
    multiply_part(backend, &p, &layout, workspace, 0, 1);
    free(workspace);
    return Q8K_OK;
}

q8k_status q8k_accumulate(const q8k_context *context, const q8k_accumulate_args *given) {
    q8k_accumulate_args args = {0};
    const q8k_format_info *info;
    size_t stride, input_stride = 0;
    q8k_range weights, input, sum = {"sum", NULL, sizeof(float)};
    q8k_status status;
    if ((status = q8k_check_struct("args", given, Q8K_FIRST_SIZE(q8k_accumulate_args, sum), &args, sizeof args)) !=
            Q8K_OK ||
        (status = q8k_check_format(args.format, &info)) != Q8K_OK ||
        (status = q8k_check_precision(args.precision)) != Q8K_OK)
        return status;
    q8k_blocks_args row = {.info = info,
                           .rows_name = "rows",
                           .columns_name = "in_features",
                           .rows = 1,
                           .columns = args.in_features,
                           .weights = args.weights,
                           .bytes = args.weights_bytes};
    if ((status = q8k_check_blocks(&row, &stride, &weights)) != Q8K_OK ||
        (status = check_activations(args.input, 1, args.in_features, &input_stride, &input)) != Q8K_OK)
        return status;
    if (args.sum == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "sum = NULL: must be a pointer");
    sum.start = args.sum;
    if ((status = q8k_check_overlap(&sum, &weights)) != Q8K_OK || (status = q8k_check_overlap(&sum, &input)) != Q8K_OK)
        return status;
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    if (backend != NULL && args.in_features != 0)
        backend->kernels[info - q8k_formats]->accumulate(args.precision, args.in_features / BLOCK, args.weights,
                                                         args.input, args.sum);
    return status;
}
