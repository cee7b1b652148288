/* SPDX-License-Identifier: MIT */
/* Backends that are inside the library (--enable-builtin-backends), for programs that link statically: lib/plugins.c
 * with no files, no folder and no dlopen. */
#include <string.h>

#include "backends/backend.h"
#include "lib/loader.h"

/* Q8K_EACH_BUILTIN_BACKEND comes from configure: those that the compiler can make, but for the scalar one. */
#define DECLARE_BACKEND(name) extern const q8k_backend q8k_##name##_backend;
Q8K_EACH_BUILTIN_BACKEND(DECLARE_BACKEND)

void q8k_find_directory(q8k_directory *directory) {
    directory->path = "";
    directory->source = "built in";
    directory->accepted = 1;
    q8k_say(&directory->problem, "no plugins are opened, whatever Q8K_BACKEND_DIR says: this library has its backends "
                                 "inside");
}

void q8k_plugin_path(const q8k_directory *directory, const char *name, char path[Q8K_PATH_BYTES]) {
    (void)directory, (void)name;
    path[0] = '\0';
}

#define FIND_BACKEND(known)                                                                                            \
    if (strcmp(name, #known) == 0)                                                                                     \
        return &q8k_##known##_backend;

const q8k_backend *q8k_open_table(const char *file, const char *name, q8k_text *why) {
    (void)file;
    Q8K_EACH_BUILTIN_BACKEND(FIND_BACKEND)
    if (strcmp(name, "scalar") == 0)
        return &q8k_scalar_backend_by_name;
    q8k_say(why, "it is not inside this library, which opens no plugins");
    return NULL;
}
