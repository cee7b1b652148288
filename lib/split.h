/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_SPLIT_H
#define Q8K_LIB_SPLIT_H

#include <stddef.h>

/* Something of two dimensions, divided in steps. */
typedef struct q8k_grid {
    size_t rows, row_step;
    size_t batch, batch_step;
    /* What each piece of the batch does again, as the batch rows that the same time would be enough for. */
    size_t repeated;
} q8k_grid;

typedef struct q8k_rectangle {
    size_t row_first, row_count;
    size_t batch_first, batch_count;
} q8k_rectangle;

/* One part's rectangle, perhaps empty. The rectangles of all parts cover the grid and do not overlap. */
q8k_rectangle q8k_split(const q8k_grid *grid, size_t part, size_t parts);

#endif
