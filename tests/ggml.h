/* SPDX-License-Identifier: MIT */
/* ggml, which defined GGUF files, as tests call it. Its functions are found by name; its structs are passed on as
 * pointers, but for two that are parameters and have never changed. What fails ends the program with a message. */
#ifndef Q8K_TESTS_GGML_H
#define Q8K_TESTS_GGML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct context_parameters {
    size_t bytes;
    void *memory;
    bool no_alloc;
} context_parameters;

typedef struct file_parameters {
    bool no_alloc;
    void **context; /* receives the tensors with their data */
} file_parameters;

extern struct ggml_functions {
    const char *(*type_name)(int type);
    int64_t (*blck_size)(int type);
    size_t (*type_size)(int type);
    void *(*init)(context_parameters parameters);
    void (*free)(void *context);
    void *(*new_tensor_2d)(void *context, int type, int64_t cols, int64_t rows);
    void *(*set_name)(void *tensor, const char *name);
    void *(*get_data)(const void *tensor);
    void *(*get_tensor)(void *context, const char *name);
    size_t (*nbytes)(const void *tensor);
    int64_t (*nrows)(const void *tensor);
    int (*n_dims)(const void *tensor);
    void (*half_from_floats)(const float *from, uint16_t *to, int64_t count);
    void (*half_to_floats)(const uint16_t *from, float *to, int64_t count);
    void (*bfloat_from_floats)(const float *from, uint16_t *to, int64_t count);
    void (*bfloat_to_floats)(const uint16_t *from, float *to, int64_t count);
    size_t (*quantize_chunk)(int type, const float *from, void *to, int64_t start, int64_t rows, int64_t cols,
                             const float *importance);
    void *(*init_empty)(void);
    void *(*init_from_file)(const char *path, file_parameters parameters);
    void (*file_free)(void *file);
    void (*set_val_str)(void *file, const char *key, const char *value);
    void (*set_val_u32)(void *file, const char *key, uint32_t value);
    void (*set_val_i64)(void *file, const char *key, int64_t value);
    void (*set_val_f32)(void *file, const char *key, float value);
    void (*set_val_bool)(void *file, const char *key, bool value);
    void (*set_arr_str)(void *file, const char *key, const char **values, size_t count);
    void (*set_arr_data)(void *file, const char *key, int type, const void *values, size_t count);
    void (*add_tensor)(void *file, const void *tensor);
    bool (*write_to_file)(const void *file, const char *path, bool only_metadata);
    int64_t (*get_n_kv)(const void *file);
    int64_t (*get_n_tensors)(const void *file);
    int64_t (*find_key)(const void *file, const char *key);
    int64_t (*find_tensor)(const void *file, const char *name);
    uint32_t (*get_val_u32)(const void *file, int64_t key);
    const char *(*get_val_str)(const void *file, int64_t key);
    size_t (*get_arr_n)(const void *file, int64_t key);
    const char *(*get_arr_str)(const void *file, int64_t key, size_t index);
    size_t (*get_alignment)(const void *file);
    size_t (*get_data_offset)(const void *file);
    size_t (*get_tensor_offset)(const void *file, int64_t tensor);
    int (*get_tensor_type)(const void *file, int64_t tensor);
} ggml;

/* Finds them in a folder with libggml-base.so. */
void ggml_open(const char *directory);

/* Blocks of a type to floats; NULL if it has no such function. The name is the type's own, such as "q4_K". */
typedef void (*ggml_decode)(const void *blocks, float *to, int64_t count);
ggml_decode ggml_find_decode(const char *type);

/* Says "FAILED: " and the message, and ends the program. */
__attribute__((format(printf, 1, 2))) _Noreturn void stop(const char *format, ...);

#define require(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            stop("line %d: %s", __LINE__, #condition);                                                                 \
    } while (0)

/* Files that the command writes, in gguf_ggml_command.c: `folder` is for files of its own. */
void check_command(const char *folder);

#endif
