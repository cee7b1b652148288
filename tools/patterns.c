/* SPDX-License-Identifier: MIT */
#include "patterns.h"

#include <fnmatch.h>
#include <string.h>

#include "command.h"
#include "escape.h"

enum { SHOWN_BYTES = 512 };

static bool matches(const char *pattern, const gguf_tensor *tensor) {
    char name[GGUF_MAX_NAME_BYTES + 1];
    if (tensor->name.length >= sizeof name) {
        return false;
    }
    memcpy(name, tensor->name.bytes, tensor->name.length);
    name[tensor->name.length] = '\0';
    return fnmatch(pattern, name, 0) == 0;
}

bool patterns_match(const pattern_list *patterns, const gguf_tensor *tensor) {
    for (size_t i = 0; i < patterns->count; i++) {
        if (matches(patterns->values[i], tensor)) {
            return true;
        }
    }
    return false;
}

bool patterns_choose(const pattern_list *patterns, const gguf_tensor *tensor) {
    return patterns->count == 0 || patterns_match(patterns, tensor);
}

/* A pattern without a tensor is a slip of the pen, which would show only in what the result is good for. */
bool patterns_are_used(const weights_file *file, const char *option, const pattern_list *patterns) {
    char shown[SHOWN_BYTES], path[SHOWN_BYTES];
    for (size_t i = 0; i < patterns->count; i++) {
        const char *pattern = patterns->values[i];
        bool found = false;
        for (size_t t = 0; !found && t < weights_count(file); t++) {
            gguf_tensor tensor = weights_at(file, t);
            found = matches(pattern, &tensor);
        }
        if (!found) {
            command_say("--%s = '%s' (limit the name of a tensor of %s)", option,
                        escape_text(shown, sizeof shown, pattern, strlen(pattern)),
                        escape_path(path, sizeof path, file->path));
            return false;
        }
    }
    return true;
}
