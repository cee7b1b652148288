/* SPDX-License-Identifier: MIT */
/* The report of `q8k inspect` for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "inspect.h"

enum {
    SHOWN_ELEMENTS = 6,
    SHOWN_TEXT = 60, /* bytes of a string */
    TEXT_BYTES = 4 * SHOWN_TEXT + 1,
    VALUE_BYTES = SHOWN_ELEMENTS * (TEXT_BYTES + 8) + 64,
    KEY_WIDTH = 48, /* at most */
    LEAST_WIDTH = 12,
    NAME_BYTES = 4 * GGUF_MAX_NAME_BYTES + 1,
    SHAPE_BYTES = GGUF_MAX_DIMENSIONS * 24,
    NUMBER_BYTES = 24,
    SHOWN_PATH_BYTES = 4096,
    COLUMNS = 6,
    GAP = 2
};

/* ---- text of some width ---- */

static bool starts_character(char byte) {
    return ((uint8_t)byte & 0xc0) != 0x80;
}

static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += starts_character(*text);
    }
    return width;
}

/* Where character `index` starts. */
static char *character(char *text, size_t index) {
    for (; *text != '\0'; text++) {
        if (starts_character(*text) && index-- == 0) {
            break;
        }
    }
    return text;
}

/* Cuts text out in front of its last `kept` characters, so that all is `width` wide. */
static void shorten(char *text, size_t width, size_t kept) {
    size_t whole = width_of(text);
    if (whole > width) {
        char *to = character(text, width - kept - 3), *rest = character(text, whole - kept);
        /* Three characters at least are left out, and more where these are of more bytes than one. */
        memmove(to + 3, rest, strlen(rest) + 1);
        memcpy(to, "...", 3);
    }
}

static void print_padded(const char *text, size_t width, bool right) {
    size_t own = width_of(text);
    int padding = own < width ? (int)(width - own) : 0;
    printf("%*s%s%*s", right ? padding : 0, "", text, right ? 0 : padding, "");
}

/* ---- metadata ---- */

static size_t put_text(char *out, size_t room, gguf_text text) {
    char shown[TEXT_BYTES];
    size_t length = text.length < SHOWN_TEXT ? text.length : SHOWN_TEXT;
    escape_text(shown, sizeof shown, text.bytes, length);
    return (size_t)snprintf(out, room, "\"%s%s\"", shown, length < text.length ? "..." : "");
}

static size_t put_element(char *out, size_t room, const gguf_value *value, uint64_t index, size_t *at) {
    switch (value->type) {
    case GGUF_STRING:
        return put_text(out, room, gguf_next_text(value, at));
    case GGUF_FLOAT32:
        return (size_t)snprintf(out, room, "%.9g", gguf_real(value, index));
    case GGUF_FLOAT64:
        return (size_t)snprintf(out, room, "%.17g", gguf_real(value, index));
    case GGUF_BOOL:
        return (size_t)snprintf(out, room, "%s", gguf_unsigned(value, index) != 0 ? "true" : "false");
    case GGUF_INT8:
    case GGUF_INT16:
    case GGUF_INT32:
    case GGUF_INT64:
        return (size_t)snprintf(out, room, "%" PRId64, gguf_signed(value, index));
    default:
        return (size_t)snprintf(out, room, "%" PRIu64, gguf_unsigned(value, index));
    }
}

static void put_value(char out[VALUE_BYTES], const gguf_value *value) {
    size_t used = 0, at = 0;
    if (!value->is_array) {
        put_element(out, VALUE_BYTES, value, 0, &at);
        return;
    }
    used += (size_t)snprintf(out, VALUE_BYTES, "%" PRIu64 ": ", value->count);
    for (uint64_t i = 0; i < value->count && i < SHOWN_ELEMENTS; i++) {
        used += (size_t)snprintf(out + used, VALUE_BYTES - used, "%s", i > 0 ? ", " : "");
        used += put_element(out + used, VALUE_BYTES - used, value, i, &at);
    }
    snprintf(out + used, VALUE_BYTES - used, "%s", value->count > SHOWN_ELEMENTS ? ", ..." : "");
}

static void put_key(char out[TEXT_BYTES], gguf_text name) {
    escape_text(out, TEXT_BYTES, name.bytes, name.length);
    shorten(out, KEY_WIDTH, KEY_WIDTH / 2);
}

static void print_metadata(const gguf *header, size_t width) {
    enum { TYPE_WIDTH = 9 };
    char name[TEXT_BYTES], value[VALUE_BYTES], type[NUMBER_BYTES];
    size_t key_width = 0;
    for (size_t i = 0; i < header->key_count; i++) {
        put_key(name, gguf_key_at(header, i).name);
        key_width = width_of(name) > key_width ? width_of(name) : key_width;
    }
    if (width > 0 && key_width > width / 2) {
        key_width = width / 2 > LEAST_WIDTH ? width / 2 : LEAST_WIDTH;
    }
    size_t before = key_width + TYPE_WIDTH + 2 * GAP;
    for (size_t i = 0; i < header->key_count; i++) {
        gguf_key key = gguf_key_at(header, i);
        put_key(name, key.name);
        shorten(name, key_width, key_width / 2);
        put_value(value, &key.value);
        if (width > 0) {
            shorten(value, width > before + LEAST_WIDTH ? width - before : LEAST_WIDTH, 0);
        }
        snprintf(type, sizeof type, "%s%s", gguf_value_type_name(key.value.type), key.value.is_array ? "[]" : "");
        print_padded(name, key_width + GAP, false);
        print_padded(type, TYPE_WIDTH + GAP, false);
        printf("%s\n", value);
    }
}

/* ---- tensors ---- */

typedef struct row {
    char name[NAME_BYTES], format[INSPECT_TYPE_BYTES], type[INSPECT_TYPE_BYTES], shape[SHAPE_BYTES],
        bytes[NUMBER_BYTES], offset[NUMBER_BYTES];
} row;

static const row titles = {"tensor", "format", "type", "shape", "bytes", "offset"};

/* The columns last, as in the shapes that other subcommands take and NumPy prints. */
static void put_shape(char out[SHAPE_BYTES], const gguf_tensor *tensor) {
    size_t used = 0;
    snprintf(out, SHAPE_BYTES, "scalar");
    for (int i = tensor->dimensions - 1; i >= 0; i--) {
        used += (size_t)snprintf(out + used, SHAPE_BYTES - used, "%" PRIu64 "%s",
                                 i > 0 ? tensor->dimension[i] : tensor->cols, i > 0 ? "x" : "");
    }
}

static const char *format_or_dash(q8k_format format) {
    const char *name = q8k_format_name(format);
    return name != NULL ? name : "-";
}

static void put_row(row *out, const gguf *header, size_t index) {
    gguf_tensor tensor = gguf_tensor_at(header, index);
    escape_text(out->name, sizeof out->name, tensor.name.bytes, tensor.name.length);
    snprintf(out->format, sizeof out->format, "%s", format_or_dash(tensor.format));
    inspect_type(tensor.type, out->type);
    put_shape(out->shape, &tensor);
    snprintf(out->bytes, sizeof out->bytes, "%" PRIu64, tensor.bytes);
    if (tensor.bytes == 0) {
        snprintf(out->bytes, sizeof out->bytes, "?");
    }
    snprintf(out->offset, sizeof out->offset, "%" PRIu64, tensor.offset);
}

static void list_fields(const row *of, const char *fields[COLUMNS]) {
    const char *all[COLUMNS] = {of->name, of->format, of->type, of->shape, of->bytes, of->offset};
    memcpy(fields, all, sizeof all);
}

static void widen(size_t widths[COLUMNS], const row *by) {
    const char *fields[COLUMNS];
    list_fields(by, fields);
    for (int i = 0; i < COLUMNS; i++) {
        size_t width = width_of(fields[i]);
        widths[i] = width > widths[i] ? width : widths[i];
    }
}

static void print_row(row *of, const size_t widths[COLUMNS]) {
    enum { FIRST_NUMBER = 4 };
    const char *fields[COLUMNS];
    shorten(of->name, widths[0], (widths[0] - 3) / 2);
    list_fields(of, fields);
    for (int i = 0; i < COLUMNS; i++) {
        printf("%*s", i > 0 ? GAP : 0, "");
        print_padded(fields[i], widths[i], i >= FIRST_NUMBER);
    }
    printf("\n");
}

static void print_tensors(const gguf *header, size_t width) {
    size_t widths[COLUMNS] = {0}, all = (COLUMNS - 1) * GAP;
    row one = titles;
    widen(widths, &one);
    for (size_t i = 0; i < header->tensor_count; i++) {
        put_row(&one, header, i);
        widen(widths, &one);
    }
    for (int i = 0; i < COLUMNS; i++) {
        all += widths[i];
    }
    if (width > 0 && all > width) {
        size_t others = all - widths[0], left = width > others + LEAST_WIDTH ? width - others : LEAST_WIDTH;
        widths[0] = left < widths[0] ? left : widths[0];
    }
    one = titles;
    print_row(&one, widths);
    for (size_t i = 0; i < header->tensor_count; i++) {
        put_row(&one, header, i);
        print_row(&one, widths);
    }
}

static bool print_totals(const gguf *header) {
    size_t count;
    inspect_total *totals = inspect_totals(header, &count);
    if (totals == NULL) {
        return false;
    }
    printf("%-20s  %-6s  %10s  %20s\n", "type", "format", "tensors", "bytes");
    for (size_t i = 0; i < count; i++) {
        char type[INSPECT_TYPE_BYTES];
        bool known = gguf_type_get(totals[i].type) != NULL;
        printf("%-20s  %-6s  %10" PRIu64 "  %20" PRIu64 "\n", known ? inspect_type(totals[i].type, type) : "unknown",
               format_or_dash(totals[i].format), totals[i].tensors, totals[i].bytes);
    }
    free(totals);
    return true;
}

bool inspect_print(const char *path, const gguf *header, size_t width) {
    char shown[SHOWN_PATH_BYTES];
    printf("%s: GGUF version %" PRIu32 ", %" PRIu64 " bytes\n%zu keys, %zu tensors, data from byte %" PRIu64
           " on, alignment %" PRIu32 "\n",
           escape_path(shown, sizeof shown, path), header->version, header->length, header->key_count,
           header->tensor_count, header->data_offset, header->alignment);
    if (header->key_count > 0) {
        printf("\n");
        print_metadata(header, width);
    }
    if (header->tensor_count == 0) {
        return true;
    }
    printf("\n");
    print_tensors(header, width);
    printf("\n");
    return print_totals(header);
}
