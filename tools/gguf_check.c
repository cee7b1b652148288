/* SPDX-License-Identifier: MIT */
/* What the entries of a GGUF header say of each other and of the file: no name is there twice, tensors lie in the file
 * and apart, and what the metadata says of tensors is true. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gguf.h"
#include "gguf_parse.h"

/* ---- keys that are known ---- */

static bool check_type(const gguf_key *key, gguf_value_type type, char error[GGUF_ERROR_BYTES]) {
    char shown[GGUF_SHOWN_BYTES];
    if (!key->value.is_array && key->value.type == type) {
        return true;
    }
    return gguf_refuse(error, "metadata[%zu].type = %s%s at byte %zu (limit %s, for '%s')", key->index,
                       key->value.is_array ? "array of " : "", gguf_value_type_name(key->value.type),
                       key->type_position, gguf_value_type_name(type), gguf_shown(key->name, shown));
}

static bool take_alignment(gguf *header, char error[GGUF_ERROR_BYTES]) {
    gguf_key key;
    gguf_text name = {GGUF_ALIGNMENT_KEY, sizeof GGUF_ALIGNMENT_KEY - 1};
    if (!gguf_find_key(header, name, &key)) {
        return true;
    }
    if (!check_type(&key, GGUF_UINT32, error)) {
        return false;
    }
    uint64_t alignment = gguf_unsigned(&key.value, 0);
    if (alignment == 0 || alignment > GGUF_MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0) {
        return gguf_refuse(error,
                           "metadata[%zu].value = %" PRIu64 " at byte %zu (limit a power of 2, 1 to %d, for '%s')",
                           key.index, alignment, key.value_position, GGUF_MAX_ALIGNMENT, GGUF_ALIGNMENT_KEY);
    }
    header->alignment = (uint32_t)alignment;
    return true;
}

/* ---- where tensors lie ---- */

static bool check_size(const gguf *header, size_t index, const gguf_tensor *tensor, char error[GGUF_ERROR_BYTES]) {
    const gguf_type *type = gguf_type_get(tensor->type);
    gguf_places places = gguf_tensor_places(header, index);
    if (type == NULL || type->block_columns == 0) {
        return true;
    }
    if (tensor->cols % type->block_columns != 0) {
        return gguf_refuse(error, "tensor[%zu].dimension[0] = %" PRIu64 " at byte %zu (limit a multiple of %zu for %s)",
                           index, tensor->cols, places.dimension, type->block_columns, type->name);
    }
    if (tensor->bytes == 0) {
        return gguf_refuse(error,
                           "tensor[%zu].dimension[0] = %" PRIu64 " times %" PRIu64 " at byte %zu (limit %" PRId64
                           " bytes, of %zu in a block of %s)",
                           index, tensor->cols, tensor->rows, places.dimension, INT64_MAX, type->block_bytes,
                           type->name);
    }
    return true;
}

static bool check_extent(const gguf *header, size_t index, char error[GGUF_ERROR_BYTES]) {
    gguf_tensor tensor = gguf_tensor_stored(header, index);
    size_t place = gguf_tensor_places(header, index).offset;
    uint64_t offset = input_number(header->bytes + place, 8);
    uint64_t data = header->length > header->data_offset ? header->length - header->data_offset : 0;
    if (!check_size(header, index, &tensor, error)) {
        return false;
    }
    if (offset % header->alignment != 0) {
        return gguf_refuse(
            error, "tensor[%zu].offset = %" PRIu64 " at byte %zu (limit a multiple of %" PRIu32 ", the alignment)",
            index, offset, place, header->alignment);
    }
    /* Of a type that is unknown there is a byte at least. */
    uint64_t bytes = tensor.bytes > 0 ? tensor.bytes : 1;
    if (offset > data || bytes > data - offset) {
        return gguf_refuse(error,
                           "tensor[%zu].offset = %" PRIu64 " at byte %zu (limit %" PRIu64 " bytes of data, for a"
                           " tensor of %" PRIu64 ")",
                           index, offset, place, data, bytes);
    }
    return true;
}

static bool check_extents(const gguf *header, char error[GGUF_ERROR_BYTES]) {
    for (size_t i = 0; i < header->tensor_count; i++) {
        if (!check_extent(header, i, error)) {
            return false;
        }
    }
    return true;
}

/* ---- whether tensors lie apart ---- */

typedef struct extent {
    uint64_t begin, end;
} extent;

static extent extent_of(const gguf *header, size_t index) {
    gguf_tensor tensor = gguf_tensor_stored(header, index);
    return (extent){tensor.offset, tensor.offset + (tensor.bytes > 0 ? tensor.bytes : 1)};
}

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static size_t find_extent(const gguf *header, extent wanted, size_t from) {
    for (size_t i = from;; i++) {
        extent found = extent_of(header, i);
        if (found.begin == wanted.begin && found.end == wanted.end) {
            return i;
        }
    }
}

static bool refuse_overlap(const gguf *header, extent a, extent b, char error[GGUF_ERROR_BYTES]) {
    size_t first = find_extent(header, a, 0);
    size_t second = find_extent(header, b, a.begin == b.begin && a.end == b.end ? first + 1 : 0);
    size_t place = gguf_tensor_places(header, second).offset;
    return gguf_refuse(error,
                       "tensor[%zu].offset = %" PRIu64 " at byte %zu (limit outside of tensor[%zu], %" PRIu64
                       " bytes from %" PRIu64 " on)",
                       second, b.begin - header->data_offset, place, first, a.end - a.begin,
                       a.begin - header->data_offset);
}

/* The order that all writers use needs no memory. */
static bool is_ascending(const gguf *header) {
    uint64_t end = 0;
    for (size_t i = 0; i < header->tensor_count; i++) {
        extent next = extent_of(header, i);
        if (next.begin < end) {
            return false;
        }
        end = next.end;
    }
    return true;
}

static bool check_overlaps(const gguf *header, char error[GGUF_ERROR_BYTES]) {
    if (is_ascending(header)) {
        return true;
    }
    extent *extents = malloc(header->tensor_count * sizeof *extents);
    if (extents == NULL) {
        return gguf_refuse(error, "no memory for the order of its tensors");
    }
    for (size_t i = 0; i < header->tensor_count; i++) {
        extents[i] = extent_of(header, i);
    }
    qsort(extents, header->tensor_count, sizeof *extents, compare_extents);
    bool good = true;
    for (size_t i = 1; good && i < header->tensor_count; i++) {
        good = extents[i - 1].end <= extents[i].begin || refuse_overlap(header, extents[i - 1], extents[i], error);
    }
    free(extents);
    return good;
}

/* ---- tensors of Q8_K ---- */

/* The tensor that a key is about, if that is "q8k.tensor.NAME" and the suffix, and there is such a tensor. */
static bool find_described(const gguf *header, gguf_text key, const char *suffix, size_t *index) {
    size_t before = strlen(GGUF_TENSOR_KEY), after = strlen(suffix);
    if (key.length <= before + after || memcmp(key.bytes, GGUF_TENSOR_KEY, before) != 0 ||
        memcmp(key.bytes + key.length - after, suffix, after) != 0) {
        return false;
    }
    gguf_text name = {key.bytes + before, key.length - before - after};
    return gguf_find_index(header, &header->tensor_table, header->tensors, name, index);
}

/* The other one of the two keys. */
static bool check_companion(const gguf *header, const gguf_key *key, size_t index, const char *suffix, gguf_key *other,
                            char error[GGUF_ERROR_BYTES]) {
    char buffer[GGUF_TENSOR_KEY_BYTES], shown[GGUF_SHOWN_BYTES], wanted[GGUF_SHOWN_BYTES];
    gguf_text name = gguf_tensor_key(buffer, gguf_tensor_stored(header, index).name, suffix);
    return gguf_find_key(header, name, other) ||
           gguf_refuse(error, "metadata[%zu].key = '%s' at byte %zu (limit not without '%s')", key->index,
                       gguf_shown(key->name, shown), key->position + 8, gguf_shown(name, wanted));
}

static bool check_format(const gguf *header, const gguf_key *key, size_t index, char error[GGUF_ERROR_BYTES]) {
    char shown[GGUF_SHOWN_BYTES];
    gguf_tensor tensor = gguf_tensor_stored(header, index);
    gguf_key cols;
    if (!check_type(key, GGUF_STRING, error) || !check_companion(header, key, index, GGUF_COLS_KEY, &cols, error)) {
        return false;
    }
    size_t at = 0;
    gguf_text value = gguf_next_text(&key->value, &at);
    if (!gguf_text_is(value, GGUF_FORMAT_NAME)) {
        return gguf_refuse(error, "metadata[%zu].value = '%s' at byte %zu (limit '%s')", key->index,
                           gguf_shown(value, shown), key->value_position + 8, GGUF_FORMAT_NAME);
    }
    if (tensor.type != GGUF_TYPE_I8) {
        return gguf_refuse(error, "tensor[%zu].type = %" PRIu32 " at byte %zu (limit %d, i8: metadata[%zu] says '%s')",
                           index, tensor.type, gguf_tensor_places(header, index).type, GGUF_TYPE_I8, key->index,
                           GGUF_FORMAT_NAME);
    }
    return true;
}

static bool check_cols(const gguf *header, const gguf_key *key, size_t index, char error[GGUF_ERROR_BYTES]) {
    gguf_tensor tensor = gguf_tensor_stored(header, index);
    size_t block_bytes = q8k_format_block_bytes(Q8K_FORMAT_Q8_K);
    size_t block_columns = q8k_format_block_columns(Q8K_FORMAT_Q8_K);
    gguf_key format;
    if (!check_type(key, GGUF_UINT64, error) || !check_companion(header, key, index, GGUF_FORMAT_KEY, &format, error)) {
        return false;
    }
    if (tensor.row_bytes % block_bytes != 0) {
        return gguf_refuse(error, "tensor[%zu].dimension[0] = %" PRIu64 " at byte %zu (limit a multiple of %zu for %s)",
                           index, tensor.row_bytes, gguf_tensor_places(header, index).dimension, block_bytes,
                           GGUF_FORMAT_NAME);
    }
    uint64_t cols = gguf_unsigned(&key->value, 0), blocks = tensor.row_bytes / block_bytes;
    return cols == blocks * block_columns ||
           gguf_refuse(error,
                       "metadata[%zu].value = %" PRIu64 " at byte %zu (limit %" PRIu64 ", the columns of %" PRIu64
                       " bytes a row)",
                       key->index, cols, key->value_position, blocks * block_columns, tensor.row_bytes);
}

static bool check_described(const gguf *header, char error[GGUF_ERROR_BYTES]) {
    for (size_t i = 0; i < header->key_count; i++) {
        gguf_key key = gguf_key_at(header, i);
        size_t index;
        if (find_described(header, key.name, GGUF_FORMAT_KEY, &index) && !check_format(header, &key, index, error)) {
            return false;
        }
        if (find_described(header, key.name, GGUF_COLS_KEY, &index) && !check_cols(header, &key, index, error)) {
            return false;
        }
    }
    return true;
}

bool gguf_check(gguf *header, char error[GGUF_ERROR_BYTES]) {
    if (!gguf_make_table(header, &header->key_table, header->keys, header->key_count, "metadata", "key", error) ||
        !take_alignment(header, error)) {
        return false;
    }
    header->data_offset = ((uint64_t)header->header_bytes + header->alignment - 1) & ~((uint64_t)header->alignment - 1);
    return check_extents(header, error) && check_overlaps(header, error) &&
           gguf_make_table(header, &header->tensor_table, header->tensors, header->tensor_count, "tensor", "name",
                           error) &&
           check_described(header, error);
}
