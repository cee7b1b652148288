/* SPDX-License-Identifier: MIT */
/* Matrices out of .npy files. Files are read, never mapped: one that someone cuts off meanwhile is then an
 * error and not a signal. Elements pass through a small buffer, so that the memory needed is that of the result. */
#define _GNU_SOURCE
#include "npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decode.h"
#include "input.h"

enum {
    CHUNK_BYTES = 65536, /* a multiple of every element's size */
    HEAD_BYTES = NPY_MAX_PREAMBLE_BYTES + NPY_MAX_HEADER_BYTES
};

static bool refuse(char error[NPY_ERROR_BYTES], const char *path, const char *text) {
    return input_refuse(path, text, error);
}

static bool read_header(int file, const char *path, size_t length, npy_header *header, char error[NPY_ERROR_BYTES]) {
    size_t available = length < HEAD_BYTES ? length : HEAD_BYTES;
    uint8_t *head = malloc(available > 0 ? available : 1);
    if (head == NULL) {
        return refuse(error, path, "no memory for its header");
    }
    char text[NPY_ERROR_BYTES];
    bool good = input_read(file, path, head, available, 0, error);
    if (good && !npy_parse(head, available, length, header, text)) {
        good = refuse(error, path, text);
    }
    free(head);
    return good;
}

bool npy_shape(const npy_header *header, const char *path, npy_array *array, char error[NPY_ERROR_BYTES]) {
    if (header->dimensions < 1 || header->dimensions > 2) {
        char text[64];
        snprintf(text, sizeof text, "shape = %d dimensions (limit 1 to 2)", header->dimensions);
        return refuse(error, path, text);
    }
    array->type = header->type == NPY_UINT8 ? NPY_UINT8 : NPY_FLOAT32;
    array->rows = header->dimensions == 2 ? header->shape[0] : 1;
    array->cols = header->shape[header->dimensions - 1];
    array->data = NULL;
    return true;
}

/* Puts one element where it belongs. Returns false if it is finite in the file and would not be in float32. */
static bool store(npy_type type, const uint8_t *bytes, void *data, size_t to) {
    float *floats = data;
    double value;
    switch (type) {
    case NPY_UINT8:
        ((uint8_t *)data)[to] = *bytes;
        break;
    case NPY_FLOAT16:
        floats[to] = decode_half(bytes);
        break;
    case NPY_FLOAT32:
        floats[to] = decode_single(bytes);
        break;
    case NPY_FLOAT64:
        value = decode_double(bytes);
        floats[to] = (float)value;
        return !isinf(floats[to]) || isinf(value);
    }
    return true;
}

static bool refuse_value(const uint8_t *bytes, size_t index, const npy_header *header, const char *path,
                         char error[NPY_ERROR_BYTES]) {
    char text[128];
    snprintf(text, sizeof text, "data[%zu] = %g at byte %zu (limit 3.4028235e+38 in float32)", index,
             decode_double(bytes), header->data_offset + index * npy_type_bytes(header->type));
    return refuse(error, path, text);
}

static bool read_data(int file, const char *path, const npy_header *header, npy_array *array,
                      char error[NPY_ERROR_BYTES]) {
    static uint8_t chunk[CHUNK_BYTES];
    size_t element_bytes = npy_type_bytes(header->type), step = CHUNK_BYTES / element_bytes;
    for (size_t first = 0; first < header->elements; first += step) {
        size_t count = header->elements - first < step ? header->elements - first : step;
        if (!input_read(file, path, chunk, count * element_bytes, header->data_offset + first * element_bytes, error)) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            size_t from = first + i;
            size_t to = header->fortran_order ? from % array->rows * array->cols + from / array->rows : from;
            if (!store(header->type, chunk + i * element_bytes, array->data, to)) {
                return refuse_value(chunk + i * element_bytes, from, header, path, error);
            }
        }
    }
    return true;
}

static bool read_array(int file, const char *path, const npy_header *header, npy_array *array,
                       char error[NPY_ERROR_BYTES]) {
    if (!npy_shape(header, path, array, error)) {
        return false;
    }
    if (header->elements > SIZE_MAX / npy_type_bytes(array->type)) {
        return refuse(error, path, "more elements than memory can hold");
    }
    if (header->elements > 0) {
        array->data = malloc(header->elements * npy_type_bytes(array->type));
        if (array->data == NULL) {
            return refuse(error, path, "no memory for its data");
        }
    }
    if (!read_data(file, path, header, array, error)) {
        npy_free(array);
        return false;
    }
    return true;
}

int npy_open(const char *path, npy_header *header, char error[NPY_ERROR_BYTES]) {
    uint64_t length;
    int file = input_open(path, &length, error);
    if (file < 0) {
        return -1;
    }
    if (length > SIZE_MAX ? refuse(error, path, "is larger than memory can be")
                          : read_header(file, path, (size_t)length, header, error)) {
        return file;
    }
    close(file);
    return -1;
}

bool npy_read_header(const char *path, npy_header *header, char error[NPY_ERROR_BYTES]) {
    int file = npy_open(path, header, error);
    if (file >= 0) {
        close(file);
    }
    return file >= 0;
}

bool npy_read(const char *path, npy_array *array, char error[NPY_ERROR_BYTES]) {
    npy_header header;
    npy_array read;
    int file = npy_open(path, &header, error);
    if (file < 0) {
        return false;
    }
    bool good = read_array(file, path, &header, &read, error);
    close(file);
    if (good) {
        *array = read;
    }
    return good;
}

void npy_free(npy_array *array) {
    free(array->data);
    array->data = NULL;
}
