/* SPDX-License-Identifier: MIT */
/* Which tensors of a file are meant by patterns of names, as of the shell. */
#ifndef Q8K_TOOLS_PATTERNS_H
#define Q8K_TOOLS_PATTERNS_H

#include "option_values.h"
#include "weights.h"

/* Whether one of the patterns matches the tensor's name. */
bool patterns_match(const pattern_list *patterns, const gguf_tensor *tensor);

/* The same; no patterns mean all tensors. */
bool patterns_choose(const pattern_list *patterns, const gguf_tensor *tensor);

/* Whether each pattern of --OPTION matches a tensor of the file; else fails with a message. */
bool patterns_are_used(const weights_file *file, const char *option, const pattern_list *patterns);

#endif
