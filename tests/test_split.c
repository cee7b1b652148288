/* SPDX-License-Identifier: MIT */
/* How work is divided among parts: all of it, once, in steps; and what the parts repeat. */
#include "suites.h"

#include <stdlib.h>
#include <string.h>

#include "lib/split.h"
#include "support.h"

/* Whether a piece starts at a step, and ends at one or at the end. */
static bool in_steps(size_t first, size_t length, size_t step, size_t count) {
    return first % step == 0 && (length % step == 0 || first + length == count);
}

static void check_cover(const q8k_grid *grid, size_t parts) {
    size_t cells = grid->rows * grid->batch;
    uint8_t *owners = test_alloc(cells);
    memset(owners, 0, cells);
    for (size_t part = 0; part < parts; part++) {
        q8k_rectangle r = q8k_split(grid, part, parts);
        if (r.row_count == 0 || r.batch_count == 0)
            continue;
        require(in_steps(r.row_first, r.row_count, grid->row_step, grid->rows) &&
                    in_steps(r.batch_first, r.batch_count, grid->batch_step, grid->batch) &&
                    r.row_first + r.row_count <= grid->rows && r.batch_first + r.batch_count <= grid->batch,
                "%zux%zu, part %zu of %zu: rows %zu + %zu, batch %zu + %zu", grid->rows, grid->batch, part, parts,
                r.row_first, r.row_count, r.batch_first, r.batch_count);
        for (size_t b = 0; b < r.batch_count; b++)
            for (size_t i = 0; i < r.row_count; i++)
                owners[(r.batch_first + b) * grid->rows + r.row_first + i]++;
    }
    for (size_t i = 0; i < cells; i++)
        require(owners[i] == 1, "%zux%zu in %zu parts: row %zu, batch row %zu belongs to %d", grid->rows, grid->batch,
                parts, i % grid->rows, i / grid->rows, owners[i]);
    free(owners);
}

START_TEST(parts_cover_everything_once) {
    test_random random = random_start(3101);
    for (size_t i = 0; i < 20000; i++) {
        q8k_grid grid = {.rows = random_below(&random, i % 4 == 0 ? 300 : 30),
                         .row_step = 1 + random_below(&random, 16),
                         .batch = random_below(&random, i % 3 == 0 ? 200 : 20),
                         .batch_step = 1 + random_below(&random, 16),
                         .repeated = random_below(&random, 2) * 8};
        check_cover(&grid, 1 + random_below(&random, i % 5 == 0 ? 200 : 20));
    }
}
END_TEST

/* Sizes that no memory holds are divided without overflow. */
START_TEST(the_largest_sizes_are_divided) {
    static const size_t parts[] = {1, 2, 7, 64, SIZE_MAX};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        q8k_grid grid = {SIZE_MAX, 12, SIZE_MAX, 16, 8};
        q8k_rectangle first = q8k_split(&grid, 0, parts[i]), last = q8k_split(&grid, parts[i] - 1, parts[i]);
        ck_assert_uint_eq(first.row_first, 0);
        ck_assert_uint_eq(first.batch_first, 0);
        require(last.row_count == 0 || last.row_first + last.row_count == SIZE_MAX, "%zu parts: rows end at %zu",
                parts[i], last.row_first + last.row_count);
    }
}
END_TEST

/* What the parts do in all, and the largest of them, in outputs; what is repeated counts as the grid says. */
typedef struct work {
    double all, largest;
} work;

static work work_of(const q8k_grid *grid, size_t parts) {
    work w = {0, 0};
    for (size_t part = 0; part < parts; part++) {
        q8k_rectangle r = q8k_split(grid, part, parts);
        double size = r.batch_count == 0 ? 0 : (double)r.row_count * (double)(r.batch_count + grid->repeated);
        w.all += size;
        w.largest = size > w.largest ? size : w.largest;
    }
    return w;
}

/* With rows for every part. */
START_TEST(parts_repeat_a_twentieth_at_most) {
    static const size_t rows[] = {1000, 4096, 11008}, batches[] = {1, 16, 40, 512, 2048}, steps[] = {4, 6, 12, 16};
    for (size_t i = 0; i < 60; i++)
        for (size_t parts = 2; parts <= 64; parts++) {
            q8k_grid grid = {rows[i / 20], steps[i % 4], batches[i / 4 % 5], 16, 8};
            if (parts > (grid.rows + grid.row_step - 1) / grid.row_step)
                continue;
            double one = work_of(&grid, 1).all, all = work_of(&grid, parts).all;
            require(all <= 1.05 * one, "%zu rows in steps of %zu, batch %zu, %zu parts: %.3f times the work", grid.rows,
                    grid.row_step, grid.batch, parts, all / one);
            require(grid.batch >= 200 || all == one, "batch %zu was divided among %zu parts", grid.batch, parts);
        }
}
END_TEST

/* Where rows run out, the batch is divided. */
START_TEST(few_rows_leave_no_part_idle) {
    static const size_t rows[] = {1, 12, 13, 64, 100}, parts[] = {2, 7, 16, 32};
    for (size_t i = 0; i < 20; i++) {
        q8k_grid grid = {rows[i / 4], 12, 512, 16, 8};
        double one = work_of(&grid, 1).all, largest = work_of(&grid, parts[i % 4]).largest;
        /* Within what steps and repeated work allow. */
        require(largest <= 2.1 * one / (double)parts[i % 4], "%zu rows, %zu parts: the largest takes %.3f of all",
                grid.rows, parts[i % 4], largest / one);
    }
}
END_TEST

Suite *suite_split(void) {
    Suite *suite = suite_create("split");
    TCase *tests = tcase_create("split");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, parts_cover_everything_once);
    tcase_add_test(tests, the_largest_sizes_are_divided);
    tcase_add_test(tests, parts_repeat_a_twentieth_at_most);
    tcase_add_test(tests, few_rows_leave_no_part_idle);
    suite_add_tcase(suite, tests);
    return suite;
}
