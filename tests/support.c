/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of control characters UTF-8 has some beyond ASCII. */
void expect_message(const char *error, size_t room) {
    size_t length = strnlen(error, room);
    ck_assert_uint_gt(length, 0);
    ck_assert_uint_lt(length, room);
    for (size_t i = 0; i < length; i++)
        require((uint8_t)error[i] >= ' ' && error[i] != 0x7f && memcmp(error + i, "\xc2\x9b", 2) != 0,
                "control character in: %s", error);
}

void expect_placed_message(const char *error, size_t room) {
    expect_message(error, room);
    require(strstr(error, " = ") != NULL, "no value in: %s", error);
    require(strstr(error, " at byte ") != NULL || strstr(error, "file length = ") != NULL, "no byte in: %s", error);
    require(strstr(error, "limit ") != NULL || strstr(error, "(expected ") != NULL, "no limit in: %s", error);
}

uint64_t test_seed(void) {
    const char *text = getenv("Q8K_TEST_SEED");
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : 20260722;
}

/* SplitMix64, by Sebastiano Vigna, in the public domain. */
uint64_t random_next(test_random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

test_random random_start(uint64_t salt) {
    test_random random = {test_seed()};
    random.state = random_next(&random) ^ salt * UINT64_C(0xd1342543de82ef95);
    return random;
}

size_t random_below(test_random *random, size_t limit) {
    return (size_t)(random_next(random) >> 11) % limit;
}

float random_normal(test_random *random) {
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (double)(random_next(random) >> 11) * 0x1p-53;
    return (float)(sum - 6);
}

void *test_alloc(size_t bytes) {
    void *memory = malloc(bytes > 0 ? bytes : 1);
    require(memory != NULL, "no memory for %zu bytes", bytes);
    return memory;
}

guarded guarded_make(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = (bytes + page - 1) / page * page;
    guarded buffer = {.mapping_bytes = inner + 2 * page, .bytes = bytes};
    buffer.mapping = mmap(NULL, buffer.mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(buffer.mapping != MAP_FAILED, "no memory for %zu bytes between guard pages", bytes);
    buffer.at_start = (uint8_t *)buffer.mapping + page;
    buffer.at_end = buffer.at_start + inner - bytes;
    if (inner > 0)
        ck_assert_int_eq(mprotect(buffer.at_start, inner, PROT_READ | PROT_WRITE), 0);
    return buffer;
}

void guarded_read_only(guarded *buffer) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (buffer->mapping_bytes > 2 * page)
        ck_assert_int_eq(mprotect(buffer->at_start, buffer->mapping_bytes - 2 * page, PROT_READ), 0);
}

void guarded_free(guarded *buffer) {
    munmap(buffer->mapping, buffer->mapping_bytes);
    buffer->mapping = NULL;
}

bool same_float(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

void test_path(char path[TEST_PATH_BYTES], const char *folder, const char *name) {
    int length = snprintf(path, TEST_PATH_BYTES, "%s/%s", folder, name);
    require(length > 0 && length < TEST_PATH_BYTES, "path too long: %s/%s", folder, name);
}

const char *test_folder(const char *variable) {
    const char *folder = getenv(variable);
    require(folder != NULL && folder[0] == '/', "%s is not set to an absolute path", variable);
    return folder;
}

void folder_make(char path[TEST_PATH_BYTES]) {
    const char *parent = getenv("TMPDIR");
    test_path(path, parent != NULL && parent[0] == '/' ? parent : "/tmp", "q8k-test-XXXXXX");
    require(mkdtemp(path) != NULL, "cannot make a folder like %s", path);
    /* Some tests look at it as another user. */
    ck_assert_int_eq(chmod(path, 0755), 0);
}

void folder_remove(const char *path) {
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char inner[TEST_PATH_BYTES];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        test_path(inner, path, entry->d_name);
        if (remove(inner) != 0)
            folder_remove(inner);
    }
    closedir(folder);
    rmdir(path);
}

uint8_t *file_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    require(file != NULL, "cannot open %s", path);
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    require(size >= 0, "%s has no length", path);
    rewind(file);
    uint8_t *data = test_alloc((size_t)size);
    *bytes = fread(data, 1, (size_t)size, file);
    require(*bytes == (size_t)size, "%s: %zu bytes of %ld", path, *bytes, size);
    fclose(file);
    return data;
}

void file_write(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    require(file != NULL, "cannot write %s", path);
    size_t written = fwrite(data, 1, bytes, file);
    require(fclose(file) == 0 && written == bytes, "cannot write %zu bytes to %s", bytes, path);
}

void on_every_backend(void (*test)(const q8k_context *context, const void *data), const void *data) {
    q8k_backend_list *list = NULL;
    size_t tested = 0;
    require(q8k_backend_list_create(&list, NULL) == Q8K_OK, "%s", q8k_last_error());
    for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        ck_assert_int_eq(q8k_backend_list_get(list, i, &info), Q8K_OK);
        if (info.state == Q8K_BACKEND_REJECTED)
            continue;
        q8k_context_options options = {.size = sizeof options, .backend = info.name};
        q8k_context *context = NULL;
        require(q8k_context_create(&context, &options) == Q8K_OK, "%s: %s", info.name, q8k_last_error());
        ck_assert_str_eq(q8k_context_backend(context), info.name);
        test(context, data);
        q8k_context_destroy(context);
        tested++;
    }
    q8k_backend_list_destroy(list);
    require(tested >= 2, "only %zu backends work: Q8K_BACKEND_DIR is not the build's?", tested);
}
