/* SPDX-License-Identifier: MIT */
/* Writing GGUF files, and reading them back. */
#define _GNU_SOURCE
#include "test_gguf.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support.h"

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
enum { SAMPLES = 8 };

static uint64_t write_sample(gguf_tensor tensors[SAMPLES]) {
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
    ck_assert_uint_eq(q8k_format_count() + 1, SAMPLES);
    for (size_t i = 0; i < q8k_format_count(); i++)
        tensors[i] = matrix(q8k_format_name(q8k_format_at(i)), 3 + i, 512, q8k_format_at(i));
    tensors[SAMPLES - 1] = matrix("floats", 2, 5, 0);
    for (size_t i = 0; i < SAMPLES; i++) {
        gguf_add_tensor(&writer, &tensors[i]);
        bytes += tensors[i].bytes;
    }
    ck_assert_msg(gguf_writer_open(&writer, gguf_path, error), "%s", error);
    gguf_free(&source);
    image_free(&made);
    write_data(&writer, bytes);
    ck_assert_msg(gguf_writer_finish(&writer, error), "%s", error);
    return bytes;
}

static void expect_sample(const gguf_file *file, const gguf_tensor tensors[SAMPLES]) {
    uint64_t from = 0;
    gguf_key key;
    ck_assert_uint_eq(file->header.version, 3);
    ck_assert_uint_eq(file->header.alignment, 64);
    ck_assert_uint_eq(file->header.key_count, 18);
    ck_assert(gguf_find_key(&file->header, text("a.bool"), &key) && key.value.type == GGUF_STRING);
    ck_assert(gguf_find_key(&file->header, text("words"), &key) && key.value.count == 3);
    for (size_t i = 0; i < SAMPLES; i++) {
        gguf_tensor found = gguf_tensor_at(&file->header, i);
        ck_assert(gguf_text_is(found.name, i < SAMPLES - 1 ? q8k_format_name(q8k_format_at(i)) : "floats"));
        ck_assert(found.format == tensors[i].format && found.type == tensors[i].type);
        ck_assert(found.rows == tensors[i].rows && found.cols == tensors[i].cols && found.bytes == tensors[i].bytes);
        ck_assert_uint_eq(found.offset % 64, 0);
        expect_data(file, &found, from);
        from += found.bytes;
    }
}

START_TEST(what_is_written_can_be_read) {
    gguf_tensor tensors[SAMPLES];
    gguf_file file;
    char error[GGUF_ERROR_BYTES];
    write_sample(tensors);
    for (int map = 0; map < 2; map++) {
        ck_assert_msg(gguf_open(&file, gguf_path, map, error), "%s", error);
        ck_assert_uint_eq(file.header.length % 64, 0);
        expect_sample(&file, tensors);
        gguf_close(&file);
    }
}
END_TEST

/* ---- what must not become a file ---- */

static void expect_nothing(void) {
    FILE *listing;
    char command[TEST_PATH_BYTES + 32];
    snprintf(command, sizeof command, "ls -A '%s'", gguf_folder);
    listing = popen(command, "r");
    ck_assert_ptr_nonnull(listing);
    ck_assert_int_eq(fgetc(listing), EOF);
    ck_assert_int_eq(pclose(listing), 0);
}

static void expect_unopened(gguf_writer *writer, const char *fragment) {
    char error[GGUF_ERROR_BYTES] = "";
    ck_assert(!gguf_writer_open(writer, gguf_path, error));
    expect_message(error, GGUF_ERROR_BYTES);
    ck_assert_msg(strncmp(error, gguf_path, strlen(gguf_path)) == 0 && strstr(error, fragment) != NULL,
                  "'%s' lacks '%s'", error, fragment);
    expect_nothing();
}

START_TEST(headers_that_would_be_refused_are_not_written) {
    gguf_writer writer;
    gguf_tensor tensor = matrix("t", 2, 512, Q8K_FORMAT_Q4_K);
    gguf_writer_begin(&writer);
    gguf_add_uint64(&writer, "twice", 1);
    gguf_add_string(&writer, "twice", text("2"));
    expect_unopened(&writer, ": metadata[1].key = a second 'twice' at byte ");
    gguf_writer_begin(&writer);
    gguf_add_uint64(&writer, "", 1);
    expect_unopened(&writer, ": metadata[0].key length = 0 at byte 24 (limit 1 to 65535)");
    gguf_writer_begin(&writer);
    gguf_add_uint32(&writer, "general.alignment", 48);
    expect_unopened(&writer, ": metadata[0].value = 48 at byte 53 (limit a power of 2");
    gguf_writer_begin(&writer);
    gguf_add_uint32(&writer, "general.alignment", 0);
    gguf_add_tensor(&writer, &tensor);
    expect_unopened(&writer, ": metadata[0].value = 0 at byte 53 (limit a power of 2");
    gguf_writer_begin(&writer);
    gguf_add_tensor(&writer, &tensor);
    gguf_add_tensor(&writer, &tensor);
    expect_unopened(&writer, ": tensor[1].name = a second 't' at byte ");
    gguf_writer_begin(&writer);
    tensor.name = text("\033");
    gguf_add_tensor(&writer, &tensor);
    expect_unopened(&writer, ": tensor[0].name = '\\x1b' at byte ");
    gguf_writer_begin(&writer);
    tensor = matrix("t", 2, 512, Q8K_FORMAT_Q4_K);
    tensor.dimensions = 5;
    gguf_add_tensor(&writer, &tensor);
    expect_unopened(&writer, ": tensor[0].dimensions = 5 at byte ");
}
END_TEST

static void begin_two(gguf_writer *writer) {
    char error[GGUF_ERROR_BYTES];
    gguf_tensor first = matrix("first", 2, 256, Q8K_FORMAT_Q4_K), second = matrix("second", 1, 256, Q8K_FORMAT_Q8_K);
    gguf_writer_begin(writer);
    gguf_add_tensor(writer, &first);
    gguf_add_tensor(writer, &second);
    ck_assert_msg(gguf_writer_open(writer, gguf_path, error), "%s", error);
}

START_TEST(too_little_and_too_much_data_is_no_file) {
    gguf_writer writer;
    char error[GGUF_ERROR_BYTES];
    uint8_t byte = 1;
    static const uint64_t lengths[] = {0, 1, 287, 288, 289, 288 + 291};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        begin_two(&writer);
        write_data(&writer, lengths[i]);
        ck_assert(!gguf_writer_finish(&writer, error));
        ck_assert(strstr(error, ": less data than its tensors have") != NULL);
        expect_nothing();
    }
    begin_two(&writer);
    write_data(&writer, 288 + 292);
    ck_assert(!gguf_write(&writer, &byte, 1, error));
    ck_assert(strstr(error, ": more data than its tensors have") != NULL);
    gguf_writer_abandon(&writer);
    expect_nothing();
    begin_two(&writer);
    write_data(&writer, 288 + 292);
    ck_assert_msg(gguf_writer_finish(&writer, error), "%s", error);
    ck_assert_int_eq(access(gguf_path, R_OK), 0);
}
END_TEST

START_TEST(writers_can_be_given_up_at_any_time) {
    gguf_writer writer;
    gguf_tensor tensor = matrix("t", 2, 512, Q8K_FORMAT_Q8_K);
    gguf_writer_begin(&writer);
    gguf_writer_abandon(&writer);
    gguf_writer_begin(&writer);
    gguf_add_tensor(&writer, &tensor);
    gguf_writer_abandon(&writer);
    begin_two(&writer);
    gguf_writer_abandon(&writer);
    begin_two(&writer);
    write_data(&writer, 100);
    gguf_writer_abandon(&writer);
    expect_nothing();
}
END_TEST

/* A limit on the size of files stands for a full disk. */
START_TEST(a_full_disk_leaves_the_old_file) {
    gguf_writer writer;
    char error[GGUF_ERROR_BYTES] = "";
    struct rlimit limit, whole;
    size_t bytes;
    file_write(gguf_path, "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &whole);
    limit = whole;
    for (rlim_t most = 100; most <= 500; most += 400) {
        gguf_tensor tensor = matrix("t", 100, 256, Q8K_FORMAT_Q4_K);
        uint8_t data[14400] = {0};
        limit.rlim_cur = most;
        gguf_writer_begin(&writer);
        gguf_add_tensor(&writer, &tensor);
        gguf_add_string(&writer, "key", text("of some length, so that the header does not fit"));
        /* Check has a file of its own, which the limit would meet too: nothing may be asserted while it holds. */
        bool limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;
        bool opened = gguf_writer_open(&writer, gguf_path, error);
        bool written = opened && gguf_write(&writer, data, sizeof data, error);
        if (opened)
            gguf_writer_abandon(&writer);
        setrlimit(RLIMIT_FSIZE, &whole);
        ck_assert(limited);
        ck_assert_int_eq(opened, most == 500);
        ck_assert(!written);
        ck_assert_msg(strstr(error, ": cannot be written: File too large") != NULL, "%s", error);
    }
    uint8_t *old = file_read(gguf_path, &bytes);
    ck_assert(bytes == 3 && memcmp(old, "old", 3) == 0);
    free(old);
    ck_assert_int_eq(unlink(gguf_path), 0);
    expect_nothing();
}
END_TEST

START_TEST(types_and_formats_are_set_or_nothing_is_changed) {
    gguf_tensor tensor = matrix("t", 3, 512, 0), before = tensor;
    ck_assert_uint_eq(tensor.bytes, 3 * 512 * 4);
    ck_assert(!gguf_set_type(&tensor, 99) && !gguf_set_type(&tensor, 4) && !gguf_set_format(&tensor, 0));
    ck_assert(!gguf_set_format(&tensor, 99));
    ck_assert_int_eq(memcmp(&tensor, &before, sizeof tensor), 0);
    for (size_t i = 0; i < q8k_format_count(); i++) {
        q8k_format format = q8k_format_at(i);
        ck_assert(gguf_set_format(&tensor, format));
        ck_assert(tensor.format == format && tensor.cols == 512 && tensor.rows == 3);
        ck_assert_uint_eq(tensor.row_bytes, q8k_row_bytes(format, 512));
        ck_assert_uint_eq(tensor.bytes, 3 * q8k_row_bytes(format, 512));
        ck_assert_uint_eq(tensor.dimension[0], format == Q8K_FORMAT_Q8_K ? 584 : 512);
        ck_assert(tensor.type == (format == Q8K_FORMAT_Q8_K ? 24 : (uint32_t)q8k_format_gguf_type(format)));
    }
    ck_assert(gguf_set_type(&tensor, GGUF_TYPE_GGML_Q8_K) && tensor.format == 0);
    tensor.cols = 288;
    before = tensor;
    for (size_t i = 0; i < q8k_format_count(); i++)
        ck_assert(!gguf_set_format(&tensor, q8k_format_at(i)));
    tensor.cols = 500;
    before = tensor;
    for (size_t i = 0; i < q8k_format_count(); i++)
        ck_assert(!gguf_set_format(&tensor, q8k_format_at(i)));
    tensor.cols = UINT64_C(1) << 62;
    tensor.rows = 16;
    before = tensor;
    for (size_t i = 0; i < q8k_format_count(); i++)
        ck_assert(!gguf_set_format(&tensor, q8k_format_at(i)));
    ck_assert(!gguf_set_type(&tensor, GGUF_TYPE_F32));
    ck_assert_int_eq(memcmp(&tensor, &before, sizeof tensor), 0);
}
END_TEST

TCase *tcase_gguf_write(void) {
    TCase *tcase = tcase_create("write");
    tcase_add_checked_fixture(tcase, gguf_folder_start, gguf_folder_stop);
    tcase_add_test(tcase, what_is_written_can_be_read);
    tcase_add_test(tcase, headers_that_would_be_refused_are_not_written);
    tcase_add_test(tcase, too_little_and_too_much_data_is_no_file);
    tcase_add_test(tcase, writers_can_be_given_up_at_any_time);
    tcase_add_test(tcase, a_full_disk_leaves_the_old_file);
    tcase_add_test(tcase, types_and_formats_are_set_or_nothing_is_changed);
    return tcase;
}
