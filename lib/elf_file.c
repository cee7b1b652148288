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
enum { SEGMENTS_MAX = 128, SECTIONS_MAX = 4096 };

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

static int check_segments(int file, const ElfW(Ehdr) * header, uint64_t size, q8k_text *why) {
    int loads = 0, dynamic = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_at(file, &segment, sizeof segment, header->e_phoff + i * sizeof segment))
            return q8k_say(why, "program header %u cannot be read", i);
        if (!inside(segment.p_offset, segment.p_filesz, 1, size))
            return q8k_say(why, "segment %u ends beyond the end of the file, at byte %llu", i,
                           (unsigned long long)size);
        if (segment.p_type == PT_LOAD && segment.p_memsz < segment.p_filesz)
            return q8k_say(why, "segment %u is larger in the file than in memory", i);
        loads += segment.p_type == PT_LOAD;
        dynamic += segment.p_type == PT_DYNAMIC && segment.p_filesz > 0;
    }
    if (loads == 0 || dynamic != 1)
        return q8k_say(why, "%d segments to load and %d of dynamic linking: there must be some, and one", loads,
                       dynamic);
    return 1;
}

/*
 * Linkers write the section headers last, so a file that was cut off lacks some, and one whose tail was never written
 * has blank ones; the dynamic linker itself would not notice. The name table's header is the last of all, and the
 * last field of it that is not zero anyway is its alignment.
 */
static int check_sections(int file, const ElfW(Ehdr) * header, uint64_t size, q8k_text *why) {
    if (header->e_shoff == 0 || header->e_shnum < 2 || header->e_shnum > SECTIONS_MAX ||
        header->e_shentsize != sizeof(ElfW(Shdr)) || header->e_shstrndx >= header->e_shnum)
        return q8k_say(why,
                       "%u section headers of %u bytes, names in section %u: without whole section headers it "
                       "cannot be told whether the file is whole",
                       (unsigned)header->e_shnum, (unsigned)header->e_shentsize, (unsigned)header->e_shstrndx);
    if (!inside(header->e_shoff, header->e_shnum, sizeof(ElfW(Shdr)), size))
        return q8k_say(why, "the section headers lie beyond the end of the file, at byte %llu: it was cut off",
                       (unsigned long long)size);
    for (unsigned i = 1; i < header->e_shnum; i++) {
        ElfW(Shdr) section;
        if (!read_at(file, &section, sizeof section, header->e_shoff + i * sizeof section))
            return q8k_say(why, "section header %u cannot be read", i);
        if (section.sh_type == SHT_NULL ||
            (i == header->e_shstrndx &&
             (section.sh_type != SHT_STRTAB || section.sh_size == 0 || section.sh_addralign == 0)))
            return q8k_say(why, "section header %u is blank: the end of the file was never written", i);
        if (section.sh_type != SHT_NOBITS && !inside(section.sh_offset, section.sh_size, 1, size))
            return q8k_say(why, "section %u ends beyond the end of the file, at byte %llu", i,
                           (unsigned long long)size);
    }
    return 1;
}

static int check_open_file(int file, q8k_text *why) {
    struct stat status;
    ElfW(Ehdr) header;
    if (fstat(file, &status) != 0)
        return q8k_say(why, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return q8k_say(why, "it is not a regular file");
    uint64_t size = (uint64_t)status.st_size;
    if (size < sizeof header || !read_at(file, &header, sizeof header, 0))
        return q8k_say(why, "it has %llu bytes: an ELF header takes %zu", (unsigned long long)size, sizeof header);
    return check_header(&header, size, why) && check_segments(file, &header, size, why) &&
           check_sections(file, &header, size, why);
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
