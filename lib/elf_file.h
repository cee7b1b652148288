/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_ELF_FILE_H
#define Q8K_LIB_ELF_FILE_H

#include "lib/error.h"

/*
 * Looks at a file before the dynamic linker does, which maps what the headers say and dies of a signal where the file
 * ends early. Returns 1 for a regular ELF file of this process's kind, a shared object, and whole as far as its
 * headers tell; else 0 and the reason. Never blocks.
 */
int q8k_elf_check(const char *path, q8k_text *why);

#endif
