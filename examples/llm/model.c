/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "model.h"

/* No dimension of a model that exists comes near: products of any three of them fit 64 bits. */
enum { MOST = 1 << 20 };

/* ----------------------------------------------------------------------------------------------- numbers --- */

/* A key of the architecture, such as "llama.block_count". */
typedef struct key {
    char text[160];
} key;

static key key_of(const model *m, const char *name) {
    text architecture = gguf_text(&m->file, "general.architecture");
    key k;
    snprintf(k.text, sizeof k.text, "%.*s.%s", (int)(architecture.length < 64 ? architecture.length : 64),
             architecture.bytes, name);
    return k;
}

static size_t number(const model *m, const char *name, size_t otherwise) {
    return gguf_number(&m->file, key_of(m, name).text, 1, MOST, otherwise);
}

static void take_heads(model *m) {
    m->heads = number(m, "attention.head_count", 0);
    m->kv_heads = number(m, "attention.head_count_kv", m->heads);
    m->head_width = number(m, "attention.key_length", m->width / m->heads);
    size_t value_width = number(m, "attention.value_length", m->head_width);
    if (m->heads % m->kv_heads != 0)
        die("%s: '%s' = %zu (limit a divisor of the %zu heads)", m->file.path,
            key_of(m, "attention.head_count_kv").text, m->kv_heads, m->heads);
    if (m->head_width % 16 != 0 || m->head_width != value_width)
        die("%s: heads of keys are %zu wide, of values %zu (limit equal ones, a multiple of 16)", m->file.path,
            m->head_width, value_width);
    m->query_width = m->heads * m->head_width;
    m->kv_width = m->kv_heads * m->head_width;
}

static void take_rope(model *m) {
    m->rope_width = number(m, "rope.dimension_count", m->head_width);
    if (m->rope_width % 2 != 0 || m->rope_width > m->head_width)
        die("%s: '%s' = %zu (limit an even number up to %zu)", m->file.path, key_of(m, "rope.dimension_count").text,
            m->rope_width, m->head_width);
    m->rope_base = gguf_float(&m->file, key_of(m, "rope.freq_base").text, 10000);
    text scaling = gguf_text(&m->file, key_of(m, "rope.scaling.type").text);
    if (scaling.length > 0 && !text_is(scaling, "none"))
        die("%s: '%s' is '%.*s' (limit 'none')", m->file.path, key_of(m, "rope.scaling.type").text,
            (int)(scaling.length < 64 ? scaling.length : 64), scaling.bytes);
}

static void take_numbers(model *m) {
    text architecture = gguf_text(&m->file, "general.architecture");
    m->rope_halves = text_is(architecture, "qwen2");
    if (!m->rope_halves && !text_is(architecture, "llama"))
        die("%s: 'general.architecture' is '%.*s' (limit llama or qwen2)", m->file.path,
            (int)(architecture.length < 64 ? architecture.length : 64), architecture.bytes);
    m->layers = gguf_number(&m->file, key_of(m, "block_count").text, 1, MOST_LAYERS, 0);
    m->width = number(m, "embedding_length", 0);
    m->hidden = number(m, "feed_forward_length", 0);
    m->context = number(m, "context_length", 0);
    m->norm_epsilon = gguf_float(&m->file, key_of(m, "attention.layer_norm_rms_epsilon").text, 0);
    if (gguf_find(&m->file, key_of(m, "expert_count").text) != NULL &&
        gguf_number(&m->file, key_of(m, "expert_count").text, 0, MOST, 0) > 0)
        die("%s: '%s' is there (limit models without experts)", m->file.path, key_of(m, "expert_count").text);
    take_heads(m);
    take_rope(m);
}

/* ----------------------------------------------------------------------------------------------- weights --- */

static void check_shape(const model *m, const tensor *t, const char *name, size_t rows, size_t cols) {
    if (t->rows != rows || t->cols != cols)
        die("%s: tensor '%s' is %zu x %zu, entry at byte %zu (limit %zu x %zu)", m->file.path, name, t->rows, t->cols,
            t->at, rows, cols);
}

/* A vector of float32, NULL if there is none and it may be missing. */
static const float *vector(const model *m, const char *name, size_t length, bool optional) {
    tensor t;
    if (!gguf_find_tensor(&m->file, name, &t)) {
        if (!optional)
            die("%s: there is no tensor '%s'", m->file.path, name);
        return NULL;
    }
    check_shape(m, &t, name, 1, length);
    if (t.type != 0 || (uintptr_t)t.data % sizeof(float) != 0)
        die("%s: type of tensor '%s' = %u, %zu bytes (limit 0, float32, at a multiple of 4 bytes)", m->file.path, name,
            (unsigned)t.type, t.bytes);
    return (const float *)(const void *)t.data;
}

/* A quantized matrix. A product of no input is what has the library look at the arguments without computing anything:
 * that it takes this format, these columns and this number of bytes. */
static void check_product(const model *m, const tensor *t, const char *name) {
    if (t->format == 0)
        die("%s: tensor '%s' is float32 (limit a quantized one: see q8k quantize)", m->file.path, name);
    q8k_matmul_args none = {.size = sizeof none,
                            .format = t->format,
                            .out_features = t->rows,
                            .in_features = t->cols,
                            .weights = t->data,
                            .weights_bytes = t->bytes};
    need(q8k_matmul(NULL, &none), m->file.path, name);
}

static tensor matrix(const model *m, const char *name, size_t rows, size_t cols) {
    tensor t;
    if (!gguf_find_tensor(&m->file, name, &t))
        die("%s: there is no tensor '%s'", m->file.path, name);
    check_shape(m, &t, name, rows, cols);
    check_product(m, &t, name);
    return t;
}

static void take_layer(model *m, size_t index) {
    layer_weights *one = &m->layer[index];
    char name[64];
#define NAME(part) (snprintf(name, sizeof name, "blk.%zu." part, index), name)
    one->attention_norm = vector(m, NAME("attn_norm.weight"), m->width, false);
    one->query = matrix(m, NAME("attn_q.weight"), m->query_width, m->width);
    one->key = matrix(m, NAME("attn_k.weight"), m->kv_width, m->width);
    one->value = matrix(m, NAME("attn_v.weight"), m->kv_width, m->width);
    one->query_bias = vector(m, NAME("attn_q.bias"), m->query_width, true);
    one->key_bias = vector(m, NAME("attn_k.bias"), m->kv_width, true);
    one->value_bias = vector(m, NAME("attn_v.bias"), m->kv_width, true);
    one->output = matrix(m, NAME("attn_output.weight"), m->width, m->query_width);
    one->ffn_norm = vector(m, NAME("ffn_norm.weight"), m->width, false);
    one->gate = matrix(m, NAME("ffn_gate.weight"), m->hidden, m->width);
    one->up = matrix(m, NAME("ffn_up.weight"), m->hidden, m->width);
    one->down = matrix(m, NAME("ffn_down.weight"), m->width, m->hidden);
#undef NAME
}

void model_open(model *m, const char *path) {
    *m = (model){.layers = 0};
    gguf_open(&m->file, path);
    take_numbers(m);
    if (!gguf_find_tensor(&m->file, "token_embd.weight", &m->embedding))
        die("%s: there is no tensor 'token_embd.weight'", path);
    m->vocabulary = m->embedding.rows;
    check_shape(m, &m->embedding, "token_embd.weight", m->vocabulary < MOST ? m->vocabulary : MOST, m->width);
    m->output_norm = vector(m, "output_norm.weight", m->width, false);
    /* Small models often use one matrix for both ends. */
    if (gguf_find_tensor(&m->file, "output.weight", &m->output))
        check_shape(m, &m->output, "output.weight", m->vocabulary, m->width);
    else
        m->output = m->embedding;
    check_product(m, &m->output, "output.weight");
    m->rope_factors = vector(m, "rope_freqs.weight", m->rope_width / 2, true);
    m->layer = allocate(m->layers, sizeof *m->layer);
    for (size_t i = 0; i < m->layers; i++)
        take_layer(m, i);
}

void model_close(model *m) {
    free(m->layer);
    gguf_close(&m->file);
}
