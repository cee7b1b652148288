/* SPDX-License-Identifier: MIT */
/* The vocabulary in the file: text to tokens and back. */
#ifndef LLM_VOCABULARY_H
#define LLM_VOCABULARY_H

#include "gguf.h"

typedef struct token_list {
    int32_t *ids;
    size_t count, room;
} token_list;

void add_token(token_list *list, size_t id);

typedef enum vocabulary_kind { NO_TEXT, SENTENCEPIECE, BYTE_PAIRS } vocabulary_kind;

typedef struct vocabulary {
    const gguf *file;
    vocabulary_kind kind;
    size_t count;
    text *pieces;
    const gguf_value *scores, *types;
    uint32_t *slots; /* a table of the pieces by their bytes: number + 1, or 0 */
    size_t slot_count;
    /* Byte pairs: pieces that belong to pairs, by rank. See byte_pairs.c. */
    struct merge *merges;
    size_t merge_count;
    bool digits_alone, letters_plain; /* how text is cut into words */
    int32_t begin, end;               /* -1 if the vocabulary has none */
    bool add_begin, add_space;
} vocabulary;

/* Types of tokens. */
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_UNUSED = 5, TOKEN_BYTE = 6 };

/* `count` is what the model's matrices say. A vocabulary of another kind than those two gives ids only. */
void vocabulary_open(vocabulary *v, const gguf *file, size_t count);
void vocabulary_close(vocabulary *v);

/* The number of a piece; -1 if there is none. */
int32_t find_piece(const vocabulary *v, text piece);
int32_t token_type(const vocabulary *v, size_t id);

/* Appends the tokens of a text, after the token that begins one. Ends the program if the vocabulary cannot. */
void tokenize(const vocabulary *v, text words, token_list *list);
void sentencepiece_tokenize(const vocabulary *v, text words, token_list *list);
void byte_pairs_open(vocabulary *v);
void byte_pairs_tokenize(const vocabulary *v, text words, token_list *list);

/* Writes the text of a token. */
void print_token(const vocabulary *v, int32_t id, FILE *to);
void sentencepiece_print(const vocabulary *v, text piece, int32_t type, FILE *to);
void byte_pairs_print(text piece, FILE *to);

#endif
