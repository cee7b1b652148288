/* SPDX-License-Identifier: MIT */
#include "lib/arguments.h"

#include <string.h>

#include "lib/error.h"

/* One object of the C language cannot be larger. */
#define BYTES_MAX ((size_t)PTRDIFF_MAX)

/* No later release grows a struct by more. */
enum { STRUCT_GROWTH_MAX = 1024 };

/* a * b + c, or 0 if that exceeds BYTES_MAX. */
static int product(size_t a, size_t b, size_t c, size_t *result) {
    return !__builtin_mul_overflow(a, b, result) && !__builtin_add_overflow(*result, c, result) && *result <= BYTES_MAX;
}

q8k_status q8k_check_struct(const char *name, const void *given, size_t first_size, void *known, size_t known_size) {
    size_t size;
    if (given == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "%s = NULL: must be a pointer", name);
    memcpy(&size, given, sizeof size);
    if (size < first_size)
        return q8k_fail(Q8K_ERROR_STRUCT, "%s->size = %zu: must be at least %zu", name, size, first_size);
    /* So that a size that was never set does not make the next loop run through the address space. */
    if (size > known_size + STRUCT_GROWTH_MAX)
        return q8k_fail(Q8K_ERROR_STRUCT, "%s->size = %zu: must be at most %zu", name, size,
                        known_size + STRUCT_GROWTH_MAX);
    for (size_t i = known_size; i < size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return q8k_fail(Q8K_ERROR_STRUCT,
                            "%s->size = %zu: byte %zu is not zero, and this release knows only the first %zu", name,
                            size, i, known_size);
    if (size < known_size)
        memset((char *)known + size, 0, known_size - size);
    memcpy(known, given, size < known_size ? size : known_size);
    return Q8K_OK;
}

q8k_status q8k_check_format(q8k_format format, const q8k_format_info **info) {
    *info = q8k_format_find(format);
    if (*info == NULL)
        return q8k_fail(Q8K_ERROR_FORMAT, "format = %u: must be one of %s", (unsigned)format,
                        q8k_list_formats(Q8K_LIST_NUMBERS).text);
    return Q8K_OK;
}

q8k_status q8k_check_precision(q8k_precision precision) {
    if (q8k_precision_name(precision) == NULL)
        return q8k_fail(Q8K_ERROR_PRECISION, "precision = %u: must be 0 (float), 1 (half) or 2 (byte)",
                        (unsigned)precision);
    return Q8K_OK;
}

q8k_status q8k_check_columns(const char *name, size_t columns) {
    if (columns % BLOCK != 0)
        return q8k_fail(Q8K_ERROR_COLUMNS, "%s = %zu: must be a multiple of the block, %d", name, columns, BLOCK);
    return Q8K_OK;
}

q8k_status q8k_check_part(size_t part, size_t parts) {
    if (parts == 0)
        return q8k_fail(Q8K_ERROR_PART, "parts = 0: must be at least 1");
    if (part >= parts)
        return q8k_fail(Q8K_ERROR_PART, "part = %zu: must be below parts, %zu", part, parts);
    return Q8K_OK;
}

/* A pointer to `bytes` bytes that do not wrap around the end of the address space. */
static q8k_status check_range(const char *name, const void *start, size_t bytes, q8k_range *range) {
    if (start == NULL && bytes != 0)
        return q8k_fail(Q8K_ERROR_NULL, "%s = NULL: must point to %zu bytes", name, bytes);
    if ((uintptr_t)start > UINTPTR_MAX - bytes)
        return q8k_fail(Q8K_ERROR_OVERFLOW, "%s = %p: %zu bytes from there exceed the address space", name, start,
                        bytes);
    *range = (q8k_range){name, start, bytes};
    return Q8K_OK;
}

size_t q8k_row_bytes(q8k_format format, size_t cols) {
    const q8k_format_info *info;
    size_t bytes;
    if (q8k_check_format(format, &info) != Q8K_OK || q8k_check_columns("cols", cols) != Q8K_OK)
        return 0;
    if (!product(cols / BLOCK, info->block_bytes, 0, &bytes)) {
        q8k_fail(Q8K_ERROR_OVERFLOW, "cols = %zu: blocks of %zu bytes exceed %zu bytes", cols, info->block_bytes,
                 BYTES_MAX);
        return 0;
    }
    return bytes;
}

q8k_status q8k_check_blocks(const q8k_blocks_args *args, size_t *stride, q8k_range *range) {
    size_t row, least, most;
    q8k_status status = q8k_check_columns(args->columns_name, args->columns);
    if (status != Q8K_OK)
        return status;
    if (!product(args->columns / BLOCK, args->info->block_bytes, 0, &row))
        return q8k_fail(Q8K_ERROR_OVERFLOW, "%s = %zu: a row of %s would exceed %zu bytes", args->columns_name,
                        args->columns, args->info->name, BYTES_MAX);
    *stride = args->stride != 0 ? args->stride : row;
    if (*stride < row)
        return q8k_fail(Q8K_ERROR_STRIDE, "weights_stride = %zu: a row of %zu columns of %s has %zu bytes", *stride,
                        args->columns, args->info->name, row);
    if (args->rows == 0)
        least = most = 0;
    else if (*stride > BYTES_MAX)
        return q8k_fail(Q8K_ERROR_OVERFLOW, "weights_stride = %zu: rows so far apart would exceed %zu bytes", *stride,
                        BYTES_MAX);
    else if (!product(args->rows - 1, *stride, row, &least) || !product(args->rows, *stride, 0, &most))
        return q8k_fail(Q8K_ERROR_OVERFLOW, "%s = %zu: rows %zu bytes apart would exceed %zu bytes", args->rows_name,
                        args->rows, *stride, BYTES_MAX);
    if (args->bytes < least || args->bytes > most)
        return q8k_fail(Q8K_ERROR_BYTES,
                        "weights_bytes = %zu: %zu rows of %zu columns of %s, %zu bytes apart, have %zu%s", args->bytes,
                        args->rows, args->columns, args->info->name, *stride, least,
                        least != most ? " at least, and less than one row more" : "");
    return check_range("weights", args->weights, args->unread ? 0 : least, range);
}

/* Names the argument that alone is too large; else the number of rows. */
static q8k_status too_many_floats(const q8k_floats_args *args, size_t stride) {
    const size_t most = BYTES_MAX / sizeof(float);
    if (args->columns > most)
        return q8k_fail(Q8K_ERROR_OVERFLOW, "%s = %zu: a row of %s would exceed %zu bytes", args->columns_name,
                        args->columns, args->name, BYTES_MAX);
    if (stride > most)
        return q8k_fail(Q8K_ERROR_OVERFLOW, "%s = %zu: rows of %s so far apart would exceed %zu bytes",
                        args->stride_name, stride, args->name, BYTES_MAX);
    return q8k_fail(Q8K_ERROR_OVERFLOW, "%s = %zu: rows of %s, %zu floats apart, would exceed %zu bytes",
                    args->rows_name, args->rows, args->name, stride, BYTES_MAX);
}

q8k_status q8k_check_floats(const q8k_floats_args *args, size_t *stride, q8k_range *range) {
    size_t floats, bytes;
    *stride = args->stride != 0 ? args->stride : args->columns;
    if (*stride < args->columns)
        return q8k_fail(Q8K_ERROR_STRIDE, "%s = %zu: a row has %zu floats", args->stride_name, *stride, args->columns);
    if (args->rows == 0 || args->columns == 0)
        return check_range(args->name, args->floats, 0, range);
    if (!product(args->rows - 1, *stride, args->columns, &floats) || !product(floats, sizeof(float), 0, &bytes))
        return too_many_floats(args, *stride);
    return check_range(args->name, args->floats, bytes, range);
}

q8k_status q8k_check_overlap(const q8k_range *written, const q8k_range *read) {
    uintptr_t w = (uintptr_t)written->start, r = (uintptr_t)read->start;
    if (written->bytes != 0 && read->bytes != 0 && w < r + read->bytes && r < w + written->bytes)
        return q8k_fail(Q8K_ERROR_OVERLAP, "%s = %p: its %zu bytes overlap the %zu bytes of %s = %p", written->name,
                        written->start, written->bytes, read->bytes, read->name, read->start);
    return Q8K_OK;
}
