/* SPDX-License-Identifier: MIT */
/* The header of a .npy file: a Python dictionary, of which the parser knows the three keys and nothing more. It holds
 * no nested value, so nothing here recurses. */
#include "npy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "escape.h"

enum {
    MAGIC_BYTES = 6,
    SHORTEST_PREAMBLE = 10,
    SHOWN_TEXT = 48,
    SHOWN_BYTES = 4 * SHOWN_TEXT + 1,
    KEY_DESCR = 0,
    KEY_FORTRAN_ORDER = 1,
    KEY_SHAPE = 2,
    KEY_COUNT = 3
};

static const uint8_t magic[MAGIC_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
static const char *const keys[KEY_COUNT] = {"descr", "fortran_order", "shape"};

static const struct {
    const char *descr;
    size_t bytes;
} types[] = {
    [NPY_UINT8] = {"|u1", 1},
    [NPY_FLOAT16] = {"<f2", 2},
    [NPY_FLOAT32] = {"<f4", 4},
    [NPY_FLOAT64] = {"<f8", 8},
};

typedef struct parser {
    const uint8_t *bytes;
    size_t position, end;
    npy_header *header;
    size_t shape_position[NPY_MAX_DIMENSIONS]; /* for messages */
    char *error;
} parser;

/* A piece of the header: a string without its quotes, or the digits of a number. */
typedef struct span {
    size_t position, length;
} span;

const char *npy_descr(npy_type type) {
    return types[type].descr;
}

size_t npy_type_bytes(npy_type type) {
    return types[type].bytes;
}

__attribute__((format(printf, 2, 3))) static bool refuse(char *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, NPY_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static const char *shown(const parser *p, span text, char buffer[SHOWN_BYTES]) {
    return escape_text(buffer, SHOWN_BYTES, p->bytes + text.position,
                       text.length < SHOWN_TEXT ? text.length : SHOWN_TEXT);
}

/* The byte at hand; 0, which has no meaning in a header, at its end. */
static uint8_t peek(const parser *p) {
    return p->position < p->end ? p->bytes[p->position] : 0;
}

static void skip_space(parser *p) {
    while (peek(p) == ' ' || peek(p) == '\n' || peek(p) == '\t' || peek(p) == '\r') {
        p->position++;
    }
}

static bool unexpected(const parser *p, const char *expected) {
    if (p->position >= p->end) {
        return refuse(p->error, "header = its end at byte %zu (expected %s)", p->position, expected);
    }
    char buffer[SHOWN_BYTES];
    span one = {p->position, 1};
    return refuse(p->error, "header = '%s' at byte %zu (expected %s)", shown(p, one, buffer), p->position, expected);
}

static bool expect(parser *p, uint8_t byte, const char *name) {
    skip_space(p);
    if (peek(p) != byte) {
        return unexpected(p, name);
    }
    p->position++;
    return true;
}

static bool parse_string(parser *p, const char *name, span *string) {
    skip_space(p);
    uint8_t quote = peek(p);
    if (quote != '\'' && quote != '"') {
        return unexpected(p, name);
    }
    p->position++;
    string->position = p->position;
    while (p->position < p->end && peek(p) != quote && peek(p) != '\\') {
        p->position++;
    }
    if (peek(p) != quote) {
        return unexpected(p, "a closing quote");
    }
    string->length = p->position++ - string->position;
    return true;
}

static bool matches(const parser *p, span text, const char *word) {
    return text.length == strlen(word) && memcmp(p->bytes + text.position, word, text.length) == 0;
}

static const char *refused_kind(const parser *p, span descr) {
    const uint8_t *text = p->bytes + descr.position;
    if (descr.length > 1 && text[1] == 'O') {
        return "Python objects are never read; ";
    }
    return descr.length > 0 && text[0] == '>' ? "big-endian; " : "";
}

static bool parse_descr(parser *p) {
    const char *limit = "limit '<f2', '<f4', '<f8', '|u1'";
    span descr;
    skip_space(p);
    if (peek(p) == '[' || peek(p) == '(') {
        return refuse(p->error, "descr = a structured type at byte %zu (%s)", p->position, limit);
    }
    if (!parse_string(p, "a string", &descr)) {
        return false;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (matches(p, descr, types[i].descr)) {
            p->header->type = (npy_type)i;
            return true;
        }
    }
    char buffer[SHOWN_BYTES];
    return refuse(p->error, "descr = '%s' at byte %zu (%s%s)", shown(p, descr, buffer), descr.position,
                  refused_kind(p, descr), limit);
}

static bool parse_fortran_order(parser *p) {
    skip_space(p);
    size_t from = p->position;
    while ((peek(p) | 0x20) >= 'a' && (peek(p) | 0x20) <= 'z') {
        p->position++;
    }
    span word = {from, p->position - from};
    p->header->fortran_order = matches(p, word, "True");
    if (!p->header->fortran_order && !matches(p, word, "False")) {
        p->position = from;
        return unexpected(p, "True or False");
    }
    return true;
}

static bool parse_dimension(parser *p) {
    int index = p->header->dimensions;
    size_t value = 0, limit = PTRDIFF_MAX;
    bool negative = peek(p) == '-', fits = true;
    span text = {p->position, 0};
    p->position += negative;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->position++) {
        size_t digit = (size_t)(peek(p) - '0');
        fits = fits && value <= (limit - digit) / 10;
        value = fits ? 10 * value + digit : value;
    }
    text.length = p->position - text.position;
    if (text.length == (size_t)negative) {
        return unexpected(p, "a number");
    }
    char buffer[SHOWN_BYTES];
    if (negative || !fits) {
        return refuse(p->error, "shape[%d] = %s at byte %zu (limit 0 to %zu)", index, shown(p, text, buffer),
                      text.position, limit);
    }
    if (text.length > 1 && p->bytes[text.position] == '0') {
        return refuse(p->error, "shape[%d] = %s at byte %zu (expected no leading zero)", index, shown(p, text, buffer),
                      text.position);
    }
    if (index == NPY_MAX_DIMENSIONS) {
        return refuse(p->error, "shape = more than %d dimensions at byte %zu (limit %d)", index, text.position, index);
    }
    p->shape_position[index] = text.position;
    p->header->shape[index] = value;
    p->header->dimensions++;
    return true;
}

/* A Python tuple: (), (3,), (3, 4) or (3, 4,), but not (3), which is a number. */
static bool parse_shape(parser *p) {
    if (!expect(p, '(', "'('")) {
        return false;
    }
    bool comma = true;
    for (skip_space(p); peek(p) != ')'; skip_space(p)) {
        if (!comma) {
            return unexpected(p, "',' or ')'");
        }
        if (!parse_dimension(p)) {
            return false;
        }
        skip_space(p);
        comma = peek(p) == ',';
        p->position += comma;
    }
    if (p->header->dimensions == 1 && !comma) {
        return unexpected(p, "',' after the only dimension");
    }
    p->position++;
    return true;
}

static bool parse_key(parser *p, int *key) {
    span text;
    if (!parse_string(p, "a key or '}'", &text)) {
        return false;
    }
    for (*key = 0; *key < KEY_COUNT; ++*key) {
        if (matches(p, text, keys[*key])) {
            return expect(p, ':', "':'");
        }
    }
    char buffer[SHOWN_BYTES];
    return refuse(p->error, "key = '%s' at byte %zu (limit 'descr', 'fortran_order', 'shape')", shown(p, text, buffer),
                  text.position);
}

static bool parse_entry(parser *p, bool found[KEY_COUNT]) {
    static bool (*const parse_value[KEY_COUNT])(parser *) = {parse_descr, parse_fortran_order, parse_shape};
    size_t position = p->position;
    int key;
    if (!parse_key(p, &key)) {
        return false;
    }
    if (found[key]) {
        return refuse(p->error, "key = a second '%s' at byte %zu (limit 1)", keys[key], position);
    }
    found[key] = true;
    return parse_value[key](p);
}

static bool parse_dictionary(parser *p) {
    bool found[KEY_COUNT] = {false, false, false}, comma = true;
    if (!expect(p, '{', "'{'")) {
        return false;
    }
    for (skip_space(p); peek(p) != '}'; skip_space(p)) {
        if (!comma) {
            return unexpected(p, "',' or '}'");
        }
        if (!parse_entry(p, found)) {
            return false;
        }
        skip_space(p);
        comma = peek(p) == ',';
        p->position += comma;
    }
    for (int key = 0; key < KEY_COUNT; key++) {
        if (!found[key]) {
            return refuse(p->error, "key = '}' at byte %zu (expected '%s')", p->position, keys[key]);
        }
    }
    p->position++;
    skip_space(p);
    return p->position == p->end || unexpected(p, "nothing but spaces after '}'");
}

/* Dimensions of zero are left out of the product that is checked, so that it bounds every partial product too. */
static bool count_elements(parser *p) {
    npy_header *header = p->header;
    size_t limit = PTRDIFF_MAX / npy_type_bytes(header->type), product = 1;
    bool empty = false;
    for (int i = 0; i < header->dimensions; i++) {
        size_t dimension = header->shape[i];
        if (dimension > limit / product) {
            return refuse(p->error, "shape[%d] = %zu at byte %zu (limit %zu)", i, dimension, p->shape_position[i],
                          limit / product);
        }
        empty = empty || dimension == 0;
        product *= dimension > 0 ? dimension : 1;
    }
    header->elements = empty ? 0 : product;
    header->data_bytes = header->elements * npy_type_bytes(header->type);
    return true;
}

/* Magic, version and header length: finds where the header lies. */
static bool parse_preamble(parser *p, size_t available, size_t length) {
    const uint8_t *bytes = p->bytes;
    if (available < SHORTEST_PREAMBLE) {
        return refuse(p->error, "file length = %zu (limit at least %d, a .npy file's first fields)", available,
                      SHORTEST_PREAMBLE);
    }
    if (memcmp(bytes, magic, MAGIC_BYTES) != 0) {
        char buffer[SHOWN_BYTES];
        span text = {0, MAGIC_BYTES};
        return refuse(p->error, "magic = '%s' at byte 0 (expected '\\x93NUMPY')", shown(p, text, buffer));
    }
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0) {
        return refuse(p->error, "version = %d.%d at byte 6 (limit 1.0, 2.0, 3.0)", bytes[6], bytes[7]);
    }
    size_t preamble = bytes[6] == 1 ? SHORTEST_PREAMBLE : NPY_MAX_PREAMBLE_BYTES;
    if (available < preamble) {
        return refuse(p->error, "file length = %zu (limit at least %zu, a .npy file's first fields)", available,
                      preamble);
    }
    size_t header_length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (preamble == NPY_MAX_PREAMBLE_BYTES) {
        header_length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    size_t limit = length - preamble < NPY_MAX_HEADER_BYTES ? length - preamble : NPY_MAX_HEADER_BYTES;
    limit = available - preamble < limit ? available - preamble : limit;
    if (header_length > limit) {
        return refuse(p->error, "header length = %zu at byte 8 (limit %zu)", header_length, limit);
    }
    p->position = preamble;
    p->end = preamble + header_length;
    return true;
}

bool npy_parse(const uint8_t *bytes, size_t available, size_t length, npy_header *header, char error[NPY_ERROR_BYTES]) {
    parser p = {.bytes = bytes, .header = header, .error = error};
    memset(header, 0, sizeof *header);
    if (!parse_preamble(&p, available, length) || !parse_dictionary(&p) || !count_elements(&p)) {
        return false;
    }
    header->data_offset = p.end;
    if (length - p.end != header->data_bytes) {
        return refuse(error, "data = %zu bytes at byte %zu (limit %zu by the shape)", length - p.end, p.end,
                      header->data_bytes);
    }
    return true;
}
