/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "npy.h"

void npy_header(FILE *file, size_t rows, size_t cols) {
    enum { BEFORE = 10, TOTAL = 128 }; /* magic, version and length; what the values' alignment asks for */
    const unsigned char before[BEFORE] = "\x93NUMPY\x01\x00\x76";
    const char *order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<f4" : ">f4";
    char header[TOTAL - BEFORE + 1];
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }",
                          order, rows, cols);
    memset(header + length, ' ', sizeof header - (size_t)length);
    header[TOTAL - BEFORE - 1] = '\n';
    fwrite(before, 1, BEFORE, file);
    fwrite(header, 1, TOTAL - BEFORE, file);
}
