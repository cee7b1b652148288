/* SPDX-License-Identifier: MIT */
/* The backend "wrong", for tests/verify.bats: the scalar plugin beside it, but for one error that WRONG_KIND chooses
 * and that begins only with WRONG_BATCH batch rows, so that the tests before the first use do not meet it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <q8k/backend.h>

enum { WRONG_BIT = 1, WRONG_NAN = 2, WRONG_LARGE = 3, WRONG_UNWRITTEN = 4, WRONG_BATCH = 17, FORMATS = 8 };

static const q8k_backend *scalar;
static q8k_backend backend;
static q8k_backend_kernels kernels[FORMATS];
static const q8k_backend_kernels *formats[FORMATS];

static void spoil(float *value) {
    uint32_t bits;
    switch (WRONG_KIND) {
    case WRONG_BIT:
        memcpy(&bits, value, sizeof bits);
        bits ^= 1;
        memcpy(value, &bits, sizeof bits);
        break;
    case WRONG_NAN:
        *value = __builtin_nanf("");
        break;
    case WRONG_LARGE:
        *value *= 1.5F;
        break;
    default: /* WRONG_UNWRITTEN: as it was */
        break;
    }
}

static const q8k_backend_kernels *right_kernels(void) {
    for (size_t i = 0; i < scalar->format_count; i++)
        if (scalar->formats[i]->format == Q8K_FORMAT_Q5_K)
            return scalar->formats[i];
    return NULL;
}

static void wrong_matmul(const q8k_backend_product *product) {
    float *victim = product->output;
    float before = *victim;
    right_kernels()->matmul(product);
    if (product->batch == WRONG_BATCH && product->row_count > 1) {
        if (WRONG_KIND == WRONG_UNWRITTEN)
            *victim = before;
        spoil(victim);
    }
}

/* Beside this file lies a copy of the scalar plugin. */
static const q8k_backend *open_scalar(void) {
    Dl_info self;
    char path[4096];
    if (dladdr((void *)&formats, &self) == 0 || strrchr(self.dli_fname, '/') == NULL)
        return NULL;
    int folder = (int)(strrchr(self.dli_fname, '/') - self.dli_fname);
    snprintf(path, sizeof path, "%.*s/libq8k-scalar.so", folder, self.dli_fname);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    q8k_backend_entry_function *entry = NULL;
    if (handle != NULL)
        *(void **)&entry = dlsym(handle, "q8k_backend_entry");
    return entry != NULL ? entry(Q8K_BACKEND_ABI) : NULL;
}

const q8k_backend *q8k_backend_entry(uint32_t abi) {
    scalar = open_scalar();
    if (abi != Q8K_BACKEND_ABI || scalar == NULL || scalar->format_count > FORMATS)
        return NULL;
    backend = *scalar;
    backend.size = sizeof backend;
    backend.name = "wrong";
    backend.formats = formats;
    for (size_t i = 0; i < scalar->format_count; i++) {
        kernels[i] = *scalar->formats[i];
        formats[i] = &kernels[i];
        if (kernels[i].format == Q8K_FORMAT_Q5_K)
            kernels[i].matmul = wrong_matmul;
    }
    return &backend;
}
