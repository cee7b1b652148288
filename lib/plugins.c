/* SPDX-License-Identifier: MIT */
/* Backends that are plugins: where they are, and opening them. lib/builtin_backends.c takes the place of this file in a
 * library that has them inside. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "lib/elf_file.h"
#include "lib/loader.h"

/* One character of UTF-8 at `text`: its length, or 0 if it is malformed. */
static size_t utf8_length(const unsigned char *text) {
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and beyond the last code point. */
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

static int is_plain_utf8(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        size_t length = utf8_length(at);
        if (length == 0 || *at < 0x20 || *at == 0x7f)
            return 0;
        at += length;
    }
    return 1;
}

static int has_dot_dot(const char *path) {
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at++)
        if ((at == path || at[-1] == '/') && (at[2] == '\0' || at[2] == '/'))
            return 1;
    return 0;
}

static int check_directory(const char *path, q8k_text *why) {
    /* Room for the plugin's own name behind it. */
    const size_t limit = Q8K_PATH_BYTES - 64;
    if (strlen(path) > limit)
        return q8k_say(why, "Q8K_BACKEND_DIR has %zu bytes (limit %zu)", strlen(path), limit);
    if (!is_plain_utf8(path))
        return q8k_say(why, "Q8K_BACKEND_DIR is not UTF-8 without control characters");
    if (path[0] != '/')
        return q8k_say(why, "Q8K_BACKEND_DIR = \"%s\": must be an absolute path", path);
    if (has_dot_dot(path))
        return q8k_say(why, "Q8K_BACKEND_DIR = \"%s\": must not contain \"..\"", path);
    return 1;
}

void q8k_find_directory(q8k_directory *directory) {
    const char *given = q8k_environment("Q8K_BACKEND_DIR");
    directory->path = given != NULL ? given : Q8K_BACKEND_DIRECTORY;
    directory->source = given != NULL ? "Q8K_BACKEND_DIR" : "built in";
    directory->problem.text[0] = '\0';
    directory->accepted = given == NULL || check_directory(given, &directory->problem);
}

void q8k_plugin_path(const q8k_directory *directory, const char *name, char path[Q8K_PATH_BYTES]) {
    int length = snprintf(path, Q8K_PATH_BYTES, "%s/libq8k-%s.so", directory->path, name);
    if (length < 0 || length >= Q8K_PATH_BYTES)
        path[0] = '\0';
}

const q8k_backend *q8k_open_table(const char *file, const char *name, q8k_text *why) {
    q8k_backend_entry_function *entry;
    void *handle, *symbol;
    (void)name;
    if (!q8k_elf_check(file, why))
        return NULL;
    handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *text = dlerror();
        q8k_say(why, "%s", text != NULL ? text : "dlopen failed");
        return NULL;
    }
    /* From here on the handle is kept whatever happens: code of a plugin may have run, and left pointers to itself. */
    symbol = dlsym(handle, "q8k_backend_entry");
    if (symbol == NULL) {
        q8k_say(why, "it has no symbol q8k_backend_entry");
        return NULL;
    }
    memcpy(&entry, &symbol, sizeof entry);
    const q8k_backend *table = entry(Q8K_BACKEND_ABI);
    if (table == NULL)
        q8k_say(why, "q8k_backend_entry returned NULL");
    return table;
}
