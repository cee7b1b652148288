/* SPDX-License-Identifier: MIT */
/* The library's own plugin with something changed in its headers. */
#include "suites.h"

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "support.h"

typedef struct image {
    uint8_t *data;
    size_t bytes;
    ElfW(Ehdr) * header;
    ElfW(Phdr) * segments;
} image;

static ElfW(Phdr) * first_load(const image *file) {
    for (size_t i = 0; i < file->header->e_phnum; i++)
        if (file->segments[i].p_type == PT_LOAD)
            return &file->segments[i];
    ck_abort_msg("no segment to load");
    return NULL;
}

static void as_executable(image *file) {
    file->header->e_type = ET_EXEC;
}

static void as_object(image *file) {
    file->header->e_type = ET_REL;
}

static void as_core(image *file) {
    file->header->e_type = ET_CORE;
}

static void as_other_machine(image *file) {
    file->header->e_machine = EM_S390;
}

static void as_other_class(image *file) {
    file->header->e_ident[EI_CLASS] = file->header->e_ident[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64;
}

static void as_other_order(image *file) {
    file->header->e_ident[EI_DATA] = file->header->e_ident[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
}

static void with_long_segment(image *file) {
    first_load(file)->p_filesz = file->bytes + 1;
    first_load(file)->p_memsz = file->bytes + 1;
}

static void with_endless_segment(image *file) {
    first_load(file)->p_filesz = (ElfW(Xword)) - 1;
    first_load(file)->p_memsz = (ElfW(Xword)) - 1;
}

static void with_far_segment(image *file) {
    first_load(file)->p_offset = (ElfW(Off))1 << 62;
}

static void with_wrapping_segment(image *file) {
    first_load(file)->p_offset = (ElfW(Off)) - 4096;
    first_load(file)->p_filesz = 8192;
}

static void with_far_sections(image *file) {
    file->header->e_shoff = (ElfW(Off)) - 1;
}

static void with_sections_at_the_end(image *file) {
    file->header->e_shoff = file->bytes - 32;
}

static void without_sections(image *file) {
    file->header->e_shoff = 0;
    file->header->e_shnum = 0;
}

static void with_far_program_headers(image *file) {
    file->header->e_phoff = (ElfW(Off)) - 64;
}

static void without_segments(image *file) {
    file->header->e_phnum = 0;
}

static void with_many_segments(image *file) {
    file->header->e_phnum = 0xffff;
}

static void with_odd_segments(image *file) {
    file->header->e_phentsize = 1;
}

/* The name of the C library, wherever it stands, becomes that of one that there is not. */
static void with_missing_library(image *file) {
    static const char name[] = "libc.so.6";
    size_t found = 0;
    for (size_t i = 0; i + sizeof name <= file->bytes; i++)
        if (memcmp(file->data + i, name, sizeof name) == 0) {
            file->data[i + 3] = 'q';
            found++;
        }
    ck_assert_uint_gt(found, 0);
}

static const struct {
    void (*change)(image *file);
    const char *what, *word;
} changes[] = {
    {as_executable, "executable", "type"},
    {as_object, "object file", "type"},
    {as_core, "core file", "type"},
    {as_other_machine, "other machine", "machine"},
    {as_other_class, "other class", "class"},
    {as_other_order, "other byte order", "byte order"},
    {with_long_segment, "long segment", "segment"},
    {with_endless_segment, "endless segment", "segment"},
    {with_far_segment, "far segment", "segment"},
    {with_wrapping_segment, "wrapping segment", "segment"},
    {with_far_sections, "far sections", "section"},
    {with_sections_at_the_end, "sections at the end", "section"},
    {without_sections, "no sections", "section"},
    {with_far_program_headers, "far program headers", "program headers"},
    {without_segments, "no segments", "program headers"},
    {with_many_segments, "65535 segments", "program headers"},
    {with_odd_segments, "odd segments", "program headers"},
    {with_missing_library, "missing library", "libq.so.6"},
};

START_TEST(changed_plugins_are_refused) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    image file;
    file.data = own_plugin(&file.bytes);
    file.header = (void *)file.data;
    file.segments = (void *)(file.data + file.header->e_phoff);
    changes[_i].change(&file);
    folder_make(folder);
    plugin_path(path, folder, "scalar");
    file_write(path, file.data, file.bytes);
    expect_broken(folder, (const char *const[]){changes[_i].word, NULL}, changes[_i].what);
    free(file.data);
    folder_remove(folder);
}
END_TEST

/* A program that may be mapped anywhere has the type of a shared object: only the dynamic linker tells. */
START_TEST(programs_are_refused) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    size_t bytes;
    uint8_t *data = file_read("/proc/self/exe", &bytes);
    folder_make(folder);
    plugin_path(path, folder, "scalar");
    file_write(path, data, bytes);
    expect_broken(folder, NULL, "program");
    free(data);
    folder_remove(folder);
}
END_TEST

Suite *suite_elf(void) {
    Suite *suite = suite_create("elf");
    TCase *tests = tcase_create("elf");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, changed_plugins_are_refused, 0, (int)(sizeof changes / sizeof *changes));
    tcase_add_test(tests, programs_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
