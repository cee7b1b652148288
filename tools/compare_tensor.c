/* SPDX-License-Identifier: MIT */
/* Sums are made for each piece of the weights and added in the order of the pieces. */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_PIECES = 256 };

static void add(comparison *to, double a, double b) {
    to->weights++;
    if (!isfinite(a) || !isfinite(b)) {
        to->not_finite++;
        return;
    }
    double difference = fabs(a - b);
    to->squares += a * a;
    to->differences += difference * difference;
    to->worst = fmax(to->worst, difference);
}

static bool compare_piece(const comparison_files *files, const gguf_tensor *a, const gguf_tensor *b, uint64_t first,
                          comparison *found, char error[WEIGHTS_ERROR_BYTES]) {
    uint64_t left = a->rows * a->cols - first;
    size_t count = left < WEIGHTS_PIECE ? (size_t)left : WEIGHTS_PIECE;
    weights_scratch *scratch = malloc(2 * sizeof *scratch);
    *found = (comparison){.weights = 0};
    if (scratch == NULL) {
        snprintf(error, WEIGHTS_ERROR_BYTES, "no memory for weights");
        return false;
    }
    bool good = weights_read(files->a, a, first, count, &scratch[0], error) &&
                weights_read(files->b, b, first, count, &scratch[1], error);
    for (size_t i = 0; good && i < count; i++) {
        add(found, (double)scratch[0].floats[i], (double)scratch[1].floats[i]);
    }
    free(scratch);
    return good;
}

static void join(comparison *to, const comparison *piece) {
    to->weights += piece->weights;
    to->not_finite += piece->not_finite;
    to->squares += piece->squares;
    to->differences += piece->differences;
    to->worst = fmax(to->worst, piece->worst);
}

bool compare_tensors(const comparison_files *files, const gguf_tensor *a, const gguf_tensor *b, comparison *found,
                     char error[WEIGHTS_ERROR_BYTES]) {
    uint64_t weights = a->rows * a->cols, pieces = weights / WEIGHTS_PIECE + (weights % WEIGHTS_PIECE != 0);
    bool good = true;
    *found = (comparison){.weights = 0};
    for (uint64_t first = 0; good && first < pieces; first += ROUND_PIECES) {
        comparison parts[ROUND_PIECES];
        int count = pieces - first < ROUND_PIECES ? (int)(pieces - first) : ROUND_PIECES;
#ifdef _OPENMP
#pragma omp parallel for num_threads(files->threads) schedule(dynamic)
#endif
        for (int i = 0; i < count; i++) {
            char text[WEIGHTS_ERROR_BYTES];
            if (!compare_piece(files, a, b, (first + (uint64_t)i) * WEIGHTS_PIECE, &parts[i], text)) {
#ifdef _OPENMP
#pragma omp critical
#endif
                {
                    good = false;
                    memcpy(error, text, sizeof text);
                }
            }
        }
        for (int i = 0; good && i < count; i++) {
            join(found, &parts[i]);
        }
    }
    return good;
}
