/* SPDX-License-Identifier: MIT */
/* The small functions between the products: each on one row. */
#ifndef LLM_LAYERS_H
#define LLM_LAYERS_H

#include "model.h"

/* output = input divided by its root mean square (epsilon is added to the mean), times the weights. `width` is a
 * multiple of 16. */
void normalize(float *output, const float *input, const float *weights, size_t width, float epsilon);

/* row += other, where there is another. */
void add(float *row, const float *other, size_t width);

/* gate = silu(gate) * up, for elements from `from` to `to` - 1. */
void swiglu(float *gate, const float *up, size_t from, size_t to);

/* Fills positions x rope_width / 2 cosines and sines. */
void make_angles(const model *m, size_t positions, float *cosines, float *sines);

/* Turns the pairs of all heads of a row by the angles of its position, and multiplies by `scale`. */
void rotate(const model *m, float *row, size_t heads, const float *cosines, const float *sines, float scale);

#endif
