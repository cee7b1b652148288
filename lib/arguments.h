/* SPDX-License-Identifier: MIT */
/* Argument checks, once, at the API's edge. Each names the argument, its value and the limit. */
#ifndef Q8K_LIB_ARGUMENTS_H
#define Q8K_LIB_ARGUMENTS_H

#include <stddef.h>

#include <q8k/q8k.h>

#include "lib/format.h"

/* Bytes of a struct up to its last member of the first release. */
#define Q8K_FIRST_SIZE(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

/* A range of the caller's memory, under the name that its argument has. */
typedef struct q8k_range {
    const char *name;
    const void *start;
    size_t bytes;
} q8k_range;

/* Copies the caller's struct as far as this release knows it into `known`; members that it does not have are zero. */
q8k_status q8k_check_struct(const char *name, const void *given, size_t first_size, void *known, size_t known_size);

q8k_status q8k_check_format(q8k_format format, const q8k_format_info **info);
q8k_status q8k_check_precision(q8k_precision precision);
q8k_status q8k_check_columns(const char *name, size_t columns);
q8k_status q8k_check_part(size_t part, size_t parts);

/* A matrix of blocks: checks its bytes and resolves its stride. */
typedef struct q8k_blocks_args {
    const q8k_format_info *info;
    const char *rows_name, *columns_name;
    size_t rows, columns;
    const void *weights;
    size_t bytes, stride;
    int unread; /* nothing will be looked at: `weights` may be NULL */
} q8k_blocks_args;
q8k_status q8k_check_blocks(const q8k_blocks_args *args, size_t *stride, q8k_range *range);

/* A matrix of floats: resolves its stride. Empty ones may be NULL. */
typedef struct q8k_floats_args {
    const char *name, *rows_name, *columns_name, *stride_name;
    size_t rows, columns;
    const void *floats;
    size_t stride;
} q8k_floats_args;
q8k_status q8k_check_floats(const q8k_floats_args *args, size_t *stride, q8k_range *range);

/* What is written against what is read. */
q8k_status q8k_check_overlap(const q8k_range *written, const q8k_range *read);

#endif
