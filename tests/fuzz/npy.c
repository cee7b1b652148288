/* SPDX-License-Identifier: MIT */
/* The input is a .npy file: its header parsed, its elements read, and each of them looked up in the file. */
#include "fuzz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support.h"
#include "tools/npy.h"

const char fuzz_name[] = "npy";

size_t fuzz_seed(size_t index, uint8_t to[FUZZ_MAX_BYTES]) {
    static const char *const descrs[] = {"<f4", "<f2", "<f8", "|u1", ">f4", "|O", "<i8", "<M8[ns]"};
    static const char *const shapes[] = {"(2, 3)", "(3,)", "()", "(0, 5)", "(2, 1, 3)", "(4611686018427387904, 2)"};
    static const char *const texts[] = {
        "{'descr': '%1$s', 'fortran_order': %2$s, 'shape': %3$s, }",
        "{'descr': '%1$s', 'fortran_order': %2$s, 'shape': %3$s, }                                           \n",
        "{\"shape\":%3$s,\"fortran_order\":%2$s,\n\"descr\":\t\"%1$s\"}\n",
    };
    enum { DESCRS = sizeof descrs / sizeof *descrs, SHAPES = sizeof shapes / sizeof *shapes, TEXTS = 3 };
    test_random random = random_start(0x736565 + index);
    const char *descr = descrs[index % DESCRS], *shape = shapes[index / DESCRS % SHAPES];
    size_t preamble = index % 3 == 0 ? 10 : 12, elements = index / DESCRS % SHAPES == 2 ? 1 : 6, bytes = 4;
    if (index >= DESCRS * SHAPES * TEXTS)
        return 0;
    int length = snprintf((char *)to + preamble, 1024, texts[index / DESCRS / SHAPES], descr,
                          index % 2 ? "True" : "False", shape);
    memcpy(to, "\x93NUMPY\1\0\0\0\0\0", preamble);
    to[6] = (uint8_t)(index % 3 + 1);
    to[8] = (uint8_t)length;
    bytes = descr[2] == '2' ? 2 : descr[2] == '8' ? 8 : descr[2] == '1' ? 1 : bytes;
    elements = strcmp(shape, "(3,)") == 0 ? 3 : strcmp(shape, "(0, 5)") == 0 ? 0 : elements;
    for (size_t i = 0; i < elements * bytes; i++)
        to[preamble + (size_t)length + i] = (uint8_t)random_next(&random);
    return preamble + (size_t)length + elements * bytes;
}

/* The element of the array that stands at an index of the file. */
static void check_element(const npy_header *header, const npy_array *array, const uint8_t *data, size_t index) {
    size_t to = header->fortran_order ? index % array->rows * array->cols + index / array->rows : index;
    const uint8_t *from = data + header->data_offset + index * npy_type_bytes(header->type);
    float found = header->type == NPY_UINT8 ? ((const uint8_t *)array->data)[to] : ((const float *)array->data)[to];
    float wanted = *from;
    double number;
    if (header->type == NPY_FLOAT32)
        memcpy(&wanted, from, sizeof wanted);
    if (header->type == NPY_FLOAT64) {
        memcpy(&number, from, sizeof number);
        demand(!isfinite(number) || isfinite((float)number), "element %zu = %g", index, number);
        wanted = (float)number;
    }
    demand(header->type == NPY_FLOAT16 || same_float(found, wanted), "element %zu = %g (%g)", index, (double)found,
           (double)wanted);
}

static void check_array(const npy_header *header, const npy_array *array, const uint8_t *data) {
    demand(array->rows * array->cols == header->elements, "%zu x %zu", array->rows, array->cols);
    demand((array->data == NULL) == (header->elements == 0), "data and %zu elements", header->elements);
    for (size_t i = 0; i < header->elements; i++)
        check_element(header, array, data, i);
}

/* Of the two refusals of sizes that have no place in the file, one is the file's own length. */
static void check_header_message(const char *error) {
    fuzz_check_message(error, NPY_ERROR_BYTES, " = ", strncmp(error, "file length = ", 14) != 0);
}

void fuzz_input(const uint8_t *data, size_t size) {
    npy_header header;
    npy_array array;
    char error[NPY_ERROR_BYTES] = "";
    bool parsed = npy_parse(data, size, size, &header, error);
    const char *path = fuzz_file(data, size);
    if (parsed) {
        size_t elements = 1;
        for (int i = 0; i < header.dimensions; i++)
            elements *= header.shape[i];
        demand(elements == header.elements && elements * npy_type_bytes(header.type) == header.data_bytes, "elements");
        demand(header.data_offset + header.data_bytes == size, "%zu bytes of data", header.data_bytes);
    } else {
        check_header_message(error);
    }
    if (npy_read(path, &array, error)) {
        demand(parsed && header.dimensions >= 1 && header.dimensions <= 2, "read, but not parsed");
        check_array(&header, &array, data);
        npy_free(&array);
    } else {
        fuzz_check_message(error, sizeof error, path, false);
        demand(!parsed || header.dimensions < 1 || header.dimensions > 2 || strstr(error, " in float32)") != NULL,
               "parsed, but: %s", error);
    }
}
