/* SPDX-License-Identifier: MIT */
/* What `q8k inspect` tells of a GGUF file. */
#ifndef Q8K_TOOLS_INSPECT_H
#define Q8K_TOOLS_INSPECT_H

#include <jansson.h>

#include "gguf.h"

enum { INSPECT_TYPE_BYTES = 32 };

/* The name of a tensor's type, or its number if it is not known. */
const char *inspect_type(uint32_t type, char buffer[INSPECT_TYPE_BYTES]);

/* Tensors of one type, and of one format of libq8k or none. */
typedef struct inspect_total {
    uint32_t type;
    q8k_format format;
    uint64_t tensors, bytes;
} inspect_total;

/* The totals in the order in which their types first occur, malloc'ed; NULL if there is no memory. */
inspect_total *inspect_totals(const gguf *header, size_t *count);

/* Prints it for people, in lines of `width` columns if possible; 0: as long as they get. False if there is no memory. */
bool inspect_print(const char *path, const gguf *header, size_t width);

/* All of it; NULL if there is no memory. */
json_t *inspect_json(const char *path, const gguf *header);

#endif
