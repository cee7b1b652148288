/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kernels.h"
#include "tools/definition.h"

reference reference_make(const kernel_case *largest) {
    const size_t rows = largest->rows, blocks = largest->blocks, batch = largest->batch;
    reference ref = {.largest = *largest, .block_bytes = definition_block_bytes(largest->format)};
    ref.weights = need_memory(rows * blocks * ref.block_bytes);
    ref.input = need_memory(batch * blocks * BLOCK * sizeof *ref.input);
    ref.decoded = need_memory(rows * blocks * BLOCK * sizeof *ref.decoded);
    ref.sums = need_memory(rows * batch * blocks * sizeof *ref.sums);
    ref.decoded_blocks = need_memory(rows * sizeof *ref.decoded_blocks);
    ref.summed_blocks = need_memory(rows * batch * sizeof *ref.summed_blocks);
    for (size_t i = 0; i < rows * blocks; i++)
        fill_weights(largest, i / blocks, i % blocks, ref.weights + i * ref.block_bytes);
    for (size_t i = 0; i < batch * blocks; i++)
        fill_input(largest, i / blocks, i % blocks, ref.input + i * BLOCK);
    for (size_t r = 0; r < rows; r++)
        ref.decoded_blocks[r] = 0;
    for (size_t i = 0; i < rows * batch; i++)
        ref.summed_blocks[i] = 0;
    return ref;
}

void reference_free(reference *ref) {
    free(ref->weights);
    free(ref->input);
    free(ref->decoded);
    free(ref->sums);
    free(ref->decoded_blocks);
    free(ref->summed_blocks);
}

const uint8_t *reference_weights(const reference *ref, size_t row, size_t block) {
    return ref->weights + (row * ref->largest.blocks + block) * ref->block_bytes;
}

const float *reference_input(const reference *ref, size_t batch, size_t block) {
    return ref->input + (batch * ref->largest.blocks + block) * BLOCK;
}

float reference_sum(reference *ref, size_t row, size_t batch, size_t blocks) {
    const kernel_case *c = &ref->largest;
    const size_t at = row * c->batch + batch;
    float *sums = ref->sums + at * c->blocks;
    for (size_t *i = &ref->summed_blocks[at]; *i < blocks; ++*i)
        sums[*i] = definition_accumulate(c->format, c->precision, 1, reference_weights(ref, row, *i),
                                         reference_input(ref, batch, *i), *i > 0 ? sums[*i - 1] : 0);
    return blocks > 0 ? sums[blocks - 1] : 0;
}

const float *reference_decoded(reference *ref, size_t row, size_t blocks) {
    float *decoded = ref->decoded + row * ref->largest.blocks * BLOCK;
    for (size_t *i = &ref->decoded_blocks[row]; *i < blocks; ++*i)
        definition_decode(ref->largest.format, reference_weights(ref, row, *i), decoded + *i * BLOCK);
    return decoded;
}
