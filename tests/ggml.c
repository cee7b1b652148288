/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ggml.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, NAME_BYTES = 64 };

struct ggml_functions ggml;
static void *library;

static const struct {
    const char *name;
    void *function;
} functions[] = {
    {"ggml_type_name", &ggml.type_name},
    {"ggml_blck_size", &ggml.blck_size},
    {"ggml_type_size", &ggml.type_size},
    {"ggml_init", &ggml.init},
    {"ggml_free", &ggml.free},
    {"ggml_new_tensor_2d", &ggml.new_tensor_2d},
    {"ggml_set_name", &ggml.set_name},
    {"ggml_get_data", &ggml.get_data},
    {"ggml_get_tensor", &ggml.get_tensor},
    {"ggml_nbytes", &ggml.nbytes},
    {"ggml_nrows", &ggml.nrows},
    {"ggml_n_dims", &ggml.n_dims},
    {"ggml_fp32_to_fp16_row", &ggml.half_from_floats},
    {"ggml_fp16_to_fp32_row", &ggml.half_to_floats},
    {"ggml_fp32_to_bf16_row", &ggml.bfloat_from_floats},
    {"ggml_bf16_to_fp32_row", &ggml.bfloat_to_floats},
    {"ggml_quantize_chunk", &ggml.quantize_chunk},
    {"gguf_init_empty", &ggml.init_empty},
    {"gguf_init_from_file", &ggml.init_from_file},
    {"gguf_free", &ggml.file_free},
    {"gguf_set_val_str", &ggml.set_val_str},
    {"gguf_set_val_u32", &ggml.set_val_u32},
    {"gguf_set_val_i64", &ggml.set_val_i64},
    {"gguf_set_val_f32", &ggml.set_val_f32},
    {"gguf_set_val_bool", &ggml.set_val_bool},
    {"gguf_set_arr_str", &ggml.set_arr_str},
    {"gguf_set_arr_data", &ggml.set_arr_data},
    {"gguf_add_tensor", &ggml.add_tensor},
    {"gguf_write_to_file", &ggml.write_to_file},
    {"gguf_get_n_kv", &ggml.get_n_kv},
    {"gguf_get_n_tensors", &ggml.get_n_tensors},
    {"gguf_find_key", &ggml.find_key},
    {"gguf_find_tensor", &ggml.find_tensor},
    {"gguf_get_val_u32", &ggml.get_val_u32},
    {"gguf_get_val_str", &ggml.get_val_str},
    {"gguf_get_arr_n", &ggml.get_arr_n},
    {"gguf_get_arr_str", &ggml.get_arr_str},
    {"gguf_get_alignment", &ggml.get_alignment},
    {"gguf_get_data_offset", &ggml.get_data_offset},
    {"gguf_get_tensor_offset", &ggml.get_tensor_offset},
    {"gguf_get_tensor_type", &ggml.get_tensor_type},
};

_Noreturn void stop(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("FAILED: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

void ggml_open(const char *directory) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/libggml-base.so", directory);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        stop("%s", dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(library, functions[i].name);
        if (found == NULL)
            stop("%s has no %s", path, functions[i].name);
        memcpy(functions[i].function, &found, sizeof found);
    }
}

ggml_decode ggml_find_decode(const char *type) {
    char name[NAME_BYTES];
    ggml_decode decode = NULL;
    snprintf(name, sizeof name, "dequantize_row_%s", type);
    void *found = dlsym(library, name);
    memcpy(&decode, &found, sizeof decode);
    return decode;
}
