/* SPDX-License-Identifier: MIT */
/* The input is a file that might be a plugin: what q8k_elf_check() accepts lies in the file. */
#include "fuzz.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "lib/elf_file.h"
#include "tests/support.h"

const char fuzz_name[] = "elf";

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* The least that is accepted, and its likes: headers, program headers, some data, section headers. */
typedef struct plugin {
    ElfW(Ehdr) header;
    ElfW(Phdr) segment[4];
    uint8_t data[64];
    ElfW(Shdr) section[4];
} plugin;

static void set_segment(plugin *p, size_t index, uint32_t type, size_t offset, size_t bytes) {
    p->segment[index] = (ElfW(Phdr)){.p_type = type, .p_offset = offset, .p_filesz = bytes, .p_memsz = bytes + index};
}

static void set_section(plugin *p, int index, uint32_t type, size_t offset, size_t bytes) {
    p->section[index] = (ElfW(Shdr)){.sh_type = type, .sh_offset = offset, .sh_size = bytes, .sh_addralign = 1};
}

size_t fuzz_seed(size_t index, uint8_t to[FUZZ_MAX_BYTES]) {
    enum { SEEDS = 12 };
    const size_t data = offsetof(plugin, data);
    plugin p = {.header = __ehdr_start};
    if (index >= SEEDS)
        return 0;
    p.header.e_type = ET_DYN;
    p.header.e_phoff = offsetof(plugin, segment);
    p.header.e_phnum = (ElfW(Half))(2 + index % 3);
    p.header.e_shoff = offsetof(plugin, section);
    p.header.e_shnum = 4;
    p.header.e_shentsize = sizeof *p.section;
    p.header.e_shstrndx = 3;
    set_segment(&p, 0, PT_LOAD, 0, index % 2 ? sizeof p : data + 8);
    set_segment(&p, 1, PT_DYNAMIC, data, 32);
    set_segment(&p, 2, PT_LOAD, data, sizeof p.data);
    set_segment(&p, 3, PT_NOTE, sizeof p, 0);
    set_section(&p, 1, SHT_PROGBITS, data, 32);
    set_section(&p, 2, SHT_NOBITS, (size_t)-1, (size_t)-1);
    set_section(&p, 3, SHT_STRTAB, data + 32, 32);
    if (index >= 6) /* refused, each for another reason */
        ((uint8_t *)&p)[(const size_t[]){0, 4, offsetof(ElfW(Ehdr), e_type), offsetof(ElfW(Ehdr), e_machine),
                                         offsetof(ElfW(Ehdr), e_phnum), offsetof(ElfW(Ehdr), e_shnum)}[index - 6]]++;
    memcpy(to, &p, sizeof p);
    return sizeof p;
}

/* What the dynamic linker maps lies in the file. It is asked by other means than the library's own. */
static void check_accepted(const uint8_t *data, size_t size) {
    ElfW(Ehdr) header;
    size_t loads = 0;
    demand(size >= sizeof header, "accepted: %zu bytes", size);
    memcpy(&header, data, sizeof header);
    demand(memcmp(header.e_ident, __ehdr_start.e_ident, 6) == 0 && header.e_machine == __ehdr_start.e_machine,
           "accepted: another kind of file");
    demand(header.e_type == ET_DYN && header.e_phnum > 0, "accepted: type %u", header.e_type);
    for (size_t i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment;
        size_t at = header.e_phoff + i * sizeof segment;
        demand(at >= header.e_phoff && at <= size && size - at >= sizeof segment, "accepted: segment header %zu", i);
        memcpy(&segment, data + at, sizeof segment);
        demand(segment.p_offset <= size && segment.p_filesz <= size - segment.p_offset, "accepted: segment %zu", i);
        loads += segment.p_type == PT_LOAD;
    }
    demand(loads > 0, "accepted: nothing to load");
}

void fuzz_input(const uint8_t *data, size_t size) {
    q8k_text why = {""};
    if (q8k_elf_check(fuzz_file(data, size), &why))
        check_accepted(data, size);
    else
        fuzz_check_message(why.text, sizeof why.text, "", false);
}
