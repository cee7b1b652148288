/* SPDX-License-Identifier: MIT */
#include "layers.h"
#include "vector.h"

void normalize(float *output, const float *input, const float *weights, size_t width, float epsilon) {
    vector sum = {0};
    for (size_t k = 0; k < width; k += LANES)
        sum += load(input + k) * load(input + k);
    float factor = 1 / sqrtf(sum_of(sum) / (float)width + epsilon);
    for (size_t k = 0; k < width; k++)
        output[k] = input[k] * factor * weights[k];
}

void add(float *row, const float *other, size_t width) {
    for (size_t k = 0; other != NULL && k < width; k++)
        row[k] += other[k];
}

void swiglu(float *gate, const float *up, size_t from, size_t to) {
    for (size_t k = from; k < to; k += LANES) {
        vector x = load(gate + k);
        store(gate + k, x / (1 + exponential(-x)) * load(up + k));
    }
}

void make_angles(const model *m, size_t positions, float *cosines, float *sines) {
    size_t pairs = m->rope_width / 2;
    for (size_t i = 0; i < pairs; i++) {
        double speed = pow(m->rope_base, -2.0 * (double)i / (double)m->rope_width);
        if (m->rope_factors != NULL)
            speed /= m->rope_factors[i];
        for (size_t p = 0; p < positions; p++) {
            cosines[p * pairs + i] = (float)cos((double)p * speed);
            sines[p * pairs + i] = (float)sin((double)p * speed);
        }
    }
}

void rotate(const model *m, float *row, size_t heads, const float *cosines, const float *sines, float scale) {
    size_t pairs = m->rope_width / 2;
    size_t apart = m->rope_halves ? pairs : 1, step = m->rope_halves ? 1 : 2;
    for (size_t head = 0; head < heads; head++, row += m->head_width) {
        for (size_t i = 0; i < pairs; i++) {
            float *a = &row[i * step], *b = a + apart, x = *a, y = *b;
            *a = (x * cosines[i] - y * sines[i]) * scale;
            *b = (x * sines[i] + y * cosines[i]) * scale;
        }
        for (size_t k = m->rope_width; k < m->head_width; k++)
            row[k] *= scale;
    }
}
