/* SPDX-License-Identifier: MIT */
/* A model of the llama family: its numbers and its weights, which lie in the mapped file. */
#ifndef LLM_MODEL_H
#define LLM_MODEL_H

#include "gguf.h"

enum { MOST_LAYERS = 1024 };

typedef struct layer_weights {
    const float *attention_norm, *ffn_norm;
    tensor query, key, value, output, gate, up, down;
    /* NULL where there are none. */
    const float *query_bias, *key_bias, *value_bias;
} layer_weights;

typedef struct model {
    gguf file;
    size_t layers, width, hidden, vocabulary, context;
    /* Attention: kv_heads divides heads, and each head of keys and values serves a group of `heads / kv_heads`. */
    size_t heads, kv_heads, head_width, query_width, kv_width;
    /* Rotary embeddings turn pairs of numbers of a head: neighbours, or those that are half of `rope_width` apart. */
    size_t rope_width;
    bool rope_halves;
    float rope_base, norm_epsilon;
    const float *rope_factors; /* of each pair, or NULL */
    tensor embedding, output;
    const float *output_norm;
    layer_weights *layer;
} model;

/* Maps a file and finds all of its weights: everything that the graph will rely on is checked here, and whatever does
 * not fit ends the program. */
void model_open(model *m, const char *path);
void model_close(model *m);

#endif
