/* SPDX-License-Identifier: MIT */
/* GGUF headers that are wrong, each in one way, and what must be said of it; and cut off anywhere.
 * tests/fuzz/gguf.c changes them at random. */
#include "test_gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* ---- one field ---- */

/* The sample with `count` bytes at `position` replaced. */
static image changed(size_t position, uint64_t value, size_t count) {
    image made = image_sample(3);
    for (size_t i = 0; i < count; i++)
        made.bytes[position + i] = (uint8_t)(value >> (8 * i));
    return made;
}

START_TEST(first_fields) {
    static const struct {
        size_t position, bytes;
        uint64_t value;
        const char *fragment;
    } cases[] = {
        {0, 4, 0x4c4d4747, "magic = 'GGML' at byte 0 (limit 'GGUF')"},
        {0, 4, 0x46554707, "magic = '\\x07GUF' at byte 0 (limit 'GGUF')"},
        {0, 4, 0x47475546, "magic = 'FUGG' at byte 0 (limit 'GGUF'; the file is big-endian)"},
        {4, 4, 0, "version = 0 at byte 4 (limit 2 to 3)"},
        {4, 4, 1, "version = 1 at byte 4 (limit 2 to 3)"},
        {4, 4, 4, "version = 4 at byte 4 (limit 2 to 3)"},
        {4, 4, 0x03000000, "version = 50331648 at byte 4 (limit 2 to 3; the file is big-endian)"},
        {4, 4, UINT32_MAX, "version = 4294967295 at byte 4 (limit 2 to 3)"},
        {8, 8, UINT64_MAX, "tensor count = -1 at byte 8 (limit "},
        {8, 8, INT64_MAX, "tensor count = 9223372036854775807 at byte 8 (limit "},
        {16, 8, UINT64_MAX, "key count = -1 at byte 16 (limit "},
        {16, 8, UINT64_C(1) << 62, "key count = 4611686018427387904 at byte 16 (limit "},
        {24, 8, UINT64_MAX, "metadata[0].key length = -1 at byte 24 (limit 1 to 65535)"},
        {24, 8, 65536, "metadata[0].key length = 65536 at byte 24 (limit 1 to 65535)"},
        {24, 8, 0, "metadata[0].key length = 0 at byte 24 (limit 1 to 65535)"},
        {24, 8, 60000, "metadata[0].key length = 60000 at byte 24 (limit "},
        {32, 1, 0, "metadata[0].key = '\\x00eneral.architecture' at byte 32 (limit no control characters)"},
        {33, 1, 0x1b, "metadata[0].key = 'g\\x1bneral.architecture' at byte 32 (limit no control characters)"},
        {33, 1, 0x7f, "metadata[0].key = 'g\\x7fneral.architecture'"},
        {52, 4, 13, "metadata[0].type = 13 at byte 52 (limit 0 to 12)"},
        {52, 4, UINT32_MAX, "metadata[0].type = 4294967295 at byte 52 (limit 0 to 12)"},
        {56, 8, UINT64_MAX, "metadata[0].value length = -1 at byte 56 (limit "},
        {56, 8, 10000, "metadata[0].value length = 10000 at byte 56 (limit "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused_image(changed(cases[i].position, cases[i].value, cases[i].bytes), cases[i].fragment);
}
END_TEST

START_TEST(counts_that_are_just_too_large) {
    image made = image_start(3, 1, 1);
    image_data(&made, 1, 33);
    made.bytes[8] = 2;
    expect_refused_image(made, "tensor count = 2 at byte 8 (limit 1, by the length of the file)");
    made = image_start(3, 0, 2);
    image_data(&made, 1, 27);
    expect_refused_image(made, "key count = 2 at byte 16 (limit 1, by the length of the file)");
    made = image_start(3, 0, 2);
    image_key_number(&made, "a", GGUF_UINT8, 1);
    image_data(&made, 1, 14);
    expect_refused_image(made, "metadata[1].key length = 0 at byte 38 (limit 1 to 65535)");
}
END_TEST

/* ---- metadata ---- */

/* A file of one key, with `rest` bytes of zeros behind what is given. */
static image array_of(uint32_t type, uint64_t count, size_t rest) {
    image made = image_start(3, 0, 1);
    image_key(&made, "k", GGUF_ARRAY);
    image_number(&made, type, 4);
    image_number(&made, count, 8);
    image_data(&made, 1, rest);
    return made;
}

START_TEST(arrays) {
    expect_refused_image(array_of(GGUF_UINT32, 5, 19), "metadata[0].count = 5 at byte 41 (limit 4, by the length of");
    expect_refused_image(array_of(GGUF_UINT8, UINT64_MAX, 19), "metadata[0].count = -1 at byte 41 (limit 19, by the");
    expect_refused_image(array_of(GGUF_FLOAT64, UINT64_C(1) << 61, 8), "metadata[0].count = 2305843009213693952 at");
    expect_refused_image(array_of(GGUF_STRING, 3, 16), "metadata[0].count = 3 at byte 41 (limit 2, by the length of");
    expect_refused_image(array_of(GGUF_ARRAY, 1, 16),
                         "metadata[0].element type = 9, an array in an array, at byte 37 (limit other than 9)");
    expect_refused_image(array_of(13, 1, 16), "metadata[0].element type = 13 at byte 37 (limit 0 to 12)");
    image made = array_of(GGUF_STRING, 2, 16);
    made.bytes[49 + 8] = 1;
    expect_refused_image(made, "metadata[0].value[1] length = 1 at byte 57 (limit 0, by the length of the file)");
    made = array_of(GGUF_STRING, 2, 16);
    memset(made.bytes + 49 + 8, 0xff, 8);
    expect_refused_image(made, "metadata[0].value[1] length = -1 at byte 57 (limit 0, by");
    made = array_of(GGUF_BOOL, 3, 3);
    made.bytes[50] = 2;
    expect_refused_image(made, "metadata[0].value = a bool of 2 at byte 50 (limit 0 to 1)");
}
END_TEST

static image one_key(const char *key, uint32_t type, uint64_t value) {
    image made = image_start(3, 0, 1);
    image_key_number(&made, key, type, value);
    return made;
}

START_TEST(alignments) {
    static const char key[] = "general.alignment";
    static const uint64_t wrong[] = {0, 3, 24, 33, 1 << 22, UINT32_C(1) << 31, UINT32_MAX};
    char fragment[256];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(fragment, sizeof fragment,
                 "metadata[0].value = %" PRIu64 " at byte 53 (limit a power of 2, 1 to 2097152", wrong[i]);
        expect_refused_image(one_key(key, GGUF_UINT32, wrong[i]), fragment);
    }
    for (uint32_t alignment = 1; alignment <= GGUF_MAX_ALIGNMENT; alignment *= 2) {
        image made = one_key(key, GGUF_UINT32, alignment);
        gguf header = expect_parsed(&made);
        ck_assert_uint_eq(header.alignment, alignment);
        gguf_free(&header);
        image_free(&made);
    }
    expect_refused_image(one_key(key, GGUF_UINT64, 32),
                         "metadata[0].type = uint64 at byte 49 (limit uint32, for 'general");
    image made = image_start(3, 0, 1);
    image_key(&made, key, GGUF_ARRAY);
    image_number(&made, GGUF_UINT32, 4);
    image_number(&made, 1, 8);
    image_number(&made, 32, 4);
    expect_refused_image(made, "metadata[0].type = array of uint32 at byte 49 (limit uint32, for 'general.alignment')");
}
END_TEST

START_TEST(names_that_are_there_twice) {
    image made = image_start(3, 0, 3);
    image_key_number(&made, "first", GGUF_UINT8, 1);
    image_key_number(&made, "second", GGUF_UINT8, 1);
    image_key_text(&made, "first", "other");
    expect_refused_image(made, "metadata[2].key = a second 'first' at byte 69 (limit 1: metadata[0] has it)");
    made = image_start(3, 2, 0);
    image_tensor(&made, "same", (const uint64_t[]){8, 0}, 0, 0);
    image_tensor(&made, "same", (const uint64_t[]){8, 0}, 0, 32);
    image_data(&made, 32, 64);
    expect_refused_image(made, "tensor[1].name = a second 'same' at byte 68 (limit 1: tensor[0] has it)");
}
END_TEST

/* ---- tensors ---- */

/* A file of one tensor with some bytes of data. */
static image one_tensor(const char *name, const uint64_t *dimension, uint32_t type, uint64_t offset, size_t data) {
    image made = image_start(3, 1, 0);
    image_tensor(&made, name, dimension, type, offset);
    image_data(&made, 32, data);
    return made;
}

static void expect_refused_tensor(const uint64_t *dimension, uint32_t type, uint64_t offset, const char *fragment) {
    expect_refused_image(one_tensor("t", dimension, type, offset, 4096), fragment);
}

#define DIMENSIONS(...) ((const uint64_t[]){__VA_ARGS__, 0})

/* Without dimensions it is one number, of a type that has numbers. */
START_TEST(no_dimensions) {
    image made = one_tensor("t", DIMENSIONS(0), GGUF_TYPE_F32, 0, 4);
    gguf parsed = expect_parsed(&made);
    gguf_tensor tensor = gguf_tensor_at(&parsed, 0);
    ck_assert(tensor.dimensions == 0 && tensor.dimension[0] == 1 && tensor.rows == 1 && tensor.cols == 1);
    ck_assert(tensor.bytes == 4 && tensor.offset == parsed.data_offset && tensor.format == 0);
    gguf_free(&parsed);
    image_free(&made);
    expect_refused_image(one_tensor("t", DIMENSIONS(0), GGUF_TYPE_F32, 0, 3),
                         "tensor[0].offset = 0 at byte 41 (limit 3");
    expect_refused_image(one_tensor("t", DIMENSIONS(0), 12, 0, 144), "tensor[0].dimension[0] = 1 at byte 37 (limit a");
}
END_TEST

START_TEST(dimensions) {
    expect_refused_tensor(DIMENSIONS(1, 1, 1, 1, 1), 0, 0, "tensor[0].dimensions = 5 at byte 33 (limit 0 to 4)");
    image made = one_tensor("t", DIMENSIONS(4, 4), 0, 0, 4096);
    memset(made.bytes + 33, 0xff, 4);
    expect_refused_image(made, "tensor[0].dimensions = 4294967295 at byte 33 (limit 0 to 4)");
    made = one_tensor("t", DIMENSIONS(4, 4), 0, 0, 4096);
    memset(made.bytes + 45, 0, 8);
    expect_refused_image(made, "tensor[0].dimension[1] = 0 at byte 45 (limit 1 to 2305843009213693951)");
    expect_refused_tensor(DIMENSIONS(UINT64_MAX), 0, 0, "tensor[0].dimension[0] = -1 at byte 37 (limit 1 to 92233720");
    expect_refused_tensor(DIMENSIONS(2, UINT64_C(1) << 62), 0, 0,
                          "tensor[0].dimension[1] = 4611686018427387904 at byte 45");
    expect_refused_tensor(DIMENSIONS(1 << 30, 1 << 30, 8), 0, 0,
                          "tensor[0].dimension[2] = 8 at byte 53 (limit 1 to 7)");
    expect_refused_tensor(
        DIMENSIONS(UINT64_C(1) << 61), 28, 0,
        "tensor[0].dimension[0] = 2305843009213693952 times 1 at byte 37 (limit 9223372036854775807 bytes");
    expect_refused_tensor(DIMENSIONS(1 << 30, UINT64_C(1) << 32), 0, 0,
                          "tensor[0].dimension[0] = 1073741824 times 4294967296");
}
END_TEST

START_TEST(columns_of_part_of_a_block) {
    char fragment[128];
    for (uint32_t type = 0; gguf_type_get(type) != NULL; type++) {
        const gguf_type *known = gguf_type_get(type);
        if (known->block_columns <= 1)
            continue;
        snprintf(fragment, sizeof fragment, "tensor[0].dimension[0] = %zu at byte 37 (limit a multiple of %zu for %s)",
                 known->block_columns + 1, known->block_columns, known->name);
        expect_refused_tensor(DIMENSIONS(known->block_columns + 1), type, 0, fragment);
    }
}
END_TEST

START_TEST(tensor_names) {
    char name[66];
    memset(name, 'x', sizeof name);
    name[65] = '\0';
    expect_refused_image(one_tensor(name, DIMENSIONS(8), 0, 0, 32),
                         "tensor[0].name length = 65 at byte 24 (limit 1 to 64)");
    expect_refused_image(one_tensor("", DIMENSIONS(8), 0, 0, 32),
                         "tensor[0].name length = 0 at byte 24 (limit 1 to 64)");
    expect_refused_image(one_tensor("a\033[31m", DIMENSIONS(8), 0, 0, 32),
                         "tensor[0].name = 'a\\x1b[31m' at byte 32 (limit no control characters)");
    image made = one_tensor("ab", DIMENSIONS(8), 0, 0, 32);
    made.bytes[33] = 0;
    expect_refused_image(made, "tensor[0].name = 'a\\x00' at byte 32 (limit no control characters)");
    name[64] = '\0';
    made = one_tensor(name, DIMENSIONS(8), 0, 0, 32);
    gguf header = expect_parsed(&made);
    ck_assert(gguf_text_is(gguf_tensor_at(&header, 0).name, name));
    gguf_free(&header);
    image_free(&made);
}
END_TEST

START_TEST(offsets) {
    expect_refused_tensor(DIMENSIONS(8), 0, 16,
                          "tensor[0].offset = 16 at byte 49 (limit a multiple of 32, the alignment)");
    expect_refused_tensor(DIMENSIONS(8), 0, 4096,
                          "tensor[0].offset = 4096 at byte 49 (limit 4096 bytes of data, for a tensor of 32)");
    expect_refused_tensor(DIMENSIONS(8), 0, UINT64_C(1) << 40, "tensor[0].offset = 1099511627776 at byte 49");
    expect_refused_tensor(DIMENSIONS(8), 0, UINT64_MAX - 31, "tensor[0].offset = 18446744073709551584 at byte 49");
    expect_refused_tensor(DIMENSIONS(8), 0, UINT64_C(1) << 63, "tensor[0].offset = 9223372036854775808 at byte 49");
    expect_refused_tensor(DIMENSIONS(9), 0, 4064,
                          "tensor[0].offset = 4064 at byte 49 (limit 4096 bytes of data, for a tensor of 36)");
    expect_refused_tensor(DIMENSIONS(8), 99, 4096,
                          "tensor[0].offset = 4096 at byte 49 (limit 4096 bytes of data, for a tensor of 1)");
    /* The file ends with its header, before the data could start. */
    image made = image_start(3, 1, 0);
    image_tensor(&made, "t", DIMENSIONS(8), 0, 0);
    expect_refused_image(made, "tensor[0].offset = 0 at byte 49 (limit 0 bytes of data, for a tensor of 32)");
}
END_TEST

static image two_tensors(uint32_t type, uint64_t first, uint64_t second) {
    image made = image_start(3, 2, 0);
    image_tensor(&made, "a", DIMENSIONS(16), type, first);
    image_tensor(&made, "b", DIMENSIONS(16), 0, second);
    image_data(&made, 32, 4096);
    return made;
}

START_TEST(overlaps) {
    expect_refused_image(two_tensors(0, 0, 32),
                         "tensor[1].offset = 32 at byte 82 (limit outside of tensor[0], 64 bytes from 0 on)");
    expect_refused_image(two_tensors(0, 32, 0),
                         "tensor[0].offset = 32 at byte 49 (limit outside of tensor[1], 64 bytes from 0 on)");
    expect_refused_image(two_tensors(0, 64, 64),
                         "tensor[1].offset = 64 at byte 82 (limit outside of tensor[0], 64 bytes from 64 on)");
    expect_refused_image(two_tensors(99, 32, 0),
                         "tensor[0].offset = 32 at byte 49 (limit outside of tensor[1], 64 bytes");
    /* Gaps and any order are fine, and so are bytes behind all. */
    for (uint64_t gap = 64; gap <= 1024; gap += 320) {
        image made = two_tensors(0, gap, 0);
        gguf header = expect_parsed(&made);
        gguf_free(&header);
        image_free(&made);
    }
}
END_TEST

START_TEST(types_that_are_unknown_or_removed) {
    static const uint32_t types[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 255, UINT32_MAX};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        image made = one_tensor("t", DIMENSIONS(77, 3), types[i], 0, 1);
        gguf header = expect_parsed(&made);
        gguf_tensor tensor = gguf_tensor_at(&header, 0);
        ck_assert(tensor.type == types[i] && tensor.bytes == 0 && tensor.format == 0);
        ck_assert(tensor.cols == 77 && tensor.rows == 3);
        gguf_free(&header);
        image_free(&made);
    }
}
END_TEST

START_TEST(q8_0_without_whole_blocks_is_not_multiplied) {
    image made = one_tensor("t", DIMENSIONS(288, 3), 8, 0, 3 * 9 * 34);
    gguf header = expect_parsed(&made);
    gguf_tensor tensor = gguf_tensor_at(&header, 0);
    ck_assert_uint_eq(tensor.format, 0);
    ck_assert_uint_eq(tensor.bytes, 3 * 9 * 34);
    gguf_free(&header);
    image_free(&made);
}
END_TEST

START_TEST(formats_by_type) {
    for (uint32_t type = 0; gguf_type_get(type) != NULL; type++) {
        const gguf_type *known = gguf_type_get(type);
        if (known->block_columns == 0)
            continue;
        q8k_format wanted = type == 8    ? Q8K_FORMAT_Q8_0
                            : type == 10 ? Q8K_FORMAT_Q2_K
                            : type == 11 ? Q8K_FORMAT_Q3_K
                            : type == 12 ? Q8K_FORMAT_Q4_K
                            : type == 13 ? Q8K_FORMAT_Q5_K
                            : type == 14 ? Q8K_FORMAT_Q6_K
                                         : 0;
        const uint64_t bytes = 3 * (512 / known->block_columns) * known->block_bytes;
        image made = one_tensor("t", DIMENSIONS(512, 3), type, 0, bytes);
        gguf header = expect_parsed(&made);
        gguf_tensor tensor = gguf_tensor_at(&header, 0);
        ck_assert_uint_eq(tensor.format, wanted);
        ck_assert_uint_eq(tensor.bytes, bytes);
        gguf_free(&header);
        image_free(&made);
    }
}
END_TEST

/* ---- Q8_K ---- */

typedef struct own {
    const char *format; /* the value; NULL: no such key */
    uint32_t format_type, cols_type;
    bool has_cols;
    uint64_t cols, row_bytes;
    uint32_t type;
    const char *fragment; /* NULL: all is well */
} own;

static image own_image(const own *o) {
    image made = image_start(3, 1, (uint64_t)(o->format != NULL) + o->has_cols);
    if (o->format != NULL && o->format_type == GGUF_STRING)
        image_key_text(&made, "q8k.tensor.t.format", o->format);
    else if (o->format != NULL)
        image_key_number(&made, "q8k.tensor.t.format", o->format_type, 1);
    if (o->has_cols)
        image_key_number(&made, "q8k.tensor.t.cols", o->cols_type, o->cols);
    image_tensor(&made, "t", DIMENSIONS(o->row_bytes, 2), o->type, 0);
    image_data(&made, 32, 8192);
    return made;
}

START_TEST(own_format) {
    static const own cases[] = {
        {"q8_k", GGUF_STRING, GGUF_UINT64, true, 512, 584, 24, NULL},
        {"q4_k", GGUF_STRING, GGUF_UINT64, true, 512, 584, 24, "metadata[0].value = 'q4_k' at byte 63 (limit 'q8_k')"},
        {"\033", GGUF_STRING, GGUF_UINT64, true, 512, 584, 24, "metadata[0].value = '\\x1b' at byte 63 (limit 'q8_k')"},
        {"", GGUF_UINT32, GGUF_UINT64, true, 512, 584, 24,
         "metadata[0].type = uint32 at byte 51 (limit string, for 'q8k.tensor.t.format')"},
        {"q8_k", GGUF_STRING, GGUF_UINT32, true, 512, 584, 24,
         "metadata[1].type = uint32 at byte 92 (limit uint64, for 'q8k.tensor.t.cols')"},
        {"q8_k", GGUF_STRING, GGUF_UINT64, true, 768, 584, 24,
         "metadata[1].value = 768 at byte 96 (limit 512, the columns of 584 bytes a row)"},
        {"q8_k", GGUF_STRING, GGUF_UINT64, true, 0, 584, 24,
         "metadata[1].value = 0 at byte 96 (limit 512, the columns"},
        {"q8_k", GGUF_STRING, GGUF_UINT64, true, 512, 585, 24,
         "tensor[0].dimension[0] = 585 at byte 117 (limit a multiple of 292 for q8_k)"},
        {"q8_k", GGUF_STRING, GGUF_UINT64, true, 512, 512, 15,
         "tensor[0].type = 15 at byte 133 (limit 24, i8: metadata[0] says 'q8_k')"},
        {"q8_k", GGUF_STRING, GGUF_UINT64, false, 512, 584, 24,
         "metadata[0].key = 'q8k.tensor.t.format' at byte 32 (limit not without 'q8k.tensor.t.cols')"},
        {NULL, GGUF_STRING, GGUF_UINT64, true, 512, 584, 24,
         "metadata[0].key = 'q8k.tensor.t.cols' at byte 32 (limit not without 'q8k.tensor.t.format')"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        image made = own_image(&cases[i]);
        if (cases[i].fragment != NULL) {
            expect_refused_image(made, cases[i].fragment);
            continue;
        }
        gguf header = expect_parsed(&made);
        gguf_tensor tensor = gguf_tensor_at(&header, 0);
        ck_assert(tensor.format == Q8K_FORMAT_Q8_K && tensor.type == 24);
        ck_assert(tensor.cols == 512 && tensor.rows == 2 && tensor.row_bytes == 584 && tensor.bytes == 1168);
        gguf_free(&header);
        image_free(&made);
    }
}
END_TEST

START_TEST(keys_of_tensors_that_are_not_there) {
    image made = image_start(3, 0, 4);
    image_key_number(&made, "q8k.tensor.", GGUF_UINT8, 1);
    image_key_number(&made, "q8k.tensor.cols", GGUF_UINT8, 1);
    image_key_number(&made, "q8k.tensor..cols", GGUF_UINT8, 1);
    image_key_number(&made, "q8k.tensor.gone.format", GGUF_UINT8, 1);
    gguf header = expect_parsed(&made);
    gguf_free(&header);
    image_free(&made);
}
END_TEST

/* ---- cut off ---- */

static size_t header_length(void) {
    image made = image_sample(3);
    gguf header = expect_parsed(&made);
    size_t bytes = header.header_bytes;
    gguf_free(&header);
    image_free(&made);
    return bytes;
}

/* A file that ends anywhere is refused; one of which only a part is here asks for more, and never for too much. */
START_TEST(cut_at_every_byte) {
    image made = image_sample(3);
    size_t whole = header_length();
    for (size_t length = 0; length < made.length; length++) {
        image cut = {NULL, 0};
        gguf header;
        char error[GGUF_ERROR_BYTES] = "";
        size_t needed;
        image_put(&cut, made.bytes, length);
        require(!gguf_parse(cut.bytes, length, length, &header, &needed, error), "accepted %zu bytes", length);
        require(needed == 0, "%zu bytes needed of %zu", needed, length);
        expect_placed_message(error, GGUF_ERROR_BYTES);
        bool parsed = gguf_parse(cut.bytes, length, made.length, &header, &needed, error);
        require(parsed == (length >= whole), "%zu bytes of %zu: %d", length, whole, parsed);
        if (parsed)
            gguf_free(&header);
        else
            require(needed > length && needed <= whole, "%zu bytes needed after %zu", needed, length);
        image_free(&cut);
    }
    image_free(&made);
}
END_TEST

TCase *tcase_gguf_hostile(void) {
    TCase *tcase = tcase_create("hostile");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, first_fields);
    tcase_add_test(tcase, counts_that_are_just_too_large);
    tcase_add_test(tcase, arrays);
    tcase_add_test(tcase, alignments);
    tcase_add_test(tcase, names_that_are_there_twice);
    tcase_add_test(tcase, dimensions);
    tcase_add_test(tcase, no_dimensions);
    tcase_add_test(tcase, columns_of_part_of_a_block);
    tcase_add_test(tcase, tensor_names);
    tcase_add_test(tcase, offsets);
    tcase_add_test(tcase, overlaps);
    tcase_add_test(tcase, types_that_are_unknown_or_removed);
    tcase_add_test(tcase, formats_by_type);
    tcase_add_test(tcase, q8_0_without_whole_blocks_is_not_multiplied);
    tcase_add_test(tcase, own_format);
    tcase_add_test(tcase, keys_of_tensors_that_are_not_there);
    tcase_add_test(tcase, cut_at_every_byte);
    return tcase;
}
