/* SPDX-License-Identifier: MIT */
/* Reading .npy files, most of them hostile. Each is made here from its header's text. tests/fuzz/npy.c changes them at
 * random. */
#define _GNU_SOURCE
#include "test_npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suites.h"
#include "support.h"
#include "tools/npy.h"

typedef struct file {
    size_t length;
    uint8_t *bytes; /* exactly `length` of them, so that checkers of memory see what lies beyond */
} file;

/* A file of some version with a header, without padding, and data. */
static file make(int version, const char *header, const void *data, size_t data_bytes) {
    size_t header_bytes = strlen(header), preamble = version == 1 ? 10 : 12;
    file f = {preamble + header_bytes + data_bytes, NULL};
    f.bytes = test_alloc(f.length);
    memcpy(f.bytes, "\x93NUMPY", 6);
    f.bytes[6] = (uint8_t)version;
    f.bytes[7] = 0;
    for (size_t i = 8; i < preamble; i++)
        f.bytes[i] = (uint8_t)(header_bytes >> (8 * (i - 8)));
    memcpy(f.bytes + preamble, header, header_bytes);
    if (data_bytes > 0)
        memcpy(f.bytes + preamble + header_bytes, data, data_bytes);
    return f;
}

static file make_zeros(int version, const char *header, size_t data_bytes) {
    uint8_t *zeros = test_alloc(data_bytes + 1);
    memset(zeros, 0, data_bytes + 1);
    file f = make(version, header, zeros, data_bytes);
    free(zeros);
    return f;
}

static void expect_refused(file f, const char *fragment) {
    npy_header header;
    char error[NPY_ERROR_BYTES] = "";
    bool accepted = npy_parse(f.bytes, f.length, f.length, &header, error);
    ck_assert_msg(!accepted, "accepted: %s", fragment);
    expect_placed_message(error, NPY_ERROR_BYTES);
    ck_assert_msg(strstr(error, fragment) != NULL, "message '%s' lacks '%s'", error, fragment);
    free(f.bytes);
}

static npy_header expect_parsed(file f) {
    npy_header header;
    char error[NPY_ERROR_BYTES] = "";
    ck_assert_msg(npy_parse(f.bytes, f.length, f.length, &header, error), "%s", error);
    ck_assert_uint_eq(header.data_offset + header.data_bytes, f.length);
    free(f.bytes);
    return header;
}

START_TEST(versions_and_spellings) {
    static const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{\"shape\": (2,3,),\"fortran_order\": False,\n \"descr\":\t\"<f4\"}\n",
        "  { 'fortran_order' : False , 'shape' : ( 2 , 3 ) , 'descr' : '<f4' , } ",
    };
    for (int version = 1; version <= 3; version++) {
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
            npy_header h = expect_parsed(make_zeros(version, headers[i], 24));
            ck_assert_int_eq(h.type, NPY_FLOAT32);
            ck_assert(!h.fortran_order);
            ck_assert_int_eq(h.dimensions, 2);
            ck_assert_uint_eq(h.shape[0], 2);
            ck_assert_uint_eq(h.shape[1], 3);
            ck_assert_uint_eq(h.elements, 6);
        }
    }
}
END_TEST

START_TEST(shapes) {
    static const struct {
        const char *header;
        int dimensions;
        size_t elements;
    } cases[] = {
        {"{'descr': '|u1', 'fortran_order': False, 'shape': ()}", 0, 1},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (7,)}", 1, 7},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (0,)}", 1, 0},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (0, 5)}", 2, 0},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (5, 0)}", 2, 0},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 3, 2)}", 4, 12},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': "
         "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2)}",
         32, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        npy_header h = expect_parsed(make_zeros(1, cases[i].header, cases[i].elements));
        ck_assert_int_eq(h.dimensions, cases[i].dimensions);
        ck_assert_uint_eq(h.elements, cases[i].elements);
    }
}
END_TEST

#define DESCR(text) "{'descr': " text ", 'fortran_order': False, 'shape': (2, 3), }\n"
#define SHAPE(text) "{'descr': '<f4', 'fortran_order': False, 'shape': " text ", }\n"

/* Headers, each wrong in one way, and what the message must say. All have the 24 bytes of 2 x 3 float32 behind them. */
static const struct {
    const char *header, *fragment;
} hostile[] = {
    {"", "header = its end at byte 10 (expected '{')"},
    {"{}\n", "(expected 'descr')"},
    {"[]\n", "header = '[' at byte 10 (expected '{')"},
    {"{'descr': '<f4', 'fortran_order': False, }\n", "(expected 'shape')"},
    {"{'descr': '<f4', 'shape': (2, 3), }\n", "(expected 'fortran_order')"},
    {"{'fortran_order': False, 'shape': (2, 3), }\n", "(expected 'descr')"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'extra': 1}", "key = 'extra' at byte 69"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'descr': '<f4'}", "key = a second 'descr'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'shape': (6,)}", "key = a second 'shape'"},
    {"{'descr': '<f4', 'fortran_order': False, 'fortran_order': True, 'shape': (2, 3)}",
     "key = a second 'fortran_order'"},
    {"{'': 1}", "key = '' at byte 12"},
    {"{'a\033[31m\n': 1}", "key = 'a\\x1b[31m\\x0a'"},
    {"{'a\xff\xc2\x9b': 1}", "key = 'a\\xff\\xc2\\x9b'"},
    {"{1: 2}", "header = '1' at byte 11 (expected a key or '}')"},
    {"{,}", "expected a key"},
    {"{'descr' '<f4'}", "(expected ':')"},
    {"{'descr'", "header = its end at byte 18 (expected ':')"},
    {"{'des\\x63r': '<f4'}", "(expected a closing quote)"},
    {"{'descr': '<f4' 'fortran_order': False}", "(expected ',' or '}')"},
    {"{'descr': '<f4',, 'fortran_order': False}", "expected a key"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }}", "nothing but spaces after '}'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n#", "nothing but spaces after '}'"},
    {DESCR("'>f4'"), "descr = '>f4' at byte 21 (big-endian; limit '<f2', '<f4', '<f8', '|u1')"},
    {DESCR("'|O'"), "descr = '|O' at byte 21 (Python objects are never read; limit"},
    {DESCR("'O'"), "descr = 'O' at byte 21"},
    {DESCR("[('a', '<f4')]"), "descr = a structured type at byte 20"},
    {DESCR("('<f4', (2,))"), "descr = a structured type at byte 20"},
    {DESCR("'|i1'"), "descr = '|i1'"},
    {DESCR("'<i4'"), "descr = '<i4'"},
    {DESCR("'<f16'"), "descr = '<f16'"},
    {DESCR("'<c8'"), "descr = '<c8'"},
    {DESCR("'|b1'"), "descr = '|b1'"},
    {DESCR("'<U5'"), "descr = '<U5'"},
    {DESCR("'<M8[ns]'"), "descr = '<M8[ns]'"},
    {DESCR("'|V4'"), "descr = '|V4'"},
    {DESCR("'=f4'"), "descr = '=f4'"},
    {DESCR("'f4'"), "descr = 'f4'"},
    {DESCR("''"), "descr = '' at byte 21"},
    {DESCR("'<f4\033]0;x\007'"), "descr = '<f4\\x1b]0;x\\x07'"},
    {DESCR("None"), "header = 'N' at byte 20 (expected a string)"},
    {DESCR("'<f4"), "descr = '<f4, '"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}", "header = '0' at byte 44 (expected True or False)"},
    {"{'descr': '<f4', 'fortran_order': true, 'shape': (2, 3)}", "expected True or False"},
    {"{'descr': '<f4', 'fortran_order': Falsehood, 'shape': (2, 3)}", "expected True or False"},
    {SHAPE("(-2, -3)"), "shape[0] = -2 at byte 61 (limit 0 to"},
    {SHAPE("(2, -3)"), "shape[1] = -3 at byte 64 (limit 0 to"},
    {SHAPE("(-)"), "expected a number"},
    {SHAPE("(2, 18446744073709551616)"), "shape[1] = 18446744073709551616 at byte 64 (limit 0 to"},
    {SHAPE("(99999999999999999999999999999999999999999999999999999999, 1)"), "shape[0] = 99999"},
    {SHAPE("(4294967296, 4294967296)"), "shape[1] = 4294967296 at byte 73 (limit "},
    {SHAPE("(0, 4611686018427387904)"), "shape[1] = 4611686018427387904 at byte"},
    {SHAPE("(4611686018427387904, 0)"), "shape[0] = 4611686018427387904 at byte"},
    {SHAPE("(6)"), "header = ')' at byte 62 (expected ',' after the only dimension)"},
    {SHAPE("6"), "header = '6' at byte 60 (expected '(')"},
    {SHAPE("[2, 3]"), "expected '('"},
    {SHAPE("(2 3)"), "expected ',' or ')'"},
    {SHAPE("(2,, 3)"), "expected a number"},
    {SHAPE("(,)"), "expected a number"},
    {SHAPE("(2.0, 3)"), "header = '.' at byte 62"},
    {SHAPE("(0x2, 3)"), "header = 'x' at byte 62"},
    {SHAPE("(02, 3)"), "shape[0] = 02 at byte 61 (expected no leading zero)"},
    {SHAPE("(2L, 3L)"), "header = 'L' at byte 62"},
    {SHAPE("((2, 3))"), "header = '(' at byte 61 (expected a number)"},
    {SHAPE("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,6)"),
     "shape = more than 32 dimensions at byte 125 (limit 32)"},
    {SHAPE("(2, 2)"), "data = 24 bytes at byte 70 (limit 16 by the shape)"},
    {SHAPE("(2, 4)"), "data = 24 bytes at byte 70 (limit 32 by the shape)"},
    {SHAPE("()"), "data = 24 bytes at byte 66 (limit 4 by the shape)"},
    {SHAPE("(0, 3)"), "data = 24 bytes at byte 70 (limit 0 by the shape)"},
};

START_TEST(hostile_header) {
    expect_refused(make_zeros(1, hostile[_i].header, 24), hostile[_i].fragment);
}
END_TEST

START_TEST(hostile_preamble) {
    static const struct {
        size_t at;
        uint8_t value;
        const char *fragment;
    } cases[] = {
        {0, 'X', "magic = 'XNUMPY' at byte 0 (expected '\\x93NUMPY')"},
        {1, '\033', "magic = '\\x93\\x1bUMPY' at byte 0"},
        {6, 0, "version = 0.0 at byte 6 (limit 1.0, 2.0, 3.0)"},
        {6, 4, "version = 4.0 at byte 6"},
        {6, 255, "version = 255.0 at byte 6"},
        {7, 1, "version = 2.1 at byte 6"},
        {9, 0x40, "header length = 16444 at byte 8 (limit 84)"},
        {11, 0xff, "header length = 4278190140 at byte 8 (limit 84)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file f = make_zeros(2, SHAPE("(2, 3)"), 24);
        f.bytes[cases[i].at] = cases[i].value;
        expect_refused(f, cases[i].fragment);
    }
}
END_TEST

/* A header longer than any that is read whole, in a file that does hold it. */
START_TEST(header_too_long) {
    size_t length = NPY_MAX_HEADER_BYTES + 1;
    char *header = test_alloc(length + 1);
    memset(header, ' ', length);
    header[length] = '\0';
    expect_refused(make_zeros(2, header, 24), "header length = 65536 at byte 8 (limit 65535)");
    free(header);
}
END_TEST

/* As deep as a header can be: nothing may recurse. */
START_TEST(deep_parentheses) {
    static const char opening[] = "{[(";
    for (size_t i = 0; i < strlen(opening); i++) {
        char *header = test_alloc(NPY_MAX_HEADER_BYTES + 1);
        int used = snprintf(header, NPY_MAX_HEADER_BYTES, "{'shape': ");
        memset(header + used, opening[i], NPY_MAX_HEADER_BYTES - (size_t)used);
        header[NPY_MAX_HEADER_BYTES] = '\0';
        expect_refused(make_zeros(1, header, 24), "header = '");
        free(header);
    }
}
END_TEST

START_TEST(cut_at_every_byte) {
    for (int version = 1; version <= 3; version++) {
        file whole = make_zeros(version, SHAPE("(2, 3)"), 24);
        for (size_t length = 0; length < whole.length; length++) {
            file cut = {length, test_alloc(length > 0 ? length : 1)};
            memcpy(cut.bytes, whole.bytes, length);
            expect_refused(cut, length < 10 ? "file length = " : " (limit");
        }
        free(whole.bytes);
    }
}
END_TEST

START_TEST(data_a_byte_short_or_long) {
    expect_refused(make_zeros(1, SHAPE("(2, 3)"), 23), "data = 23 bytes at byte 70 (limit 24 by the shape)");
    expect_refused(make_zeros(1, SHAPE("(2, 3)"), 25), "data = 25 bytes at byte 70 (limit 24 by the shape)");
}
END_TEST

/* ---- whole files ---- */

static char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];

static void set_up(void) {
    folder_make(folder);
    test_path(path, folder, "file.npy");
}

static void tear_down(void) {
    folder_remove(folder);
}

static npy_array read_made(const char *header, const void *data, size_t data_bytes) {
    file f = make(1, header, data, data_bytes);
    npy_array array;
    char error[NPY_ERROR_BYTES] = "";
    file_write(path, f.bytes, f.length);
    free(f.bytes);
    ck_assert_msg(npy_read(path, &array, error), "%s", error);
    return array;
}

static void expect_unreadable(const char *name, const char *fragment) {
    npy_array array;
    char error[NPY_ERROR_BYTES] = "";
    ck_assert_msg(!npy_read(name, &array, error), "read: %s", name);
    expect_message(error, NPY_ERROR_BYTES);
    ck_assert_msg(strstr(error, fragment) != NULL, "message '%s' lacks '%s'", error, fragment);
}

static void expect_refused_file(const char *header, const void *data, size_t data_bytes, const char *fragment) {
    char expected[2 * TEST_PATH_BYTES];
    file f = make(1, header, data, data_bytes);
    file_write(path, f.bytes, f.length);
    free(f.bytes);
    snprintf(expected, sizeof expected, "%s: %s", path, fragment);
    expect_unreadable(path, expected);
}

static void expect_floats(npy_array array, size_t rows, size_t cols, const float *expected) {
    ck_assert_int_eq(array.type, NPY_FLOAT32);
    ck_assert_uint_eq(array.rows, rows);
    ck_assert_uint_eq(array.cols, cols);
    for (size_t i = 0; i < rows * cols; i++)
        ck_assert_msg(same_float(((float *)array.data)[i], expected[i]), "element %zu", i);
    npy_free(&array);
}

/* The header's length leaves the data unaligned. */
START_TEST(reads_float32) {
    static const float data[6] = {1, -2.5F, 3e38F, 1e-45F, -0.0F, INFINITY};
    expect_floats(read_made("{'descr':'<f4','fortran_order':False,'shape':(2,3)}", data, sizeof data), 2, 3, data);
    expect_floats(read_made("{'descr':'<f4','fortran_order':False,'shape':(2,3)} ", data, sizeof data), 2, 3, data);
    expect_floats(read_made("{'descr':'<f4','fortran_order':False,'shape':(6,)}", data, sizeof data), 1, 6, data);
}
END_TEST

START_TEST(reads_uint8) {
    static const uint8_t data[6] = {0, 1, 127, 128, 254, 255};
    npy_array array = read_made("{'descr':'|u1','fortran_order':False,'shape':(3,2)}", data, sizeof data);
    ck_assert_int_eq(array.type, NPY_UINT8);
    ck_assert_uint_eq(array.rows, 3);
    ck_assert_uint_eq(array.cols, 2);
    ck_assert_mem_eq(array.data, data, sizeof data);
    npy_free(&array);
}
END_TEST

START_TEST(converts_fortran_order) {
    static const float columns[6] = {1, 4, 2, 5, 3, 6}, rows[6] = {1, 2, 3, 4, 5, 6};
    expect_floats(read_made("{'descr':'<f4','fortran_order':True,'shape':(2,3)}", columns, sizeof columns), 2, 3, rows);
    expect_floats(read_made("{'descr':'<f4','fortran_order':True,'shape':(6,)}", rows, sizeof rows), 1, 6, rows);
}
END_TEST

/* More than one of the reader's buffers, in both orders. */
START_TEST(converts_large_fortran_order) {
    enum { ROWS = 700, COLS = 300 };
    float *columns = test_alloc(sizeof(float) * ROWS * COLS), *rows = test_alloc(sizeof(float) * ROWS * COLS);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        rows[i] = (float)i;
        columns[i % COLS * ROWS + i / COLS] = (float)i;
    }
    expect_floats(
        read_made("{'descr':'<f4','fortran_order':True,'shape':(700,300)}", columns, sizeof(float) * ROWS * COLS), ROWS,
        COLS, rows);
    free(columns);
    free(rows);
}
END_TEST

START_TEST(converts_float16) {
    static const uint16_t data[8] = {0x3c00, 0xc000, 0x0001, 0x83ff, 0x7bff, 0xfc00, 0x7e00, 0x8000};
    static const float expected[8] = {1, -2, 0x1p-24F, -0x3ffp-24F, 65504, -INFINITY, NAN, -0.0F};
    expect_floats(read_made("{'descr':'<f2','fortran_order':False,'shape':(2,4)}", data, sizeof data), 2, 4, expected);
}
END_TEST

START_TEST(converts_float64) {
    static const double data[6] = {1, 0.1, -1e-300, INFINITY, NAN, 3.4028234663852886e38};
    static const float expected[6] = {1, 0.1F, -0.0F, INFINITY, NAN, 3.4028234663852886e38F};
    expect_floats(read_made("{'descr':'<f8','fortran_order':False,'shape':(2,3)}", data, sizeof data), 2, 3, expected);
}
END_TEST

START_TEST(refuses_float64_beyond_float32) {
    static const double data[3] = {1, 2, -1e39};
    expect_refused_file("{'descr':'<f8','fortran_order':False,'shape':(3,)}", data, sizeof data,
                        "data[2] = -1e+39 at byte 76 (limit 3.4028235e+38 in float32)");
}
END_TEST

START_TEST(empty_arrays) {
    npy_array none = read_made("{'descr':'<f4','fortran_order':False,'shape':(0,3)}", NULL, 0);
    ck_assert_uint_eq(none.rows, 0);
    ck_assert_uint_eq(none.cols, 3);
    ck_assert_ptr_null(none.data);
    none = read_made("{'descr':'|u1','fortran_order':False,'shape':(4,0)}", NULL, 0);
    ck_assert_uint_eq(none.rows, 4);
    ck_assert_uint_eq(none.cols, 0);
    ck_assert_ptr_null(none.data);
}
END_TEST

START_TEST(refuses_what_is_no_matrix) {
    static const float data[6] = {0};
    expect_refused_file("{'descr':'<f4','fortran_order':False,'shape':()}", data, 4, "shape = 0 dimensions (limit 1");
    expect_refused_file("{'descr':'<f4','fortran_order':False,'shape':(1,2,3)}", data, 24, "shape = 3 dimensions");
    expect_refused_file("{'descr':'|O','fortran_order':False,'shape':(2,3)}", data, 24, "descr = '|O' at byte 20");
}
END_TEST

/* A shape that would need much memory, in a short file, is refused before any is asked for. */
START_TEST(believes_the_length_of_the_file) {
    static const float data[6] = {0};
    expect_refused_file("{'descr':'<f4','fortran_order':False,'shape':(1048576,1048576)}", data, 24,
                        "data = 24 bytes at byte 73 (limit 4398046511104 by the shape)");
}
END_TEST

START_TEST(refuses_what_is_no_file) {
    char other[TEST_PATH_BYTES];
    expect_unreadable(path, "file.npy: cannot be opened: No such file or directory");
    expect_unreadable(folder, ": is a directory");
    expect_unreadable("/dev/zero", "/dev/zero: is not a regular file");
    test_path(other, folder, "fifo");
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    expect_unreadable(other, "fifo: is not a regular file");
    test_path(other, folder, "loop");
    ck_assert_int_eq(symlink(other, other), 0);
    expect_unreadable(other, "loop: cannot be opened: ");
    test_path(other, folder, "\033[31m\n");
    expect_unreadable(other, "\\x1b[31m\\x0a: cannot be opened: ");
    file_write(path, "", 0);
    expect_unreadable(path, "file.npy: file length = 0 (limit at least 10");
}
END_TEST

START_TEST(shows_the_end_of_a_long_path) {
    char longest[3000];
    memset(longest, '/', sizeof longest);
    memcpy(longest + sizeof longest - 9, "none.npy", 9);
    expect_unreadable(longest, "///none.npy: cannot be opened");
}
END_TEST

Suite *suite_npy(void) {
    Suite *suite = suite_create("npy");
    TCase *parse = tcase_create("parse");
    tcase_add_test(parse, versions_and_spellings);
    tcase_add_test(parse, shapes);
    tcase_add_loop_test(parse, hostile_header, 0, (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(parse, hostile_preamble);
    tcase_add_test(parse, header_too_long);
    tcase_add_test(parse, deep_parentheses);
    tcase_add_test(parse, cut_at_every_byte);
    tcase_add_test(parse, data_a_byte_short_or_long);
    suite_add_tcase(suite, parse);
    TCase *read = tcase_create("read");
    tcase_add_checked_fixture(read, set_up, tear_down);
    tcase_add_test(read, reads_float32);
    tcase_add_test(read, reads_uint8);
    tcase_add_test(read, converts_fortran_order);
    tcase_add_test(read, converts_large_fortran_order);
    tcase_add_test(read, converts_float16);
    tcase_add_test(read, converts_float64);
    tcase_add_test(read, refuses_float64_beyond_float32);
    tcase_add_test(read, empty_arrays);
    tcase_add_test(read, refuses_what_is_no_matrix);
    tcase_add_test(read, believes_the_length_of_the_file);
    tcase_add_test(read, refuses_what_is_no_file);
    tcase_add_test(read, shows_the_end_of_a_long_path);
    suite_add_tcase(suite, read);
    suite_add_tcase(suite, tcase_npy_write());
    return suite;
}
