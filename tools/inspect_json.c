/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "escape.h"
#include "inspect.h"

enum { SHOWN_PATH_BYTES = 4096, NUMBER_BYTES = 32 };

/* Text as it is, if it is UTF-8; else with what is not escaped. */
static json_t *text_json(gguf_text text) {
    json_t *string = json_stringn(text.bytes, text.length);
    if (string != NULL || text.length > (SIZE_MAX - 1) / 4) {
        return string;
    }
    char *escaped = malloc(4 * text.length + 1);
    if (escaped != NULL) {
        string = json_string(escape_text(escaped, 4 * text.length + 1, text.bytes, text.length));
        free(escaped);
    }
    return string;
}

static json_t *unsigned_json(uint64_t number) {
    char text[NUMBER_BYTES];
    if (number <= INT64_MAX) {
        return json_integer((json_int_t)number);
    }
    snprintf(text, sizeof text, "%" PRIu64, number);
    return json_string(text);
}

static json_t *real_json(double number) {
    return isfinite(number) ? json_real(number)
           : isnan(number)  ? json_string("nan")
                            : json_string(number > 0 ? "inf" : "-inf");
}

/* An element; of strings the next one, which *at counts. */
static json_t *element_json(const gguf_value *value, uint64_t index, size_t *at) {
    switch (value->type) {
    case GGUF_STRING:
        return text_json(gguf_next_text(value, at));
    case GGUF_FLOAT32:
    case GGUF_FLOAT64:
        return real_json(gguf_real(value, index));
    case GGUF_BOOL:
        return json_boolean(gguf_unsigned(value, index) != 0);
    case GGUF_INT8:
    case GGUF_INT16:
    case GGUF_INT32:
    case GGUF_INT64:
        return json_integer((json_int_t)gguf_signed(value, index));
    default:
        return unsigned_json(gguf_unsigned(value, index));
    }
}

static json_t *value_json(const gguf_value *value) {
    size_t at = 0;
    if (!value->is_array) {
        return element_json(value, 0, &at);
    }
    json_t *array = json_array();
    for (uint64_t i = 0; i < value->count; i++) {
        if (json_array_append_new(array, element_json(value, i, &at)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *key_json(const gguf *header, size_t index) {
    gguf_key key = gguf_key_at(header, index);
    const char *type = gguf_value_type_name(key.value.type);
    return json_pack("{s:o, s:s, s:s?, s:o}", "key", text_json(key.name), "type",
                     key.value.is_array ? gguf_value_type_name(GGUF_ARRAY) : type, "element_type",
                     key.value.is_array ? type : NULL, "value", value_json(&key.value));
}

static json_t *tensor_json(const gguf *header, size_t index) {
    gguf_tensor tensor = gguf_tensor_at(header, index);
    const gguf_type *type = gguf_type_get(tensor.type);
    json_t *dimensions = json_array();
    for (int i = 0; i < tensor.dimensions; i++) {
        if (json_array_append_new(dimensions, unsigned_json(tensor.dimension[i])) != 0) {
            json_decref(dimensions);
            return NULL;
        }
    }
    return json_pack("{s:o, s:s?, s:I, s:o, s:I, s:I, s:I, s:o, s:s?}", "name", text_json(tensor.name), "type",
                     type != NULL ? type->name : NULL, "type_number", (json_int_t)tensor.type, "dimensions", dimensions,
                     "rows", (json_int_t)tensor.rows, "cols", (json_int_t)tensor.cols, "offset",
                     (json_int_t)tensor.offset, "bytes",
                     tensor.bytes > 0 ? json_integer((json_int_t)tensor.bytes) : json_null(), "format",
                     q8k_format_name(tensor.format));
}

static json_t *all_json(const gguf *header, size_t count, json_t *(*one)(const gguf *header, size_t index)) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, one(header, i)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *totals_json(const gguf *header) {
    size_t count;
    inspect_total *totals = inspect_totals(header, &count);
    json_t *array = totals != NULL ? json_array() : NULL;
    for (size_t i = 0; array != NULL && i < count; i++) {
        const gguf_type *type = gguf_type_get(totals[i].type);
        json_t *total = json_pack("{s:s?, s:s?, s:I, s:I}", "type", type != NULL ? type->name : NULL, "format",
                                  q8k_format_name(totals[i].format), "tensors", (json_int_t)totals[i].tensors, "bytes",
                                  (json_int_t)totals[i].bytes);
        if (json_array_append_new(array, total) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    free(totals);
    return array;
}

json_t *inspect_json(const char *path, const gguf *header) {
    char shown[SHOWN_PATH_BYTES];
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "file", escape_path(shown, sizeof shown, path),
                     "kind", "gguf", "version", (json_int_t)header->version, "bytes", (json_int_t)header->length,
                     "alignment", (json_int_t)header->alignment, "data_offset", (json_int_t)header->data_offset,
                     "metadata", all_json(header, header->key_count, key_json), "tensors",
                     all_json(header, header->tensor_count, tensor_json), "types", totals_json(header));
}
