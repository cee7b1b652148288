/* SPDX-License-Identifier: MIT */
#include "npy_write.h"

#include <stdio.h>
#include <string.h>

#include "decode.h"
#include "input.h"

enum {
    CHUNK_BYTES = 65536,
    WRITTEN_HEADER_BYTES = 128 /* enough for any two dimensions, and what NumPy writes */
};

bool npy_writer_open(npy_writer *writer, const char *path, npy_type type, size_t rows, size_t cols,
                     char error[NPY_ERROR_BYTES]) {
    enum { PREAMBLE_BYTES = 10 };
    char header[WRITTEN_HEADER_BYTES + 1], text[OUTPUT_ERROR_BYTES];
    int used = snprintf(header, sizeof header,
                        "%cNUMPY%c%c%c%c{'descr': '%s', 'fortran_order': False, "
                        "'shape': (%zu, %zu), }",
                        0x93, 1, 0, WRITTEN_HEADER_BYTES - PREAMBLE_BYTES, 0, npy_descr(type), rows, cols);
    memset(header + used, ' ', (size_t)(WRITTEN_HEADER_BYTES - used));
    header[WRITTEN_HEADER_BYTES - 1] = '\n';
    writer->path = path;
    if (!output_open(&writer->out, path, text)) {
        return input_refuse(path, text, error);
    }
    if (!npy_put_bytes(writer, header, WRITTEN_HEADER_BYTES, error)) {
        npy_writer_abandon(writer);
        return false;
    }
    return true;
}

bool npy_put_bytes(npy_writer *writer, const void *bytes, size_t count, char error[NPY_ERROR_BYTES]) {
    char text[OUTPUT_ERROR_BYTES];
    return output_write(&writer->out, bytes, count, text) || input_refuse(writer->path, text, error);
}

bool npy_put_floats(npy_writer *writer, const float *floats, size_t count, char error[NPY_ERROR_BYTES]) {
    static uint8_t chunk[CHUNK_BYTES];
    size_t step = CHUNK_BYTES / sizeof *floats;
    for (size_t first = 0; first < count; first += step) {
        size_t now = count - first < step ? count - first : step;
        for (size_t i = 0; i < now; i++) {
            decode_put_single(chunk + 4 * i, floats[first + i]);
        }
        if (!npy_put_bytes(writer, chunk, now * sizeof *floats, error)) {
            return false;
        }
    }
    return true;
}

bool npy_writer_finish(npy_writer *writer, char error[NPY_ERROR_BYTES]) {
    char text[OUTPUT_ERROR_BYTES];
    return output_finish(&writer->out, text) || input_refuse(writer->path, text, error);
}

void npy_writer_abandon(npy_writer *writer) {
    output_abandon(&writer->out);
}

bool npy_write(const char *path, const npy_array *array, char error[NPY_ERROR_BYTES]) {
    npy_writer writer;
    size_t elements = array->rows * array->cols;
    if (!npy_writer_open(&writer, path, array->type, array->rows, array->cols, error)) {
        return false;
    }
    if (!(array->type == NPY_UINT8 ? npy_put_bytes(&writer, array->data, elements, error)
                                   : npy_put_floats(&writer, array->data, elements, error))) {
        npy_writer_abandon(&writer);
        return false;
    }
    return npy_writer_finish(&writer, error);
}
