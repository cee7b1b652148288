/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels.h"

/* What is looked at beside a buffer: a kernel's widest store reaches no further. */
enum { MARGIN = 4096 };

void *need_memory(size_t bytes) {
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        fprintf(stderr, "kernels: no memory for %zu bytes\n", bytes);
        exit(2);
    }
    return memory;
}

void arena_free(arena *a) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (a->start != NULL)
        munmap(a->start - page, (size_t)(a->end - a->start) + 2 * page);
    a->start = a->end = NULL;
}

static void arena_grow(arena *a, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    uint8_t *mapping;
    arena_free(a);
    mapping = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping + page, inner, PROT_READ | PROT_WRITE) != 0) {
        fprintf(stderr, "kernels: no memory for %zu bytes between guard pages\n", bytes);
        exit(2);
    }
    a->start = mapping + page;
    a->end = a->start + inner;
}

static size_t margin_before(const arena *a, const uint8_t *buffer) {
    size_t room = (size_t)(buffer - a->start);
    return room < MARGIN ? room : MARGIN;
}

static size_t margin_behind(const arena *a, const uint8_t *buffer, size_t bytes) {
    size_t room = (size_t)(a->end - buffer) - bytes;
    return room < MARGIN ? room : MARGIN;
}

uint8_t *arena_take(arena *a, size_t bytes, place where) {
    size_t needed = bytes + where.shift;
    if ((size_t)(a->end - a->start) < needed || a->start == NULL)
        arena_grow(a, needed > 0 ? needed : 1);
    uint8_t *buffer = where.at_end ? a->end - bytes : a->start + where.shift;
    memset(buffer - margin_before(a, buffer), CANARY, margin_before(a, buffer));
    memset(buffer + bytes, CANARY, margin_behind(a, buffer, bytes));
    return buffer;
}

bool all_canaries(const uint8_t *bytes, size_t count) {
    return count == 0 || (bytes[0] == CANARY && memcmp(bytes, bytes + 1, count - 1) == 0);
}

bool arena_intact(const arena *a, const uint8_t *buffer, size_t bytes) {
    size_t before = margin_before(a, buffer);
    return all_canaries(buffer - before, before) && all_canaries(buffer + bytes, margin_behind(a, buffer, bytes));
}

/* Odd addresses only where the interface allows them: where no float must be aligned. */
static place random_place(numbers *n, bool second, size_t unit) {
    place where = {.at_end = (numbers_below(n, 2) == 1) != second, .shift = 0};
    size_t shift = numbers_below(n, 2) ? unit * numbers_below(n, 64 / unit) : 0;
    if (!where.at_end)
        where.shift = shift;
    return where;
}

static size_t random_gap(numbers *n, size_t most) {
    return numbers_below(n, 2) ? 1 + numbers_below(n, most) : 0;
}

layout layout_of(const kernel_case *c, bool second) {
    const uint64_t keys[] = {c->format, c->precision, c->kind, c->rows, c->blocks, c->batch, c->parts};
    numbers n = numbers_start(c->seed, keys, sizeof keys / sizeof *keys);
    layout l;
    l.weights = random_place(&n, second, 1);
    l.input = random_place(&n, second, sizeof(float));
    l.prepared = random_place(&n, second, 1);
    l.output = random_place(&n, second, sizeof(float));
    l.weights_gap = random_gap(&n, 67);
    l.input_gap = random_gap(&n, 19);
    l.output_gap = random_gap(&n, 19);
    l.backwards = numbers_below(&n, 2) == 1;
    return l;
}
