/* SPDX-License-Identifier: MIT */
/* The entries of a GGUF header that is known to be well-formed, by index and by name. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "gguf.h"
#include "gguf_parse.h"

/* ---- entries ---- */

static gguf_text text_at(const gguf *header, size_t position) {
    gguf_value one = {.bytes = header->bytes + position};
    size_t at = 0;
    return gguf_next_text(&one, &at);
}

/* The length of a value's elements, which have been walked through before. */
static size_t value_length(const gguf_value *value) {
    size_t at = 0;
    if (value->type != GGUF_STRING) {
        return (size_t)value->count * gguf_value_bytes(value->type);
    }
    for (uint64_t i = 0; i < value->count; i++) {
        gguf_next_text(value, &at);
    }
    return at;
}

gguf_key gguf_key_at(const gguf *header, size_t index) {
    size_t start = header->keys[index];
    gguf_key key = {.index = index, .name = text_at(header, start), .position = start};
    size_t position = start + 8 + key.name.length;
    key.type_position = position;
    key.value.count = 1;
    key.value.type = (gguf_value_type)input_number(header->bytes + position, 4);
    position += 4;
    if (key.value.type == GGUF_ARRAY) {
        key.value.is_array = true;
        key.value.type = (gguf_value_type)input_number(header->bytes + position, 4);
        key.value.count = input_number(header->bytes + position + 4, 8);
        position += 12;
    }
    key.value_position = position;
    key.value.bytes = header->bytes + position;
    key.value.length = value_length(&key.value);
    key.length = position + key.value.length - start;
    return key;
}

gguf_places gguf_tensor_places(const gguf *header, size_t index) {
    gguf_places places = {.name = header->tensors[index]};
    size_t dimensions = places.name + 8 + text_at(header, places.name).length;
    places.dimension = dimensions + 4;
    places.type = places.dimension + 8 * (size_t)input_number(header->bytes + dimensions, 4);
    places.offset = places.type + 4;
    return places;
}

gguf_text gguf_tensor_key(char buffer[GGUF_TENSOR_KEY_BYTES], gguf_text name, const char *suffix) {
    int length =
        snprintf(buffer, GGUF_TENSOR_KEY_BYTES, "%s%.*s%s", GGUF_TENSOR_KEY, (int)name.length, name.bytes, suffix);
    return (gguf_text){buffer, (size_t)length};
}

gguf_tensor gguf_tensor_stored(const gguf *header, size_t index) {
    gguf_places places = gguf_tensor_places(header, index);
    gguf_tensor tensor = {.name = text_at(header, places.name), .dimension = {1, 1, 1, 1}, .rows = 1};
    tensor.dimensions = (int)((places.type - places.dimension) / 8);
    for (int i = 0; i < tensor.dimensions; i++) {
        tensor.dimension[i] = input_number(header->bytes + places.dimension + 8 * (size_t)i, 8);
        tensor.rows *= i > 0 ? tensor.dimension[i] : 1;
    }
    tensor.cols = tensor.dimension[0];
    tensor.type = (uint32_t)input_number(header->bytes + places.type, 4);
    tensor.offset = header->data_offset + input_number(header->bytes + places.offset, 8);
    gguf_set_type(&tensor, tensor.type);
    return tensor;
}

gguf_tensor gguf_tensor_at(const gguf *header, size_t index) {
    gguf_tensor tensor = gguf_tensor_stored(header, index);
    char name[GGUF_TENSOR_KEY_BYTES];
    gguf_key key;
    if (tensor.type == GGUF_TYPE_I8 && gguf_find_key(header, gguf_tensor_key(name, tensor.name, GGUF_COLS_KEY), &key)) {
        tensor.format = Q8K_FORMAT_Q8_K;
        tensor.cols = gguf_unsigned(&key.value, 0);
    }
    return tensor;
}

/* ---- tables of names ---- */

/* A polynomial over the name's bytes, taken at a random place: whoever makes a file cannot choose names that all fall
 * into one slot, so that looking one up takes constant time. */
static uint64_t hash(uint64_t seed, gguf_text name) {
    const uint64_t prime = 0x7fffffff;
    uint64_t base = seed % (prime - 1) + 1, sum = name.length;
    for (size_t i = 0; i < name.length; i++) {
        sum = (sum * base + (uint8_t)name.bytes[i]) % prime;
    }
    sum *= UINT64_C(0x9e3779b97f4a7c15);
    return sum >> 32;
}

static bool same_text(gguf_text a, gguf_text b) {
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* The slot of a name: one that holds its index + 1, or the free one where it belongs. */
static uint32_t *find_slot(const gguf *header, const gguf_table *table, const uint32_t *positions, gguf_text name) {
    size_t slot = (size_t)(hash(table->seed, name) * table->count >> 32);
    while (table->slots[slot] != 0 && !same_text(text_at(header, positions[table->slots[slot] - 1]), name)) {
        slot = slot + 1 < table->count ? slot + 1 : 0;
    }
    return &table->slots[slot];
}

/* Half as many slots again as names keeps the chains short and the memory small: a name with what belongs to it takes
 * more than twice the bytes in the file. */
bool gguf_make_table(const gguf *header, gguf_table *table, const uint32_t *positions, size_t count,
                     const char *section, const char *part, char error[GGUF_ERROR_BYTES]) {
    table->count = count + count / 2 + 1;
    table->slots = calloc(table->count, sizeof *table->slots);
    if (table->slots == NULL) {
        return gguf_refuse(error, "no memory for a table of its names");
    }
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) != sizeof table->seed) {
        table->seed = (uint64_t)(uintptr_t)table->slots;
    }
    for (size_t i = 0; i < count; i++) {
        char shown[GGUF_SHOWN_BYTES];
        gguf_text name = text_at(header, positions[i]);
        uint32_t *slot = find_slot(header, table, positions, name);
        if (*slot != 0) {
            return gguf_refuse(error, "%s[%zu].%s = a second '%s' at byte %zu (limit 1: %s[%" PRIu32 "] has it)",
                               section, i, part, gguf_shown(name, shown), (size_t)positions[i] + 8, section, *slot - 1);
        }
        *slot = (uint32_t)i + 1;
    }
    return true;
}

bool gguf_find_index(const gguf *header, const gguf_table *table, const uint32_t *positions, gguf_text name,
                     size_t *index) {
    uint32_t slot = *find_slot(header, table, positions, name);
    *index = (size_t)slot - 1;
    return slot != 0;
}

bool gguf_find_key(const gguf *header, gguf_text name, gguf_key *key) {
    size_t index;
    if (!gguf_find_index(header, &header->key_table, header->keys, name, &index)) {
        return false;
    }
    *key = gguf_key_at(header, index);
    return true;
}

bool gguf_find_tensor(const gguf *header, gguf_text name, gguf_tensor *tensor) {
    size_t index;
    if (!gguf_find_index(header, &header->tensor_table, header->tensors, name, &index)) {
        return false;
    }
    *tensor = gguf_tensor_at(header, index);
    return true;
}
