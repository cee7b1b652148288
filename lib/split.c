/* SPDX-License-Identifier: MIT */
/* How work is divided. Never along the sum: that would change its order. */
#include "lib/split.h"

/* A division is much of what a part costs, and a small batch is one step. */
static size_t divide_up(size_t count, size_t by) {
    return count <= by ? count != 0 : count / by + (count % by != 0);
}

/* Piece `index` of `pieces` of `steps` steps: the first ones are one step larger where it does not come out even. */
static void piece(size_t count, size_t step, size_t steps, size_t index, size_t pieces, size_t *first, size_t *length) {
    size_t each = steps / pieces, more = steps % pieces;
    size_t begin = index * each + (index < more ? index : more), end = begin + each + (index < more);
    /* In this order nothing overflows: begin * step < count unless begin is the end. */
    *first = begin < steps ? begin * step : count;
    *length = (end < steps ? end * step : count) - *first;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The rows of the largest of so many pieces. A double, which no size overflows. */
static double largest_piece(size_t count, size_t step, size_t steps, size_t pieces) {
    double largest = (double)divide_up(steps, pieces) * (double)step;
    return largest < (double)count ? largest : (double)count;
}

/* What the largest part takes if the batch is divided into so many pieces. */
static double largest_part(const q8k_grid *grid, size_t row_steps, size_t batch_steps, size_t pieces, size_t parts) {
    return largest_piece(grid->rows, grid->row_step, row_steps, parts / pieces) *
           (largest_piece(grid->batch, grid->batch_step, batch_steps, pieces) + (double)grid->repeated);
}

/*
 * Rows are divided among as many parts as there are, and the batch only where that makes the largest part smaller, since
 * every piece of it repeats work. As long as there are rows for every part, the pieces add up to no more than a
 * twentieth of that work: who runs more parts than threads, or all on one, gains nothing by smaller ones. More than 64
 * pieces are not tried.
 */
static size_t batch_pieces(const q8k_grid *grid, size_t row_steps, size_t batch_steps, size_t parts) {
    size_t best = 1, most = least(64, least(parts, batch_steps));
    if (row_steps >= parts && grid->repeated != 0)
        most = least(most, 1 + grid->batch / 20 / grid->repeated);
    if (most < 2)
        return 1;
    double best_size = largest_part(grid, row_steps, batch_steps, 1, parts);
    for (size_t pieces = 2; pieces <= most; pieces++) {
        double size = largest_part(grid, row_steps, batch_steps, pieces, parts);
        if (size < best_size * 0.95) {
            best = pieces;
            best_size = size;
        }
    }
    return best;
}

q8k_rectangle q8k_split(const q8k_grid *grid, size_t part, size_t parts) {
    q8k_rectangle r = {0, grid->rows, 0, grid->batch};
    const q8k_rectangle nothing = {0, 0, 0, 0};
    size_t row_steps = divide_up(grid->rows, grid->row_step), batch_steps = divide_up(grid->batch, grid->batch_step);
    if (row_steps == 0 || batch_steps == 0)
        return nothing;
    size_t across = batch_pieces(grid, row_steps, batch_steps, parts), down = parts / across;
    if (part >= across * down)
        return nothing;
    if (across > 1) {
        piece(grid->batch, grid->batch_step, batch_steps, part / down, across, &r.batch_first, &r.batch_count);
        part %= down;
    }
    if (down > 1)
        piece(grid->rows, grid->row_step, row_steps, part, down, &r.row_first, &r.row_count);
    return r;
}
