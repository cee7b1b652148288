/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "test_gguf.h"

void image_put(image *to, const void *bytes, size_t count) {
    uint8_t *grown = test_alloc(to->length + count + (to->length + count == 0));
    if (to->length > 0)
        memcpy(grown, to->bytes, to->length);
    if (count > 0)
        memcpy(grown + to->length, bytes, count);
    free(to->bytes);
    to->bytes = grown;
    to->length += count;
}

void image_number(image *to, uint64_t number, size_t count) {
    uint8_t bytes[8];
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    image_put(to, bytes, count);
}

void image_text(image *to, const char *text) {
    image_number(to, strlen(text), 8);
    image_put(to, text, strlen(text));
}

image image_start(uint32_t version, uint64_t tensors, uint64_t keys) {
    image made = {NULL, 0};
    image_put(&made, "GGUF", 4);
    image_number(&made, version, 4);
    image_number(&made, tensors, 8);
    image_number(&made, keys, 8);
    return made;
}

void image_key(image *to, const char *key, uint32_t type) {
    image_text(to, key);
    image_number(to, type, 4);
}

void image_key_number(image *to, const char *key, uint32_t type, uint64_t value) {
    static const size_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    image_key(to, key, type);
    image_number(to, value, bytes[type]);
}

void image_key_text(image *to, const char *key, const char *value) {
    image_key(to, key, GGUF_STRING);
    image_text(to, value);
}

void image_tensor(image *to, const char *name, const uint64_t *dimension, uint32_t type, uint64_t offset) {
    uint32_t count = 0;
    while (dimension[count] != 0)
        count++;
    image_text(to, name);
    image_number(to, count, 4);
    for (uint32_t i = 0; i < count; i++)
        image_number(to, dimension[i], 8);
    image_number(to, type, 4);
    image_number(to, offset, 8);
}

void image_data(image *to, size_t alignment, size_t count) {
    size_t bytes = (alignment - to->length % alignment) % alignment + count;
    uint8_t *zeros = calloc(bytes + 1, 1);
    require(zeros != NULL, "no memory");
    image_put(to, zeros, bytes);
    free(zeros);
}

void image_free(image *of) {
    free(of->bytes);
    *of = (image){NULL, 0};
}

image image_sample(uint32_t version) {
    static const char *const words[] = {"one", "", "th\x01ree \xc3\xa9"};
    image made = image_start(version, 3, 15);
    image_key_text(&made, "general.architecture", "test");
    image_key_number(&made, "general.alignment", GGUF_UINT32, 64);
    image_key_number(&made, "a.uint8", GGUF_UINT8, 200);
    image_key_number(&made, "a.int8", GGUF_INT8, (uint64_t)-100);
    image_key_number(&made, "a.uint16", GGUF_UINT16, 60000);
    image_key_number(&made, "a.int16", GGUF_INT16, (uint64_t)-30000);
    image_key_number(&made, "a.int32", GGUF_INT32, (uint64_t)-5);
    image_key_number(&made, "a.float32", GGUF_FLOAT32, 0x3fc00000);
    image_key_number(&made, "a.bool", GGUF_BOOL, 1);
    image_key_number(&made, "a.uint64", GGUF_UINT64, UINT64_MAX);
    image_key_number(&made, "a.int64", GGUF_INT64, (uint64_t)INT64_MIN);
    image_key_number(&made, "a.float64", GGUF_FLOAT64, UINT64_C(0xc004000000000000));
    image_key(&made, "words", GGUF_ARRAY);
    image_number(&made, GGUF_STRING, 4);
    image_number(&made, 3, 8);
    for (int i = 0; i < 3; i++)
        image_text(&made, words[i]);
    image_key(&made, "numbers", GGUF_ARRAY);
    image_number(&made, GGUF_INT16, 4);
    image_number(&made, 4, 8);
    for (uint64_t i = 0; i < 4; i++)
        image_number(&made, 1 - i, 2);
    image_key(&made, "nothing", GGUF_ARRAY);
    image_number(&made, GGUF_FLOAT64, 4);
    image_number(&made, 0, 8);
    image_tensor(&made, "norm", (const uint64_t[]){100, 0}, 0, 0);
    image_tensor(&made, "blk.0.weight", (const uint64_t[]){512, 3, 0}, 12, 448);
    image_tensor(&made, "experts", (const uint64_t[]){256, 2, 1, 2, 0}, 14, 1344);
    image_data(&made, 64, 1344 + 4 * 210);
    return made;
}

gguf expect_parsed(const image *of) {
    gguf header;
    size_t needed;
    char error[GGUF_ERROR_BYTES] = "";
    ck_assert_msg(gguf_parse(of->bytes, of->length, of->length, &header, &needed, error), "%s", error);
    return header;
}

void expect_refused_image(image of, const char *fragment) {
    gguf header;
    size_t needed;
    char error[GGUF_ERROR_BYTES] = "";
    bool accepted = gguf_parse(of.bytes, of.length, of.length, &header, &needed, error);
    ck_assert_msg(!accepted, "accepted: %s", fragment);
    expect_placed_message(error, GGUF_ERROR_BYTES);
    ck_assert_msg(strstr(error, fragment) != NULL, "message '%s' lacks '%s'", error, fragment);
    image_free(&of);
}

char gguf_folder[TEST_PATH_BYTES], gguf_path[TEST_PATH_BYTES];

void gguf_folder_start(void) {
    folder_make(gguf_folder);
    test_path(gguf_path, gguf_folder, "file.gguf");
}

void gguf_folder_stop(void) {
    folder_remove(gguf_folder);
}
