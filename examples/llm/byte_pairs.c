/* SPDX-License-Identifier: MIT */
/* Byte-level vocabularies: text is cut into words, and in each the pairs of pieces are joined that come first in the
 * list of merges. A byte is written as a character of its own: itself where that is printable, else one above U+00FF. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "common.h"
#include "vocabulary.h"

/* Two pieces that make a third, in a table by the two; `made` is -1 in an empty slot. */
typedef struct merge {
    int32_t left, right, made;
    uint32_t rank;
} merge;

/* ----------------------------------------------------------------------------------------------- letters --- */

static bool stands_for_itself(unsigned byte) {
    return (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
}

static size_t put_character(char *to, unsigned code) {
    if (code < 128) {
        to[0] = (char)code;
        return 1;
    }
    to[0] = (char)(0xc0 | code >> 6);
    to[1] = (char)(0x80 | (code & 63));
    return 2;
}

static unsigned letter_of(unsigned byte) {
    unsigned others = 0;
    for (unsigned b = 0; b < byte; b++)
        others += !stands_for_itself(b);
    return stands_for_itself(byte) ? byte : 256 + others;
}

static unsigned byte_of(unsigned letter) {
    for (unsigned b = 0; b < 256; b++)
        if (letter_of(b) == letter)
            return b;
    return '?';
}

/* ------------------------------------------------------------------------------------------------- words --- */

typedef enum kind { LETTER, NUMBER, SPACE, OTHER, NOTHING } kind;

typedef struct character {
    uint32_t code;
    kind kind;
    size_t from, bytes;
} character;

/* Beyond ASCII it is libc that knows letters; it counts other scripts' digits among them. */
static kind kind_of(uint32_t code) {
    if (code < 128) {
        if ((code | 32) >= 'a' && (code | 32) <= 'z')
            return LETTER;
        if (code >= '0' && code <= '9')
            return NUMBER;
        return code == ' ' || (code >= 9 && code <= 13) ? SPACE : OTHER;
    }
    if (code == 0x85 || code == 0xa0 || code == 0x2007 || code == 0x202f || iswspace((wint_t)code))
        return SPACE;
    return iswalpha((wint_t)code) ? LETTER : OTHER;
}

/* Wrong UTF-8 is taken byte by byte. */
static character next_character(text words, size_t at) {
    const unsigned char *b = (const unsigned char *)words.bytes + at;
    size_t more = b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 1 : b[0] < 0xf0 ? 2 : b[0] < 0xf5 ? 3 : 0;
    uint32_t code = more == 0 ? b[0] : b[0] & (0x3fU >> more);
    if (more == 0)
        return (character){code, code < 128 ? kind_of(code) : OTHER, at, 1};
    for (size_t i = 1; i <= more; i++) {
        if (at + i >= words.length || (b[i] & 0xc0) != 0x80)
            return (character){b[0], OTHER, at, 1};
        code = code << 6 | (b[i] & 63);
    }
    return (character){code, kind_of(code), at, more + 1};
}

/* How many from i on, at most `most`, are of this kind. */
static size_t span(const character *c, size_t i, kind wanted, size_t most) {
    size_t n = 0;
    while (n < most && c[i + n].kind == wanted)
        n++;
    return n;
}

static bool is_line_end(const character *c) {
    return c->kind == SPACE && (c->code == '\r' || c->code == '\n');
}

/* An apostrophe with s, t, m, d, re, ve or ll; small ones only where letters are plain. */
static size_t contraction(const vocabulary *v, const character *c) {
    uint32_t low = v->letters_plain ? 0 : 32;
    if (c[0].code != '\'' || c[1].kind != LETTER)
        return 0;
    uint32_t a = c[1].code | low, b = c[2].kind == LETTER ? c[2].code | low : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* Spaces belong to the line ends among them; the last one before something else belongs to that. */
static size_t space_word(const vocabulary *v, const character *c) {
    size_t all = span(c, 0, SPACE, SIZE_MAX);
    for (size_t n = all; n > 0 && !v->letters_plain; n--)
        if (is_line_end(&c[n - 1]))
            return n;
    return c[all].kind == NOTHING || all == 1 ? all : all - 1;
}

/* The characters of the first word; after the text's last there are some of kind NOTHING. */
static size_t word_length(const vocabulary *v, const character *c) {
    size_t n = contraction(v, c), before = c[0].code == ' ' ? 1 : 0;
    if (n > 0)
        return n;
    /* A space, or where letters are not plain anything but a line's end, may come before letters. */
    size_t lead = v->letters_plain ? before : c[0].kind != LETTER && c[0].kind != NUMBER && !is_line_end(c) ? 1 : 0;
    if (c[lead].kind == LETTER)
        return lead + span(c, lead, LETTER, SIZE_MAX);
    if (v->letters_plain && c[before].kind == NUMBER)
        return before + span(c, before, NUMBER, SIZE_MAX);
    if (c[0].kind == NUMBER)
        return span(c, 0, NUMBER, v->digits_alone ? 1 : 3);
    if (c[before].kind == OTHER) {
        n = before + span(c, before, OTHER, SIZE_MAX);
        while (!v->letters_plain && is_line_end(&c[n]))
            n++;
        return n;
    }
    return space_word(v, c);
}

/* ------------------------------------------------------------------------------------------------ merges --- */

static merge *merge_slot(const vocabulary *v, int32_t left, int32_t right) {
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15U;
    size_t slot = (size_t)((hash >> 32) * v->merge_count >> 32);
    while (v->merges[slot].made >= 0 && (v->merges[slot].left != left || v->merges[slot].right != right))
        slot = slot + 1 < v->merge_count ? slot + 1 : 0;
    return &v->merges[slot];
}

/* "LEFT RIGHT": those that name no pieces can never be used. */
static void add_merge(vocabulary *v, text pair, uint32_t rank) {
    const char *gap = pair.length > 1 ? memchr(pair.bytes + 1, ' ', pair.length - 1) : NULL;
    if (gap == NULL)
        return;
    text left = {pair.bytes, (size_t)(gap - pair.bytes)}, right = {gap + 1, pair.length - left.length - 1};
    char *both = allocate(pair.length, 1);
    memcpy(both, left.bytes, left.length);
    memcpy(both + left.length, right.bytes, right.length);
    merge m = {find_piece(v, left), find_piece(v, right), find_piece(v, (text){both, pair.length - 1}), rank};
    free(both);
    if (m.left < 0 || m.right < 0 || m.made < 0)
        return;
    merge *slot = merge_slot(v, m.left, m.right);
    if (slot->made < 0)
        *slot = m;
}

void byte_pairs_open(vocabulary *v) {
    setlocale(LC_CTYPE, "C.UTF-8");
    const gguf_value *merges = gguf_array(v->file, "tokenizer.ggml.merges", GGUF_STRING);
    v->merge_count = 2 * (size_t)merges->count + 1;
    v->merges = allocate(v->merge_count, sizeof *v->merges);
    for (size_t i = 0; i < v->merge_count; i++)
        v->merges[i].made = -1;
    size_t at = merges->at;
    for (uint64_t i = 0; i < merges->count; i++)
        add_merge(v, gguf_next_text(v->file, &at), (uint32_t)i);
}

/* -------------------------------------------------------------------------------------------------- text --- */

static void join_word(const vocabulary *v, int32_t *ids, size_t count, token_list *list) {
    for (;;) {
        const merge *best = NULL;
        size_t place = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const merge *m = merge_slot(v, ids[i], ids[i + 1]);
            if (m->made >= 0 && (best == NULL || m->rank < best->rank)) {
                best = m;
                place = i;
            }
        }
        if (best == NULL)
            break;
        ids[place] = best->made;
        memmove(&ids[place + 1], &ids[place + 2], (count - place - 2) * sizeof *ids);
        count--;
    }
    for (size_t i = 0; i < count; i++)
        add_token(list, (size_t)ids[i]);
}

static void add_word(const vocabulary *v, text word, token_list *list) {
    int32_t *ids = allocate(word.length, sizeof *ids);
    char *letters = allocate(word.length, 2);
    size_t length = 0;
    for (size_t i = 0; i < word.length; i++) {
        size_t bytes = put_character(letters + length, letter_of((unsigned char)word.bytes[i]));
        ids[i] = find_piece(v, (text){letters + length, bytes});
        if (ids[i] < 0)
            die("%s: the vocabulary has no piece for the byte %u", v->file->path,
                (unsigned)(unsigned char)word.bytes[i]);
        length += bytes;
    }
    /* These vocabularies take words that are pieces whole, whatever the merges say. */
    int32_t whole = v->letters_plain || v->digits_alone ? -1 : find_piece(v, (text){letters, length});
    if (whole >= 0)
        add_token(list, (size_t)whole);
    else
        join_word(v, ids, word.length, list);
    free(letters);
    free(ids);
}

void byte_pairs_tokenize(const vocabulary *v, text words, token_list *list) {
    enum { AFTER = 3 }; /* as far as word_length() looks ahead */
    character *c = allocate(words.length + AFTER, sizeof *c);
    size_t count = 0;
    for (size_t at = 0; at < words.length; at += c[count++].bytes)
        c[count] = next_character(words, at);
    for (size_t i = 0; i < AFTER; i++)
        c[count + i] = (character){0, NOTHING, words.length, 0};
    for (size_t i = 0, next; i < count; i = next) {
        next = i + word_length(v, c + i);
        add_word(v, (text){words.bytes + c[i].from, c[next].from - c[i].from}, list);
    }
    free(c);
}

void byte_pairs_print(text piece, FILE *to) {
    for (size_t i = 0; i < piece.length; i++) {
        unsigned code = (unsigned char)piece.bytes[i];
        if (code >= 0xc0 && i + 1 < piece.length)
            code = (code & 31) << 6 | ((unsigned char)piece.bytes[++i] & 63);
        fputc((int)byte_of(code), to);
    }
}
