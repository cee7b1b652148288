/* SPDX-License-Identifier: MIT */
/* Vocabularies of SentencePiece: pieces with scores. Spaces are written as U+2581; what is no piece, in bytes. */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "vocabulary.h"

static const char space[] = "\xe2\x96\x81";
enum { SPACE_BYTES = sizeof space - 1 };

/* A stretch of the text: a character, or the piece that was made of several. Those that have become part of the one
 * before have no length. */
typedef struct stretch {
    size_t from, length;
    size_t next;      /* the stretch after it */
    float pair_score; /* of the piece that it would make with the next one; -INFINITY: there is none */
} stretch;

static size_t character_bytes(unsigned char first) {
    return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The text with spaces as the vocabulary has them; to be freed. */
static text with_spaces(const vocabulary *v, text words) {
    char *bytes = allocate(words.length + 1, SPACE_BYTES);
    size_t length = 0;
    for (size_t i = 0; i <= words.length; i++) {
        char c = i == 0 ? ' ' : words.bytes[i - 1];
        if (i == 0 && !v->add_space)
            continue;
        memcpy(bytes + length, c == ' ' ? space : &c, c == ' ' ? SPACE_BYTES : 1);
        length += c == ' ' ? SPACE_BYTES : 1;
    }
    return (text){bytes, length};
}

static void score_pair(const vocabulary *v, text words, stretch *all, size_t count, size_t i) {
    int32_t id = -1;
    if (all[i].next < count)
        id = find_piece(v, (text){words.bytes + all[i].from, all[i].length + all[all[i].next].length});
    all[i].pair_score = id < 0 ? -__builtin_inff() : gguf_float32_at(v->file, v->scores, (size_t)id);
}

/* Joins the pair whose piece has the highest score, of equal ones the first, until none is left. */
static void join(const vocabulary *v, text words, stretch *all, size_t count) {
    for (;;) {
        size_t best = 0, before = 0;
        for (size_t i = 0; i < count; i = all[i].next)
            best = all[i].pair_score > all[best].pair_score ? i : best;
        if (all[best].pair_score == -__builtin_inff())
            return;
        all[best].length += all[all[best].next].length;
        all[best].next = all[all[best].next].next;
        score_pair(v, words, all, count, best);
        for (size_t i = 0; i < best; i = all[i].next)
            before = i;
        if (best > 0)
            score_pair(v, words, all, count, before);
    }
}

static void spell(const vocabulary *v, text piece, token_list *list) {
    for (size_t i = 0; i < piece.length; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)(unsigned char)piece.bytes[i]);
        int32_t id = find_piece(v, (text){name, strlen(name)});
        if (id < 0)
            die("%s: the vocabulary has neither a piece '%.*s' nor '%s'", v->file->path, (int)piece.length, piece.bytes,
                name);
        add_token(list, (size_t)id);
    }
}

void sentencepiece_tokenize(const vocabulary *v, text words, token_list *list) {
    if (v->scores == NULL)
        die("%s: there is no key 'tokenizer.ggml.scores'", v->file->path);
    text spaced = with_spaces(v, words);
    stretch *all = allocate(spaced.length, sizeof *all);
    size_t count = 0;
    for (size_t at = 0; at < spaced.length; count++) {
        size_t length = character_bytes((unsigned char)spaced.bytes[at]), left = spaced.length - at;
        all[count] = (stretch){.from = at, .length = length < left ? length : left, .next = count + 1};
        at += all[count].length;
    }
    for (size_t i = 0; i < count; i++)
        score_pair(v, spaced, all, count, i);
    join(v, spaced, all, count);
    for (size_t i = 0; i < count; i = all[i].next) {
        text piece = {spaced.bytes + all[i].from, all[i].length};
        int32_t id = find_piece(v, piece);
        if (id >= 0)
            add_token(list, (size_t)id);
        else
            spell(v, piece, list);
    }
    free(all);
    free((void *)(uintptr_t)spaced.bytes);
}

void sentencepiece_print(const vocabulary *v, text piece, int32_t type, FILE *to) {
    (void)v;
    if (type == TOKEN_BYTE && piece.length == 6) {
        char digits[3] = {piece.bytes[3], piece.bytes[4], '\0'};
        fputc((int)strtol(digits, NULL, 16), to);
        return;
    }
    for (size_t i = 0; i < piece.length; i++) {
        bool is_space = piece.length - i >= SPACE_BYTES && memcmp(piece.bytes + i, space, SPACE_BYTES) == 0;
        fputc(is_space ? ' ' : piece.bytes[i], to);
        i += is_space ? SPACE_BYTES - 1 : 0;
    }
}
