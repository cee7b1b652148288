/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header of the object that this code is linked into: what class and machine this process is. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* More than any linker writes into a plugin. */
enum { SEGMENTS_MAX = 64, SECTIONS_MAX = 4096 };
static const uint64_t span_max = (uint64_t)1 << 30;

typedef struct elf_file {
    int file;
    uint64_t size;
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[SEGMENTS_MAX];
} elf_file;

static int read_at(int file, void *to, size_t bytes, uint64_t offset) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = pread(file, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        done += (size_t)got;
    }
    return 1;
}

/* `count` records of `each` bytes at `offset` lie inside the file; nothing here can wrap. */
static int inside(uint64_t offset, uint64_t count, uint64_t each, uint64_t size) {
    return offset <= size && (each == 0 || count <= (size - offset) / each);
}

static int check_header(const ElfW(Ehdr) * header, uint64_t size, q8k_text *why) {
    const ElfW(Ehdr) *own = &__ehdr_start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return q8k_say(why, "it is not an ELF file");
    if (header->e_ident[EI_CLASS] != own->e_ident[EI_CLASS] || header->e_ident[EI_DATA] != own->e_ident[EI_DATA])
        return q8k_say(why, "ELF class %u, byte order %u: this process has class %u, byte order %u",
                       header->e_ident[EI_CLASS], header->e_ident[EI_DATA], own->e_ident[EI_CLASS],
                       own->e_ident[EI_DATA]);
    if (header->e_machine != own->e_machine)
        return q8k_say(why, "ELF machine %u: this process has machine %u", (unsigned)header->e_machine,
                       (unsigned)own->e_machine);
    if (header->e_type != ET_DYN)
        return q8k_say(why, "ELF type %u: a shared object has type %u", (unsigned)header->e_type, (unsigned)ET_DYN);
    if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 || header->e_phnum > SEGMENTS_MAX)
        return q8k_say(why, "%u program headers of %u bytes: there must be 1 to %u of %zu bytes",
                       (unsigned)header->e_phnum, (unsigned)header->e_phentsize, (unsigned)SEGMENTS_MAX,
                       sizeof(ElfW(Phdr)));
    if (!inside(header->e_phoff, header->e_phnum, sizeof(ElfW(Phdr)), size))
        return q8k_say(why, "the program headers lie beyond the end of the file, at byte %llu",
                       (unsigned long long)size);
    return 1;
}

/* The memory of a segment to load: what the file has of it, beyond which all is zeroed; or to the end of its last page. */
static uint64_t load_end(const ElfW(Phdr) * load, int pages) {
    const uint64_t page = load->p_align > 1 ? load->p_align - 1 : 0;
    return pages ? (load->p_vaddr + load->p_memsz + page) & ~page : load->p_vaddr + load->p_filesz;
}

/* Whether what has this place in the file and in memory lies in a segment to load, and that memory may be used as `flags`
 * say. */
static int is_loaded(const elf_file *elf, uint64_t offset, uint64_t address, uint64_t bytes, unsigned flags,
                     int pages) {
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        const ElfW(Phdr) *load = &elf->segments[i];
        if (load->p_type != PT_LOAD || address + load->p_offset != offset + load->p_vaddr)
            continue;
        const uint64_t end = load_end(load, pages);
        if (address >= load->p_vaddr && address <= end && bytes <= end - address && (load->p_flags & flags) == flags)
            return 1;
    }
    return 0;
}

/* The dynamic linker protects whole pages: linkers let PT_GNU_RELRO end with one. Only PT_TLS may be larger in memory. */
static int segment_is_loaded(const elf_file *elf, const ElfW(Phdr) * segment) {
    const uint64_t bytes =
        segment->p_type == PT_TLS || segment->p_memsz < segment->p_filesz ? segment->p_filesz : segment->p_memsz;
    return is_loaded(elf, segment->p_offset, segment->p_vaddr, bytes, PF_R, segment->p_type == PT_GNU_RELRO);
}

/* The dynamic linker follows these wherever they point to. */
static int must_be_loaded(unsigned type) {
    return type == PT_DYNAMIC || type == PT_NOTE || type == PT_PHDR || type == PT_TLS || type == PT_GNU_EH_FRAME ||
           type == PT_GNU_PROPERTY || type == PT_GNU_RELRO;
}

/* Segments to load come in the order of their addresses, and do not overlap. `end`: of the one before. */
static int check_load(const ElfW(Phdr) * load, unsigned i, uint64_t *end, q8k_text *why) {
    const uint64_t address = load->p_vaddr, bytes = load->p_memsz;
    if (bytes < load->p_filesz)
        return q8k_say(why, "segment %u is larger in the file than in memory", i);
    if ((load->p_align & (load->p_align - 1)) != 0 || load->p_align > span_max)
        return q8k_say(why, "segment %u has the alignment %llu", i, (unsigned long long)load->p_align);
    if (address < *end || address > span_max || bytes > span_max - address)
        return q8k_say(why, "segment %u takes %llu bytes of memory at %llu: it must lie between %llu and %llu", i,
                       (unsigned long long)bytes, (unsigned long long)address, (unsigned long long)*end,
                       (unsigned long long)span_max);
    *end = address + bytes;
    return 1;
}

static int check_segments(elf_file *elf, q8k_text *why) {
    const ElfW(Ehdr) *header = &elf->header;
    int loads = 0, dynamic = 0;
    uint64_t end = 0;
    if (!read_at(elf->file, elf->segments, header->e_phnum * sizeof *elf->segments, header->e_phoff))
        return q8k_say(why, "the program headers cannot be read");
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *segment = &elf->segments[i];
        if (!inside(segment->p_offset, segment->p_filesz, 1, elf->size))
            return q8k_say(why, "segment %u ends beyond the end of the file, at byte %llu", i,
                           (unsigned long long)elf->size);
        if (segment->p_type == PT_LOAD && !check_load(segment, i, &end, why))
            return 0;
        loads += segment->p_type == PT_LOAD;
        dynamic += segment->p_type == PT_DYNAMIC && segment->p_filesz > 0;
    }
    if (loads == 0 || dynamic != 1)
        return q8k_say(why, "%d segments to load and %d of dynamic linking: there must be some, and one", loads,
                       dynamic);
    if (!is_loaded(elf, header->e_phoff, header->e_phoff, header->e_phnum * sizeof *elf->segments, PF_R, 0))
        return q8k_say(why, "the program headers are in no segment to load");
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *segment = &elf->segments[i];
        if (must_be_loaded(segment->p_type) && !segment_is_loaded(elf, segment))
            return q8k_say(why, "segment %u, of type 0x%x, is in no segment to load", i, (unsigned)segment->p_type);
        if (segment->p_type == PT_PHDR && segment->p_offset != header->e_phoff)
            return q8k_say(why, "segment %u says that the program headers are at byte %llu, not %llu", i,
                           (unsigned long long)segment->p_offset, (unsigned long long)header->e_phoff);
    }
    return 1;
}

/* Sections tell a second time what segments are for, which shows when one of the two was changed. */
static int check_place(const elf_file *elf, const ElfW(Shdr) * section, unsigned i, q8k_text *why) {
    const unsigned flags =
        (section->sh_flags & SHF_EXECINSTR ? PF_X : PF_R) | (section->sh_flags & SHF_WRITE ? PF_W : 0);
    if (!(section->sh_flags & SHF_ALLOC) || section->sh_type == SHT_NOBITS ||
        is_loaded(elf, section->sh_offset, section->sh_addr, section->sh_size, flags, 0))
        return 1;
    return q8k_say(why, "section %u is in no segment that is loaded as it should be", i);
}

/*
 * Linkers write the section headers last, so a file that was cut off lacks some, and one whose tail was never written
 * has blank ones; the dynamic linker itself would not notice. The name table's header is the last of all, and the
 * last field of it that is not zero anyway is its alignment.
 */
static int check_sections(const elf_file *elf, q8k_text *why) {
    const ElfW(Ehdr) *header = &elf->header;
    if (header->e_shoff == 0 || header->e_shnum < 2 || header->e_shnum > SECTIONS_MAX ||
        header->e_shentsize != sizeof(ElfW(Shdr)) || header->e_shstrndx >= header->e_shnum)
        return q8k_say(why,
                       "%u section headers of %u bytes, names in section %u: without whole section headers it "
                       "cannot be told whether the file is whole",
                       (unsigned)header->e_shnum, (unsigned)header->e_shentsize, (unsigned)header->e_shstrndx);
    if (!inside(header->e_shoff, header->e_shnum, sizeof(ElfW(Shdr)), elf->size))
        return q8k_say(why, "the section headers lie beyond the end of the file, at byte %llu: it was cut off",
                       (unsigned long long)elf->size);
    for (unsigned i = 1; i < header->e_shnum; i++) {
        ElfW(Shdr) section;
        if (!read_at(elf->file, &section, sizeof section, header->e_shoff + i * sizeof section))
            return q8k_say(why, "section header %u cannot be read", i);
        if (section.sh_type == SHT_NULL ||
            (i == header->e_shstrndx &&
             (section.sh_type != SHT_STRTAB || section.sh_size == 0 || section.sh_addralign == 0)))
            return q8k_say(why, "section header %u is blank: the end of the file was never written", i);
        if (section.sh_type != SHT_NOBITS && !inside(section.sh_offset, section.sh_size, 1, elf->size))
            return q8k_say(why, "section %u ends beyond the end of the file, at byte %llu", i,
                           (unsigned long long)elf->size);
        if (!check_place(elf, &section, i, why))
            return 0;
    }
    return 1;
}

static int check_open_file(int file, q8k_text *why) {
    struct stat status;
    elf_file elf = {.file = file};
    if (fstat(file, &status) != 0)
        return q8k_say(why, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return q8k_say(why, "it is not a regular file");
    elf.size = (uint64_t)status.st_size;
    if (elf.size < sizeof elf.header || !read_at(file, &elf.header, sizeof elf.header, 0))
        return q8k_say(why, "it has %llu bytes: an ELF header takes %zu", (unsigned long long)elf.size,
                       sizeof elf.header);
    return check_header(&elf.header, elf.size, why) && check_segments(&elf, why) && check_sections(&elf, why);
}

int q8k_elf_check(const char *path, q8k_text *why) {
    /* Not blocking, so that a FIFO without a writer is opened at once and then refused. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return q8k_say(why, "%s", strerror(errno));
    int good = check_open_file(file, why);
    close(file);
    return good;
}
