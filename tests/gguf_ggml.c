/* SPDX-License-Identifier: MIT */
/*
 * GGUF files against ggml, which defined them: what it writes is read, what is read is written again, and that ggml
 * reads; then the same with the command, if Q8K names it. See usage below.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ggml.h"
#include "tools/gguf.h"

static const char usage[] =
    "usage: gguf_ggml [--ggml DIR]   (DIR: a folder with libggml-base.so; else Q8K_TEST_GGML names it)\n"
    "Exit status: 0 all is the same, 1 something is not, 77 no folder was named and nothing was tested.\n";

enum { SKIPPED = 77, PATH_BYTES = 4096, COLUMNS = 512, ROWS = 3, MEMORY = 1 << 20, TENSORS = 10 };

/* Of the file that ggml writes: libq8k's formats, and what lies beside them in real files. */
static const struct {
    const char *name;
    int type;
    q8k_format format;
} samples[TENSORS] = {
    {"norm", 0, 0},
    {"embedding", 1, 0},
    {"old", 2, 0},
    {"q8", 8, Q8K_FORMAT_Q8_0},
    {"q2", 10, Q8K_FORMAT_Q2_K},
    {"q3", 11, Q8K_FORMAT_Q3_K},
    {"q4", 12, Q8K_FORMAT_Q4_K},
    {"q5", 13, Q8K_FORMAT_Q5_K},
    {"q6", 14, Q8K_FORMAT_Q6_K},
    {"bytes", 24, 0},
};

static char folder[] = "/tmp/q8k-gguf-XXXXXX", theirs[PATH_BYTES], ours[PATH_BYTES];

/* ---- types ---- */

/* Asked in a process of its own: ggml ends the one that asks for a number it does not know. */
static int check_type(uint32_t number) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const gguf_type *type = gguf_type_get(number);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        const char *name = ggml.type_name((int)number);
        bool removed = ggml.type_size((int)number) == 0;
        bool same = type != NULL && (size_t)ggml.blck_size((int)number) == type->block_columns &&
                    ggml.type_size((int)number) == type->block_bytes && (removed || strcmp(name, type->name) == 0);
        _exit(same ? 0 : 1);
    }
    int status;
    require(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A ggml that is older or newer than the table knows fewer or more; what both know must be the same. */
static void check_types(void) {
    enum { KNOWN_SINCE_LONG = 39 };
    uint32_t number = 0, common = 0;
    for (; gguf_type_get(number) != NULL; number++) {
        int answer = check_type(number);
        if (answer > 0 || (answer < 0 && number < KNOWN_SINCE_LONG))
            stop("type %" PRIu32 " is not what ggml says", number);
        common += answer == 0;
    }
    printf("ok: %" PRIu32 " types of tensors have ggml's names and sizes\n", common);
}

/* ---- what ggml writes ---- */

static void *make_tensors(void) {
    void *context = ggml.init((context_parameters){.bytes = MEMORY});
    require(context != NULL);
    for (int i = 0; i < TENSORS; i++) {
        void *tensor = ggml.new_tensor_2d(context, samples[i].type, COLUMNS, ROWS + i);
        require(tensor != NULL);
        ggml.set_name(tensor, samples[i].name);
        uint8_t *data = ggml.get_data(tensor);
        for (size_t k = 0; k < ggml.nbytes(tensor); k++)
            data[k] = (uint8_t)(k * 31 + (size_t)i * 7 + 1);
    }
    return context;
}

static void write_theirs(void *context) {
    static const char *words[] = {"one", "", "th\nree"};
    static const int32_t numbers[] = {1, -2, 3};
    void *file = ggml.init_empty();
    ggml.set_val_str(file, "general.architecture", "none");
    ggml.set_val_u32(file, "number", UINT32_MAX);
    ggml.set_val_i64(file, "signed", INT64_MIN);
    ggml.set_val_f32(file, "real", 0.1f);
    ggml.set_val_bool(file, "yes", true);
    ggml.set_arr_str(file, "words", words, 3);
    ggml.set_arr_data(file, "numbers", GGUF_INT32, numbers, 3);
    for (int i = 0; i < TENSORS; i++)
        ggml.add_tensor(file, ggml.get_tensor(context, samples[i].name));
    require(ggml.write_to_file(file, theirs, false));
    ggml.file_free(file);
}

static gguf_value value_of(const gguf *header, const char *name) {
    gguf_key key;
    if (!gguf_find_key(header, (gguf_text){name, strlen(name)}, &key))
        stop("no key %s", name);
    return key.value;
}

static void check_values(const gguf *header) {
    size_t at = 0;
    require(header->key_count == 7 && header->alignment == GGUF_DEFAULT_ALIGNMENT);
    gguf_value value = value_of(header, "general.architecture");
    require(value.type == GGUF_STRING && gguf_text_is(gguf_next_text(&value, &at), "none"));
    value = value_of(header, "number");
    require(value.type == GGUF_UINT32 && gguf_unsigned(&value, 0) == UINT32_MAX);
    value = value_of(header, "signed");
    require(value.type == GGUF_INT64 && gguf_signed(&value, 0) == INT64_MIN);
    value = value_of(header, "real");
    require(value.type == GGUF_FLOAT32 && gguf_real(&value, 0) == (double)0.1f);
    value = value_of(header, "yes");
    require(value.type == GGUF_BOOL && gguf_unsigned(&value, 0) == 1);
    value = value_of(header, "numbers");
    require(value.is_array && value.type == GGUF_INT32 && value.count == 3 && gguf_signed(&value, 1) == -2);
    value = value_of(header, "words");
    require(value.is_array && value.type == GGUF_STRING && value.count == 3);
    at = 0;
    gguf_next_text(&value, &at);
    gguf_next_text(&value, &at);
    require(gguf_text_is(gguf_next_text(&value, &at), "th\nree"));
}

static void check_theirs(const gguf_file *file, void *context) {
    char error[GGUF_ERROR_BYTES];
    static uint8_t data[MEMORY];
    check_values(&file->header);
    require(file->header.tensor_count == TENSORS);
    for (size_t i = 0; i < TENSORS; i++) {
        gguf_tensor tensor = gguf_tensor_at(&file->header, i);
        void *wanted = ggml.get_tensor(context, samples[i].name);
        require(gguf_text_is(tensor.name, samples[i].name) && tensor.format == samples[i].format);
        require(tensor.type == (uint32_t)samples[i].type && tensor.bytes == ggml.nbytes(wanted));
        require(tensor.cols == COLUMNS && tensor.rows == ROWS + i);
        if (!gguf_read(file, tensor.offset, (size_t)tensor.bytes, data, error))
            stop("%s", error);
        require(memcmp(data, ggml.get_data(wanted), (size_t)tensor.bytes) == 0);
    }
    printf("ok: a file that ggml wrote is read, with its metadata and the data of %d tensors\n", TENSORS);
}

/* ---- what is written ---- */

/* All of the file that was read, a tensor of Q8_K, and an alignment that ggml reads but cannot write. */
static void write_ours(const gguf_file *file, void *context) {
    char error[GGUF_ERROR_BYTES];
    gguf_writer writer;
    gguf_tensor own = {
        .name = {"own", 3}, .dimensions = 2, .dimension = {COLUMNS, ROWS, 1, 1}, .rows = ROWS, .cols = COLUMNS};
    static uint8_t data[ROWS * COLUMNS * 2];
    memset(data, 77, sizeof data);
    gguf_writer_begin(&writer);
    gguf_copy_keys(&writer, &file->header, NULL, NULL);
    gguf_add_uint32(&writer, "general.alignment", 64);
    for (size_t i = 0; i < TENSORS; i++) {
        gguf_tensor tensor = gguf_tensor_at(&file->header, i);
        gguf_add_tensor(&writer, &tensor);
    }
    require(gguf_set_format(&own, Q8K_FORMAT_Q8_K));
    gguf_add_tensor(&writer, &own);
    bool good = gguf_writer_open(&writer, ours, error);
    for (size_t i = 0; good && i < TENSORS; i++) {
        void *tensor = ggml.get_tensor(context, samples[i].name);
        good = gguf_write(&writer, ggml.get_data(tensor), ggml.nbytes(tensor), error);
    }
    if (!good || !gguf_write(&writer, data, (size_t)own.bytes, error) || !gguf_writer_finish(&writer, error))
        stop("%s", error);
}

static void check_own(const void *file, void *loaded) {
    const void *tensor = ggml.get_tensor(loaded, "own");
    require(tensor != NULL && ggml.nbytes(tensor) == ROWS * (COLUMNS / 256) * 292);
    require(ggml.get_tensor_type(file, ggml.find_tensor(file, "own")) == GGUF_TYPE_I8);
    const uint8_t *data = ggml.get_data(tensor);
    for (size_t i = 0; i < ggml.nbytes(tensor); i++)
        require(data[i] == 77);
    require(strcmp(ggml.get_val_str(file, ggml.find_key(file, "q8k.tensor.own.format")), "q8_k") == 0);
    require(ggml.find_key(file, "q8k.tensor.own.cols") >= 0);
}

static void check_ours(void *context) {
    void *loaded = NULL;
    void *file = ggml.init_from_file(ours, (file_parameters){.no_alloc = false, .context = &loaded});
    require(file != NULL && loaded != NULL);
    require(ggml.get_n_kv(file) == 10 && ggml.get_n_tensors(file) == TENSORS + 1 && ggml.get_alignment(file) == 64);
    require(ggml.get_data_offset(file) % 64 == 0);
    require(ggml.get_val_u32(file, ggml.find_key(file, "number")) == UINT32_MAX);
    require(ggml.get_arr_n(file, ggml.find_key(file, "words")) == 3);
    require(strcmp(ggml.get_arr_str(file, ggml.find_key(file, "words"), 2), "th\nree") == 0);
    for (int i = 0; i < TENSORS; i++) {
        const void *wanted = ggml.get_tensor(context, samples[i].name);
        const void *found = ggml.get_tensor(loaded, samples[i].name);
        int64_t index = ggml.find_tensor(file, samples[i].name);
        require(found != NULL && index == i && ggml.get_tensor_type(file, index) == samples[i].type);
        require(ggml.get_tensor_offset(file, index) % 64 == 0 && ggml.nbytes(found) == ggml.nbytes(wanted));
        require(memcmp(ggml.get_data(found), ggml.get_data(wanted), ggml.nbytes(wanted)) == 0);
    }
    check_own(file, loaded);
    ggml.file_free(file);
    ggml.free(loaded);
    printf("ok: ggml reads a file that was written, with the metadata, the data of %d tensors and one of Q8_K\n",
           TENSORS);
}

static void remove_files(void) {
    unlink(theirs);
    unlink(ours);
    rmdir(folder);
}

static void run(const char *directory) {
    char error[GGUF_ERROR_BYTES];
    gguf_file file;
    ggml_open(directory);
    require(mkdtemp(folder) != NULL && atexit(remove_files) == 0);
    snprintf(theirs, sizeof theirs, "%s/theirs.gguf", folder);
    snprintf(ours, sizeof ours, "%s/ours.gguf", folder);
    check_types();
    void *context = make_tensors();
    write_theirs(context);
    if (!gguf_open(&file, theirs, false, error))
        stop("%s", error);
    check_theirs(&file, context);
    write_ours(&file, context);
    gguf_close(&file);
    check_ours(context);
    ggml.free(context);
    check_command(folder);
}

int main(int argc, char **argv) {
    const char *directory = getenv("Q8K_TEST_GGML");
    if (argc == 3 && strcmp(argv[1], "--ggml") == 0) {
        directory = argv[2];
    } else if (argc != 1) {
        fputs(usage, stderr);
        return 2;
    }
    if (directory == NULL || *directory == '\0') {
        puts("SKIPPED: nothing was held against ggml: Q8K_TEST_GGML does not name the folder of its libraries");
        return SKIPPED;
    }
    run(directory);
    return EXIT_SUCCESS;
}
