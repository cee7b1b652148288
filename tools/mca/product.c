/* SPDX-License-Identifier: MIT */
/*
 * For mca-table: one product by the backend that this is linked with, whose table is BACKEND.
 *
 *     product                                              prints a line for each format: name, and rows of a step
 *     product FORMAT PRECISION BATCH ROWS BLOCKS           multiplies, and prints where the kernel begins, and 0
 *
 * The kernel's run is between two SIGUSR1, which are for who traces this. What is multiplied is all zeros, since no
 * kernel's way depends on what it multiplies.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <q8k/backend.h>

#include "backends/formats/formats.h"

enum { LARGEST = 65536, ROOM = 4096 };

extern const q8k_backend BACKEND;

static const char *const precisions[] = {
    [Q8K_PRECISION_FLOAT] = "float",
    [Q8K_PRECISION_HALF] = "half",
    [Q8K_PRECISION_BYTE] = "byte",
};

#define FORMAT_LINE(name_, NAME) {#name_, Q8K_FORMAT_##NAME, NAME##_BLOCK_BYTES},
static const struct {
    const char *name;
    q8k_format format;
    size_t block_bytes;
} formats[] = {Q8K_EACH_FORMAT(FORMAT_LINE)};

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "product: %s\n", what);
    exit(EXIT_FAILURE);
}

static size_t number(const char *text) {
    size_t value = strtoul(text, NULL, 10);
    if (value == 0 || value > LARGEST) {
        fail("a number is not 1 to 65536");
    }
    return value;
}

static void *zeros(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) {
        fail("no memory");
    }
    return memset(memory, 0, bytes);
}

static const q8k_backend_kernels *kernels_of(q8k_format format) {
    for (size_t i = 0; i < BACKEND.format_count; i++) {
        if (BACKEND.formats[i]->format == format) {
            return BACKEND.formats[i];
        }
    }
    return NULL;
}

static size_t find_format(const char *name) {
    size_t i = 0;
    while (strcmp(formats[i].name, name) != 0) {
        if (++i == sizeof formats / sizeof *formats) {
            fail("no such format");
        }
    }
    return i;
}

static q8k_precision find_precision(const char *name) {
    q8k_precision i = 0;
    while (strcmp(precisions[i], name) != 0) {
        if (++i == sizeof precisions / sizeof *precisions) {
            fail("no such precision");
        }
    }
    return i;
}

static void list(void) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const q8k_backend_kernels *kernels = kernels_of(formats[i].format);
        if (kernels != NULL) {
            printf("%s %u\n", formats[i].name, (unsigned)kernels->row_step);
        }
    }
}

static void *prepare(q8k_precision precision, size_t batch, size_t blocks) {
    const q8k_backend_input input = {
        .size = sizeof input,
        .precision = precision,
        .batch = batch,
        .blocks = blocks,
        .input = zeros(batch * blocks * BLOCK * sizeof(float)),
        .input_stride = blocks * BLOCK,
        .prepared = zeros(BACKEND.prepared_bytes(precision, batch, blocks)),
        .batch_count = batch,
        .block_count = blocks,
    };
    BACKEND.prepare(&input);
    return input.prepared;
}

static void multiply(const q8k_backend_kernels *kernels, const q8k_backend_product *product) {
    uintptr_t begins;
    memcpy(&begins, &kernels->matmul, sizeof begins);
    printf("%llx 0\n", (unsigned long long)begins);
    fflush(stdout);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    kernels->matmul(product);
    raise(SIGUSR1);
}

int main(int argc, char **argv) {
    if (argc == 1) {
        list();
        return EXIT_SUCCESS;
    }
    if (argc != 6) {
        fail("wrong number of arguments");
    }
    const size_t format = find_format(argv[1]), batch = number(argv[3]), rows = number(argv[4]);
    const size_t blocks = number(argv[5]), row_bytes = blocks * formats[format].block_bytes;
    const q8k_precision precision = find_precision(argv[2]);
    const q8k_backend_kernels *kernels = kernels_of(formats[format].format);
    if (kernels == NULL) {
        fail("the backend lacks the format");
    }
    const q8k_backend_product product = {
        .size = sizeof product,
        .precision = precision,
        .batch = batch,
        .blocks = blocks,
        .prepared = prepare(precision, batch, blocks),
        /* Prefetching beyond the last row is allowed, and traced as any. */
        .weights = zeros(rows * row_bytes + ROOM),
        .weights_stride = row_bytes,
        .row_count = rows,
        .batch_count = batch,
        .output = zeros(batch * rows * sizeof(float)),
        .output_stride = rows,
    };
    multiply(kernels, &product);
    return EXIT_SUCCESS;
}
