/* SPDX-License-Identifier: MIT */
/* The weights of a file, multiplied on every backend. */
#ifndef Q8K_TOOLS_VERIFY_FILE_H
#define Q8K_TOOLS_VERIFY_FILE_H

#include "command.h"

/* The backends that this machine can run, or the one that was asked for. */
typedef struct verify_backends {
    size_t count;
    q8k_context **contexts;
} verify_backends;

/* Multiplies every tensor of arguments->files[0] that libq8k multiplies and --tensor chooses, in every precision, and
 * prints the errors. Returns whether all is as promised; if not, says what is not. A file without any such tensor is a
 * failure too. */
bool verify_file(const verify_backends *all, const command_arguments *arguments);

#endif
