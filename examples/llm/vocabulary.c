/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "vocabulary.h"

void add_token(token_list *list, size_t id) {
    if (list->count == list->room) {
        list->room = list->room == 0 ? 256 : 2 * list->room;
        list->ids = realloc(list->ids, list->room * sizeof *list->ids);
        if (list->ids == NULL)
            die("no memory for %zu tokens", list->room);
    }
    list->ids[list->count++] = (int32_t)id;
}

/* ------------------------------------------------------------------------------------------------ pieces --- */

/* A file could be made whose pieces all fall into one slot, and would then take long to open; it is the user's own. */
static uint32_t *slot_of(const vocabulary *v, text piece) {
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < piece.length; i++)
        hash = (hash ^ (uint8_t)piece.bytes[i]) * 1099511628211U;
    size_t slot = (size_t)((hash >> 32) * v->slot_count >> 32);
    while (v->slots[slot] != 0) {
        text other = v->pieces[v->slots[slot] - 1];
        if (other.length == piece.length && memcmp(other.bytes, piece.bytes, piece.length) == 0)
            break;
        slot = slot + 1 < v->slot_count ? slot + 1 : 0;
    }
    return &v->slots[slot];
}

int32_t find_piece(const vocabulary *v, text piece) {
    return (int32_t)*slot_of(v, piece) - 1;
}

int32_t token_type(const vocabulary *v, size_t id) {
    return v->types == NULL ? TOKEN_NORMAL : gguf_int32_at(v->file, v->types, id);
}

static void take_pieces(vocabulary *v) {
    const gguf_value *tokens = gguf_array(v->file, "tokenizer.ggml.tokens", GGUF_STRING);
    if (tokens->count != v->count)
        die("%s: 'tokenizer.ggml.tokens' has %" PRIu64 " elements from byte %zu on (limit %zu, the embeddings)",
            v->file->path, tokens->count, tokens->at, v->count);
    v->pieces = allocate(v->count, sizeof *v->pieces);
    v->slot_count = 2 * v->count + 1;
    v->slots = allocate(v->slot_count, sizeof *v->slots);
    size_t at = tokens->at;
    for (size_t i = 0; i < v->count; i++) {
        v->pieces[i] = gguf_next_text(v->file, &at);
        uint32_t *slot = slot_of(v, v->pieces[i]);
        if (*slot == 0)
            *slot = (uint32_t)i + 1;
    }
}

/* An array with an element for each token, or NULL. */
static const gguf_value *of_each_token(const vocabulary *v, const char *key, uint32_t type) {
    if (gguf_find(v->file, key) == NULL)
        return NULL;
    const gguf_value *array = gguf_array(v->file, key, type);
    if (array->count != v->count)
        die("%s: '%s' has %" PRIu64 " elements from byte %zu on (limit %zu, the tokens)", v->file->path, key,
            array->count, array->at, v->count);
    return array;
}

static int32_t special(const vocabulary *v, const char *key) {
    return gguf_find(v->file, key) == NULL ? -1 : (int32_t)gguf_number(v->file, key, 0, v->count - 1, 0);
}

static bool flag(const vocabulary *v, const char *key, bool otherwise) {
    const gguf_value *found = gguf_find(v->file, key);
    return found == NULL ? otherwise : v->file->bytes[found->at] != 0;
}

/* How the pairs' words are cut is known for these three; other vocabularies are used by ids. */
static bool knows_words(vocabulary *v) {
    text way = gguf_text(v->file, "tokenizer.ggml.pre");
    v->letters_plain = text_is(way, "gpt-2");
    v->digits_alone = text_is(way, "qwen2");
    return v->letters_plain || v->digits_alone || text_is(way, "llama-bpe");
}

void vocabulary_open(vocabulary *v, const gguf *file, size_t count) {
    *v = (vocabulary){.file = file, .count = count, .begin = -1, .end = -1};
    text kind = gguf_text(file, "tokenizer.ggml.model");
    if (text_is(kind, "llama"))
        v->kind = SENTENCEPIECE;
    else if (text_is(kind, "gpt2") && knows_words(v))
        v->kind = BYTE_PAIRS;
    v->begin = special(v, "tokenizer.ggml.bos_token_id");
    v->end = special(v, "tokenizer.ggml.eos_token_id");
    if (v->kind == NO_TEXT)
        return;
    take_pieces(v);
    v->types = of_each_token(v, "tokenizer.ggml.token_type", GGUF_INT32);
    v->scores = of_each_token(v, "tokenizer.ggml.scores", GGUF_FLOAT32);
    if (v->kind == BYTE_PAIRS)
        byte_pairs_open(v);
    bool usual = v->kind == SENTENCEPIECE || !(v->letters_plain || v->digits_alone);
    v->add_begin = flag(v, "tokenizer.ggml.add_bos_token", usual) && v->begin >= 0;
    v->add_space = flag(v, "tokenizer.ggml.add_space_prefix", true);
}

void vocabulary_close(vocabulary *v) {
    free(v->merges);
    free(v->slots);
    free(v->pieces);
}

/* -------------------------------------------------------------------------------------------------- text --- */

void tokenize(const vocabulary *v, text words, token_list *list) {
    if (v->kind == NO_TEXT)
        die("%s: its vocabulary is neither SentencePiece nor one of byte pairs that this program knows (use --tokens)",
            v->file->path);
    if (v->add_begin)
        add_token(list, (size_t)v->begin);
    if (words.length == 0)
        return;
    if (v->kind == SENTENCEPIECE)
        sentencepiece_tokenize(v, words, list);
    else
        byte_pairs_tokenize(v, words, list);
}

void print_token(const vocabulary *v, int32_t id, FILE *to) {
    int32_t type = v->kind == NO_TEXT ? TOKEN_NORMAL : token_type(v, (size_t)id);
    if (v->kind == NO_TEXT)
        fprintf(to, " %d", (int)id);
    else if (type == TOKEN_CONTROL || type == TOKEN_UNUSED)
        return;
    else if (v->kind == SENTENCEPIECE)
        sentencepiece_print(v, v->pieces[id], type, to);
    else
        byte_pairs_print(v->pieces[id], to);
}
