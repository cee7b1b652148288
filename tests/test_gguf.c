/* SPDX-License-Identifier: MIT */
/* GGUF headers that are right: every type of value and of tensor, and how they are found. */
#include "test_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suites.h"
#include "support.h"

static gguf_value value_of(const gguf *header, const char *name) {
    gguf_key key;
    ck_assert_msg(gguf_find_key(header, (gguf_text){name, strlen(name)}, &key), "no key %s", name);
    ck_assert(gguf_text_is(key.name, name));
    return key.value;
}

static void expect_number(const gguf *header, const char *name, gguf_value_type type) {
    gguf_value value = value_of(header, name);
    ck_assert(!value.is_array);
    ck_assert_int_eq(value.type, type);
    ck_assert_uint_eq(value.count, 1);
}

static void expect_values(const gguf *header) {
    expect_number(header, "a.uint8", GGUF_UINT8);
    gguf_value value = value_of(header, "a.uint8");
    ck_assert_uint_eq(gguf_unsigned(&value, 0), 200);
    value = value_of(header, "a.int8");
    ck_assert_int_eq(gguf_signed(&value, 0), -100);
    value = value_of(header, "a.uint16");
    ck_assert_uint_eq(gguf_unsigned(&value, 0), 60000);
    value = value_of(header, "a.int16");
    ck_assert_int_eq(gguf_signed(&value, 0), -30000);
    value = value_of(header, "a.int32");
    ck_assert_int_eq(gguf_signed(&value, 0), -5);
    value = value_of(header, "a.float32");
    ck_assert(gguf_real(&value, 0) == 1.5);
    value = value_of(header, "a.bool");
    ck_assert_uint_eq(gguf_unsigned(&value, 0), 1);
    value = value_of(header, "a.uint64");
    ck_assert(gguf_unsigned(&value, 0) == UINT64_MAX);
    value = value_of(header, "a.int64");
    ck_assert(gguf_signed(&value, 0) == INT64_MIN);
    value = value_of(header, "a.float64");
    ck_assert(gguf_real(&value, 0) == -2.5);
}

static void expect_arrays(const gguf *header) {
    static const char *const words[] = {"one", "", "th\x01ree \xc3\xa9"};
    size_t at = 0;
    gguf_value value = value_of(header, "words");
    ck_assert(value.is_array && value.type == GGUF_STRING && value.count == 3);
    for (int i = 0; i < 3; i++)
        ck_assert(gguf_text_is(gguf_next_text(&value, &at), words[i]));
    ck_assert_uint_eq(at, value.length);
    value = value_of(header, "numbers");
    ck_assert(value.is_array && value.type == GGUF_INT16 && value.count == 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(gguf_signed(&value, (uint64_t)i), 1 - i);
    value = value_of(header, "nothing");
    ck_assert(value.is_array && value.type == GGUF_FLOAT64 && value.count == 0 && value.length == 0);
}

static void expect_tensors(const gguf *header) {
    gguf_tensor tensor = gguf_tensor_at(header, 0);
    ck_assert(gguf_text_is(tensor.name, "norm"));
    ck_assert(tensor.type == 0 && tensor.format == 0 && tensor.dimensions == 1);
    ck_assert(tensor.rows == 1 && tensor.cols == 100 && tensor.bytes == 400 && tensor.row_bytes == 400);
    ck_assert(tensor.offset == header->data_offset && header->data_offset % 64 == 0);
    ck_assert(gguf_find_tensor(header, (gguf_text){"blk.0.weight", 12}, &tensor));
    ck_assert(tensor.type == 12 && tensor.format == Q8K_FORMAT_Q4_K && tensor.dimensions == 2);
    ck_assert(tensor.rows == 3 && tensor.cols == 512 && tensor.row_bytes == 288 && tensor.bytes == 864);
    ck_assert(tensor.offset == header->data_offset + 448);
    tensor = gguf_tensor_at(header, 2);
    ck_assert(tensor.format == Q8K_FORMAT_Q6_K && tensor.dimensions == 4);
    ck_assert(tensor.rows == 4 && tensor.cols == 256 && tensor.bytes == 840);
    ck_assert(tensor.dimension[1] == 2 && tensor.dimension[2] == 1 && tensor.dimension[3] == 2);
    ck_assert(!gguf_find_tensor(header, (gguf_text){"blk.0.weigh", 11}, &tensor));
}

START_TEST(both_versions_and_every_type) {
    for (uint32_t version = 2; version <= 3; version++) {
        image made = image_sample(version);
        gguf header = expect_parsed(&made);
        ck_assert_uint_eq(header.version, version);
        ck_assert_uint_eq(header.key_count, 15);
        ck_assert_uint_eq(header.tensor_count, 3);
        ck_assert_uint_eq(header.alignment, 64);
        expect_values(&header);
        expect_arrays(&header);
        expect_tensors(&header);
        gguf_key key;
        ck_assert(!gguf_find_key(&header, (gguf_text){"a.nothing", 9}, &key));
        gguf_free(&header);
        image_free(&made);
    }
}
END_TEST

Suite *suite_gguf(void) {
    Suite *suite = suite_create("gguf");
    TCase *right = tcase_create("right");
    tcase_add_test(right, both_versions_and_every_type);
    suite_add_tcase(suite, right);
    suite_add_tcase(suite, tcase_gguf_hostile());
    suite_add_tcase(suite, tcase_gguf_write());
    return suite;
}
