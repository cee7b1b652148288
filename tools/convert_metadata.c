/* SPDX-License-Identifier: MIT */
/* What other software reads in the metadata of the types of tensors. */
#include "convert.h"

#define FILE_TYPE_KEY "general.file_type"
#define VERSION_KEY "general.quantization_version"

/* Types that a file can be mostly of, by their numbers, and one that has none: Q8_K. The version of ggml's blocks since
 * the K-quants are what they are. */
enum { KINDS = 64, OWN = KINDS - 1, NO_FILE_TYPE = -1, BLOCKS_VERSION = 2 };

/* How many weights of a file are of which type. */
typedef struct census {
    double weights[KINDS];
} census;

static void count(census *to, const gguf_tensor *tensor) {
    uint32_t kind = tensor->format == Q8K_FORMAT_Q8_K ? OWN : tensor->type;
    to->weights[kind < KINDS ? kind : OWN] += (double)tensor->rows * (double)tensor->cols;
}

static uint32_t most(const census *of) {
    uint32_t found = 0;
    for (uint32_t i = 1; i < KINDS; i++) {
        found = of->weights[i] > of->weights[found] ? i : found;
    }
    return found;
}

/* llama.cpp's number for files that are mostly of a type; where there is a choice, that of files that have no larger
 * type for some of their tensors. */
static int file_type(uint32_t type) {
    switch (type) {
    case GGUF_TYPE_F32:
        return 0;
    case GGUF_TYPE_F16:
        return 1;
    case GGUF_TYPE_BF16:
        return 32;
    case GGUF_TYPE_Q8_0:
        return 7;
    case 10: /* q2_K */
        return 10;
    case 11: /* q3_K */
        return 11;
    case 12: /* q4_K */
        return 14;
    case 13: /* q5_K */
        return 16;
    case 14: /* q6_K */
        return 18;
    default:
        return NO_FILE_TYPE;
    }
}

static bool is_stale(const gguf_key *key, void *data) {
    const bool *all = data;
    return *all && (gguf_text_is(key->name, FILE_TYPE_KEY) || gguf_text_is(key->name, VERSION_KEY));
}

static bool is_stale_version(const gguf_key *key, void *data) {
    const bool *all = data;
    return *all && gguf_text_is(key->name, VERSION_KEY);
}

void convert_metadata(const conversion *c, gguf_writer *writer) {
    census before = {{0}}, after = {{0}};
    bool converts = false, blocks = false;
    if (c->in.is_npy) {
        return;
    }
    for (size_t i = 0; i < weights_count(&c->in); i++) {
        conversion_step step = convert_plan(c, i);
        const gguf_type *type = gguf_type_get(step.to.type);
        count(&before, &step.from);
        count(&after, &step.to);
        converts = converts || step.converts;
        blocks = blocks || (type != NULL && type->block_columns > 1);
    }
    /* What the file says of itself stays as it is while it is as true as it was. */
    bool same = most(&before) == most(&after);
    gguf_copy_keys(writer, &c->in.gguf.header, same ? is_stale_version : is_stale, &converts);
    int number = file_type(most(&after));
    if (converts && !same && number != NO_FILE_TYPE) {
        gguf_add_uint32(writer, FILE_TYPE_KEY, (uint32_t)number);
    }
    if (converts && blocks) {
        gguf_add_uint32(writer, VERSION_KEY, BLOCKS_VERSION);
    }
}
