/* SPDX-License-Identifier: MIT */
/* Writing GGUF files, and reading them back. */
#include "test_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];

static void start(void) {
    folder_make(folder);
    test_path(path, folder, "file.gguf");
}

static void stop(void) {
    folder_remove(folder);
}

static gguf_text text(const char *string) {
    return (gguf_text){string, strlen(string)};
}

static gguf_tensor matrix(const char *name, uint64_t rows, uint64_t cols, q8k_format format) {
    gguf_tensor tensor = {
        .name = text(name), .dimensions = 2, .dimension = {cols, rows, 1, 1}, .rows = rows, .cols = cols};
    ck_assert(format == 0 ? gguf_set_type(&tensor, GGUF_TYPE_F32) : gguf_set_format(&tensor, format));
    return tensor;
}

static uint8_t data_byte(uint64_t at) {
    return (uint8_t)(at * 31 + at / 256 + 7);
}

/* Data in pieces of odd sizes, some across the ends of tensors. */
static void write_data(gguf_writer *writer, uint64_t bytes) {
    char error[GGUF_ERROR_BYTES];
    uint8_t piece[1000];
    for (uint64_t at = 0; at < bytes;) {
        size_t count = bytes - at < 1 + at % 999 ? (size_t)(bytes - at) : 1 + (size_t)(at % 999);
        for (size_t i = 0; i < count; i++)
            piece[i] = data_byte(at + i);
        ck_assert_msg(gguf_write(writer, piece, count, error), "%s", error);
        at += count;
    }
}

static void expect_data(const gguf_file *file, const gguf_tensor *tensor, uint64_t from) {
    char error[GGUF_ERROR_BYTES];
    uint8_t *data = test_alloc((size_t)tensor->bytes);
    ck_assert_msg(gguf_read(file, tensor->offset, (size_t)tensor->bytes, data, error), "%s", error);
    for (size_t i = 0; i < tensor->bytes; i++)
        require(data[i] == data_byte(from + i), "byte %zu of the data", i);
    if (file->mapping != NULL)
        ck_assert_int_eq(memcmp(gguf_mapped(file, tensor->offset), data, (size_t)tensor->bytes), 0);
    else
        ck_assert_ptr_null(gguf_mapped(file, tensor->offset));
    free(data);
}

static bool leave_out_bool(const gguf_key *key, void *data) {
    ++*(int *)data;
    return gguf_text_is(key->name, "a.bool");
}

/* One matrix of each format and one of floats, with the sample's metadata. */
static uint64_t write_sample(gguf_tensor tensors[5]) {
    char error[GGUF_ERROR_BYTES];
    image made = image_sample(2);
    gguf source = expect_parsed(&made);
    gguf_writer writer;
    int asked = 0;
    uint64_t bytes = 0;
    gguf_writer_begin(&writer);
    gguf_copy_keys(&writer, &source, leave_out_bool, &asked);
    ck_assert_int_eq(asked, 15);
    gguf_add_string(&writer, "a.bool", text("now a string"));
    gguf_add_uint32(&writer, "added", 7);
    for (size_t i = 0; i < q8k_format_count(); i++)
        tensors[i] = matrix(q8k_format_name(q8k_format_at(i)), 3 + i, 512, q8k_format_at(i));
    tensors[4] = matrix("floats", 2, 5, 0);
    for (int i = 0; i < 5; i++) {
        gguf_add_tensor(&writer, &tensors[i]);
        bytes += tensors[i].bytes;
    }
    ck_assert_msg(gguf_writer_open(&writer, path, error), "%s", error);
    gguf_free(&source);
    image_free(&made);
    write_data(&writer, bytes);
    ck_assert_msg(gguf_writer_finish(&writer, error), "%s", error);
    return bytes;
}

static void expect_sample(const gguf_file *file, const gguf_tensor tensors[5]) {
    uint64_t from = 0;
    gguf_key key;
    ck_assert_uint_eq(file->header.version, 3);
    ck_assert_uint_eq(file->header.alignment, 64);
    ck_assert_uint_eq(file->header.key_count, 18);
    ck_assert(gguf_find_key(&file->header, text("a.bool"), &key) && key.value.type == GGUF_STRING);
    ck_assert(gguf_find_key(&file->header, text("words"), &key) && key.value.count == 3);
    for (size_t i = 0; i < 5; i++) {
        gguf_tensor found = gguf_tensor_at(&file->header, i);
        ck_assert(gguf_text_is(found.name, i < 4 ? q8k_format_name(q8k_format_at(i)) : "floats"));
        ck_assert(found.format == tensors[i].format && found.type == tensors[i].type);
        ck_assert(found.rows == tensors[i].rows && found.cols == tensors[i].cols && found.bytes == tensors[i].bytes);
        ck_assert_uint_eq(found.offset % 64, 0);
        expect_data(file, &found, from);
        from += found.bytes;
    }
}

START_TEST(what_is_written_can_be_read) {
    gguf_tensor tensors[5];
    gguf_file file;
    char error[GGUF_ERROR_BYTES];
    write_sample(tensors);
    for (int map = 0; map < 2; map++) {
        ck_assert_msg(gguf_open(&file, path, map, error), "%s", error);
        ck_assert_uint_eq(file.header.length % 64, 0);
        expect_sample(&file, tensors);
        gguf_close(&file);
    }
}
END_TEST

TCase *tcase_gguf_write(void) {
    TCase *tcase = tcase_create("write");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, what_is_written_can_be_read);
    return tcase;
}
