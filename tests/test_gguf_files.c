/* SPDX-License-Identifier: MIT */
/* Opening GGUF files: what is no file, long headers, files far larger than memory, and what all of it takes. */
#define _GNU_SOURCE
#include "test_gguf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "suites.h"
#include "child.h"
#include "support.h"

enum { MANY = 100000, MANY_KEYS_BYTES = 2 * MANY * 64 };

static void expect_refused_file(const char *name, const char *fragment) {
    for (int map = 0; map < 2; map++) {
        gguf_file file;
        char error[GGUF_ERROR_BYTES] = "";
        ck_assert_msg(!gguf_open(&file, name, map, error), "opened: %s", fragment);
        expect_message(error, GGUF_ERROR_BYTES);
        ck_assert_msg(strstr(error, fragment) != NULL, "message '%s' lacks '%s'", error, fragment);
    }
}

START_TEST(what_is_no_file) {
    char fragment[TEST_PATH_BYTES + 128];
    expect_refused_file("/dev/zero", "/dev/zero: is not a regular file");
    expect_refused_file(gguf_folder, ": is a directory");
    ck_assert_int_eq(mkfifo(gguf_path, 0600), 0);
    snprintf(fragment, sizeof fragment, "%s: is not a regular file", gguf_path);
    expect_refused_file(gguf_path, fragment);
    ck_assert_int_eq(unlink(gguf_path), 0);
    snprintf(fragment, sizeof fragment, "%s: cannot be opened: No such file", gguf_path);
    expect_refused_file(gguf_path, fragment);
    file_write(gguf_path, "", 0);
    snprintf(fragment, sizeof fragment, "%s: magic = the end of the file, 0 bytes on, at byte 0 (limit at least 4)",
             gguf_path);
    expect_refused_file(gguf_path, fragment);
}
END_TEST

/* ---- headers longer than what is read at first ---- */

START_TEST(long_headers) {
    static const size_t lengths[] = {60000, 65512, 65513, 65536, 131072, 300000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        image made = image_start(3, 1, 2);
        gguf_file file;
        gguf_key key;
        char error[GGUF_ERROR_BYTES];
        image_key(&made, "long", GGUF_STRING);
        image_number(&made, lengths[i], 8);
        image_data(&made, 1, lengths[i]);
        image_key_number(&made, "short", GGUF_UINT8, 5);
        image_tensor(&made, "t", (const uint64_t[]){256, 0}, 12, 0);
        image_data(&made, 32, 144);
        file_write(gguf_path, made.bytes, made.length);
        for (int map = 0; map < 2; map++) {
            ck_assert_msg(gguf_open(&file, gguf_path, map, error), "%s", error);
            ck_assert(gguf_find_key(&file.header, (gguf_text){"long", 4}, &key) && key.value.length == lengths[i] + 8);
            ck_assert(gguf_find_key(&file.header, (gguf_text){"short", 5}, &key) && gguf_unsigned(&key.value, 0) == 5);
            ck_assert(!gguf_read(&file, made.length - 1, 2, made.bytes, error));
            ck_assert(!gguf_read(&file, UINT64_MAX, 2, made.bytes, error));
            gguf_close(&file);
        }
        image_free(&made);
    }
}
END_TEST

/* ---- bounds on memory and time ---- */

static double processor_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static long peak_kilobytes(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss;
}

/* Peak memory starts from what the parent had: it is reset by running the program anew, or by this. */
static bool reset_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "we");
    bool good = file != NULL && fputs("5", file) >= 0;
    return file != NULL && fclose(file) == 0 && good;
}

static long peak_now(void) {
    char line[256];
    long kilobytes = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kilobytes >= 0 ? kilobytes : peak_kilobytes();
}

/* Opens `path` in a process of its own, which may take `limit` bytes and a second, or longer where everything is slow. Its
 * exit status: 0 accepted, 1 refused, 2 took too much or said something else, 3 took too long. */
static int open_once(size_t limit, const char *fragment) {
    pid_t child = fork();
    if (child == 0) {
        gguf_file file;
        char error[GGUF_ERROR_BYTES] = "";
        bool measured = reset_peak();
        long before = peak_now();
        double begun = processor_seconds();
        bool opened = gguf_open(&file, gguf_path, false, error);
        double seconds = processor_seconds() - begun;
        long grown = peak_now() - before;
        bool told = opened || strstr(error, fragment) != NULL;
        bool large = !SANITIZED && measured && (size_t)grown > limit / 1024;
        bool late = !SANITIZED && seconds > child_slowdown();
        if (!told || large || late) {
            fprintf(stderr, "%ld KiB (limit %zu), %.2f s: %s\n", grown, limit / 1024, seconds, error);
            _exit(!told || large ? 2 : 3);
        }
        _exit(opened ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A core whose other half has work to do takes twice as long: once or twice, that is no fault. */
static int open_bounded(size_t limit, const char *fragment) {
    int status = open_once(limit, fragment);
    for (int i = 0; i < 2 && status == 3; i++)
        status = open_once(limit, fragment);
    return status;
}

static size_t allowed(size_t length) {
    return ((size_t)4 << 20) + 2 * length;
}

/* 8 GiB of holes: two tensors, the last one at the end. */
START_TEST(sparse_files) {
    const uint64_t half = UINT64_C(1) << 32;
    image made = image_start(3, 2, 0);
    image_tensor(&made, "low", (const uint64_t[]){1 << 16, 1 << 15, 0}, 24, 0);
    image_tensor(&made, "high", (const uint64_t[]){1 << 16, 1 << 15, 0}, 24, half);
    image_data(&made, 32, 0);
    file_write(gguf_path, made.bytes, made.length);
    int written = open(gguf_path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(ftruncate(written, (off_t)(made.length + 2 * half)), 0);
    ck_assert_int_eq(pwrite(written, "end", 3, (off_t)(made.length + half + (UINT64_C(1) << 31) - 3)), 3);
    close(written);
    ck_assert_int_eq(open_bounded(4 << 20, ""), 0);
    gguf_file file;
    char error[GGUF_ERROR_BYTES], last[3];
    ck_assert_msg(gguf_open(&file, gguf_path, false, error), "%s", error);
    gguf_tensor high = gguf_tensor_at(&file.header, 1);
    ck_assert(high.offset == made.length + half && high.bytes == UINT64_C(1) << 31);
    ck_assert_msg(gguf_read(&file, high.offset + high.bytes - 3, 3, last, error), "%s", error);
    ck_assert_int_eq(memcmp(last, "end", 3), 0);
    gguf_close(&file);
    image_free(&made);
}
END_TEST

/* Counts that such a length could hold, and a header that could be so long, are not believed. */
START_TEST(sparse_headers) {
    static const struct {
        uint64_t tensors, keys;
        const char *fragment;
    } cases[] = {
        {0, 500000000, "metadata[0].key length = 0 at byte 24"},
        {200000000, 0, "tensor[0].name length = 0 at byte 24"},
        {0, 1, "metadata[0].key length = 0 at byte 24"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        image made = image_start(3, cases[i].tensors, cases[i].keys);
        file_write(gguf_path, made.bytes, made.length);
        ck_assert_int_eq(truncate(gguf_path, (off_t)1 << 33), 0);
        ck_assert_int_eq(open_bounded(4 << 20, cases[i].fragment), 1);
        image_free(&made);
    }
    image made = image_start(3, 0, 1);
    image_key(&made, "k", GGUF_ARRAY);
    image_number(&made, GGUF_UINT8, 4);
    image_number(&made, UINT64_C(1) << 32, 8);
    file_write(gguf_path, made.bytes, made.length);
    ck_assert_int_eq(truncate(gguf_path, (off_t)1 << 33), 0);
    ck_assert_int_eq(
        open_bounded(4 << 20, "metadata[0].value = 4294967296 bytes at byte 49 (limit 1073741775, up to 1073741824"),
        1);
    image_free(&made);
}
END_TEST

/* Made at once: image_put() copies what there is each time. */
typedef struct long_image {
    uint8_t *bytes;
    size_t length;
} long_image;

static void put_number(long_image *to, uint64_t number, size_t count) {
    for (size_t i = 0; i < count; i++)
        to->bytes[to->length++] = (uint8_t)(number >> (8 * i));
}

static void put_name(long_image *to, size_t number) {
    char name[32];
    int length = snprintf(name, sizeof name, "n%zu", number);
    put_number(to, (uint64_t)length, 8);
    memcpy(to->bytes + to->length, name, (size_t)length);
    to->length += (size_t)length;
}

/* 100,000 keys and as many tensors, the latter in the file's order or against it; the last name of each is `last`. */
static size_t write_many(bool reversed, size_t last_key, size_t last_tensor) {
    long_image made = {test_alloc(MANY_KEYS_BYTES), 0};
    memcpy(made.bytes, "GGUF\3\0\0\0", 8);
    made.length = 8;
    put_number(&made, MANY, 8);
    put_number(&made, MANY, 8);
    for (size_t i = 0; i < MANY; i++) {
        put_name(&made, i + 1 < MANY ? i : last_key);
        put_number(&made, GGUF_UINT8, 4);
        put_number(&made, 0, 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        put_name(&made, i + 1 < MANY ? i : last_tensor);
        put_number(&made, 1, 4);
        put_number(&made, 8, 8);
        put_number(&made, 0, 4);
        put_number(&made, 32 * (reversed ? MANY - 1 - i : i), 8);
    }
    file_write(gguf_path, made.bytes, made.length);
    ck_assert_int_eq(truncate(gguf_path, (off_t)(made.length + 32 * (MANY + 1))), 0);
    free(made.bytes);
    return made.length + 32 * (MANY + 1);
}

START_TEST(many_names_take_linear_time) {
    for (int reversed = 0; reversed < 2; reversed++) {
        size_t length = write_many(reversed, MANY - 1, MANY - 1);
        ck_assert_int_eq(open_bounded(allowed(length), ""), 0);
        length = write_many(reversed, 7, MANY - 1);
        ck_assert_int_eq(open_bounded(allowed(length), "metadata[99999].key = a second 'n7' at byte "), 1);
        length = write_many(reversed, MANY - 1, 77);
        ck_assert_int_eq(open_bounded(allowed(length), "tensor[99999].name = a second 'n77' at byte "), 1);
    }
}
END_TEST

/* The shortest keys that there can be so many of, 16 MiB: what is kept of each must not outgrow them. */
START_TEST(short_keys_take_little_memory) {
    enum { KEYS = 1000000, BYTES = 24 + KEYS * 17 };
    long_image made = {test_alloc(BYTES), 0};
    memcpy(made.bytes, "GGUF\3\0\0\0", 8);
    made.length = 8;
    put_number(&made, 0, 8);
    put_number(&made, KEYS, 8);
    for (uint32_t i = 0; i < KEYS; i++) {
        put_number(&made, 4, 8);
        /* 32 to 95, in four characters; the last one is there twice. */
        for (int digit = 0; digit < 4; digit++)
            put_number(&made, 32 + ((i + 1 < KEYS ? i : 5) >> (6 * digit) & 63), 1);
        put_number(&made, GGUF_INT8, 4);
        put_number(&made, 0, 1);
    }
    ck_assert_uint_eq(made.length, BYTES);
    file_write(gguf_path, made.bytes, made.length);
    free(made.bytes);
    ck_assert_int_eq(open_bounded(allowed(BYTES), "metadata[999999].key = a second '%   ' at byte "), 1);
}
END_TEST

Suite *suite_gguf_files(void) {
    Suite *suite = suite_create("gguf_files");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, gguf_folder_start, gguf_folder_stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_no_file);
    tcase_add_test(tcase, long_headers);
    tcase_add_test(tcase, sparse_files);
    tcase_add_test(tcase, sparse_headers);
    tcase_add_test(tcase, many_names_take_linear_time);
    tcase_add_test(tcase, short_keys_take_little_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}
