/* SPDX-License-Identifier: MIT */
/* How work is divided. Never along the sum: that would change its order. */
#include "lib/split.h"

static size_t divide_up(size_t count, size_t by) {
    return count / by + (count % by != 0);
}

/* Piece `index` of `pieces` of `steps` steps: the first ones are one step larger where it does not come out even. */
static void piece(size_t count, size_t step, size_t index, size_t pieces, size_t *first, size_t *length) {
    size_t steps = divide_up(count, step), each = steps / pieces, more = steps % pieces;
    size_t begin = index * each + (index < more ? index : more), end = begin + each + (index < more);
    /* In this order nothing overflows: begin * step < count unless begin is the end. */
    *first = begin < steps ? begin * step : count;
    *length = (end < steps ? end * step : count) - *first;
}

/*
 * Rows are divided among as many parts as there are, and the batch only where that makes the largest part smaller:
 * dividing the batch makes every piece of it decode the same weights again. More than 64 pieces of it are not tried.
 */
static size_t batch_pieces(size_t row_steps, size_t batch_steps, size_t parts) {
    size_t best = 1, best_rows = divide_up(row_steps, parts), best_batch = batch_steps;
    for (size_t pieces = 2; pieces <= 64 && pieces <= parts && pieces <= batch_steps; pieces++) {
        size_t rows = divide_up(row_steps, parts / pieces), batch = divide_up(batch_steps, pieces);
        /* As fractions of the whole, so that the comparison cannot overflow. */
        double size = (double)rows * (double)batch, best_size = (double)best_rows * (double)best_batch;
        if (size < best_size * 0.95) {
            best = pieces;
            best_rows = rows;
            best_batch = batch;
        }
    }
    return best;
}

q8k_rectangle q8k_split(const q8k_grid *grid, size_t part, size_t parts) {
    q8k_rectangle r = {0, 0, 0, 0};
    size_t row_steps = divide_up(grid->rows, grid->row_step), batch_steps = divide_up(grid->batch, grid->batch_step);
    if (row_steps == 0 || batch_steps == 0)
        return r;
    size_t across = batch_pieces(row_steps, batch_steps, parts), down = parts / across;
    if (part >= across * down)
        return r;
    piece(grid->rows, grid->row_step, part % down, down, &r.row_first, &r.row_count);
    piece(grid->batch, grid->batch_step, part / down, across, &r.batch_first, &r.batch_count);
    return r;
}
